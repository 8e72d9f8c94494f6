// average ← average + (1 − decay)·(x − average): a constant x is a fixed point, whatever decay and 1 − decay round to.
#include "cuda/elements.cuh"

namespace imago::cuda {
namespace {

struct Average {
  float* average;
  const float* x;
  float share;
  __device__ __forceinline__ void operator()(size_t i) const {
    const float a = average[i];
    average[i] = fmaf(x[i] - a, share, a);
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(ema) {
  using namespace imago::cuda;
  const double decay = call->scalars[1];
  if (!(decay >= 0 && decay <= 1)) return refuse(call, "decay must be in [0, 1], got %g", decay);
  return each_element(call, size(call, 0), Average{buffer<float>(call, 0), buffer<const float>(call, 1), static_cast<float>(1 - decay)});
}
