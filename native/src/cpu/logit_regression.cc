// ½·Σ_c (z − v)² and its gradient z − v (Ba & Caruana 2014, section 2.2); zeroMean: with both rows centred first.
#include "common/row_loss.h"
#include "common/softmax_terms.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

struct LogitRegression {
  const imago_call* call;
  const Batch& batch;
  const float* student;
  const float* teacher;
  bool zero_mean;
  static constexpr size_t arrays = 2;

  template <class Layout>
  size_t block(const Rows& rows, float* memory, Terms& terms) const {
    const size_t classes = batch.classes;
    const size_t n = Layout::vectors(classes);
    float* const z = memory;
    float* const v = memory + n * W;
    const RowPointers<const float> student_rows(student, rows, classes);
    const RowPointers<const float> teacher_rows(teacher, rows, classes);
    Layout::template stage<Float32>(student_rows.row, rows.count, classes, z);
    Layout::template stage<Float32>(teacher_rows.row, rows.count, classes, v);

    const I end = all_int(static_cast<int32_t>(classes));
    const auto difference = [&](size_t i) { return two_difference(load(z + i * W), load(v + i * W)); };
    const auto inside = [&](size_t i, F x) { return select(Layout::classes_of(i) < end, x, F{}); };
    const F mean = zero_mean ? sum<Layout>(n, [&](size_t i) { return inside(i, difference(i).value); }) *
                                   static_cast<float>(1.0 / static_cast<double>(classes))
                             : F{};
    // Centring leaves a residue of the first mean's rounding; a second mean, of small numbers, takes it away.
    const auto centred = [&](size_t i) {
      const Pair d = difference(i);
      return inside(i, (d.value - mean) + d.error);
    };
    const F rest = zero_mean ? sum<Layout>(n, centred) * static_cast<float>(1.0 / static_cast<double>(classes)) : F{};
    const auto deviation = [&](size_t i) { return inside(i, centred(i) - rest); };
    const F squares = sum<Layout>(n, [&](size_t i) {
      const F d = deviation(i);
      return d * d;
    });
    const size_t bad = first_bad(rows, squares);
    if (bad != no_row) return bad;
    for (size_t i = 0; i < rows.count; i++)
      terms.first += batch.share(rows.index[i]) * 0.5 * static_cast<double>(squares[i]);
    if (batch.gradient == nullptr) return no_row;
    const RowPointers<float> gradient(batch.gradient, rows, classes);
    Layout::unstage(gradient.row, rows.count, classes, [&](size_t i) { return deviation(i) * rows.weight; });
    return no_row;
  }

  /** Σ term(i) over the n vectors, per row. */
  template <class Layout, class Term>
  static F sum(size_t n, Term term) {
    Sum total;
    F part{};
    in_blocks(
        n, [&](size_t i) { part += term(i); },
        [&] {
          total.add(part);
          part = F{};
        });
    return Layout::sum(total.value());
  }

  int explain(size_t row) const {
    const size_t start = row * batch.classes;
    int refused = explain_row<Float32>(call, "student", student + start, batch.classes, row, true);
    if (!refused) refused = explain_row<Float32>(call, "teacher", teacher + start, batch.classes, row, true);
    return refused ? refused : refuse(call, "student: the squared difference overflows in row %zu", row);
  }
};

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(logit_regression) {
  Batch batch{size(call, 0), size(call, 1), nullptr, buffer<const float>(call, 2), 0, buffer<float>(call, 3)};
  if (const int refused = prepare(call, batch)) return refused;
  const LogitRegression kernel{call, batch, buffer<const float>(call, 0), buffer<const float>(call, 1), call->scalars[2] != 0};
  Terms mean;
  if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  *buffer<double>(call, 4) = mean.first;
  return 0;
}
