// KL(softmax(v/T) ‖ softmax(z/T)) and its gradient (q − p)/T with respect to z.
#include "common/optimistic.h"
#include "common/soft_block.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

template <class Source>
struct KlDivergence {
  const SoftLoss<Source>& loss;
  static constexpr size_t arrays = optimistic_arrays;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    optimistic_or<Source, Hard::none>(loss, rows, memory, terms, [&](const Rows& short_rows) { careful<Narrow>(short_rows, memory, terms); });
  }
  void long_rows(const Rows& rows, float* memory, Terms& terms) const {
    optimistic_long_or<Source, Hard::none>(loss, rows, memory, terms, [&](const Rows& row) { careful<Wide>(row, memory, terms); });
  }

  template <class Layout>
  void careful(const Rows& rows, float* memory, Terms& terms) const {
    const Batch& batch = loss.batch;
    const SoftScratch s(memory, Layout::vectors(batch.classes) * W);
    const SoftTerm soft = soft_term<Layout, Source>(batch, rows, loss.student, loss.teacher, loss.temperature, s);
    Terms sums;
    sums.is_refused = soft.is_refused;
    if (soft.is_refused) return terms.add(sums);
    for (size_t i = 0; i < rows.count; i++) sums.first += rows.share[i] * soft.divergence[i];
    terms.add(sums);
    if (batch.gradient == nullptr) return;
    const RowPointers<float> gradient(batch.gradient, rows, batch.classes);
    const F scale = rows.weight_over(loss.soft_factor, soft.comparison.sum);
    const F shift = soft.comparison.excess * scale;
    Layout::unstage(gradient.row, rows.count, batch.classes, [&](size_t i) {
      return load(s.difference + i * W) * scale - load(s.teacher + i * W) * shift;
    });
  }
};

template <class Source>
int run(const imago_call* call, Batch& batch) {
  if (const int refused = prepare(call, batch)) return refused;
  const double temperature = call->scalars[2];
  const SoftLoss<Source> loss{batch,       buffer<const float>(call, 0), buffer<const typename Source::Element>(call, 1),
                              temperature, 1 / temperature,              0};
  Terms mean;
  if (const int refused = for_each_block(call, batch, KlDivergence<Source>{loss}, mean)) return refused;
  if (mean.is_refused) return refuse_rows(call, loss);
  *buffer<double>(call, 4) = mean.first;
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(kl_divergence) {
  if (const int refused = check_temperature(call, call->scalars[2])) return refused;
  Batch batch{size(call, 0),          size(call, 1), nullptr, buffer<const float>(call, 2), 0, buffer<float>(call, 3),
              buffer<const uint8_t>(call, 5)};
  return with_teacher(call, call->buffers[1], call->scalars[3], [&](auto source) { return run<decltype(source)>(call, batch); });
}
