// (1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y) and its gradient (Hinton, Vinyals & Dean 2015, section 2).
#include "common/soft_block.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

template <class Source>
struct SoftTarget {
  const Batch& batch;
  const float* student;
  const typename Source::Element* teacher;
  double temperature;
  double hard_weight;
  static constexpr size_t arrays = SoftScratch::arrays;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    const size_t classes = batch.classes;
    const size_t n = Layout::vectors(classes);
    const SoftScratch s(memory, n * W);
    const SoftTerm soft = soft_term<Layout, Source>(batch, rows, student, teacher, temperature, s);

    Terms sums;
    for (size_t i = 0; i < rows.count; i++) sums.first += rows.share[i] * soft.divergence[i];

    const bool any_label = any(rows.label >= 0);
    LabelTerm hard{};
    if (any_label) {
      float logits[W];
      double losses[W];
      label_logits(rows, student, classes, logits);
      // The staged logits have served; their place takes e^(z − max).
      hard = label_term<Layout>(s.z, n, soft.student_max, rows.label, s.z);
      hard.losses(soft.student_max, logits, losses);
      for (size_t i = 0; i < rows.count; i++)
        if (rows.labels[i] >= 0) sums.second += rows.share[i] * losses[i];
    }
    terms.add(sums);
    if (batch.gradient == nullptr) return;

    const RowPointers<float> gradient(batch.gradient, rows, classes);
    const F factor = rows.weight * static_cast<float>((1 - hard_weight) * temperature);
    const F scale = soft.comparison.scale * factor;
    const F shift = soft.comparison.shift * factor;
    const auto soft_gradient = [&](size_t i) {
      return load(s.difference + i * W) * scale - load(s.teacher + i * W) * shift;
    };
    if (!any_label || hard_weight == 0) {
      Layout::unstage(gradient.row, rows.count, classes, soft_gradient);
      return;
    }
    const F hard_factor = select(rows.label >= 0, rows.weight * static_cast<float>(hard_weight), F{});
    const F hard_scale = hard.scale * hard_factor;
    const F at_label = hard.label_difference * hard_factor;
    Layout::unstage(gradient.row, rows.count, classes, [&](size_t i) {
      const F hard_gradient = select(Layout::classes_of(i) == rows.label, at_label, load(s.z + i * W) * hard_scale);
      return soft_gradient(i) + hard_gradient;
    });
  }
};

template <class Source>
int run(const imago_call* call, Batch& batch) {
  const double temperature = call->scalars[2];
  const double a = call->scalars[3];
  Terms mean;
  if (const int refused = prepare(call, batch)) return refused;
  const float* const student = buffer<const float>(call, 0);
  const auto* const teacher = buffer<const typename Source::Element>(call, 1);
  if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::softmax)) return refused;
  if (const int refused = check_rows<Source>(call, batch, "teacher", teacher, Expect::softmax)) return refused;
  const SoftTarget<Source> kernel{batch, student, teacher, temperature, a};
  if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  const double soft = temperature * (temperature * mean.first);
  const double hard = mean.second;
  double* const result = buffer<double>(call, 5);
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (a < 1 ? (1 - a) * soft : 0) + (a > 0 ? a * hard : 0);
  result[1] = soft;
  result[2] = hard;
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
