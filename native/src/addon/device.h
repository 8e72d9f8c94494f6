// Devices as JavaScript sees them: handles of memory, streams, events and graphs, and functions over them.
#pragma once
#include <imago/kernel.h>
#include <napi.h>

#include <memory>
#include <vector>

namespace imago {

/** Device memory that is given back when nobody holds it any more: a tensor, its views, the graphs that name it. */
struct Allocation {
  int device;
  void* pointer;
  size_t bytes;
  ~Allocation();
};

/** Part of an allocation, as a kernel's buffer. */
struct DeviceMemory {
  std::shared_ptr<Allocation> allocation;  // null once it is disposed
  size_t offset;                           // bytes
  size_t length;                           // elements
  uint32_t type;

  unsigned char* data() const { return static_cast<unsigned char*>(allocation->pointer) + offset; }
};

/** The device memory behind a value, or null where it is something else. */
DeviceMemory* device_memory(Napi::Env env, napi_value value);

/** Runs a kernel's CUDA function with the arguments from `first` on: buffers of device memory, scalars, the stream. */
void call_on_device(const Napi::CallbackInfo& info, const imago_kernel& kernel, size_t first);

/** The functions of binding.ts's CudaBinding. */
Napi::Object cuda_binding(Napi::Env env);

}  // namespace imago
