// softmax(logits / T) by row, or its logarithm (logits − max)/T − ln Σ e^((logits − max)/T).
#include "cuda/rows.cuh"

namespace imago::cuda {
namespace {

struct Softmax {
  typedef Float32 Teacher;
  static constexpr bool two = false;
  static constexpr Expect expects = Expect::softmax;
  static constexpr Expect teacher_expects = Expect::softmax;
  static constexpr Precision precision = Precision::fast;
  static constexpr int passes = 1;
  static constexpr int sums = 1;

  float limit;
  float window;
  float scale;          // log₂e/T
  float twice_inverse;  // 2/T
  bool log_space;

  struct Row {
    float z_max;
    float factor;  // 1/Σ, or ln Σ
  };

  template <int pass>
  __device__ __forceinline__ bool wanted() const {
    return true;
  }
  __device__ __forceinline__ Row begin(const Batch&, size_t, float z_max, float) const { return {z_max, 0}; }

  template <int pass, class Real>
  __device__ __forceinline__ float term(const Row& row, int, float z, float, Real (&sums)[sums]) const {
    const float e = exp2_fast((z - row.z_max) * scale);
    sums[0] += e;
    return e;
  }
  template <int pass>
  __device__ __forceinline__ void finish(Row& row, const double (&sums)[sums], double, Terms&) const {
    row.factor = static_cast<float>(log_space ? ::log(sums[0]) : 1 / sums[0]);
  }
  __device__ __forceinline__ float give(const Row& row, int, float z, float e) const {
    // Halves, since the difference of two finite logits may overflow float32.
    return log_space ? (z * 0.5f - row.z_max * 0.5f) * twice_inverse - row.factor : e * row.factor;
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(softmax) {
  using namespace imago::cuda;
  const double temperature = call->scalars[2];
  if (const int refused = check_temperature(call, temperature)) return refused;
  Batch batch;
  if (const int refused = batch_of(call, {.student = 0, .gradient = 1}, batch)) return refused;
  if (const int refused = prepare(call, "softmax", batch, 0)) return refused;
  Softmax op{};
  op.limit = 3.402823466e38f;
  op.window = static_cast<float>(5 * temperature);
  op.scale = static_cast<float>(1.4426950408889634 / temperature);
  op.twice_inverse = static_cast<float>(2 / temperature);
  op.log_space = call->scalars[3] != 0;
  return done(call, launch_rows(op, batch, stream(call)));
}
