// The kernels of this library for the registry: the descriptions of the CPU kernels of the same names, with CUDA functions.
#include "cuda/kernels.h"
#include "registry/builtin.h"

IMAGO_LIBRARY(cuda, IMAGO_CUDA_KERNELS, IMAGO_CUDA)

extern "C" const imago_library* imago_kernels(void) { return &imago::cuda::table; }
