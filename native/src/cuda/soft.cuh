// p = softmax(teacher/T) and q = softmax(student/T) of a row, compared; with the hard term of a label. Shared by soft_target_loss and
// kl_divergence, which differ by factors.
//
// With eᵛ = e^((v − max v)/T), eᶻ likewise, and d = (z − v)/T less the difference of the maxima, so that eᶻ = eᵛ·eᵈ:
//   t = eᵛ·(eᵈ − 1) = eᶻ − eᵛ     by a polynomial where d is small: at T = 10⁶ eᶻ and eᵛ agree in all digits of a float32
//   x = Σt / Σeᵛ,  ln(q/p) = d − ln(1 + x)
//   q − p = (t − eᵛ·x) / Σeᶻ
//   KL(p ‖ q) = G − (x − ln(1 + x)),  G = Σeᵛ·(eᵈ − 1 − d)/Σeᵛ ≥ 0, where G is small;  ln(1 + x) − Σeᵛ·d/Σeᵛ elsewhere
// All sums come from one pass, and t, in the place of v, is all that the gradient needs besides z. d is at most twice as large as its
// distance from its mean, whatever is added to the logits of either model, so that these differences keep their digits.
#pragma once
#include "cuda/rows.cuh"

namespace imago::cuda {

template <class Source>
struct Soft {
  typedef Source Teacher;
  static constexpr bool two = true;
  static constexpr Expect expects = Expect::softmax;
  static constexpr Expect teacher_expects = Expect::softmax;
  static constexpr Precision precision = Precision::either;
  static constexpr int passes = 1;
  static constexpr int sums = 6;  // eᵛ, eᶻ, t, eᵛ·(eᵈ − 1 − d), eᵛ·d, e^(z − max) but for the label

  float limit;
  float window;
  bool exact;
  float scale;         // log₂e/T
  float inverse;       // 1/T
  double temperature;
  double soft_factor;  // what the gradient of T²·KL, or of KL, has before T·(q − p)/T
  double hard_weight;

  struct Row {
    float z_max, v_max;
    float offset, offset_error;  // max z − max v
    int label;
    float label_logit;
    float difference_scale, teacher_scale;
    bool is_far;
    float hard_scale, at_label;
  };

  template <int pass>
  __device__ __forceinline__ bool wanted() const {
    return true;
  }
  __device__ __forceinline__ Row begin(const Batch& batch, size_t r, float z_max, float v_max) const {
    Row row{};
    row.z_max = z_max;
    row.v_max = v_max;
    const Pair offset = two_difference(z_max, v_max);
    row.offset = offset.value;
    row.offset_error = offset.error;
    row.label = batch.label(r);
    // Read here, before a gradient in the student's place may overwrite it.
    row.label_logit = row.label >= 0 ? batch.student[r * batch.classes + row.label] : 0;
    return row;
  }

  template <int pass>
  __device__ __forceinline__ float term(const Row& row, int c, float z, float v, float (&sums)[sums]) const {
    const float ez = exp2_fast((z - row.z_max) * scale);
    const float ev = exp2_fast((v - row.v_max) * scale);
    const Pair difference = two_difference(z, v);
    // Infinite logits make NaN, and fmaxf −∞ of it: where that is wrong, ev is 0.
    const float d = fmaxf(((difference.value - row.offset) + (difference.error - row.offset_error)) * inverse, -infinity());
    const float curved = d * d * second_order(d);
    const bool is_near = fabsf(d) < 0.4f;
    const float t = is_near ? ev * (d + curved) : ez - ev;
    // −∞ where the student excludes a class to which the teacher gives mass.
    const float tilt = ev > 0 ? ev * d : 0;
    sums[0] += ev;
    sums[1] += ez;
    sums[2] += t;
    sums[3] += is_near ? ev * curved : t - tilt;
    sums[4] += tilt;
    if (row.label >= 0 && c != row.label) sums[5] += exp_below(z - row.z_max);
    return t;
  }

