// The short way through rows of student and teacher: one sweep of exponentials, one that writes the gradient.
//
// It computes q − p as a difference of two float32 probabilities and KL from Σ p·log(p/q), which loses digits where p and q
// nearly agree. So every row is judged before anything is written, and one that fails goes the careful way (soft_block.h):
//   - the largest |q − p| is at least `apart` of the largest probability: what rounding leaves of it is 1e-5 or better;
//   - KL is large enough for its rounding errors, which are those of the exponential of the most probable class (`divergent`);
//   - in a long row, no logit exceeds the reference by more than 2^`above`: the reference is the largest of the first few
//     logits, which saves a sweep for the maximum;
//   - everything is finite: NaN, infinities and classes that the student excludes are the careful way's.
#pragma once
#include "common/optimistic_row.h"
#include "common/optimistic_rows.h"

namespace imago::IMAGO_ISA {

/** Scratch for both ways: four arrays of the careful one, or those of two long rows. */
inline constexpr size_t optimistic_arrays = 2 * RowScratch::arrays;

/** A block of short rows by the optimistic way, or by careful(rows) where it does not hold. */
template <class Source, Hard hard, class Careful>
IMAGO_INLINE void optimistic_or(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms, Careful careful) {
  // What a mask leaves out is the careful way's.
  const bool may_hold = loss.temperature >= coolest && loss.temperature <= warmest && loss.batch.mask == nullptr;
  if (!(may_hold && optimistic_rows<Source, hard>(loss, rows, memory, terms))) careful(rows);
}

/** Long rows, each by the optimistic way or by careful(the row). They may end before the mask does. */
template <class Source, Hard hard, class Careful>
IMAGO_INLINE void optimistic_long_or(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms, Careful careful) {
  const bool may_hold = loss.temperature >= coolest && loss.temperature <= warmest && loss.batch.span > narrow_classes;
  const uint32_t doubtful = may_hold ? optimistic_long_rows<Source, hard>(loss, rows, memory, terms) : ~0u;
  for (size_t i = 0; i < rows.count; i++)
    if ((doubtful >> i & 1) != 0) careful(rows.at(i));
}

/** Says which row of which side has no softmax. */
template <class Source>
IMAGO_INLINE int refuse_rows(const imago_call* call, const SoftLoss<Source>& loss) {
  if (const int refused = check_rows<Float32>(call, loss.batch, "student", loss.student, Expect::softmax)) return refused;
  return refuse_rows<Source>(call, loss.batch, "teacher", loss.teacher);
}

}  // namespace imago::IMAGO_ISA
