// AdamW (Loshchilov & Hutter 2019, algorithm 2): bias-corrected moments, decay apart from the gradient; max-norm along with it.
#include <cmath>

#include "cuda/weight_step.cuh"

namespace imago::cuda {
namespace {

/** The step's constants are rounded once from float64. */
struct AdamW {
  const float* parameter;
  const float* gradient;
  float* m;
  float* v;
  float gradient_scale, beta1, rest1, beta2, rest2, keep, rate, inverse_correction2, epsilon;

  __device__ __forceinline__ float moved(size_t i) const {
    const float g = gradient[i] * gradient_scale;
    const float first = fmaf(m[i], beta1, g * rest1);
    const float second = fmaf(v[i], beta2, g * g * rest2);
    m[i] = first;
    v[i] = second;
    const float direction = first / (::sqrtf(second * inverse_correction2) + epsilon);
    return fmaf(direction, -rate, parameter[i] * keep);
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(adamw) {
  using namespace imago::cuda;
  float* const parameter = buffer<float>(call, 0);
  const double* const s = call->scalars;
  const double rate = s[2], beta1 = s[3], beta2 = s[4], epsilon = s[5], decay = s[6], gradient_scale = s[7], t = s[8];
  const double axis = s[9], limit = s[10];
  if (!(t >= 1)) return refuse(call, "step counts from 1, got %g", t);
  const AdamW rule{parameter,
                   buffer<const float>(call, 1),
                   buffer<float>(call, 2),
                   buffer<float>(call, 3),
                   static_cast<float>(gradient_scale),
                   static_cast<float>(beta1),
                   static_cast<float>(1 - beta1),
                   static_cast<float>(beta2),
                   static_cast<float>(1 - beta2),
                   static_cast<float>(1 - rate * decay),
                   static_cast<float>(rate / (1 - std::pow(beta1, t))),
                   static_cast<float>(1 / (1 - std::pow(beta2, t))),
                   static_cast<float>(epsilon)};
  return step_weights(call, rule, parameter, buffer<uint16_t>(call, 4), size(call, 0), size(call, 1), axis, limit);
}
