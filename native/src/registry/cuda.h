// The library of CUDA kernels: opened when somebody first asks for it, from beside the addon.
#pragma once
#include <imago/kernel.h>

#include <string>
#include <string_view>

#include "cuda/device.h"

namespace imago {

struct Cuda {
  std::string path;
  const imago_device_table* devices = nullptr;  // null: it cannot be used, and reason says why
  const imago_library* kernels = nullptr;
  int count = 0;  // of devices
  std::string reason;
};

/**
 * Opens IMAGO_CUDA_PATH, or imago_cuda.so beside the addon; IMAGO_CUDA=0 opens nothing. Once per process: what it says stays.
 */
const Cuda& cuda();

/** The kernel of this name with its CUDA function, or null. */
const imago_kernel* find_cuda(std::string_view name);

}  // namespace imago
