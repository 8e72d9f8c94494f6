// Decoupled knowledge distillation (Zhao et al. 2022): T²·[α·KL of (target, rest) + β·KL among the rest], and its gradient.
#include "cuda/divergences.cuh"

namespace imago::cuda {
namespace {

/** ln σ(m) = −ln(1 + e⁻ᵐ), for ±∞ too. */
IMAGO_DEVICE double log_sigmoid(double m) { return (m < 0 ? m : 0) - ::log1p(::exp(-::fabs(m))); }
IMAGO_DEVICE double zero_for_nan(double x) { return x == x ? x : 0; }

/** The two classes "target" and "rest" as teacher and student see them. */
struct Target {
  Point target;
  Point rest;

  /**
   * From the logits of the target against the rest, teacher and student, and their difference δ, which is exact where the two
   * are close and not used (`apart`) where they are not.
   */
  __device__ __forceinline__ static Target of(double teacher, double student, double delta, bool apart) {
    const double log_p = log_sigmoid(teacher), log_rest_p = log_sigmoid(-teacher);
    const double log_q = log_sigmoid(student), log_rest_q = log_sigmoid(-student);
    const double p = ::exp(log_p), rest_p = ::exp(log_rest_p);
    double u = zero_for_nan(log_q - log_p), rest_u = zero_for_nan(log_rest_q - log_rest_p);
    if (!apart) {
      // ln(q/p) less the log-normaliser, taken from the side of the likelier class: there δ is 0 and nothing cancels.
      const bool is_rest_likelier = p < rest_p;
      const double d = is_rest_likelier ? delta : -delta;
      const double normaliser = ::log1p((is_rest_likelier ? p : rest_p) * ::expm1(d));
      u = is_rest_likelier ? d - normaliser : -normaliser;
      rest_u = is_rest_likelier ? -normaliser : d - normaliser;
    }
    return {{p, ::exp(log_q), u, 0}, {rest_p, ::exp(log_rest_q), rest_u, 0}};
  }
};

template <class Source>
struct Dkd {
  typedef Source Teacher;
  static constexpr bool two = true;
  static constexpr bool leaves_label_out = true;
  static constexpr Expect expects = Expect::softmax;
  static constexpr Expect teacher_expects = Expect::softmax;
  static constexpr Precision precision = Precision::exact;
  static constexpr int passes = 2;
  static constexpr int sums = 3;

  float limit;
  double temperature;
  double alpha, beta;

  struct Row {
    float z_max, v_max;  // of the rest; 0 where it has no mass
    int label;
    double label_z, label_v;
    double offset;
    double student_sum, student_scale, teacher_sum, teacher_scale;
    double log_normaliser;
    double pull;   // the label's gradient
    double among;  // factor of q − p among the rest
  };

  template <int pass>
  __device__ __forceinline__ bool wanted() const {
    return true;
  }
  __device__ __forceinline__ Row begin(const Batch& batch, size_t r, float z_max, float v_max) const {
    Row row{};
    row.z_max = z_max == -infinity() ? 0 : z_max;
    row.v_max = v_max == -infinity() ? 0 : v_max;
    row.offset = static_cast<double>(row.z_max) - static_cast<double>(row.v_max);
    row.label = batch.label(r);
    if (row.label < 0) return row;
    const size_t at = r * batch.classes + row.label;
    // Read here, before a gradient in the student's place may overwrite it.
    row.label_z = static_cast<double>(batch.student[at]);
    row.label_v = static_cast<double>(Source::read(static_cast<const typename Source::Element*>(batch.teacher)[at]));
    return row;
  }

  __device__ __forceinline__ double exponential(float x, float max) const {
    return ::exp((static_cast<double>(x) - static_cast<double>(max)) / temperature);
  }
  __device__ __forceinline__ double distance(const Row& row, float z, float v) const {
    return (static_cast<double>(z) - static_cast<double>(v) - row.offset) / temperature;
  }
  /** A class of the rest. */
  __device__ __forceinline__ Contribution at(const Row& row, float z, float v, double& q) const {
    q = exponential(z, row.z_max) * row.student_scale;
    return KullbackLeibler().at(
        {exponential(v, row.v_max) * row.teacher_scale, q, zero_for_nan(distance(row, z, v) - row.log_normaliser), 0});
  }

