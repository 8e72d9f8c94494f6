// The soft term of a block: stage student and teacher, compare them. Shared by soft_target_loss and kl_divergence.
#pragma once
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
  size_t bad_row;
};

/** True where the teacher gives mass to a class that the student excludes (−∞): KL is infinite. */
template <class Source>
IMAGO_INLINE bool excludes_mass(const float* student, const typename Source::Element* teacher, size_t classes) {
  for (size_t c = 0; c < classes; c++)
    if (student[c] == -infinity && read_part<Source>(teacher + c, 1, 0)[0] > -infinity) return true;
  return false;
}

template <class Layout, class Source>
IMAGO_INLINE SoftTerm soft_term(const Rows& rows, const float* student, const typename Source::Element* teacher,
                                size_t classes, Temperature temperature, const SoftScratch& s) {
  const size_t n = Layout::vectors(classes);
  const RowPointers<const float> student_rows(student, rows, classes);
  const RowPointers<const typename Source::Element> teacher_rows(teacher, rows, classes);
  const Range z = Layout::template stage<Float32>(student_rows.row, rows.count, classes, s.z);
  const Range v = Layout::template stage<Source>(teacher_rows.row, rows.count, classes, s.v);
  const F student_sum = exponentials<Layout>(s.z, n, z.max, temperature.scale, s.difference);
  const F teacher_sum = exponentials<Layout>(s.v, n, v.max, temperature.scale, s.teacher);
  SoftTerm term;
  term.student_max = z.max;
  term.bad_row = first_bad(rows, student_sum + teacher_sum);
  if (term.bad_row != no_row) return term;
  term.comparison =
      compare<Layout>(s.z, s.v, n, z.max, v.max, s.difference, s.teacher, student_sum, teacher_sum, temperature);
  for (size_t i = 0; i < rows.count; i++)
    if (z.min[i] == -infinity && excludes_mass<Source>(student_rows.row[i], teacher_rows.row[i], classes))
      term.comparison.divergence[i] = infinity;
  return term;
}

}  // namespace imago::IMAGO_ISA
