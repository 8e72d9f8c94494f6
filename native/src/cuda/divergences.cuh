// The table of divergences: what a class adds to D(p, q) and how it pulls at its logit; and the one operation that drives them all
// through the row engine. The device twin of common/divergences.h, softmax_pair.h and divergence_loss.h, in float64 as they are.
//
// A row of the table gets p = softmax(v/T) and q = softmax(z/T) of a class and u = ln(q/p), which stays exact where p and q agree in
// all their digits, and gives
//   value   its term of the divergence; no term is negative, so that nothing cancels in the sum,
//   pull    q·h with h = ∂D/∂q up to a constant; the gradient by the logit is (pull − q·Σ pull)/T, the softmax having Jacobian
//           diag(q) − q·qᵀ. The constant is chosen so that Σ pull is small where p and q are close.
// p = 0 and q = 0 are in order: 0·ln 0 = 0.
#pragma once
#include "cuda/rows.cuh"

namespace imago::cuda {

struct Point {
  double p;
  double q;
  double u;         // −∞ where the student rules the class out, +∞ where the teacher does, 0 where both do
  double excluded;  // the row's mass of q on classes that the teacher rules out
};

struct Contribution {
  double value;
  double pull;
};

/** Where |u| is below, p and q are compared by u, elsewhere by what they are. */
constexpr double close = 0.3;

/** Σ p·(eᵘ − 1 − u), which is Σ p·ln(p/q) plus Σ (q − p) = 0. h = 1 − p/q. */
struct KullbackLeibler {
  __device__ __forceinline__ Contribution at(const Point& x) const {
    if (::fabs(x.u) < close) return {x.p * expm1_minus(x.u), x.p * ::expm1(x.u)};
    const double difference = x.q - x.p;
    return {x.p == 0 ? x.q : difference - x.p * x.u, difference};
  }
};

/** Σ q·(e⁻ᵘ − 1 + u). h = u. Infinite where the teacher excludes mass of q: then h = 1 on those classes, the way out of there. */
struct ReverseKullbackLeibler {
  __device__ __forceinline__ Contribution at(const Point& x) const {
    const double pull = x.excluded > 0 ? (x.u == static_cast<double>(infinity()) ? x.q : 0) : x.q == 0 ? 0 : x.q * x.u;
    if (::fabs(x.u) < close) return {x.q * expm1_minus(-x.u), pull};
    return {x.q == 0 ? x.p : x.p - x.q + x.q * x.u, pull};
  }
};

/** β·KL(p ‖ m) + (1 − β)·KL(q ‖ m), m = β·p + (1 − β)·q. h = (1 − β)·ln(q/m). */
struct JensenShannon {
  double beta;
  __device__ __forceinline__ Contribution at(const Point& x) const {
    const double alpha = 1 - beta;
    const double m = x.p * beta + x.q * alpha;
    if (::fabs(x.u) < close) {
      // ln(m/p) and ln(m/q).
      const double a = ::log1p(alpha * ::expm1(x.u)), b = ::log1p(beta * ::expm1(-x.u));
      return {x.p * beta * expm1_minus(a) + x.q * alpha * expm1_minus(b), x.q * b * -alpha};
    }
    // m underflows before p or q does, and m/p overflows where p nearly has.
    const double a = x.p == 0 || m == 0 ? 0 : ::log(m) - ::log(x.p), b = x.q == 0 || m == 0 ? 0 : ::log(m) - ::log(x.q);
    return {(m - x.p - x.p * a) * beta + (m - x.q - x.q * b) * alpha, x.q * b * -alpha};
  }
};

/** ½·Σ |q − p|. h = ½·sign(q − p), 0 where they are equal. */
struct TotalVariation {
  __device__ __forceinline__ Contribution at(const Point& x) const {
    const double difference = ::fabs(x.u) < close ? x.p * ::expm1(x.u) : x.q - x.p;
    return {::fabs(difference) / 2, x.u > 0 ? x.q / 2 : x.u < 0 ? -x.q / 2 : 0};
  }
};

template <class Divergence, class Source>
struct Diverge {
  typedef Source Teacher;
  static constexpr bool two = true;
  static constexpr Expect expects = Expect::softmax;
  static constexpr Expect teacher_expects = Expect::softmax;
  static constexpr Precision precision = Precision::exact;
  static constexpr int passes = 2;
  static constexpr int sums = 4;

