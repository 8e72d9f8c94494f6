// float32 to float16 or bfloat16 (to nearest, ties to even) or back.
#include "common/half.h"
#include "common/parallel.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** Calls convert(i, count) for every `count` ≤ W elements from i on. */
template <class Convert>
IMAGO_INLINE int each(const float* single, size_t n, Convert convert) {
  parallel(n, Chunks::of(n, 1, 16), [&](size_t, size_t first, size_t end) { each_vector(single, first, end, convert); });
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(convert_half) {
  using namespace imago::IMAGO_ISA;
  float* const single = buffer<float>(call, 0);
  uint16_t* const half = buffer<uint16_t>(call, 1);
  const size_t n = size(call, 0);
  const double type = call->scalars[1];
  const bool encode = call->scalars[2] != 0;
  if (type != 1 && type != 2) return refuse(call, "halfType must be 1 (float16) or 2 (bfloat16), got %g", type);
  if (encode && type == 1)
    return each(single, n, [&](size_t i, size_t count) { store_words(half + i, count, to_float16(load_lanes(single + i, count))); });
  if (encode)
    return each(single, n, [&](size_t i, size_t count) { store_words(half + i, count, to_bfloat16(load_lanes(single + i, count))); });
  if (type == 1)
    return each(single, n, [&](size_t i, size_t count) { store_lanes(single + i, count, from_float16(load_words(half + i, count))); });
  return each(single, n, [&](size_t i, size_t count) { store_lanes(single + i, count, from_bfloat16(load_words(half + i, count))); });
}
