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

/** The same constant in every lane. */
template <class N>
IMAGO_INLINE N constant(double x);
template <>
__attribute__((always_inline)) inline F constant<F>(double x) {
  return all(static_cast<float>(x));
}
template <>
__attribute__((always_inline)) inline Doubles constant<Doubles>(double x) {
  return all(x);
}
/** Below this |u| the polynomial serves; a float32 has lost too much of q − p a little earlier. */
template <class N>
inline constexpr double close = 0.3;
template <>
inline constexpr double close<F> = 0.4;

template <class N>
struct Point {
  N p;
  N q;
  /** ln(q/p): −∞ where the student rules the class out, +∞ where the teacher does, 0 where both do. */
  N u;
  /** The row's mass of q on classes that the teacher rules out. */
  N excluded;
};

template <class N>
struct Contribution {
  N value;
  N pull;
};

/** eᵘ − 1 for |u| < close. */
template <class N>
IMAGO_INLINE N growth(N u) {
  return u + u * u * second_order(u);
}

/** Σ p·(eᵘ − 1 − u), which is Σ p·ln(p/q) plus Σ (q − p) = 0. h = 1 − p/q. */
struct KullbackLeibler {
  static constexpr bool is_by_sign = false;
  template <class N>
  __attribute__((always_inline)) Contribution<N> at(const Point<N>& x) const {
    const auto near = abs(x.u) < constant<N>(close<N>);
    const N curved = x.u * x.u * second_order(x.u);
    const N difference = select(near, x.p * (x.u + curved), x.q - x.p);
    const N far = select(x.p == constant<N>(0), x.q, difference - x.p * x.u);
    return {select(near, x.p * curved, far), difference};
  }
};

/** Σ q·(e⁻ᵘ − 1 + u). h = u. Infinite where the teacher excludes mass of q: then h = 1 on those classes, the way out of there. */
struct ReverseKullbackLeibler {
  static constexpr bool is_by_sign = false;
  template <class N>
  __attribute__((always_inline)) Contribution<N> at(const Point<N>& x) const {
    const N zero = constant<N>(0);
    const auto near = abs(x.u) < constant<N>(close<N>);
    const auto nothing = x.q == zero;
    const N weighted = select(nothing, zero, x.q * x.u);
    const N outside = select(x.u == constant<N>(__builtin_inf()), x.q, zero);
    return {select(near, x.q * (x.u * x.u * second_order(-x.u)), x.p - x.q + weighted),
            select(x.excluded > zero, outside, weighted)};
  }
};

/** β·KL(p ‖ m) + (1 − β)·KL(q ‖ m), m = β·p + (1 − β)·q. h = (1 − β)·ln(q/m). */
struct JensenShannon {
  static constexpr bool is_by_sign = false;
  double beta;
  template <class N>
  __attribute__((always_inline)) Contribution<N> at(const Point<N>& x) const {
    const N teacher = constant<N>(beta), student = constant<N>(1 - beta);
    const auto near = abs(x.u) < constant<N>(close<N>);
    const N m = x.p * teacher + x.q * student;
    const N up = ratio(x.q, x.p), down = ratio(x.p, x.q);
    const N one = constant<N>(1);
    const Part<N> p = part(x.p, m, student * select(near, growth(x.u), up - one), teacher + student * up);
    const Part<N> q = part(x.q, m, teacher * select(near, growth(-x.u), down - one), teacher * down + student);
    return {teacher * p.value + student * q.value, -(x.q * q.log * student)};
  }

  template <class N>
  struct Part {
    N log;    // ln(m/a); of no use for a = 0
    N value;  // a·(m/a − 1 − ln(m/a))
  };
  /** `excess`: m/a − 1, which keeps its digits where m is close to a; `quotient`: m/a, which does elsewhere. */
  template <class N>
  IMAGO_INLINE Part<N> part(N a, N m, N excess, N quotient) {
    const N one = constant<N>(1);
    const auto small = abs(excess) < constant<N>(close<N>);
    const N x = select(small, excess + one, quotient);
    const N rounded = x - one;
    // As in log1p: what 1 + excess rounds away is divided out again.
    const auto exact = rounded == constant<N>(0);
    const N log_x = log(x);
    const N log_m = select(small, select(exact, excess, log_x * ratio(excess, rounded)), log_x);
    const N value = select(small, a * (log_m * log_m * second_order(log_m)), m - a - a * log_m);
    return {log_m, select(a == constant<N>(0), m, value)};
  }
  /** a/b, and 0 for b = 0. */
  template <class N>
  IMAGO_INLINE N ratio(N a, N b) {
    const auto nothing = b == constant<N>(0);
    return select(nothing, constant<N>(0), a / select(nothing, constant<N>(1), b));
  }
};

/** ½·Σ |q − p|. h = ½·sign(q − p), 0 where they are equal. */
struct TotalVariation {
  /** The sign of u decides: what is computed with errors must know how far from 0 it is. */
  static constexpr bool is_by_sign = true;
  template <class N>
  __attribute__((always_inline)) Contribution<N> at(const Point<N>& x) const {
    const N zero = constant<N>(0), half = x.q * constant<N>(0.5);
    const N difference = select(abs(x.u) < constant<N>(close<N>), x.p * growth(x.u), x.q - x.p);
    return {abs(difference) * constant<N>(0.5), select(x.u > zero, half, select(x.u < zero, -half, zero))};
  }
};

}  // namespace imago::IMAGO_ISA
