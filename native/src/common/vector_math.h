// Exponential and logarithm of vectors, and sums that keep their digits. Relative errors about 1e-7.
#pragma once
#include "common/simd.h"

namespace imago::IMAGO_ISA {

inline constexpr float log2e = 1.44269504f;
inline constexpr float ln2 = 0.693147181f;

/** 2^y for y ≤ 1; 0 below −127, for −∞ too; NaN stays NaN. */
IMAGO_INLINE F exp2(F y) {
  y = max(all(-127.0f), y);
  const I whole = round_to_int(y);
  const F r = y - to_float(whole);
  F p = all(1.540351223e-04f);
  p = fma(p, r, all(1.339073526e-03f));
  p = fma(p, r, all(9.618237615e-03f));
  p = fma(p, r, all(5.550357327e-02f));
  p = fma(p, r, all(2.402264923e-01f));
  p = fma(p, r, all(6.931471825e-01f));
  p = fma(p, r, all(1.0f));
#if defined(__AVX512F__)
  return _mm512_scalef_ps(p, to_float(whole));
#else
  // The exponent field; whole = −127 makes it 0, which is the number 0.
  return p * as_float((whole + 127) << 23);
#endif
}

/** (eˣ − 1 − x) / x² for |x| ≤ 0.4, where eˣ − 1 and x agree in most digits. */
IMAGO_INLINE F second_order(F x) {
  F p = all(1.986327989e-04f);
  p = fma(p, x, all(1.394845429e-03f));
  p = fma(p, x, all(8.333382197e-03f));
  p = fma(p, x, all(4.166631028e-02f));
  p = fma(p, x, all(1.666666567e-01f));
  return fma(p, x, all(0.5f));
}

/** 2·atanh s = ln((1 + s)/(1 − s)) for |s| ≤ 0.1716. */
IMAGO_INLINE F twice_atanh(F s) {
  const F t = s * s;
  F p = all(2.333344221e-01f);
  p = fma(p, t, all(2.855070829e-01f));
  p = fma(p, t, all(4.000012279e-01f));
  p = fma(p, t, all(6.666666865e-01f));
  return fma(p * t, s, s + s);
}

/** A normal x > 0 as m·2ᵉ with m in [√½, √2). */
struct Scaled {
  F m;
  I exponent;
};
IMAGO_INLINE Scaled scaled(F x) {
  const I bits = as_int(x);
  const I exponent = (bits - 0x3f3504f3) >> 23;
  return {as_float(bits - (exponent << 23)), exponent};
}

/** ln x for normal x > 0: ln m = 2·atanh((m − 1)/(m + 1)). */
IMAGO_INLINE F log(F x) {
  const Scaled y = scaled(x);
  return fma(to_float(y.exponent), all(ln2), twice_atanh((y.m - 1.0f) / (y.m + 1.0f)));
}

/** ln(1 + t) for t ≥ 0, with t's relative precision near 0: what 1 + t rounds away is divided out again. */
IMAGO_INLINE F log1p(F t) {
  const F u = 1.0f + t;
  const F rounded = u - 1.0f;
  return select(rounded == 0.0f, t, log(u) * (t / rounded));
}

/** The exact sum of two floats as a rounded value and its error (Knuth). Needs -ffp-contract=off. */
struct Pair {
  F value;
  F error;
};
IMAGO_INLINE Pair two_sum(F a, F b) {
  const F sum = a + b;
  const F part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}
IMAGO_INLINE Pair two_difference(F a, F b) { return two_sum(a, -b); }

/** A running sum with its rounding error beside it: add partial sums of a few dozen terms. */
struct Sum {
  F total{};
  F error{};
  __attribute__((always_inline)) void add(F x) {
    const Pair next = two_sum(total, x);
    total = next.value;
    error += next.error;
  }
  __attribute__((always_inline)) F value() const { return total + error; }
};

}  // namespace imago::IMAGO_ISA
