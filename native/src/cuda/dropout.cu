// x times the mask that dropout_mask would draw; what is dropped is 0 whatever it was.
#include "cuda/dropout.cuh"

IMAGO_KERNEL(dropout) {
  using namespace imago::cuda;
  return drop(call, buffer<const float>(call, 0), buffer<float>(call, 1));
}
