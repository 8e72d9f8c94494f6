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

/** The optimistic way for a block of either layout; false, with nothing written, where it does not hold. */
template <class Layout, class Source, Hard hard>
IMAGO_INLINE bool optimistic(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms) {
  if (!(loss.temperature >= coolest && loss.temperature <= warmest)) return false;
  // Long rows may end before the mask does; what it leaves out elsewhere is the careful way's.
  if (Layout::rows == 1 ? loss.batch.span <= narrow_classes : loss.batch.mask != nullptr) return false;
  if constexpr (Layout::rows == 1)
    return optimistic_row<Source, hard>(loss, rows, memory, terms);
  else
    return optimistic_rows<Source, hard>(loss, rows, memory, terms);
}

/** Says which row of which side has no softmax. */
template <class Source>
IMAGO_INLINE int refuse_rows(const imago_call* call, const SoftLoss<Source>& loss) {
  if (const int refused = check_rows<Float32>(call, loss.batch, "student", loss.student, Expect::softmax)) return refused;
  return refuse_rows<Source>(call, loss.batch, "teacher", loss.teacher);
}

}  // namespace imago::IMAGO_ISA
