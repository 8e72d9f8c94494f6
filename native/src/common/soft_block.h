// The soft term of a block: stage student and teacher, compare them. Shared by soft_target_loss and kl_divergence.
#pragma once
#include <math.h>

#include "common/row_loss.h"
#include "common/softmax_terms.h"

namespace imago::IMAGO_ISA {

/** Scratch of one block, `vectors` vectors each. */
struct SoftScratch {
  float* z;           // staged student logits
  float* v;           // staged teacher logits
  float* difference;  // e^((z − max)/T), then the difference
  float* teacher;     // e^((v − max)/T)
  __attribute__((always_inline)) SoftScratch(float* memory, size_t floats)
      : z(memory), v(memory + floats), difference(memory + 2 * floats), teacher(memory + 3 * floats) {}
  static constexpr size_t arrays = 4;
};

struct SoftTerm {
  Comparison comparison;
  F student_max;
  /** KL(p ‖ q) in nats, per row. */
  double divergence[W];
  /** Some row holds NaN, +∞ or nothing but −∞: there is no softmax, and the rest means nothing. */
  bool is_refused = false;
};

/** Beyond this magnitude (times T where T < 1) log-ratios of logits may overflow float32. */
inline constexpr float huge = 1e29f;
/** Between these temperatures neither log-ratios of usual logits overflow float32 nor their squares underflow. */
inline constexpr double coldest = 1e-20;
inline constexpr double hottest = 1e9;

/** eᵘ − 1 − u without cancellation near 0. */
inline double expm1_minus(double u) {
  if (u > 1e-3 || u < -1e-3) return ::expm1(u) - u;
  return u * u / 2 * (1 + u / 3 * (1 + u / 4 * (1 + u / 5)));
}

/** A row in float64, for what float32 cannot hold; the same formula as packages/kernels/src/reference/divergence-row.ts. */
template <class Source>
struct DoubleRow {
  const float* student;
  const typename Source::Element* teacher;
  const Batch& batch;
  double student_max;
  double teacher_max;
  double temperature;
  size_t classes = batch.classes;

  __attribute__((always_inline)) double z(size_t c) const {
    return batch.is_class(c) ? static_cast<double>(student[c]) : -__builtin_inf();
  }
  __attribute__((always_inline)) double v(size_t c) const {
    return batch.is_class(c) ? static_cast<double>(read_one<Source>(teacher + c)) : -__builtin_inf();
  }
  /** e^((z − max)/T) and e^((v − max)/T). */
  __attribute__((always_inline)) double student_exp(size_t c) const { return ::exp((z(c) - student_max) / temperature); }
  __attribute__((always_inline)) double teacher_exp(size_t c) const { return ::exp((v(c) - teacher_max) / temperature); }

  /** True where the student excludes (−∞) a class to which the teacher gives mass: KL is infinite. */
  bool excludes() const {
    for (size_t c = 0; c < classes; c++)
      if (z(c) == -__builtin_inf() && teacher_exp(c) > 0) return true;
    return false;
  }

  /** True where a finite logit lies beyond ±limit. */
  bool has_beyond(double limit) const {
    const auto beyond = [&](double x) { return x > limit || (x < -limit && x > -__builtin_inf()); };
    for (size_t c = 0; c < classes; c++)
      if (beyond(z(c)) || beyond(v(c))) return true;
    return false;
  }

  /** KL(p ‖ q) in nats; hands out q − p of every class. */
  template <class Each>
  double divergence(Each each) const {
    double student_sum = 0, teacher_sum = 0;
    size_t best = 0;
    for (size_t c = 0; c < classes; c++) {
      student_sum += student_exp(c);
      teacher_sum += teacher_exp(c);
      if (v(c) > v(best)) best = c;
    }
    // ln(q/p)_c = d_c − ln Σ p·eᵈ, d = (z − v)/T less its value at the teacher's best class: nothing cancels where q and p are close.
    const auto lead = [&](size_t c) { return (z(c) - z(best)) / temperature; };
    const auto d = [&](size_t c) { return ((z(c) - z(best)) - (v(c) - v(best))) / temperature; };
    bool is_close = true;
    double excess = 0;
    for (size_t c = 0; c < classes; c++) {
      is_close = is_close && lead(c) < 700;
      const double p = teacher_exp(c) / teacher_sum;
      excess += p > 0 && d(c) <= 1 ? p * ::expm1(d(c)) : ::exp(lead(c)) / teacher_sum - p;
    }
    const double log_sum = ::log1p(excess);
    const double log_sums = ::log(student_sum / teacher_sum);
    double sum = 0;
    for (size_t c = 0; c < classes; c++) {
      const double p = teacher_exp(c) / teacher_sum, q = student_exp(c) / student_sum;
      const double apart = ((z(c) - student_max) - (v(c) - teacher_max)) / temperature - log_sums;
      const double u = is_close ? d(c) - log_sum : apart;
      sum += p == 0 ? q : u > 1 || u < -1 ? q - p - p * u : p * expm1_minus(u);
      each(c, p == 0 || u > 1 ? q - p : p * ::expm1(u));
    }
    return sum > 0 ? sum : 0;
  }
};

template <class Layout, class Source>
IMAGO_INLINE SoftTerm soft_term(const Batch& batch, const Rows& rows, const float* student,
                                const typename Source::Element* teacher, double temperature, const SoftScratch& s) {
  const size_t classes = batch.classes;
  const size_t n = Layout::vectors(classes);
  const Temperature t = temperature_of(temperature);
  const RowPointers<const float> student_rows(student, rows, classes);
  const RowPointers<const typename Source::Element> teacher_rows(teacher, rows, classes);
  const Range z = stage<Layout, Float32>(batch, rows, student_rows.row, s.z);
  const Range v = stage<Layout, Source>(batch, rows, teacher_rows.row, s.v);
  const F student_sum = exponentials<Layout>(s.z, n, z.max, t.scale, s.difference);
  const F teacher_sum = exponentials<Layout>(s.v, n, v.max, t.scale, s.teacher);
  SoftTerm term;
  // A softmax has a largest class, which adds 1 to its sum; NaN and infinite maxima make the sum NaN.
  if (any(~(student_sum > 0.0f)) || any(~(teacher_sum > 0.0f))) {
    term.is_refused = true;
    return term;
  }
  term.student_max = z.max;
  term.comparison = compare<Layout>(s.z, s.v, n, z.max, v.max, s.difference, s.teacher, student_sum, teacher_sum, t);
  float divergence[W];
  store(divergence, term.comparison.divergence);
  for (size_t i = 0; i < W; i++) term.divergence[i] = static_cast<double>(divergence[i]);

  const bool is_far = !(temperature >= coldest && temperature <= hottest);
  const float limit = temperature < 1 ? huge * t.value : huge;
  const I is_extreme = (z.min < all(-limit)) | (v.min < all(-limit)) | (z.max > all(limit)) | (v.max > all(limit));
  if (is_far || any(is_extreme))
    for (size_t i = 0; i < rows.count; i++) {
      if (!is_far && !is_extreme[i]) continue;
      const DoubleRow<Source> row{student_rows.row[i], teacher_rows.row[i], batch, static_cast<double>(z.max[i]),
                                  static_cast<double>(v.max[i]), temperature};
      if (row.excludes())
        term.divergence[i] = __builtin_inf();
      else if (is_far || row.has_beyond(static_cast<double>(limit)))
        term.divergence[i] = row.divergence([](size_t, double) {});
    }
  return term;
}

}  // namespace imago::IMAGO_ISA
