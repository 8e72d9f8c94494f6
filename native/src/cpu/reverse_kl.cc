// KL(softmax(z/T) ‖ softmax(v/T)), the student's own expectation, and its gradient.
#include "common/divergence_loss.h"

IMAGO_KERNEL(reverse_kl) {
  return divergence_loss(call, ReverseKullbackLeibler{}, call->scalars[3]);
}
