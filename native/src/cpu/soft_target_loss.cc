// (1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y) and its gradient (Hinton, Vinyals & Dean 2015, section 2).
#include "common/optimistic.h"
#include "common/soft_block.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** Largest |soft|, |hard| and |soft + hard| of each row: where the sum is far below its parts, float32 parts leave too few digits. */
template <class Soft, class HardPart>
IMAGO_INLINE I cancels(size_t classes, Soft soft, HardPart hard) {
  F parts{}, sums{};
  for (size_t c = 0; c < classes; c++) {
    const F a = soft(c), b = hard(c);
    parts = max(parts, max(abs(a), abs(b)));
    sums = max(sums, abs(a + b));
  }
  return sums < parts * cancelling;
}

/** The gradient of row i of a block in float64. */
template <class Source>
void precise_row(const SoftLoss<Source>& loss, const Rows& rows, size_t i, double student_max, float* out) {
  const size_t classes = loss.batch.classes, start = rows.index[i] * classes;
  DoubleRow<Source> row{loss.student + start, loss.teacher + start, loss.batch, student_max, -__builtin_inf(), loss.temperature};
  double sum = 0, others = 0;
  const size_t label = static_cast<size_t>(rows.labels[i]);
  for (size_t c = 0; c < classes; c++) {
    if (row.v(c) > row.teacher_max) row.teacher_max = row.v(c);
    const double e = ::exp(row.z(c) - student_max);
    sum += e;
    if (c != label) others += e;
  }
  row.divergence([&](size_t c, double difference) {
    const double hard = c == label ? -others / sum : ::exp(row.z(c) - student_max) / sum;
    out[c] = static_cast<float>(rows.share[i] * (loss.soft_factor * difference + loss.hard_factor * hard));
  });
}

/** A block by the way that holds for all numbers. A function of its own, so that it exists once beside many optimistic ones. */
template <class Layout, class Source>
void careful_block(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms) {
  const Batch& batch = loss.batch;
  const size_t classes = batch.classes;
  const size_t n = Layout::vectors(classes);
  const SoftScratch s(memory, n * W);
  const SoftTerm soft = soft_term<Layout, Source>(batch, rows, loss.student, loss.teacher, loss.temperature, s);
  Terms sums;
  sums.is_refused = soft.is_refused;
  if (soft.is_refused) return terms.add(sums);
  for (size_t i = 0; i < rows.count; i++) sums.first += rows.share[i] * soft.divergence[i];

  const bool any_label = any(rows.label >= 0);
  LabelTerm hard{};
  if (any_label) {
    float logits[W];
    double losses[W];
    label_logits(rows, loss.student, classes, logits);
    // The staged logits have served; their place takes e^(z − max).
    hard = label_term<Layout>(s.z, n, soft.student_max, rows.label, s.z);
    hard.losses(soft.student_max, logits, losses);
    for (size_t i = 0; i < rows.count; i++)
      if (rows.labels[i] >= 0) sums.second += rows.share[i] * losses[i];
  }
  terms.add(sums);
  if (batch.gradient == nullptr) return;

  const RowPointers<float> gradient(batch.gradient, rows, classes);
  const F scale = rows.weight_over(loss.soft_factor, soft.comparison.sum);
  const F shift = soft.comparison.excess * scale;
  const auto soft_gradient = [&](size_t i) {
    return load(s.difference + i * W) * scale - load(s.teacher + i * W) * shift;
  };
  if (!any_label || loss.hard_factor == 0) {
    Layout::unstage(gradient.row, rows.count, classes, soft_gradient);
    return;
  }
  const F hard_factor = select(rows.label >= 0, rows.weight_over(loss.hard_factor, all(1.0f)), F{});
  const F hard_scale = hard.scale * hard_factor;
  const F at_label = hard.label_difference * hard_factor;
  const auto hard_gradient = [&](size_t i) {
    return select(Layout::classes_of(i) == rows.label, at_label, load(s.z + i * W) * hard_scale);
  };
  const auto whole_gradient = [&](size_t i) { return soft_gradient(i) + hard_gradient(i); };
  if constexpr (Layout::rows > 1) {
    // Among many classes the two terms do not cancel in all of them; among two they do wherever the student has converged.
    const I again = cancels(classes, soft_gradient, hard_gradient) & (rows.label >= 0);
    if (any(again)) {
      // The staged teacher has served. The student's rows may be what the gradient overwrites, so these come before.
      for (size_t i = 0; i < rows.count; i++)
        if (again[i]) precise_row(loss, rows, i, static_cast<double>(soft.student_max[i]), s.v + i * classes);
      Layout::unstage(gradient.row, rows.count, classes, whole_gradient);
      for (size_t i = 0; i < rows.count; i++)
        if (again[i]) memcpy(gradient.row[i], s.v + i * classes, classes * sizeof(float));
      return;
    }
  }
  Layout::unstage(gradient.row, rows.count, classes, whole_gradient);
}

template <class Source, Hard hard>
struct SoftTarget {
  const SoftLoss<Source>& loss;
  static constexpr size_t arrays = optimistic_arrays;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    optimistic_or<Source, hard>(loss, rows, memory, terms, [&](const Rows& short_rows) { careful_block<Narrow>(loss, short_rows, memory, terms); });
  }
  void long_rows(const Rows& rows, float* memory, Terms& terms) const {
    optimistic_long_or<Source, hard>(loss, rows, memory, terms, [&](const Rows& row) { careful_block<Wide>(loss, row, memory, terms); });
  }
};

template <class Source, Hard hard>
int run_blocks(const imago_call* call, const SoftLoss<Source>& loss, Terms& mean) {
  return for_each_block(call, loss.batch, SoftTarget<Source, hard>{loss}, mean);
}

template <class Source>
int run(const imago_call* call, Batch& batch) {
  const double temperature = call->scalars[2];
  const double a = call->scalars[3];
  Terms mean;
  if (const int refused = prepare(call, batch)) return refused;
  const SoftLoss<Source> loss{batch,       buffer<const float>(call, 0), buffer<const typename Source::Element>(call, 1),
                              temperature, (1 - a) * temperature,        a};
  const Hard hard = batch.labels == nullptr ? Hard::none : hard_of(temperature);
  int (*const blocks[])(const imago_call*, const SoftLoss<Source>&, Terms&) = {
      run_blocks<Source, Hard::none>, run_blocks<Source, Hard::first>, run_blocks<Source, Hard::second>,
      run_blocks<Source, Hard::fourth>, run_blocks<Source, Hard::separate>};
  if (const int refused = blocks[static_cast<int>(hard)](call, loss, mean)) return refused;
  if (mean.is_refused) return refuse_rows(call, loss);
  const double soft = temperature * (temperature * mean.first);
  double* const result = buffer<double>(call, 5);
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (a < 1 ? (1 - a) * soft : 0) + (a > 0 ? a * mean.second : 0);
  result[1] = soft;
  result[2] = mean.second;
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(soft_target_loss) {
  const double hard_weight = call->scalars[3];
  if (const int refused = check_temperature(call, call->scalars[2])) return refused;
  if (!(hard_weight >= 0 && hard_weight <= 1)) return refuse(call, "hardWeight must be in [0, 1], got %g", hard_weight);
  Batch batch{size(call, 0),
              size(call, 1),
              buffer<const int32_t>(call, 2),
              buffer<const float>(call, 3),
              call->scalars[4],
              buffer<float>(call, 4),
              buffer<const uint8_t>(call, 6)};
  return with_teacher(call, call->buffers[1], call->scalars[5], [&](auto source) { return run<decltype(source)>(call, batch); });
}
