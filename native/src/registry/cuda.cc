#include "registry/cuda.h"

#include <cstdlib>
#include <filesystem>

#include "registry/shared_object.h"

namespace imago {
namespace {

template <class Table>
const Table* table_of(const std::string& path, const char* symbol, std::string& reason) {
  void* const address = open_symbol(path, symbol, reason);
  return address == nullptr ? nullptr : reinterpret_cast<const Table* (*)()>(address)();
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::u8path(path), ignored);
}

Cuda open() {
  Cuda cuda;
  const char* const off = std::getenv("IMAGO_CUDA");
  if (off != nullptr && std::string_view(off) == "0") {
    cuda.reason = "switched off by IMAGO_CUDA=0";
    return cuda;
  }
  const char* const asked = std::getenv("IMAGO_CUDA_PATH");
  cuda.path = asked != nullptr && *asked != '\0' ? asked : beside_this("imago_cuda.so");
  if (cuda.path.empty() || !exists(cuda.path)) {
    cuda.reason = cuda.path + ": no such file; this build has no CUDA kernels (they need nvcc: IMAGO_CUDA=1 npm run build)";
    return cuda;
  }
  std::string problem;
  const auto* const devices = table_of<imago_device_table>(cuda.path, "imago_device", problem);
  const auto* const kernels = devices == nullptr ? nullptr : table_of<imago_library>(cuda.path, "imago_kernels", problem);
  if (kernels == nullptr) {
    cuda.reason = cuda.path + ": " + problem;
    return cuda;
  }
  if (devices->version != IMAGO_DEVICE_VERSION || devices->struct_size < sizeof(imago_device_table) ||
      kernels->abi_version != IMAGO_ABI_VERSION) {
    cuda.reason = cuda.path + ": is of another version than this addon; build or install both anew";
    return cuda;
  }
  imago_error error{};
  if (devices->count(&cuda.count, &error) != 0 || cuda.count == 0) {
    cuda.reason = std::string("CUDA: ") + (*error.text == '\0' ? "no device" : error.text);
    return cuda;
  }
  cuda.devices = devices;
  cuda.kernels = kernels;
  return cuda;
}

}  // namespace

const Cuda& cuda() {
  static const Cuda* const instance = new Cuda(open());  // leaked: worker threads may outlive static destructors
  return *instance;
}

const imago_kernel* find_cuda(std::string_view name) {
  const Cuda& library = cuda();
  if (library.kernels == nullptr) return nullptr;
  for (size_t i = 0; i < library.kernels->kernel_count; i++) {
    const imago_kernel* const kernel = library.kernels->kernels[i];
    if (name == kernel->name && kernel->cuda != nullptr) return kernel;
  }
  return nullptr;
}

}  // namespace imago