  template <int pass>
  __device__ __forceinline__ float term(const Row& row, int c, float z, float v, double (&sums)[sums]) const {
    if (c == row.label) return v;
    if constexpr (pass == 0) {
      const double ez = exponential(z, row.z_max), ev = exponential(v, row.v_max), d = distance(row, z, v);
      sums[0] += ez;
      sums[1] += ev;
      sums[2] += ::fabs(d) < close ? ev * ::expm1(d) : ez - ev;
    } else {
      double q;
      sums[0] += at(row, z, v, q).value;
    }
    return v;
  }

  /** The logit of the target against all the rest: ln of the quotient of their masses. */
  __device__ __forceinline__ double margin(double label, float max, double sum) const {
    return sum == 0 ? static_cast<double>(infinity()) : (label - static_cast<double>(max)) / temperature - ::log(sum);
  }

  template <int pass>
  __device__ __forceinline__ void finish(Row& row, const double (&sums)[sums], double share, Terms& terms) const {
    if constexpr (pass == 0) {
      row.student_sum = sums[0];
      row.teacher_sum = sums[1];
      row.student_scale = sums[0] == 0 ? 0 : 1 / sums[0];
      row.teacher_scale = sums[1] == 0 ? 0 : 1 / sums[1];
      const double excess = sums[2] * row.teacher_scale;
      // Where one of the two has nothing, ±∞ of the distance says all.
      if (sums[0] > 0 && sums[1] > 0) row.log_normaliser = ::fabs(excess) < 0.5 ? ::log1p(excess) : ::log(sums[0] / sums[1]);
      return;
    }
    row.pull = row.among = 0;
    if (row.label < 0) {
      row.student_scale = 0;
      return;
    }
    const bool has_teacher = row.teacher_sum > 0, has_student = row.student_sum > 0;
    const double delta = (row.label_z - row.label_v - row.offset) / temperature - row.log_normaliser;
    const Target pair = Target::of(margin(row.label_v, row.v_max, row.teacher_sum), margin(row.label_z, row.z_max, row.student_sum), delta,
                                   !(has_teacher && has_student && ::fabs(delta) < 1));
    const Contribution target = KullbackLeibler().at(pair.target), other = KullbackLeibler().at(pair.rest);
    terms.first = share * (target.value + other.value);
    terms.second = has_teacher ? share * (sums[0] > 0 ? sums[0] : 0) : 0;
    const double factor = share * temperature;
    row.pull = target.pull * alpha * factor;
    row.among = has_teacher ? factor * beta : 0;
  }

  __device__ __forceinline__ float give(const Row& row, int c, float z, float v) const {
    if (row.label < 0) return 0;
    if (c == row.label) return static_cast<float>(row.pull);
    double q;
    const double difference = at(row, z, v, q).pull;
    return static_cast<float>(difference * row.among - q * row.pull);
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(dkd) {
  using namespace imago::cuda;
  const double temperature = call->scalars[2], alpha = call->scalars[3], beta = call->scalars[4];
  if (const int refused = check_temperature(call, temperature)) return refused;
  for (size_t i = 3; i < 5; i++)
    if (!(call->scalars[i] >= 0 && call->scalars[i] < static_cast<double>(__builtin_huge_valf())))
      return refuse(call, "%s must be finite and >= 0, got %g", i == 3 ? "alpha" : "beta", call->scalars[i]);
  const Places places = {.student = 0, .teacher = 1, .labels = 2, .weights = 3, .gradient = 4, .mask = 6, .ignore_index = 5};
  const Finish result = {buffer<double>(call, 5), 3, {temperature, temperature}, {alpha, beta}};
  return with_teacher(call, 1, call->scalars[6], [&](auto source) {
    return run_loss(call, "dkd", places, result, Dkd<decltype(source)>{3.402823466e38f, temperature, alpha, beta});
  });
}
