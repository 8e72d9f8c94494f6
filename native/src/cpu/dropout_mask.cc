// 0 with probability t/65536, else 65536/(65536 − t): 16 bits of Philox an element, 8 elements a block.
#include "common/parallel.h"
#include "common/philox.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

inline constexpr size_t block_elements = 8;

/** The mask of `count` elements from their 16-bit numbers. */
IMAGO_INLINE void write(const uint16_t* bits, size_t count, uint32_t t, float kept, float* out) {
  size_t i = 0;
  for (; i + W <= count; i += W) {
    Words16 words;
    memcpy(&words, bits + i, sizeof words);
    const I number = (I)__builtin_convertvector(words, U);
    store(out + i, select(number >= all_int(static_cast<int32_t>(t)), all(kept), F{}));
  }
  for (; i < count; i++) out[i] = bits[i] >= t ? kept : 0.0f;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(dropout_mask) {
  float* const out = buffer<float>(call, 0);
  const size_t n = size(call, 0);
  const double probability = call->scalars[1];
  const uint32_t key0 = static_cast<uint32_t>(size(call, 2));
  const uint32_t key1 = static_cast<uint32_t>(size(call, 3));
  const uint64_t first_block = size(call, 4);
  if (!(probability >= 0 && probability < 1)) return refuse(call, "probability must be in [0, 1), got %g", probability);
  const uint32_t t = static_cast<uint32_t>(65536 * probability + 0.5);
  if (t > 65535) return refuse(call, "probability %.9g leaves no element in 65536", probability);
  const float kept = static_cast<float>(65536.0 / (65536.0 - t));

  const size_t stride = W * block_elements;
  parallel(n, Chunks::of(n, 1, 16 * block_elements), [&](size_t, size_t first, size_t end) {
    // A word's lower half comes first, as little-endian memory has it.
    uint32_t words[4 * W];
    uint16_t bits[W * block_elements];
    for (size_t i = first; i < end; i += stride) {
      store_in_order(philox(first_block + i / block_elements, key0, key1), words);
      memcpy(bits, words, sizeof bits);
      write(bits, end - i < stride ? end - i : stride, t, kept, out + i);
    }
  });
  return 0;
}
