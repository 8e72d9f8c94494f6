// float32 to float16 or bfloat16 (to nearest, ties to even) or back.
#include "cuda/elements.cuh"

namespace imago::cuda {
namespace {

template <bool is_float16, bool encode>
struct Convert {
  float* single;
  uint16_t* half;
  __device__ __forceinline__ void operator()(size_t i) const {
    if constexpr (encode)
      half[i] = is_float16 ? to_float16(single[i]) : to_bfloat16(single[i]);
    else
      single[i] = is_float16 ? from_float16(half[i]) : from_bfloat16(half[i]);
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(convert_half) {
  using namespace imago::cuda;
  float* const single = buffer<float>(call, 0);
  uint16_t* const half = buffer<uint16_t>(call, 1);
  const size_t n = size(call, 0);
  const double type = call->scalars[1];
  const bool encode = call->scalars[2] != 0;
  if (type != 1 && type != 2) return refuse(call, "halfType must be 1 (float16) or 2 (bfloat16), got %g", type);
  if (encode) return type == 1 ? each_element(call, n, Convert<true, true>{single, half}) : each_element(call, n, Convert<false, true>{single, half});
  return type == 1 ? each_element(call, n, Convert<true, false>{single, half}) : each_element(call, n, Convert<false, false>{single, half});
}
