// 0 with probability t/65536, else 65536/(65536 − t): 16 bits of Philox an element, 8 elements a block.
#include "common/parallel.h"
#include "common/philox.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

inline constexpr size_t block_elements = 8;

/** The 16-bit numbers of W blocks in the order of their elements. */
IMAGO_INLINE void bits_of(const PhiloxBlocks& blocks, uint16_t* bits) {
  for (size_t i = 0; i < W; i++)
    for (size_t k = 0; k < 4; k++) {
      const uint32_t word = blocks.words[k][i];
      bits[i * block_elements + 2 * k] = static_cast<uint16_t>(word);
      bits[i * block_elements + 2 * k + 1] = static_cast<uint16_t>(word >> 16);
    }
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
    uint16_t bits[W * block_elements];
    for (size_t i = first; i < end; i += stride) {
      bits_of(philox(first_block + i / block_elements, key0, key1), bits);
      const size_t count = end - i < stride ? end - i : stride;
      for (size_t k = 0; k < count; k++) out[i + k] = bits[k] >= t ? kept : 0.0f;
    }
  });
  return 0;
}
