// (1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y) and its gradient (Hinton, Vinyals & Dean 2015, section 2).
#include "cuda/soft.cuh"

namespace imago::cuda {

template cudaError_t launch_rows(const Soft<Float32>&, const Batch&, cudaStream_t);
template cudaError_t launch_rows(const Soft<Float16>&, const Batch&, cudaStream_t);
template cudaError_t launch_rows(const Soft<Bfloat16>&, const Batch&, cudaStream_t);

}  // namespace imago::cuda

IMAGO_KERNEL(soft_target_loss) {
  using namespace imago::cuda;
  const double temperature = call->scalars[2], a = call->scalars[3];
  if (const int refused = check_temperature(call, temperature)) return refused;
  if (!(a >= 0 && a <= 1)) return refuse(call, "hardWeight must be in [0, 1], got %g", a);
  const Places places = {.student = 0, .teacher = 1, .labels = 2, .weights = 3, .gradient = 4, .mask = 6, .ignore_index = 4};
  const Finish result = soft_and_hard(buffer<double>(call, 5), temperature, a);
  return with_teacher(call, 1, call->scalars[5], [&](auto source) {
    const auto op = soft_of<decltype(source)>(temperature, (1 - a) * temperature, a);
    return run_loss(call, "soft_target_loss", places, result, op);
  });
}