  float limit;
  double temperature;
  Divergence divergence;

  struct Row {
    float z_max, v_max;
    double offset;          // max z − max v
    double student_scale, teacher_scale;  // 1/Σ
    double log_normaliser;  // u = d − this, d = (z − v − offset)/T
    double excluded;
    double pull;     // Σ pull
    double surest;   // the gradient of the surest class where it has most of the mass: minus that of all the others, which does not cancel
    bool is_sure;
    double factor;
  };

  template <int pass>
  __device__ __forceinline__ bool wanted() const {
    return true;
  }
  __device__ __forceinline__ Row begin(const Batch&, size_t, float z_max, float v_max) const {
    Row row{};
    row.z_max = z_max;
    row.v_max = v_max;
    row.offset = static_cast<double>(z_max) - static_cast<double>(v_max);
    return row;
  }

  /** e^((x − max)/T), (z − v − offset)/T: NaN where both logits are −∞. */
  __device__ __forceinline__ double exponential(float x, float max) const {
    return ::exp((static_cast<double>(x) - static_cast<double>(max)) / temperature);
  }
  __device__ __forceinline__ double distance(const Row& row, float z, float v) const {
    return (static_cast<double>(z) - static_cast<double>(v) - row.offset) / temperature;
  }
  __device__ __forceinline__ Contribution at(const Row& row, float z, float v, double& q) const {
    const double u = distance(row, z, v) - row.log_normaliser;
    q = exponential(z, row.z_max) * row.student_scale;
    return divergence.at({exponential(v, row.v_max) * row.teacher_scale, q, u == u ? u : 0, row.excluded});
  }

  template <int pass>
  __device__ __forceinline__ float term(const Row& row, int, float z, float v, double (&sums)[sums]) const {
    if constexpr (pass == 0) {
      const double ez = exponential(z, row.z_max), ev = exponential(v, row.v_max), d = distance(row, z, v);
      sums[0] += ez;
      sums[1] += ev;
      sums[2] += ::fabs(d) < close ? ev * ::expm1(d) : ez - ev;
      if (d == static_cast<double>(infinity())) sums[3] += ez;
    } else {
      double q;
      const Contribution c = at(row, z, v, q);
      const bool is_other = z < row.z_max;
      sums[0] += c.value;
      sums[1] += c.pull;
      if (is_other) {
        sums[2] += c.pull;
        sums[3] += q;
      }
    }
    return v;
  }

  template <int pass>
  __device__ __forceinline__ void finish(Row& row, const double (&sums)[sums], double share, Terms& terms) const {
    if constexpr (pass == 0) {
      row.student_scale = 1 / sums[0];
      row.teacher_scale = 1 / sums[1];
      const double excess = sums[2] / sums[1];
      row.log_normaliser = ::fabs(excess) < 0.5 ? ::log1p(excess) : ::log(sums[0] / sums[1]);
      row.excluded = sums[3] / sums[0];
    } else {
      terms.first = share * (sums[0] > 0 ? sums[0] : 0);
      row.pull = sums[1];
      row.surest = sums[3] * sums[1] - sums[2];
      row.is_sure = row.student_scale > 0.75;
      row.factor = share / temperature;
    }
  }

  __device__ __forceinline__ float give(const Row& row, int, float z, float v) const {
    double q;
    const Contribution c = at(row, z, v, q);
    return static_cast<float>((row.is_sure && z == row.z_max ? row.surest : c.pull - q * row.pull) * row.factor);
  }
};

/** Buffers: student, teacher, rowWeights, gradient, result, classMask; scalars: rows, classes, temperature, …, teacherType. */
template <class Divergence>
int divergence_loss(const imago_call* call, const char* kernel, const Divergence& divergence, double teacher_type) {
  const double temperature = call->scalars[2];
  if (const int refused = check_temperature(call, temperature)) return refused;
  const Places places = {.student = 0, .teacher = 1, .weights = 2, .gradient = 3, .mask = 5};
  return with_teacher(call, 1, teacher_type, [&](auto source) {
    const Diverge<Divergence, decltype(source)> op{3.402823466e38f, temperature, divergence};
    return run_loss(call, kernel, places, {buffer<double>(call, 4), 1}, op);
  });
}

}  // namespace imago::cuda
