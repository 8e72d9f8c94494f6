// What dropout_mask and dropout share: 16 bits of Philox an element, 8 elements a block, kept where bits ≥ t.
#pragma once
#include "common/half.h"
#include "common/parallel.h"
#include "common/philox.h"
#include "common/refuse.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {

/** Scalars n, probability, key0, key1, block: calls write(i, count, keep, factor) for every `count` ≤ W elements from i on. */
template <class Write>
IMAGO_INLINE int drop(const imago_call* call, Write write) {
  constexpr size_t block_elements = 8;
  constexpr size_t stride = W * block_elements;
  const size_t n = size(call, 0);
  const double probability = call->scalars[1];
  const uint32_t key0 = static_cast<uint32_t>(size(call, 2));
  const uint32_t key1 = static_cast<uint32_t>(size(call, 3));
  const uint64_t first_block = size(call, 4);
  if (!(probability >= 0 && probability < 1)) return refuse(call, "probability must be in [0, 1), got %g", probability);
  const int32_t t = static_cast<int32_t>(65536 * probability + 0.5);
  if (t > 65535) return refuse(call, "probability %.9g leaves no element in 65536", probability);
  const F factor = all(static_cast<float>(65536.0 / (65536.0 - t)));

  parallel(n, Chunks::of(n, 1, 16 * block_elements), [&](size_t, size_t first, size_t end) {
    // A word's lower half comes first, as little-endian memory has it.
    alignas(sizeof(F)) uint16_t bits[stride];
    for (size_t i = first; i < end; i += stride) {
      store_in_order(philox(first_block + i / block_elements, key0, key1), bits);
      for (size_t j = 0; j < stride && i + j < end; j += W) {
        const size_t count = end - i - j < W ? end - i - j : W;
        const I number = (I)__builtin_convertvector(load_words(bits + j, W), U);
        write(i + j, count, number >= all_int(t), factor);
      }
    }
  });
  return 0;
}

}  // namespace imago::IMAGO_ISA
