// ½·Σ_c (z − v)² and its gradient z − v (Ba & Caruana 2014, section 2.2); zeroMean: with both rows centred first.
#include "cuda/rows.cuh"

namespace imago::cuda {
namespace {

template <class Source>
struct LogitRegression {
  typedef Source Teacher;
  static constexpr bool two = true;
  static constexpr Expect expects = Expect::finite;
  static constexpr Expect teacher_expects = Expect::finite;
  static constexpr Precision precision = Precision::either;
  static constexpr int passes = 2;  // of which the first, for the mean, may be left out
  static constexpr int sums = 2;

  float limit;
  bool exact;
  bool zero_mean;

  struct Row {
    float mean, mean_error;
    double exact_mean;
    double share;
  };

  template <int pass>
  __device__ __forceinline__ bool wanted() const {
    return pass == 1 || zero_mean;
  }
  __device__ __forceinline__ Row begin(const Batch&, size_t, float, float) const { return {}; }

  /** z − v less its mean, in float32 and, for numbers whose squares that does not hold, in float64. */
  template <int pass>
  __device__ __forceinline__ float term(const Row& row, int, float z, float v, float (&sums)[sums]) const {
    const Pair difference = two_difference(z, v);
    if constexpr (pass == 0) {
      sums[0] += difference.value;
      sums[1] += 1;
      return v;
    }
    const float d = (difference.value - row.mean) + (difference.error - row.mean_error);
    sums[0] += d * d;
    return d;
  }
  template <int pass>
  __device__ __forceinline__ float term(const Row& row, int, float z, float v, double (&sums)[sums]) const {
    const double difference = static_cast<double>(z) - static_cast<double>(v);
    if constexpr (pass == 0) {
      sums[0] += difference;
      sums[1] += 1;
      return v;
    }
    const double d = difference - row.exact_mean;
    sums[0] += d * d;
    return static_cast<float>(d);
  }

  template <int pass>
  __device__ __forceinline__ void finish(Row& row, const double (&sums)[sums], double share, Terms& terms) const {
    if constexpr (pass == 0) {
      row.exact_mean = sums[0] / sums[1];
      row.mean = static_cast<float>(row.exact_mean);
      row.mean_error = static_cast<float>(row.exact_mean - row.mean);
    } else {
      row.share = share;
      terms.first = share * sums[0] / 2;
    }
  }
  __device__ __forceinline__ float give(const Row& row, int, float, float d) const { return static_cast<float>(d * row.share); }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(logit_regression) {
  using namespace imago::cuda;
  const Places places = {.student = 0, .teacher = 1, .weights = 2, .gradient = 3, .mask = 5};
  const Finish result = {buffer<double>(call, 4), 1};
  return with_teacher(call, 1, call->scalars[3], [&](auto source) {
    LogitRegression<decltype(source)> op{};
    // The squares of a row of 2³⁰ such differences have a sum that float32 holds.
    op.limit = 1e14f;
    op.zero_mean = call->scalars[2] != 0;
    return run_loss(call, "logit_regression", places, result, op);
  });
}
