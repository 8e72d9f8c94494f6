// −Σ t·ln softmax(z) with t = (1 − ε)·target + ε/C, and its gradient softmax(z)·Σt − t. The target is a label or a distribution.
#include "common/distribution_entropy.h"
#include "common/row_loss.h"
#include "common/softmax_terms.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

struct CrossEntropy {
  const Batch& batch;
  const float* student;
  double smoothing;
  static constexpr size_t arrays = 2;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    const size_t classes = batch.classes;
    const size_t n = Layout::vectors(classes);
    float* const z = memory;
    float* const e = memory + n * W;
    const RowPointers<const float> student_rows(student, rows, classes);
    const Range range = stage<Layout, Float32>(batch, rows, student_rows.row, z);
    const LabelTerm term = label_term<Layout>(z, n, range.max, rows.label, e);
    if (any(~(term.scale > 0.0f))) {
      terms.is_refused = true;
      return;
    }

    const F quarter_depth = smoothing == 0 ? F{} : mean_quarter_depth<Layout>(z, n, range);
    float logits[W];
    double losses[W];
    label_logits(rows, student, classes, logits);
    term.losses(range.max, logits, losses);
    Terms sums;
    for (size_t i = 0; i < rows.count; i++) {
      if (rows.labels[i] < 0) continue;
      double loss = smoothing < 1 ? (1 - smoothing) * losses[i] : 0;
      // −Σ (ε/C)·ln q, with −ln q = (max − z) + ln Σ e^(z − max): no term is negative.
      if (smoothing > 0) loss += smoothing * (4 * static_cast<double>(quarter_depth[i]) + static_cast<double>(term.log_sum[i]));
      sums.first += rows.share[i] * loss;
    }
    terms.add(sums);
    if (batch.gradient == nullptr) return;

    const RowPointers<float> gradient(batch.gradient, rows, classes);
    const double everywhere = smoothing / static_cast<double>(batch.unmasked);
    const F factor = select(rows.label >= 0, rows.weight, F{});
    const F scale = term.scale * factor;
    const F shift = factor * static_cast<float>(everywhere);
    const F at_label = (term.label_difference + static_cast<float>(smoothing - everywhere)) * factor;
    const auto difference = [&](size_t i) {
      return select(Layout::classes_of(i) == rows.label, at_label, load(e + i * W) * scale - shift);
    };
    if (batch.mask == nullptr || smoothing == 0)
      Layout::unstage(gradient.row, rows.count, classes, difference);
    else
      Layout::unstage(gradient.row, rows.count, classes,
                      [&](size_t i) { return select(Layout::unmasked(batch.mask, i, classes), difference(i), F{}); });
  }

  /** (1/C)·Σ (max − z)/4 per row; infinite where a class is excluded. A quarter, since max − z may overflow float32. */
  template <class Layout>
  F mean_quarter_depth(const float* z, size_t n, Range range) const {
    Sum sum;
    F part{};
    const I classes = all_int(static_cast<int32_t>(batch.classes));
    const F share = all(static_cast<float>(1 / static_cast<double>(batch.unmasked)));
    const F quarter_max = range.max * 0.25f;
    in_blocks(
        n,
        [&](size_t i) {
          const F depth = (quarter_max - load(z + i * W) * 0.25f) * share;
          part += select(Layout::classes_of(i) < classes && depth < all(infinity), depth, F{});
        },
        [&] {
          sum.add(part);
          part = F{};
        });
    return select(range.min == all(-infinity), all(infinity), Layout::sum(sum.value()));
  }
};

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(cross_entropy) {
  const double smoothing = call->scalars[2];
  if (!(smoothing >= 0 && smoothing <= 1)) return refuse(call, "smoothing must be in [0, 1], got %g", smoothing);
  const auto* const labels = buffer<const int32_t>(call, 1);
  const auto* const distribution = buffer<const float>(call, 5);
  if ((call->buffers[1].type == 0) == (call->buffers[5].type == 0))
    return refuse(call, "needs labels or distribution, one of them");
  Batch batch{size(call, 0),
              size(call, 1),
              labels,
              buffer<const float>(call, 2),
              call->scalars[3],
              buffer<float>(call, 3),
              buffer<const uint8_t>(call, 6)};
  if (const int refused = prepare(call, batch)) return refused;
  const float* const student = buffer<const float>(call, 0);
  Terms mean;
  if (call->buffers[1].type != 0) {
    const CrossEntropy kernel{batch, student, smoothing};
    if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
    if (mean.is_refused) return refuse_rows<Float32>(call, batch, "student", student);
  } else {
    if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::softmax)) return refused;
    const DistributionEntropy kernel{batch, student, distribution, smoothing};
    if (const int refused = check_distribution(call, kernel)) return refused;
    if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  }
  *buffer<double>(call, 4) = mean.first;
  return 0;
}
