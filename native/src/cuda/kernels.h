// The kernels that src/cuda has, one .cu each; their descriptions are those of the registry.
#pragma once

#define IMAGO_CUDA_KERNELS(X) \
  X(squared_norm)
