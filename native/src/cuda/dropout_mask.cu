// 0 with probability t/65536, else 65536/(65536 − t).
#include "cuda/dropout.cuh"

IMAGO_KERNEL(dropout_mask) {
  using namespace imago::cuda;
  return drop(call, nullptr, buffer<float>(call, 0));
}
