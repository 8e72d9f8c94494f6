// AdamW (Loshchilov & Hutter 2019, algorithm 2): bias-corrected moments, decay apart from the gradient.
#include <math.h>

#include "common/parallel.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** The step's constants, rounded once from float64. */
struct AdamW {
  float gradient_scale, beta1, rest1, beta2, rest2, keep, rate, inverse_correction2, epsilon;

  IMAGO_INLINE void step(const AdamW& s, F& parameter, F gradient, F& m, F& v) {
    const F g = gradient * s.gradient_scale;
    m = fma(m, all(s.beta1), g * s.rest1);
    v = fma(v, all(s.beta2), g * g * s.rest2);
    const F direction = m / (sqrt(v * s.inverse_correction2) + s.epsilon);
    parameter = fma(direction, all(-s.rate), parameter * s.keep);
  }
};

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(adamw) {
  float* const parameter = buffer<float>(call, 0);
  const float* const gradient = buffer<const float>(call, 1);
  float* const m = buffer<float>(call, 2);
  float* const v = buffer<float>(call, 3);
  const size_t n = size(call, 0);
  const double* const s = call->scalars;
  const double rate = s[1], beta1 = s[2], beta2 = s[3], epsilon = s[4], decay = s[5], gradient_scale = s[6], t = s[7];
  if (!(t >= 1)) return refuse(call, "step counts from 1, got %g", t);
  const AdamW constants{static_cast<float>(gradient_scale),
                        static_cast<float>(beta1),
                        static_cast<float>(1 - beta1),
                        static_cast<float>(beta2),
                        static_cast<float>(1 - beta2),
                        static_cast<float>(1 - rate * decay),
                        static_cast<float>(rate / (1 - ::pow(beta1, t))),
                        static_cast<float>(1 / (1 - ::pow(beta2, t))),
                        static_cast<float>(epsilon)};
  parallel(n, Chunks::of(n, 1, 16), [&](size_t, size_t first, size_t end) {
    size_t i = first;
    for (; i + W <= end; i += W) {
      F p = load(parameter + i), a = load(m + i), b = load(v + i);
      AdamW::step(constants, p, load(gradient + i), a, b);
      store(parameter + i, p);
      store(m + i, a);
      store(v + i, b);
    }
    if (i < end) {
      const size_t rest = end - i;
      F p = load_part(parameter + i, rest, 0), a = load_part(m + i, rest, 0), b = load_part(v + i, rest, 0);
      AdamW::step(constants, p, load_part(gradient + i, rest, 0), a, b);
      store_part(parameter + i, rest, p);
      store_part(m + i, rest, a);
      store_part(v + i, rest, b);
    }
  });
  return 0;
}
