// Σ w·D(softmax(v/T), softmax(z/T)) / Σ w and its gradient, for any row of the table in divergences.h.
#pragma once
#include "common/single_pair.h"
#include "common/softmax_pair.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {

template <class Divergence, class Source>
struct DivergenceLoss {
  const Batch& batch;
  const Divergence& divergence;
  const float* student;
  const typename Source::Element* teacher;
  double temperature;
  static constexpr size_t arrays = PairScratch::arrays;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    const size_t n = Layout::vectors(batch.classes);
    const PairScratch s(memory, n * W);
    const RowPointers<const float> student_rows(student, rows, batch.classes);
    const RowPointers<const typename Source::Element> teacher_rows(teacher, rows, batch.classes);
    const Range z = stage<Layout, Float32>(batch, rows, student_rows.row, s.z);
    const Range v = stage<Layout, Source>(batch, rows, teacher_rows.row, s.v);
    double values[W];
    // What is staged stays, also where the gradient has overwritten the student.
    Terms sums;
    if (!in_float32<Layout>(rows, s, n, z, v, values)) {
      sums.is_refused = !has_softmax<Layout>(s.z, n, z.max) || !has_softmax<Layout>(s.v, n, v.max);
      if (sums.is_refused) return terms.add(sums);
      in_float64<Layout>(rows, s, n, z, v, values);
    }
    for (size_t i = 0; i < rows.count; i++) sums.first += rows.share[i] * values[i];
    terms.add(sums);
  }

  /** Values and gradient; false where a row needs float64, and the gradient is then unspecified. */
  template <class Layout>
  __attribute__((always_inline)) bool in_float32(const Rows& rows, const PairScratch& s, size_t n, Range z, Range v,
                                                 double* values) const {
    if (!SinglePair::fits(z, v, temperature)) return false;
    SinglePair pair = compare_singles<Layout>(s, n, z.max, v.max, temperature);
    if (!pair.has_sums()) return false;
    SingleClosing closing;
    float singles[W];
    store(singles, sum_divergence<Layout>(pair, n, divergence, closing));
    for (size_t i = 0; i < W; i++) values[i] = static_cast<double>(singles[i]);
    if (batch.gradient == nullptr) return true;
    const RowPointers<float> gradient(batch.gradient, rows, batch.classes);
    const F factor = rows.weight_over(1 / temperature, all(1.0f));
    F largest{};
    Layout::unstage(gradient.row, rows.count, batch.classes, [&](size_t i) {
      const F g = closing.gradient(pair, i);
      largest = max(largest, abs(g));
      return g * factor;
    });
    return closing.holds(Layout::most(largest), pair.temperature.value);
  }

  /** False where a staged block holds NaN or +∞, or a row only −∞. */
  template <class Layout>
  __attribute__((noinline)) static bool has_softmax(const float* x, size_t n, F max) {
    I bad = ~(max > -infinity);
    for (size_t i = 0; i < n; i++) bad |= ~(load(x + i * W) < infinity);
    return !any(bad);
  }

  template <class Layout>
  __attribute__((noinline)) void in_float64(const Rows& rows, const PairScratch& s, size_t n, Range z, Range v,
                                            double* values) const {
    const SoftmaxPair pair = compare<Layout>(s, n, z.max, v.max, temperature);
    Closing closing;
    store(values, sum_divergence<Layout>(pair, n, divergence, closing));
    if (batch.gradient == nullptr) return;
    const RowPointers<float> gradient(batch.gradient, rows, batch.classes);
    double shares[W];
    for (size_t i = 0; i < W; i++) shares[i] = rows.share[i] / temperature;
    const Doubles factor = load(shares);
    Layout::unstage(gradient.row, rows.count, batch.classes,
                    [&](size_t i) { return narrowed(closing.gradient(pair, i, load(s.teacher + i * W)) * factor); });
  }
};

template <class Divergence, class Source>
int run_divergence(const imago_call* call, Batch& batch, const Divergence& divergence, double temperature) {
  if (const int refused = prepare(call, batch)) return refused;
  const float* const student = buffer<const float>(call, 0);
  const auto* const teacher = buffer<const typename Source::Element>(call, 1);
  const DivergenceLoss<Divergence, Source> kernel{batch, divergence, student, teacher, temperature};
  Terms mean;
  if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  if (mean.is_refused) {
    if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::softmax)) return refused;
    return refuse_rows<Source>(call, batch, "teacher", teacher);
  }
  *buffer<double>(call, 4) = mean.first;
  return 0;
}

/** Buffers: student, teacher, rowWeights, gradient, result, classMask; scalars: rows, classes, temperature, …, teacherType. */
template <class Divergence>
IMAGO_INLINE int divergence_loss(const imago_call* call, const Divergence& divergence, double teacher_type) {
  const double temperature = call->scalars[2];
  if (const int refused = check_temperature(call, temperature)) return refused;
  Batch batch{size(call, 0),          size(call, 1), nullptr, buffer<const float>(call, 2), 0, buffer<float>(call, 3),
              buffer<const uint8_t>(call, 5)};
  return with_teacher(call, call->buffers[1], teacher_type, [&](auto source) {
    return run_divergence<Divergence, decltype(source)>(call, batch, divergence, temperature);
  });
}

}  // namespace imago::IMAGO_ISA
