// W numbers in float64, as two vectors, and their exponential and logarithm: relative errors of a few 1e-16. For losses whose
// digits float32 does not hold; they take four times as long as their float32 kin in vector_math.h.
#pragma once
#include "common/layout.h"

namespace imago::IMAGO_ISA {

typedef int64_t L __attribute__((vector_size(W * 4)));  // W / 2 integers; as a mask: all bits or none

IMAGO_INLINE D all_double(double x) { return x - D{}; }

/** Σ coefficients[k]·xᵏ. */
template <size_t N>
IMAGO_INLINE D polynomial(D x, const double (&coefficients)[N]) {
  D p = all_double(coefficients[N - 1]);
  for (size_t k = N - 1; k-- > 0;) p = fma(p, x, all_double(coefficients[k]));
  return p;
}

/** eˣ for x ≤ 709; 0 below −708, for −∞ and NaN too. */
IMAGO_INLINE D exp(D x) {
  constexpr double magic = 0x1.8p52;  // adding it rounds to a whole number, which is then in the low bits
  x = x > -709.0 ? x : all_double(-709.0);
  const D shifted = x * 1.4426950408889634 + magic;
  const D whole = shifted - magic;
  const D r = fma(whole, all_double(-2.3190468138462996e-17), fma(whole, all_double(-0.6931471805599453), x));
  constexpr double taylor[] = {1.0,      1.0,       1.0 / 2,     1.0 / 6,      1.0 / 24,       1.0 / 120,      1.0 / 720,
                               1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600};
  const D p = polynomial(r, taylor);
  const D power = (D)(((L)shifted + 1023) << 52);
  return x < -708.0 ? D{} : p * power;
}

/** (eˣ − 1 − x) / x² for |x| ≤ 0.3. */
IMAGO_INLINE D second_order(D x) {
  constexpr double taylor[] = {1.0 / 2,      1.0 / 6,        1.0 / 24,        1.0 / 120,        1.0 / 720,         1.0 / 5040,
                               1.0 / 40320,  1.0 / 362880,   1.0 / 3628800,   1.0 / 39916800,   1.0 / 479001600,   1.0 / 6227020800};
  return polynomial(x, taylor);
}

/** ln x for normal x > 0: x = m·2ᵉ with m in [√½, √2), ln m = 2·atanh((m − 1)/(m + 1)). */
IMAGO_INLINE D log(D x) {
  constexpr int64_t root = 0x3fe6a09e667f3bcd;
  const L bits = (L)x + (0x3ff0000000000000 - root);
  typedef uint64_t Unsigned __attribute__((vector_size(W * 4)));
  const L exponent = (L)((Unsigned)bits >> 52);
  // Whole numbers up to 2⁵² as the fraction of 2⁵².
  const D e = (D)(exponent | 0x4330000000000000) - (0x1p52 + 1023);
  const D m = (D)((bits & 0xfffffffffffff) + root);
  const D s = (m - 1.0) / (m + 1.0);
  const D t = s * s;
  constexpr double series[] = {2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19};
  return fma(e, all_double(0.6931471805599453), fma(polynomial(t, series) * t, s, s + s));
}

/** ln(1 + t) for t > −1, with t's relative precision near 0: what 1 + t rounds away is divided out again. */
IMAGO_INLINE D log1p(D t) {
  const D u = 1.0 + t;
  const D rounded = u - 1.0;
  return rounded == 0.0 ? t : log(u) * (t / rounded);
}

/** The W classes or rows of one vector of floats, in float64. */
struct Doubles {
  D low;
  D high;
};
struct Bits {
  L low;
  L high;
};

IMAGO_INLINE Doubles all(double x) { return {all_double(x), all_double(x)}; }
IMAGO_INLINE Doubles operator+(Doubles a, Doubles b) { return {a.low + b.low, a.high + b.high}; }
IMAGO_INLINE Doubles operator-(Doubles a, Doubles b) { return {a.low - b.low, a.high - b.high}; }
IMAGO_INLINE Doubles operator*(Doubles a, Doubles b) { return {a.low * b.low, a.high * b.high}; }
IMAGO_INLINE Doubles operator/(Doubles a, Doubles b) { return {a.low / b.low, a.high / b.high}; }
IMAGO_INLINE Doubles operator-(Doubles a) { return {-a.low, -a.high}; }
IMAGO_INLINE Doubles operator+(Doubles a, double b) { return {a.low + b, a.high + b}; }
IMAGO_INLINE Doubles operator-(Doubles a, double b) { return {a.low - b, a.high - b}; }
IMAGO_INLINE Doubles operator*(Doubles a, double b) { return {a.low * b, a.high * b}; }
IMAGO_INLINE Doubles& operator+=(Doubles& a, Doubles b) { return a = a + b; }
IMAGO_INLINE Bits operator<(Doubles a, Doubles b) { return {a.low < b.low, a.high < b.high}; }
IMAGO_INLINE Bits operator>(Doubles a, Doubles b) { return b < a; }
IMAGO_INLINE Bits operator==(Doubles a, Doubles b) { return {a.low == b.low, a.high == b.high}; }
IMAGO_INLINE Bits operator<(Doubles a, double b) { return {a.low < b, a.high < b}; }
IMAGO_INLINE Bits operator>(Doubles a, double b) { return {a.low > b, a.high > b}; }
IMAGO_INLINE Bits operator==(Doubles a, double b) { return {a.low == b, a.high == b}; }
IMAGO_INLINE Bits operator&(Bits a, Bits b) { return {a.low & b.low, a.high & b.high}; }
IMAGO_INLINE Bits operator|(Bits a, Bits b) { return {a.low | b.low, a.high | b.high}; }
IMAGO_INLINE Bits operator~(Bits a) { return {~a.low, ~a.high}; }
IMAGO_INLINE Doubles select(Bits mask, Doubles a, Doubles b) {
  return {mask.low ? a.low : b.low, mask.high ? a.high : b.high};
}
IMAGO_INLINE Doubles abs(Doubles x) {
  const L magnitude = ~(L)all_double(-0.0);
  return {(D)((L)x.low & magnitude), (D)((L)x.high & magnitude)};
}
IMAGO_INLINE Doubles exp(Doubles x) { return {exp(x.low), exp(x.high)}; }
IMAGO_INLINE Doubles log(Doubles x) { return {log(x.low), log(x.high)}; }
IMAGO_INLINE Doubles log1p(Doubles x) { return {log1p(x.low), log1p(x.high)}; }
IMAGO_INLINE Doubles second_order(Doubles x) { return {second_order(x.low), second_order(x.high)}; }
IMAGO_INLINE bool any(Bits mask) {
  const L either = mask.low | mask.high;
  int64_t bits = 0;
  for (size_t i = 0; i < W / 2; i++) bits |= either[i];
  return bits != 0;
}

/** A mask of floats as one of their doubles. */
IMAGO_INLINE Bits widened(I mask) {
  int32_t lanes[W];
  memcpy(lanes, &mask, sizeof lanes);
  Bits wide{};
  for (size_t i = 0; i < W / 2; i++) {
    wide.low[i] = lanes[i];
    wide.high[i] = lanes[i + W / 2];
  }
  return wide;
}
IMAGO_INLINE Doubles widened(F x) {
  float lanes[W];
  store(lanes, x);
  return {load_doubles(lanes), load_doubles(lanes + W / 2)};
}
IMAGO_INLINE F narrowed(Doubles x) {
  float lanes[W];
  store_floats(lanes, x.low);
  store_floats(lanes + W / 2, x.high);
  return load(lanes);
}

/** W floats, widened; or W doubles as `store` left them. */
IMAGO_INLINE Doubles load_wide(const float* p) { return {load_doubles(p), load_doubles(p + W / 2)}; }
IMAGO_INLINE Doubles load(const double* p) {
  Doubles x;
  memcpy(&x.low, p, sizeof x.low);
  memcpy(&x.high, p + W / 2, sizeof x.high);
  return x;
}
IMAGO_INLINE void store(double* p, Doubles x) {
  memcpy(p, &x.low, sizeof x.low);
  memcpy(p + W / 2, &x.high, sizeof x.high);
}

/** Per row: over all lanes in the Wide layout, in each lane in the Narrow one. */
template <class Layout>
IMAGO_INLINE Doubles sum_by_row(Doubles x) {
  if constexpr (Layout::rows == 1) return all(sum_of(x.low + x.high));
  return x;
}

}  // namespace imago::IMAGO_ISA