  /** The same in float64, for temperatures and logits whose quotients or squares float32 does not hold. */
  template <int pass>
  __device__ __forceinline__ float term(const Row& row, int c, float z32, float v32, double (&sums)[sums]) const {
    const double z = z32, v = v32, z_max = row.z_max, v_max = row.v_max;
    const double ez = ::exp((z - z_max) / temperature);
    const double ev = ::exp((v - v_max) / temperature);
    const double d = ::fmax(((z - v) - (z_max - v_max)) / temperature, -static_cast<double>(infinity()));
    const bool is_near = ::fabs(d) < 0.4;
    const double t = is_near ? ev * ::expm1(d) : ez - ev;
    const double tilt = ev > 0 ? ev * d : 0;
    sums[0] += ev;
    sums[1] += ez;
    sums[2] += t;
    sums[3] += is_near ? ev * expm1_minus(d) : t - tilt;
    sums[4] += tilt;
    if (row.label >= 0 && c != row.label) sums[5] += ::exp(z - z_max);
    return static_cast<float>(t);
  }

  template <int pass>
  __device__ __forceinline__ void finish(Row& row, const double (&sums)[sums], double share, Terms& terms) const {
    const double teacher_sum = sums[0], student_sum = sums[1];
    const double tilt = sums[4] / teacher_sum, curve = sums[3] / teacher_sum;
    double x = sums[2] / teacher_sum;
    row.is_far = !(x > -0.5 && x < 1);
    if (row.is_far) x = student_sum / teacher_sum - 1;
    // NaN and −∞ both come from an excluded class.
    const double divergence = !(tilt > -static_cast<double>(infinity())) ? static_cast<double>(infinity())
                              : curve <= 1                               ? curve - minus_log1p(x)
                                                                         : ::log1p(x) - tilt;
    terms.first = share * (divergence > 0 ? divergence : 0);
    const double factor = share * soft_factor;
    row.difference_scale = static_cast<float>(factor / student_sum);
    // q − p = eᶻ/Σeᶻ − eᵛ/Σeᵛ where they are far apart.
    row.teacher_scale = static_cast<float>(row.is_far ? factor / teacher_sum : factor * x / student_sum);

    row.hard_scale = row.at_label = 0;
    if (row.label < 0) return;
    const double rest = sums[5], label_lead = static_cast<double>(row.label_logit) - row.z_max, label_exp = ::exp(label_lead);
    // Near certainty ln(1 + rest) keeps the digits of a small loss; far from it e^(z − max) of the label underflows.
    const double loss =
        rest < label_exp ? ::log1p(rest / label_exp) : ::log(rest + label_exp) - label_lead;
    terms.second = share * loss;
    const double hard_factor = share * hard_weight / (rest + label_exp);
    row.hard_scale = static_cast<float>(hard_factor);
    // q_label − 1 = −(the mass on the other classes): nothing cancels.
    row.at_label = static_cast<float>(-hard_factor * rest);
  }

  __device__ __forceinline__ float give(const Row& row, int c, float z, float t) const {
    const float ez = exp2_fast((z - row.z_max) * scale);
    // One rounding a product: the soft and the hard part may nearly cancel.
    float gradient = fmaf(row.is_far ? ez : t, row.difference_scale, (t - ez) * row.teacher_scale);
    if (row.hard_scale != 0) gradient = c == row.label ? gradient + row.at_label : fmaf(exp_below(z - row.z_max), row.hard_scale, gradient);
    return gradient;
  }
};

/** Beyond this magnitude (times T where T < 1) log-ratios of logits may overflow float32. */
constexpr double huge = 1e29;
/** Between these temperatures neither log-ratios of usual logits overflow float32 nor their squares underflow. */
constexpr double coldest = 1e-20;
constexpr double hottest = 1e9;

template <class Source>
inline Soft<Source> soft_of(double temperature, double soft_factor, double hard_weight) {
  Soft<Source> op{};
  op.limit = static_cast<float>(temperature < 1 ? huge * temperature : huge);
  // Of the hard term too, whose temperature is 1.
  op.window = static_cast<float>(temperature < 1 ? 5 * temperature : 5);
  op.exact = !(temperature >= coldest && temperature <= hottest);
  op.scale = static_cast<float>(1.4426950408889634 / temperature);
  op.inverse = static_cast<float>(1 / temperature);
  op.temperature = temperature;
  op.soft_factor = soft_factor;
  op.hard_weight = hard_weight;
  return op;
}

// Compiled once, for kl_divergence too: in soft_target_loss.cu.
extern template cudaError_t launch_rows(const Soft<Float32>&, const Batch&, cudaStream_t);
extern template cudaError_t launch_rows(const Soft<Float16>&, const Batch&, cudaStream_t);
extern template cudaError_t launch_rows(const Soft<Bfloat16>&, const Batch&, cudaStream_t);

}  // namespace imago::cuda
