// Philox 4x32-10 (Salmon et al. 2011), W blocks at once; the same words as packages/tensor/src/philox.ts.
#pragma once
#include "common/simd.h"

namespace imago::IMAGO_ISA {

/** The four words of W blocks: word k of block i in lane i of words[k]. */
struct PhiloxBlocks {
  U words[4];
};

typedef uint64_t Wide64 __attribute__((vector_size(W * 4)));

/** Products of the even lanes, 32 × 32 → 64 bits. */
IMAGO_INLINE Wide64 multiply_even(Wide64 a, Wide64 m) {
#if defined(__AVX512F__)
  return (Wide64)_mm512_mul_epu32((__m512i)a, (__m512i)m);
#elif defined(__AVX2__)
  return (Wide64)_mm256_mul_epu32((__m256i)a, (__m256i)m);
#elif defined(__SSE2__)
  return (Wide64)_mm_mul_epu32((__m128i)a, (__m128i)m);
#else
  return (a & 0xffffffff) * (m & 0xffffffff);
#endif
}

/**
 * Half of the blocks, one in the lower 32 bits of each 64-bit lane: a product is 64 bits, and what stands in the upper bits of a
 * factor is not looked at, so nothing is ever masked or moved back.
 */
struct PhiloxLanes {
  Wide64 c0, c1, c2, c3;
  __attribute__((always_inline)) void round(Wide64 m0, Wide64 m1, U key0, U key1) {
    const Wide64 a = multiply_even(c0, m0);
    const Wide64 b = multiply_even(c2, m1);
    c0 = (b >> 32) ^ c1 ^ (Wide64)key0;
    c1 = b;
    c2 = (a >> 32) ^ c3 ^ (Wide64)key1;
    c3 = a;
  }
};

/** Blocks `first` … first + W − 1 of the stream under the key: the counter's lower 64 bits are the block's number. */
IMAGO_INLINE PhiloxBlocks philox(uint64_t first, uint32_t key0, uint32_t key1) {
  const U c0 = (U)iota() + static_cast<uint32_t>(first);
  // A lane that has wrapped around carries into the upper word (the mask is −1 there).
  const U c1 = static_cast<uint32_t>(first >> 32) - (U)(c0 < U{} + static_cast<uint32_t>(first));
  PhiloxLanes even{(Wide64)c0, (Wide64)c1, {}, {}};
  PhiloxLanes odd{(Wide64)c0 >> 32, (Wide64)c1 >> 32, {}, {}};
  const Wide64 m0 = Wide64{} + 0xd2511f53, m1 = Wide64{} + 0xcd9e8d57;
  for (int round = 0; round < 10; round++) {
    even.round(m0, m1, U{} + key0, U{} + key1);
    odd.round(m0, m1, U{} + key0, U{} + key1);
    key0 += 0x9e3779b9;
    key1 += 0xbb67ae85;
  }
  const Wide64 lower = Wide64{} + 0xffffffff;
  return {{(U)((even.c0 & lower) | (odd.c0 << 32)), (U)((even.c1 & lower) | (odd.c1 << 32)),
           (U)((even.c2 & lower) | (odd.c2 << 32)), (U)((even.c3 & lower) | (odd.c3 << 32))}};
}

/** The words in the order of the stream: four of block 0, four of block 1, … */
IMAGO_INLINE void store_in_order(const PhiloxBlocks& blocks, void* out) {
  const F w0 = (F)blocks.words[0], w1 = (F)blocks.words[1], w2 = (F)blocks.words[2], w3 = (F)blocks.words[3];
  // Two perfect shuffles of four vectors: word k of block i goes to place 4i + k.
  const F a = interleave_low(w0, w2), b = interleave_high(w0, w2), c = interleave_low(w1, w3), d = interleave_high(w1, w3);
  const F ordered[4] = {interleave_low(a, c), interleave_high(a, c), interleave_low(b, d), interleave_high(b, d)};
  memcpy(out, ordered, sizeof ordered);
}

}  // namespace imago::IMAGO_ISA
