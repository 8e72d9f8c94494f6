// ½·Σ |softmax(z/T) − softmax(v/T)| and its gradient.
#include "common/divergence_loss.h"

IMAGO_KERNEL(total_variation) {
  return divergence_loss(call, TotalVariation{}, call->scalars[3]);
}
