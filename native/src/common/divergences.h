// The table of divergences: what a class adds to D(p, q) and how it pulls at its logit. One engine (divergence_loss.h) drives all.
//
// A row of the table gets p and q of a class and u = ln(q/p), which stays exact where p and q agree in all their digits, and gives
//   value   its term of the divergence; no term is negative, so that nothing cancels in the sum,
//   pull    q·h with h = ∂D/∂q up to a constant; the gradient by the logit is (pull − q·Σ pull)/T, the softmax having Jacobian
//           diag(q) − q·qᵀ. The constant is chosen so that Σ pull is small where p and q are close.
// Where |u| < close both come from u by a polynomial, elsewhere from p and q themselves. p = 0 and q = 0 are in order: 0·ln 0 = 0.
#pragma once
#include "common/double_math.h"

namespace imago::IMAGO_ISA {

struct Point {
  Doubles p;
  Doubles q;
  /** ln(q/p): −∞ where the student rules the class out, +∞ where the teacher does, 0 where both do. */
  Doubles u;
  /** The row's mass of q on classes that the teacher rules out. */
  Doubles excluded;
};

struct Contribution {
  Doubles value;
  Doubles pull;
};

inline constexpr double close = 0.3;

/** Σ p·(eᵘ − 1 − u), which is Σ p·ln(p/q) plus Σ (q − p) = 0. h = 1 − p/q. */
struct KullbackLeibler {
  __attribute__((always_inline)) Contribution at(const Point& x) const {
    const Bits near = abs(x.u) < close;
    const Doubles curved = x.u * x.u * second_order(x.u);
    const Doubles difference = select(near, x.p * (x.u + curved), x.q - x.p);
    const Doubles far = select(x.p == 0.0, x.q, difference - x.p * x.u);
    return {select(near, x.p * curved, far), difference};
  }
};

/** Σ q·(e⁻ᵘ − 1 + u). h = u. Infinite where the teacher excludes mass of q: then h = 1 on those classes, the way out of there. */
struct ReverseKullbackLeibler {
  __attribute__((always_inline)) Contribution at(const Point& x) const {
    const Bits near = abs(x.u) < close;
    const Bits nothing = x.q == 0.0;
    const Doubles far = select(nothing, x.p, x.p - x.q + x.q * x.u);
    const Doubles outside = select(x.u == __builtin_inf(), x.q, all(0.0));
    const Doubles pull = select(x.excluded > 0.0, outside, select(nothing, all(0.0), x.q * x.u));
    return {select(near, x.q * (x.u * x.u * second_order(-x.u)), far), pull};
  }
};

/** β·KL(p ‖ m) + (1 − β)·KL(q ‖ m), m = β·p + (1 − β)·q. h = (1 − β)·ln(q/m). */
struct JensenShannon {
  double beta;
  __attribute__((always_inline)) Contribution at(const Point& x) const {
    const double alpha = 1 - beta;
    const Bits near = abs(x.u) < close;
    const Doubles m = x.p * beta + x.q * alpha;
    const Doubles squared = x.u * x.u;
    // ln(m/p) and ln(m/q).
    const Doubles a = log_of(near, (x.u + squared * second_order(x.u)) * alpha, m, x.p);
    const Doubles b = log_of(near, (squared * second_order(-x.u) - x.u) * beta, m, x.q);
    const Doubles near_value = (x.p * beta) * (a * a * second_order(a)) + (x.q * alpha) * (b * b * second_order(b));
    const Doubles far_value = (m - x.p - x.p * a) * beta + (m - x.q - x.q * b) * alpha;
    return {select(near, near_value, far_value), x.q * b * -alpha};
  }
  /** ln(1 + excess) where that is near, else ln(a/b), and 0 for b = 0. */
  IMAGO_INLINE Doubles log_of(Bits near, Doubles excess, Doubles a, Doubles b) {
    const Bits nothing = b == 0.0;
    const Doubles x = select(near, excess + 1.0, select(nothing, all(1.0), a / select(nothing, all(1.0), b)));
    const Doubles rounded = x - 1.0;
    // As in log1p: what 1 + excess rounds away is divided out again.
    const Bits exact = rounded == 0.0;
    const Doubles lost = select(near, excess / select(exact, all(1.0), rounded), all(1.0));
    return select(near & exact, excess, log(x) * lost);
  }
};

/** ½·Σ |q − p|. h = ½·sign(q − p), 0 where they are equal. */
struct TotalVariation {
  __attribute__((always_inline)) Contribution at(const Point& x) const {
    const Bits near = abs(x.u) < close;
    const Doubles difference = select(near, x.p * (x.u + x.u * x.u * second_order(x.u)), x.q - x.p);
    const Doubles half = x.q * 0.5;
    return {abs(difference) * 0.5, select(x.u > 0.0, half, select(x.u < 0.0, -half, all(0.0)))};
  }
};

}  // namespace imago::IMAGO_ISA
