// β·KL(p ‖ m) + (1 − β)·KL(q ‖ m), m = β·p + (1 − β)·q, p = softmax(v/T), q = softmax(z/T), and its gradient.
#include "cuda/divergences.cuh"

IMAGO_KERNEL(js_divergence) {
  using namespace imago::cuda;
  const double beta = call->scalars[3];
  if (!(beta > 0 && beta < 1)) return refuse(call, "beta must be in (0, 1), got %g", beta);
  return divergence_loss(call, "js_divergence", JensenShannon{beta}, call->scalars[4]);
}
