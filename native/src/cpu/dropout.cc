// x times the mask that dropout_mask would draw; what is dropped is 0 whatever it was.
#include "common/dropout.h"

IMAGO_KERNEL(dropout) {
  using namespace imago::IMAGO_ISA;
  const float* const x = buffer<const float>(call, 0);
  float* const out = buffer<float>(call, 1);
  return drop(call, [&](size_t i, size_t count, I keep, F factor) {
    store_lanes(out + i, count, select(keep, load_lanes(x + i, count) * factor, F{}));
  });
}
