// Vectors of the instruction set that this file is compiled for (IMAGO_ISA: portable, avx2 or avx512).
//
// Everything here lives in namespace imago::IMAGO_ISA and is always inlined. A per-ISA file must not instantiate std::
// templates or call inline functions of other headers: the linker keeps one copy of those, perhaps the AVX-512 one, and
// the portable path would then die of an illegal instruction on an older processor.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined(__GNUC__)
#error "imago's kernels need GCC or Clang (on Windows: clang-cl); IMAGO_NATIVE=off builds without them"
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define IMAGO_INLINE static inline __attribute__((always_inline))

namespace imago::IMAGO_ISA {

#if defined(__AVX512F__)
inline constexpr size_t W = 16;
#elif defined(__AVX2__)
inline constexpr size_t W = 8;
#else
inline constexpr size_t W = 4;
#endif

typedef float F __attribute__((vector_size(W * 4)));       // W floats
typedef int32_t I __attribute__((vector_size(W * 4)));     // W integers; as a mask: all bits or none
typedef uint32_t U __attribute__((vector_size(W * 4)));    // W words
typedef double D __attribute__((vector_size(W * 4)));      // W / 2 doubles
typedef float Half __attribute__((vector_size(W * 2)));    // W / 2 floats
typedef uint16_t Words16 __attribute__((vector_size(W * 2)));  // W half-precision bit patterns

inline constexpr float infinity = __builtin_inff();

IMAGO_INLINE F all(float x) { return x - F{}; }
IMAGO_INLINE I all_int(int32_t x) { return x - I{}; }

IMAGO_INLINE F load(const float* p) {
  F x;
  memcpy(&x, p, sizeof x);
  return x;
}
IMAGO_INLINE void store(float* p, F x) { memcpy(p, &x, sizeof x); }
IMAGO_INLINE F select(I mask, F a, F b) { return mask ? a : b; }
IMAGO_INLINE I as_int(F x) { return (I)x; }
IMAGO_INLINE F as_float(I x) { return (F)x; }
/** One bit for each element of a mask. */
IMAGO_INLINE uint32_t bits_of(I mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps((F)mask));
#else
  uint32_t bits = 0;
  for (size_t i = 0; i < W; i++) bits |= (static_cast<uint32_t>(mask[i]) & 1) << i;
  return bits;
#endif
}
IMAGO_INLINE bool any(I mask) {
#if defined(__AVX512F__) || defined(__AVX2__)
  return bits_of(mask) != 0;
#else
  int32_t bits = 0;
  for (size_t i = 0; i < W; i++) bits |= mask[i];
  return bits != 0;
#endif
}
/** 0, 1, … W − 1. */
#if defined(__AVX512F__)
IMAGO_INLINE I iota() { return I{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }
#elif defined(__AVX2__)
IMAGO_INLINE I iota() { return I{0, 1, 2, 3, 4, 5, 6, 7}; }
#else
IMAGO_INLINE I iota() { return I{0, 1, 2, 3}; }
#endif

/** The first `count` < W elements, the others are `fill`; nothing behind them is touched. */
#if defined(__AVX512F__)
IMAGO_INLINE __mmask16 first_lanes(size_t count) { return static_cast<__mmask16>((1u << count) - 1); }
IMAGO_INLINE F load_part(const float* p, size_t count, float fill) {
  return _mm512_mask_loadu_ps(all(fill), first_lanes(count), p);
}
IMAGO_INLINE void store_part(float* p, size_t count, F x) { _mm512_mask_storeu_ps(p, first_lanes(count), x); }
#elif defined(__AVX2__)
IMAGO_INLINE F load_part(const float* p, size_t count, float fill) {
  const I mask = iota() < all_int(static_cast<int32_t>(count));
  return select(mask, _mm256_maskload_ps(p, (__m256i)mask), all(fill));
}
IMAGO_INLINE void store_part(float* p, size_t count, F x) {
  _mm256_maskstore_ps(p, (__m256i)(iota() < all_int(static_cast<int32_t>(count))), x);
}
#else
IMAGO_INLINE F load_part(const float* p, size_t count, float fill) {
  F x = all(fill);
  for (size_t i = 0; i < count; i++) x[i] = p[i];
  return x;
}
IMAGO_INLINE void store_part(float* p, size_t count, F x) {
  for (size_t i = 0; i < count; i++) p[i] = x[i];
}
#endif

/** The same for `count` ≤ W. */
IMAGO_INLINE F load_lanes(const float* p, size_t count) { return count == W ? load(p) : load_part(p, count, 0); }
/** The first min(count, W) elements, the others are `fill`. */
IMAGO_INLINE F load_lanes_or(const float* p, size_t count, float fill) { return count >= W ? load(p) : load_part(p, count, fill); }
IMAGO_INLINE void store_lanes(float* p, size_t count, F x) {
  if (count == W)
    store(p, x);
  else
    store_part(p, count, x);
}

// min and max give b where either is NaN: `max(limit, x)` keeps a NaN in x, `max(x, limit)` removes it.
#if defined(__AVX512F__)
#define IMAGO_INTRINSIC(name) _mm512_##name
#elif defined(__AVX2__)
#define IMAGO_INTRINSIC(name) _mm256_##name
#elif defined(__SSE2__)
#define IMAGO_INTRINSIC(name) _mm_##name
#endif
#if defined(IMAGO_INTRINSIC)
IMAGO_INLINE F max(F a, F b) { return IMAGO_INTRINSIC(max_ps)(a, b); }
IMAGO_INLINE F min(F a, F b) { return IMAGO_INTRINSIC(min_ps)(a, b); }
IMAGO_INLINE F sqrt(F x) { return IMAGO_INTRINSIC(sqrt_ps)(x); }
IMAGO_INLINE I round_to_int(F x) { return (I)IMAGO_INTRINSIC(cvtps_epi32)(x); }
#undef IMAGO_INTRINSIC
#else
IMAGO_INLINE F max(F a, F b) { return a > b ? a : b; }
IMAGO_INLINE F min(F a, F b) { return a < b ? a : b; }
IMAGO_INLINE F sqrt(F x) {
  for (size_t i = 0; i < W; i++) x[i] = __builtin_sqrtf(x[i]);
  return x;
}
/** For |x| < 2²²: adding 1.5·2²³ leaves the rounded integer in the low bits. */
IMAGO_INLINE I round_to_int(F x) { return (I)(x + 12582912.0f) - 0x4b400000; }
#endif
#if defined(__AVX512F__)
IMAGO_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
IMAGO_INLINE D fma(D a, D b, D c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__AVX2__)
IMAGO_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
IMAGO_INLINE D fma(D a, D b, D c) { return _mm256_fmadd_pd(a, b, c); }
#else
IMAGO_INLINE F fma(F a, F b, F c) { return a * b + c; }
IMAGO_INLINE D fma(D a, D b, D c) { return a * b + c; }
#endif

IMAGO_INLINE F to_float(I x) { return __builtin_convertvector(x, F); }
/** W / 2 floats as doubles, and back. */
IMAGO_INLINE D load_doubles(const float* p) {
  Half x;
  memcpy(&x, p, sizeof x);
  return __builtin_convertvector(x, D);
}
IMAGO_INLINE void store_floats(float* p, D x) {
  const Half rounded = __builtin_convertvector(x, Half);
  memcpy(p, &rounded, sizeof rounded);
}
IMAGO_INLINE F abs(F x) { return as_float(as_int(x) & 0x7fffffff); }

typedef float Four __attribute__((vector_size(16)));
/** Four neighbouring elements, from `first` on. */
template <int first>
IMAGO_INLINE Four four(F x) {
  return __builtin_shufflevector(x, x, first, first + 1, first + 2, first + 3);
}

/** Folds the elements, fours first and then pairs: the same order for the same W. */
template <class Operation>
IMAGO_INLINE float fold(F x, Operation operation) {
  Four result = four<0>(x);
#if defined(__AVX2__) || defined(__AVX512F__)
  result = operation(result, four<4>(x));
#endif
#if defined(__AVX512F__)
  result = operation(operation(result, four<8>(x)), four<12>(x));
#endif
  const Four pairs = operation(result, __builtin_shufflevector(result, result, 2, 3, 2, 3));
  return operation(pairs, __builtin_shufflevector(pairs, pairs, 1, 1, 1, 1))[0];
}
IMAGO_INLINE float sum_of(F x) {
  return fold(x, [](Four a, Four b) { return a + b; });
}
IMAGO_INLINE float max_of(F x) {
  return fold(x, [](Four a, Four b) { return a > b ? a : b; });
}
IMAGO_INLINE float min_of(F x) {
  return fold(x, [](Four a, Four b) { return a < b ? a : b; });
}
typedef double Two __attribute__((vector_size(16)));
IMAGO_INLINE double sum_of(D x) {
  Two sum = __builtin_shufflevector(x, x, 0, 1);
#if defined(__AVX2__) || defined(__AVX512F__)
  sum += __builtin_shufflevector(x, x, 2, 3);
#endif
#if defined(__AVX512F__)
  sum = (sum + __builtin_shufflevector(x, x, 4, 5)) + __builtin_shufflevector(x, x, 6, 7);
#endif
  return sum[0] + sum[1];
}

/** The lower and the upper half of the elements as doubles. */
IMAGO_INLINE D lower(F x) {
#if defined(__AVX512F__)
  return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
#elif defined(__AVX2__)
  return _mm256_cvtps_pd(_mm256_castps256_ps128(x));
#else
  return __builtin_convertvector(__builtin_shufflevector(x, x, 0, 1), D);
#endif
}
IMAGO_INLINE D upper(F x) {
#if defined(__AVX512F__)
  return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
#elif defined(__AVX2__)
  return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
#else
  return __builtin_convertvector(__builtin_shufflevector(x, x, 2, 3), D);
#endif
}

/** The sum of the lanes, in float64. */
IMAGO_INLINE double sum_in_double(F x) { return sum_of(lower(x) + upper(x)); }

/** a₀ b₀ a₁ b₁ …, of the lower and of the upper halves. */
#if defined(__AVX512F__)
IMAGO_INLINE F interleave_low(F a, F b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
IMAGO_INLINE F interleave_high(F a, F b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#elif defined(__AVX2__)
IMAGO_INLINE F interleave_low(F a, F b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
IMAGO_INLINE F interleave_high(F a, F b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
#else
IMAGO_INLINE F interleave_low(F a, F b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
IMAGO_INLINE F interleave_high(F a, F b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
#endif

/** Rows become columns, in registers: log₂ W rounds of a perfect shuffle. */
IMAGO_INLINE void transpose(F (&rows)[W]) {
  for (size_t round = 1; round < W; round *= 2) {
    F shuffled[W];
    for (size_t i = 0; i < W / 2; i++) {
      shuffled[2 * i] = interleave_low(rows[i], rows[i + W / 2]);
      shuffled[2 * i + 1] = interleave_high(rows[i], rows[i + W / 2]);
    }
    for (size_t i = 0; i < W; i++) rows[i] = shuffled[i];
  }
}

/**
 * Inside: round to nearest, denormals are 0 (they cost a hundred cycles each and mean nothing here). Outside: as it was.
 */
class FloatingPointMode {
#if defined(__SSE2__)
 public:
  __attribute__((always_inline)) FloatingPointMode() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80 | 0x8040); }
  __attribute__((always_inline)) ~FloatingPointMode() { _mm_setcsr(saved_); }
  FloatingPointMode(const FloatingPointMode&) = delete;
  FloatingPointMode& operator=(const FloatingPointMode&) = delete;

 private:
  unsigned saved_;
#else
 public:
  FloatingPointMode() {}
  ~FloatingPointMode() {}
#endif
};

}  // namespace imago::IMAGO_ISA
