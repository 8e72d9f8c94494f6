// KL(softmax(v/T) ‖ softmax(z/T)) and its gradient (q − p)/T with respect to z.
#include "cuda/soft.cuh"

IMAGO_KERNEL(kl_divergence) {
  using namespace imago::cuda;
  const double temperature = call->scalars[2];
  if (const int refused = check_temperature(call, temperature)) return refused;
  const Places places = {.student = 0, .teacher = 1, .weights = 2, .gradient = 3, .mask = 5};
  const Finish result = {buffer<double>(call, 4), 1};
  return with_teacher(call, 1, call->scalars[3], [&](auto source) {
    const auto op = soft_of<decltype(source)>(temperature, 1 / temperature, 0);
    return run_loss(call, "kl_divergence", places, result, op);
  });
}
