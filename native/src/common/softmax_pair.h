// p = softmax(v/T) and q = softmax(z/T) of a block in float64, and u = ln(q/p) without cancellation.
#pragma once
#include "common/divergences.h"
#include "common/row_loss.h"

namespace imago::IMAGO_ISA {

/** Scratch of one block: two arrays of floats, two of doubles. */
struct PairScratch {
  float* z;         // staged student logits
  float* v;         // staged teacher logits
  double* student;  // e^((z − max)/T)
  double* teacher;  // e^((v − max)/T)
  __attribute__((always_inline)) PairScratch(float* memory, size_t floats)
      : z(memory),
        v(memory + floats),
        student(reinterpret_cast<double*>(memory + 2 * floats)),
        teacher(reinterpret_cast<double*>(memory + 4 * floats)) {}
  static constexpr size_t arrays = 6;
};

/** e^((x − max)/T) of a staged block, and its sum per row. Where max is −∞, all are 0. */
template <class Layout>
IMAGO_INLINE Doubles exponentials(const float* x, size_t n, Doubles max, double inverse, double* out) {
  Doubles sum = all(0.0);
  for (size_t i = 0; i < n; i++) {
    const Doubles e = exp((load_wide(x + i * W) - max) * inverse);
    store(out + i * W, e);
    sum += e;
  }
  return sum_by_row<Layout>(sum);
}

/** 1/x, and 0 for 0. */
IMAGO_INLINE Doubles inverse_or_zero(Doubles x) {
  const Bits nothing = x == 0.0;
  return select(nothing, all(0.0), all(1.0) / select(nothing, all(1.0), x));
}

struct SoftmaxPair {
  PairScratch s;
  Doubles student_max, teacher_max;
  Doubles student_sum, teacher_sum;
  Doubles student_scale, teacher_scale;  // 1/sum
  double inverse;                        // 1/T
  /** u = ((z − v) − offset)/T − log_normaliser. */
  Doubles offset;
  Doubles log_normaliser;
  Doubles excluded;

  /** (z − v − offset)/T of vector i: NaN where both are −∞. */
  __attribute__((always_inline)) Doubles distance(size_t i) const {
    return (load_wide(s.z + i * W) - load_wide(s.v + i * W) - offset) * inverse;
  }
  __attribute__((always_inline)) Doubles q(size_t i) const { return load(s.student + i * W) * student_scale; }
  __attribute__((always_inline)) Doubles p(size_t i) const { return load(s.teacher + i * W) * teacher_scale; }
  __attribute__((always_inline)) Point<Doubles> at(size_t i) const {
    const Doubles u = distance(i) - log_normaliser;
    return {p(i), q(i), select(u == u, u, all(0.0)), excluded};
  }
};

/** Compares two staged blocks whose largest logits are known. A row of −∞ alone has no mass: p or q is 0 everywhere. */
template <class Layout>
IMAGO_INLINE SoftmaxPair compare(const PairScratch& s, size_t n, F student_max, F teacher_max, double temperature) {
  SoftmaxPair pair{s, widened(student_max), widened(teacher_max), {}, {}, {}, {}, 1 / temperature, {}, {}, {}};
  pair.student_sum = exponentials<Layout>(s.z, n, pair.student_max, pair.inverse, s.student);
  pair.teacher_sum = exponentials<Layout>(s.v, n, pair.teacher_max, pair.inverse, s.teacher);
  pair.student_scale = inverse_or_zero(pair.student_sum);
  pair.teacher_scale = inverse_or_zero(pair.teacher_sum);
  pair.offset = pair.student_max - pair.teacher_max;
  // ln(q/p) = d − ln Σ p·eᵈ with d = (z − v − offset)/T, and Σ p·eᵈ = 1 + Σ p·(eᵈ − 1): where p and q are close, the sum on the
  // right is small and keeps its digits.
  Doubles excess = all(0.0), excluded = all(0.0);
  for (size_t i = 0; i < n; i++) {
    const Doubles d = pair.distance(i);
    const Doubles p = pair.p(i), e = load(s.student + i * W);
    excess += select(abs(d) < close<Doubles>, p * growth(d), e * pair.teacher_scale - p);
    excluded += select(d == __builtin_inf(), e, all(0.0));
  }
  excess = sum_by_row<Layout>(excess);
  pair.excluded = sum_by_row<Layout>(excluded) * pair.student_scale;
  pair.log_normaliser = select(abs(excess) < 0.5, log1p(excess), log(pair.student_sum * pair.teacher_scale));
  return pair;
}

/** What closes a row's gradient: gradient = pull − q·Σ pull. */
struct Closing {
  Doubles pull;  // Σ pull
  /** The gradient of the row's surest class where it has most of the mass: minus that of all the others, which does not cancel. */
  Doubles surest;
  Bits is_sure;

  /** The gradient by T times the logits of vector i, from its pull. */
  __attribute__((always_inline)) Doubles gradient(const SoftmaxPair& pair, size_t i, Doubles own) const {
    const Bits is_surest = is_sure & (load_wide(pair.s.z + i * W) == pair.student_max);
    return select(is_surest, surest, own - pair.q(i) * pull);
  }
};

/** Sums the divergence of a block's rows; the pulls are left in the place of the teacher's exponentials. */
template <class Layout, class Divergence>
IMAGO_INLINE Doubles sum_divergence(const SoftmaxPair& pair, size_t n, const Divergence& divergence, Closing& closing) {
  Doubles value = all(0.0), others = all(0.0), surest = all(0.0), mass = all(0.0);
  for (size_t i = 0; i < n; i++) {
    const Point<Doubles> point = pair.at(i);
    const Contribution<Doubles> c = divergence.at(point);
    const Bits is_other = load_wide(pair.s.z + i * W) < pair.student_max;
    value += c.value;
    others += select(is_other, c.pull, all(0.0));
    surest += select(is_other, all(0.0), c.pull);
    mass += select(is_other, point.q, all(0.0));
    store(pair.s.teacher + i * W, c.pull);
  }
  others = sum_by_row<Layout>(others);
  mass = sum_by_row<Layout>(mass);
  closing.pull = others + sum_by_row<Layout>(surest);
  closing.surest = mass * closing.pull - others;
  closing.is_sure = pair.student_scale > 0.75;
  value = sum_by_row<Layout>(value);
  return select(value > 0.0, value, all(0.0));
}

}  // namespace imago::IMAGO_ISA
