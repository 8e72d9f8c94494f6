// ½·Σ_c (z − v)² and its gradient z − v (Ba & Caruana 2014, section 2.2); zeroMean: with both rows centred first.
// In float64: differences of float32 are exact there, and their squares do not overflow.
#include "common/row_loss.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

template <class Source>
struct LogitRegression {
  typedef typename Source::Element Element;
  const Batch& batch;
  const float* student;
  const Element* teacher;
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
  __attribute__((always_inline)) double row(const float* z, const Element* v, float* gradient, double share) const {
    double mean = 0;
    if (zero_mean) {
      D total{};
      for (size_t c = 0; c < batch.classes; c += W) {
        const Differences d = differences(z, v, c, 0);
        total += d.low + d.high;
      }
      mean = sum_of(total) / static_cast<double>(batch.unmasked);
    }
    D squares{};
    for (size_t c = 0; c < batch.classes; c += W) {
      const Differences d = differences(z, v, c, mean);
      squares += d.low * d.low + d.high * d.high;
      if (gradient == nullptr) continue;
      float scaled[W];
      store_floats(scaled, d.low * share);
      store_floats(scaled + W / 2, d.high * share);
      if (c + W <= batch.classes)
        store(gradient + c, load(scaled));
      else
        store_part(gradient + c, batch.classes - c, load(scaled));
    }
    return sum_of(squares) / 2;
  }

  struct Differences {
    D low;
    D high;
  };
  /** z − v − mean of the W classes from c on; 0 where there is no class. */
  __attribute__((always_inline)) Differences differences(const float* z, const Element* v, size_t c, double mean) const {
    const size_t count = batch.classes - c < W ? batch.classes - c : W;
    F student_part, teacher_part;
    if (count == W) {
      student_part = load(z + c);
      teacher_part = Source::read(v + c);
    } else {
      student_part = load_part(z + c, count, 0);
      teacher_part = read_part<Source>(v + c, count, 0);
    }
    if (count == W && batch.mask == nullptr) return apart(student_part, teacher_part, mean);
    const I is_class = batch.mask == nullptr ? iota() < all_int(static_cast<int32_t>(count)) : nonzero(batch.mask + c, count);
    Differences d = apart(select(is_class, student_part, F{}), select(is_class, teacher_part, F{}), mean);
    for (size_t i = 0; i < W / 2; i++) {
      if (!is_class[i]) d.low[i] = 0;
      if (!is_class[i + W / 2]) d.high[i] = 0;
    }
    return d;
  }
  IMAGO_INLINE Differences apart(F a, F b, double mean) {
    float z[W], v[W];
    store(z, a);
    store(v, b);
    return {load_doubles(z) - load_doubles(v) - mean, load_doubles(z + W / 2) - load_doubles(v + W / 2) - mean};
  }
};

template <class Source>
int run(const imago_call* call, Batch& batch) {
  if (const int refused = prepare(call, batch)) return refused;
  const float* const student = buffer<const float>(call, 0);
  const auto* const teacher = buffer<const typename Source::Element>(call, 1);
  if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::finite)) return refused;
  if (const int refused = check_rows<Source>(call, batch, "teacher", teacher, Expect::finite)) return refused;
  const LogitRegression<Source> kernel{batch, student, teacher, call->scalars[2] != 0};
  Terms mean;
  if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  *buffer<double>(call, 4) = mean.first;
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(logit_regression) {
  Batch batch{size(call, 0),          size(call, 1), nullptr, buffer<const float>(call, 2), 0, buffer<float>(call, 3),
              buffer<const uint8_t>(call, 5)};
  return with_teacher(call, call->buffers[1], call->scalars[3], [&](auto source) { return run<decltype(source)>(call, batch); });
}
