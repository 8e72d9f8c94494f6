// average ← average + (1 − decay)·(x − average): a constant x is a fixed point, whatever decay and 1 − decay round to.
#include "common/parallel.h"
#include "cpu/kernel.h"

IMAGO_KERNEL(ema) {
  using namespace imago::IMAGO_ISA;
  float* const average = buffer<float>(call, 0);
  const float* const x = buffer<const float>(call, 1);
  const size_t n = size(call, 0);
  const double decay = call->scalars[1];
  if (!(decay >= 0 && decay <= 1)) return refuse(call, "decay must be in [0, 1], got %g", decay);
  const F share = all(static_cast<float>(1 - decay));
  parallel(n, Chunks::of(n, 1, 16), [&](size_t, size_t first, size_t end) {
    each_vector(average, first, end, [&](size_t i, size_t count) {
      const F a = load_lanes(average + i, count);
      store_lanes(average + i, count, fma(load_lanes(x + i, count) - a, share, a));
    });
  });
  return 0;
}
