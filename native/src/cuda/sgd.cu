// SGD with momentum and max-norm (Hinton et al. 2012, arXiv 1207.0580, section 2 and appendix A.1):
//   g = gradientScale·gradient + weightDecay·w;  v ← momentum·v − rate·g;  w ← w + v.
#include "cuda/weight_step.cuh"

namespace imago::cuda {
namespace {

struct Sgd {
  const float* parameter;
  const float* gradient;
  float* velocity;
  float momentum;
  float gradient_factor;  // −rate·gradientScale
  float decay_factor;     // −rate·weightDecay

  __device__ __forceinline__ float moved(size_t i) const {
    const float w = parameter[i];
    const float v = fmaf(velocity[i], momentum, fmaf(gradient[i], gradient_factor, w * decay_factor));
    velocity[i] = v;
    return w + v;
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(sgd) {
  using namespace imago::cuda;
  float* const parameter = buffer<float>(call, 0);
  const double* const s = call->scalars;
  const double rate = s[2], momentum = s[3], decay = s[4], gradient_scale = s[5], axis = s[6], limit = s[7];
  const Sgd rule{parameter,
                 buffer<const float>(call, 1),
                 buffer<float>(call, 2),
                 static_cast<float>(momentum),
                 static_cast<float>(-rate * gradient_scale),
                 static_cast<float>(-rate * decay)};
  return step_weights(call, rule, parameter, buffer<uint16_t>(call, 3), size(call, 0), size(call, 1), axis, limit);
}
