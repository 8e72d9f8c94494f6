// KL(softmax(z/T) ‖ softmax(v/T)), the student's own expectation, and its gradient.
#include "cuda/divergences.cuh"

IMAGO_KERNEL(reverse_kl) {
  using namespace imago::cuda;
  return divergence_loss(call, "reverse_kl", ReverseKullbackLeibler{}, call->scalars[3]);
}
