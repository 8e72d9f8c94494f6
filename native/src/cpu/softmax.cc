// softmax(logits / T) by row, or its logarithm (logits − max)/T − ln Σ e^((logits − max)/T).
#include "common/row_loss.h"
#include "common/softmax_terms.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

struct Softmax {
  const Batch& batch;
  const float* logits;
  float* out;
  Temperature temperature;
  bool log_space;
  static constexpr size_t arrays = 2;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    const size_t classes = batch.classes;
    const size_t n = Layout::vectors(classes);
    float* const x = memory;
    float* const e = memory + n * W;
    const RowPointers<const float> in_rows(logits, rows, classes);
    const RowPointers<float> out_rows(out, rows, classes);
    const F max = Layout::template stage<Float32>(in_rows.row, rows.count, classes, x).max;
    const F sum = exponentials<Layout>(x, n, max, temperature.scale, e);
    if (any(~(sum > 0.0f))) {
      terms.is_refused = true;
      return;
    }
    const F log_sum = log(sum);
    const F scale = 1.0f / sum;
    if (log_space)
      // Halves, since the difference of two finite logits may overflow float32.
      Layout::unstage(out_rows.row, rows.count, classes, [&](size_t i) {
        return (load(x + i * W) * 0.5f - max * 0.5f) * (2 * temperature.inverse) - log_sum;
      });
    else
      Layout::unstage(out_rows.row, rows.count, classes, [&](size_t i) { return load(e + i * W) * scale; });
  }
};

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(softmax) {
  if (const int refused = check_temperature(call, call->scalars[2])) return refused;
  Batch batch{size(call, 0), size(call, 1), nullptr, nullptr, 0, nullptr};
  if (const int refused = prepare(call, batch)) return refused;
  const float* const logits = buffer<const float>(call, 0);
  const Softmax kernel{batch, logits, buffer<float>(call, 1), temperature_of(call->scalars[2]), call->scalars[3] != 0};
  Terms terms;
  if (const int refused = for_each_block(call, batch, kernel, terms)) return refused;
  return terms.is_refused ? refuse_rows<Float32>(call, batch, "logits", logits) : 0;
}
