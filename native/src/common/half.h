// float16 and bfloat16 as words of 16 bits, W at a time.
#pragma once
#include "common/simd.h"

namespace imago::IMAGO_ISA {

/** The first `count` ≤ W words, the others are 0; nothing behind them is touched. */
IMAGO_INLINE Words16 load_words(const uint16_t* p, size_t count) {
  Words16 x{};
  memcpy(&x, p, (count == W ? W : count) * sizeof *p);
  return x;
}
IMAGO_INLINE void store_words(uint16_t* p, size_t count, Words16 x) {
  memcpy(p, &x, (count == W ? W : count) * sizeof *p);
}

/** bfloat16 is the upper half of a float32. */
IMAGO_INLINE F from_bfloat16(Words16 x) { return (F)(__builtin_convertvector(x, U) << 16); }
IMAGO_INLINE F from_float16(Words16 x) {
#if defined(__AVX512F__)
  return _mm512_cvtph_ps((__m256i)x);
#elif defined(__AVX2__)
  return _mm256_cvtph_ps((__m128i)x);
#else
  const I bits = (I)__builtin_convertvector(x, U);
  const I magnitude = bits & 0x7fff;
  // Normal numbers move to float32's exponent range; subnormal ones are counted in 2⁻²⁴ (as float32 bits they would be
  // subnormal too, which is 0 here); infinity and NaN keep their exponent of ones.
  const F normal = as_float(magnitude << 13) * 0x1p112f;
  const F subnormal = to_float(magnitude) * 0x1p-24f;
  const F special = as_float((magnitude << 13) | 0x7f800000);
  const F x32 = select(magnitude < 0x400, subnormal, select(magnitude >= 0x7c00, special, normal));
  return as_float(as_int(x32) | ((bits & 0x8000) << 16));
#endif
}

/** To nearest, ties to even; a NaN stays one. */
IMAGO_INLINE Words16 to_bfloat16(F x) {
  const U bits = (U)x;
  const U rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const U quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector((as_int(x) & 0x7fffffff) > 0x7f800000 ? quiet : rounded, Words16);
}
/** To nearest, ties to even; what float16 does not hold becomes infinite, a NaN stays one. */
IMAGO_INLINE Words16 to_float16(F x) {
#if defined(__AVX512F__)
  return (Words16)_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
#elif defined(__AVX2__)
  return (Words16)_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT);
#else
  const U bits = (U)x;
  const U magnitude = bits & 0x7fffffff;
  // The exponent moves by 112; the carry of the rounding may make the next power of two, or infinity.
  const U normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Below 2⁻¹⁴ numbers are counted in 2⁻²⁴: adding ½ leaves the rounded count in the low bits.
  const U subnormal = (U)((F)magnitude + 0.5f) - 0x3f000000;
  const U finite = (I)magnitude < 0x38800000 ? subnormal : normal;
  const U overflow = U{} + 0x7c00;
  const U nan = (((magnitude >> 13) & 0x3ff) | 0x7e00);
  const U half = (I)magnitude > 0x7f800000 ? nan : (I)magnitude >= 0x477ff000 ? overflow : finite;
  return __builtin_convertvector(half | ((bits >> 16) & 0x8000), Words16);
#endif
}

}  // namespace imago::IMAGO_ISA
