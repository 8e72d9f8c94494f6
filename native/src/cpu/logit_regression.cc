// ½·Σ_c (z − v)² and its gradient z − v (Ba & Caruana 2014, section 2.2); zeroMean: with both rows centred first.
// In float64: differences of float32 are exact there, and their squares do not overflow.
#include "common/row_loss.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

struct LogitRegression {
  const Batch& batch;
  const float* student;
  const float* teacher;
  bool zero_mean;
  static constexpr size_t arrays = 0;

  template <class Layout>
  void block(const Rows& rows, float*, Terms& terms) const {
    for (size_t i = 0; i < rows.count; i++) {
      const size_t start = rows.index[i] * batch.classes;
      const double share = rows.share[i];
      float* const gradient = batch.gradient == nullptr ? nullptr : batch.gradient + start;
      terms.first += share * row(student + start, teacher + start, gradient, share);
    }
  }

  /** The row's loss; gradient may be null, or the student's own row. */
  __attribute__((always_inline)) double row(const float* z, const float* v, float* gradient, double share) const {
    const size_t classes = batch.classes;
    double mean = 0;
    if (zero_mean) {
      D total{};
      size_t c = 0;
      for (; c + lanes <= classes; c += lanes) total += load_doubles(z + c) - load_doubles(v + c);
      mean = sum_of(total);
      for (; c < classes; c++) mean += static_cast<double>(z[c]) - static_cast<double>(v[c]);
      mean /= static_cast<double>(classes);
    }
    D squares{};
    size_t c = 0;
    for (; c + lanes <= classes; c += lanes) {
      const D d = load_doubles(z + c) - load_doubles(v + c) - mean;
      squares += d * d;
      if (gradient != nullptr) store_floats(gradient + c, d * share);
    }
    double sum = sum_of(squares);
    for (; c < classes; c++) {
      const double d = static_cast<double>(z[c]) - static_cast<double>(v[c]) - mean;
      sum += d * d;
      if (gradient != nullptr) gradient[c] = static_cast<float>(d * share);
    }
    return sum / 2;
  }

  static constexpr size_t lanes = W / 2;
};

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(logit_regression) {
  Batch batch{size(call, 0), size(call, 1), nullptr, buffer<const float>(call, 2), 0, buffer<float>(call, 3)};
  if (const int refused = prepare(call, batch)) return refused;
  const float* const student = buffer<const float>(call, 0);
  const float* const teacher = buffer<const float>(call, 1);
  if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::finite)) return refused;
  if (const int refused = check_rows<Float32>(call, batch, "teacher", teacher, Expect::finite)) return refused;
  const LogitRegression kernel{batch, student, teacher, call->scalars[2] != 0};
  Terms mean;
  if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  *buffer<double>(call, 4) = mean.first;
  return 0;
}
