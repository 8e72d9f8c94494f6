// ½·Σ |softmax(z/T) − softmax(v/T)| and its gradient.
#include "cuda/divergences.cuh"

IMAGO_KERNEL(total_variation) {
  using namespace imago::cuda;
  return divergence_loss(call, "total_variation", TotalVariation{}, call->scalars[3]);
}
