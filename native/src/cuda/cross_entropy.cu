// −Σ t·ln softmax(z) with t = (1 − ε)·target + ε/C, and its gradient softmax(z)·Σt − t. The target is a label or a distribution.
#include "cuda/rows.cuh"

namespace imago::cuda {
namespace {

struct CrossEntropy {
  typedef Float32 Teacher;
  static constexpr bool two = false;
  static constexpr Expect expects = Expect::softmax;
  static constexpr Expect teacher_expects = Expect::softmax;
  static constexpr Precision precision = Precision::fast;
  static constexpr int passes = 1;
  static constexpr int sums = 3;  // e^(z − max) but for the label; (max − z)·2⁻⁴²; 1

  float limit;
  float window;
  double smoothing;

  struct Row {
    float z_max;
    int label;
    float label_logit;
    float scale, shift, at_label;
  };

  template <int pass>
  __device__ __forceinline__ bool wanted() const {
    return true;
  }
  __device__ __forceinline__ Row begin(const Batch& batch, size_t r, float z_max, float) const {
    Row row{};
    row.z_max = z_max;
    row.label = batch.label(r);
    // Read here, before a gradient in the student's place may overwrite it.
    row.label_logit = row.label >= 0 ? batch.student[r * batch.classes + row.label] : 0;
    return row;
  }

  template <int pass, class Real>
  __device__ __forceinline__ float term(const Row& row, int c, float z, float, Real (&sums)[sums]) const {
    const float e = exp_below(z - row.z_max);
    sums[0] += c == row.label ? 0 : e;
    if (smoothing > 0) {
      // Scaled down, since neither max − z nor its sum need fit into float32; ∞ where a class is excluded.
      sums[1] += row.z_max * 0x1p-42f - z * 0x1p-42f;
      sums[2] += 1;
    }
    return e;
  }

  template <int pass>
  __device__ __forceinline__ void finish(Row& row, const double (&sums)[sums], double share, Terms& terms) const {
    row.scale = row.shift = row.at_label = 0;
    if (row.label < 0) return;
    const double rest = sums[0], label_lead = static_cast<double>(row.label_logit) - row.z_max, label_exp = ::exp(label_lead);
    const double sum = rest + label_exp, log_sum = ::log(sum);
    // Near certainty ln(1 + rest) keeps the digits of a small loss; far from it e^(z − max) of the label underflows.
    double loss = smoothing < 1 ? (1 - smoothing) * (rest < label_exp ? ::log1p(rest / label_exp) : log_sum - label_lead) : 0;
    double everywhere = 0;
    if (smoothing > 0) {
      everywhere = smoothing / sums[2];
      // −Σ (ε/C)·ln q, with −ln q = (max − z) + ln Σ e^(z − max): no term is negative. The error term of an infinite sum is NaN.
      const double depth = sums[1] < 1e300 ? sums[1] / sums[2] * 0x1p42 : static_cast<double>(infinity());
      loss += smoothing * (depth + log_sum);
    }
    terms.first = share * loss;
    row.scale = static_cast<float>(share / sum);
    row.shift = static_cast<float>(share * everywhere);
    // q_label − 1 = −(the mass on the other classes): nothing cancels.
    row.at_label = static_cast<float>(share * (smoothing - everywhere - rest / sum));
  }

  __device__ __forceinline__ float give(const Row& row, int c, float, float e) const {
    return c == row.label ? row.at_label : e * row.scale - row.shift;
  }
};

/**
 * The same with a distribution for each row. In float64: a target is a number of its own, so that q − t is whatever the two
 * leave of each other, and a student that has learned its targets would have a gradient of rounding errors.
 */
struct DistributionEntropy {
  typedef Float32 Teacher;
  static constexpr bool two = true;
  static constexpr Expect expects = Expect::softmax;
  static constexpr Expect teacher_expects = Expect::distribution;
  static constexpr Precision precision = Precision::exact;
  static constexpr int passes = 1;
  static constexpr int sums = 6;  // e^(z − max) where it is below 1; how many are not; t; t·(max − z); max − z; 1

  float limit;
  double smoothing;

  struct Row {
    float z_max;
    double total, scale, everywhere, share;
  };

  template <int pass>
  __device__ __forceinline__ bool wanted() const {
    return true;
  }
  __device__ __forceinline__ Row begin(const Batch&, size_t, float z_max, float) const { return {z_max, 0, 0, 0, 0}; }

  template <int pass>
  __device__ __forceinline__ float term(const Row& row, int, float z, float t, double (&sums)[sums]) const {
    const double below = static_cast<double>(row.z_max) - static_cast<double>(z);
    if (below > 0)
      sums[0] += ::exp(-below);
    else
      sums[1] += 1;
    sums[2] += static_cast<double>(t);
    if (t > 0) sums[3] += static_cast<double>(t) * below;
    sums[4] += below;
    sums[5] += 1;
    return t;
  }

  template <int pass>
  __device__ __forceinline__ void finish(Row& row, const double (&sums)[sums], double share, Terms& terms) const {
    // Without one of the largest: ln(1 + others) keeps the digits of a small sum.
    const double others = sums[0] + (sums[1] - 1);
    const double targets = (1 - smoothing) * sums[2] + smoothing;
    row.total = sums[2];
    row.everywhere = smoothing / sums[5];
    row.scale = targets / (1 + others);
    row.share = share;
    double depth = smoothing < 1 ? (1 - smoothing) * sums[3] : 0;
    if (smoothing > 0) depth += row.everywhere * sums[4];
    terms.first = share * (depth + targets * ::log1p(others));
  }

  __device__ __forceinline__ bool is_distribution(const Row& row) const { return row.total >= 1 - 1e-3 && row.total <= 1 + 1e-3; }

  __device__ __forceinline__ float give(const Row& row, int, float z, float t) const {
    const double q = ::exp(static_cast<double>(z) - static_cast<double>(row.z_max)) * row.scale;
    return static_cast<float>(row.share * (q - ((1 - smoothing) * static_cast<double>(t) + row.everywhere)));
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(cross_entropy) {
  using namespace imago::cuda;
  const double smoothing = call->scalars[2];
  if (!(smoothing >= 0 && smoothing <= 1)) return refuse(call, "smoothing must be in [0, 1], got %g", smoothing);
  const bool has_labels = call->buffers[1].type != 0;
  if (has_labels == (call->buffers[5].type != 0)) return refuse(call, "needs labels or distribution, one of them");
  const Finish result = {buffer<double>(call, 4), 1};
  const auto run = [&](const Places& places, auto op) {
    op.limit = 3.402823466e38f;
    if constexpr (requires { op.window; }) op.window = 5;
    op.smoothing = smoothing;
    return run_loss(call, "cross_entropy", places, result, op);
  };
  if (has_labels) return run({.student = 0, .labels = 1, .weights = 2, .gradient = 3, .mask = 6, .ignore_index = 3}, CrossEntropy{});
  return run({.student = 0, .teacher = 5, .weights = 2, .gradient = 3, .mask = 6}, DistributionEntropy{});
}
