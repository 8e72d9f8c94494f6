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
};

/** Beyond this magnitude differences of logits may overflow float32. */
inline constexpr float huge = 1e30f;

/**
 * KL(p ‖ q) of a row with huge or excluded (−∞) logits, in float64; `usual` where they change nothing. It is infinite where the
 * teacher gives mass to a class that the student excludes.
 */
template <class Source>
double divergence_of_extremes(const float* student, const typename Source::Element* teacher, size_t classes, float student_max,
                              float teacher_max, double temperature, double usual) {
  const auto teacher_at = [&](size_t c) { return static_cast<double>(read_one<Source>(teacher + c)); };
  bool is_usual = true;
  for (size_t c = 0; c < classes; c++) {
    const double z = static_cast<double>(student[c]), v = teacher_at(c);
    const double limit = static_cast<double>(huge);
    if (z == -__builtin_inf() && v > -__builtin_inf()) return __builtin_inf();
    is_usual = is_usual && !(z > limit || (z < -limit && z > -__builtin_inf()) || v > limit || (v < -limit && v > -__builtin_inf()));
  }
  if (is_usual) return usual;
  const auto log_q = [&](size_t c) { return (static_cast<double>(student[c]) - static_cast<double>(student_max)) / temperature; };
  const auto log_p = [&](size_t c) { return (teacher_at(c) - static_cast<double>(teacher_max)) / temperature; };
  double q_sum = 0, p_sum = 0, sum = 0;
  for (size_t c = 0; c < classes; c++) {
    q_sum += ::exp(log_q(c));
    p_sum += ::exp(log_p(c));
  }
  for (size_t c = 0; c < classes; c++) {
    const double p = ::exp(log_p(c)) / p_sum;
    if (p > 0) sum += p * ((log_p(c) - ::log(p_sum)) - (log_q(c) - ::log(q_sum)));
  }
  return sum > 0 ? sum : 0;
}

template <class Layout, class Source>
IMAGO_INLINE SoftTerm soft_term(const Rows& rows, const float* student, const typename Source::Element* teacher, size_t classes,
                                double temperature, const SoftScratch& s) {
  const size_t n = Layout::vectors(classes);
  const Temperature t = temperature_of(temperature);
  const RowPointers<const float> student_rows(student, rows, classes);
  const RowPointers<const typename Source::Element> teacher_rows(teacher, rows, classes);
  const Range z = Layout::template stage<Float32>(student_rows.row, rows.count, classes, s.z);
  const Range v = Layout::template stage<Source>(teacher_rows.row, rows.count, classes, s.v);
  const F student_sum = exponentials<Layout>(s.z, n, z.max, t.scale, s.difference);
  const F teacher_sum = exponentials<Layout>(s.v, n, v.max, t.scale, s.teacher);
  SoftTerm term;
  term.student_max = z.max;
  term.comparison = compare<Layout>(s.z, s.v, n, z.max, v.max, s.difference, s.teacher, student_sum, teacher_sum, t);
  const I is_extreme = (z.min < all(-huge)) | (v.min < all(-huge)) | (z.max > all(huge)) | (v.max > all(huge));
  float divergence[W];
  store(divergence, term.comparison.divergence);
  for (size_t i = 0; i < W; i++) term.divergence[i] = static_cast<double>(divergence[i]);
  if (any(is_extreme))
    for (size_t i = 0; i < rows.count; i++)
      if (is_extreme[i])
        term.divergence[i] = divergence_of_extremes<Source>(student_rows.row[i], teacher_rows.row[i], classes, z.max[i], v.max[i],
                                                            temperature, term.divergence[i]);
  return term;
}

}  // namespace imago::IMAGO_ISA
