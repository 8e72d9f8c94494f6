#include "cuda/device.h"

#include <cstring>
#include <memory>

#include "cuda/runtime.h"

namespace imago::cuda {

const Device& device() {
  constexpr int most = 64;
  static Device known[most];
  static std::mutex lock;
  int current = 0;
  cudaGetDevice(&current);
  Device& one = known[current < most ? current : 0];
  const std::lock_guard guard(lock);
  if (one.multiprocessors == 0) {
    cudaDeviceProp p;
    if (cudaGetDeviceProperties(&p, current) != cudaSuccess) {
      static const Device least = {1, 75, 48 * 1024, 1 << 20};
      return least;
    }
    one = {p.multiProcessorCount, 10 * p.major + p.minor, p.sharedMemPerBlockOptin, static_cast<size_t>(p.l2CacheSize)};
  }
  return one;
}

namespace {

cudaStream_t cast(void* stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t event_of(void* event) { return static_cast<cudaEvent_t>(event); }

int count(int* count, imago_error* error) { return answer(error, cudaGetDeviceCount(count)); }

int properties(int device, imago_device_properties* properties, imago_error* error) {
  cudaDeviceProp p;
  if (const cudaError_t code = cudaGetDeviceProperties(&p, device)) return answer(error, code);
  std::snprintf(properties->name, sizeof properties->name, "%s", p.name);
  properties->memory = p.totalGlobalMem;
  properties->major = p.major;
  properties->minor = p.minor;
  properties->multiprocessors = p.multiProcessorCount;
  properties->l2 = static_cast<uint64_t>(p.l2CacheSize);
#if IMAGO_CUDA_EMULATION
  properties->emulated = 1;
#else
  properties->emulated = 0;
#endif
  return 0;
}

int use(int device, imago_error* error) { return answer(error, cudaSetDevice(device)); }

int free_memory(int device, uint64_t* bytes, imago_error* error) {
  if (use(device, error) != 0) return 1;
  size_t free_bytes = 0, total = 0;
  const cudaError_t code = cudaMemGetInfo(&free_bytes, &total);
  *bytes = free_bytes;
  return answer(error, code);
}

int upload_pinned(int device, void* stream, void* to, const void* from, size_t bytes, imago_error* error) {
  if (use(device, error) != 0) return 1;
  return bytes == 0 ? 0 : answer(error, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cast(stream)));
}

int upload(int device, void* stream, void* to, const void* from, size_t bytes, imago_error* error) {
#if IMAGO_CUDA_EMULATION
  // Its queue runs later, and pageable memory must have been read by then.
  if (use(device, error) != 0) return 1;
  if (bytes == 0) return 0;
  auto* const copy = new unsigned char[bytes];
  std::memcpy(copy, from, bytes);
  return answer(error, ::emulation::enqueue(cast(stream), [=, copy = std::shared_ptr<unsigned char[]>(copy)] { std::memcpy(to, copy.get(), bytes); }));
#else
  return upload_pinned(device, stream, to, from, bytes, error);
#endif
}

int copy(int device, void* stream, void* to, const void* from, size_t bytes, imago_error* error) {
  if (use(device, error) != 0) return 1;
  return bytes == 0 ? 0 : answer(error, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cast(stream)));
}

int fill(int device, void* stream, void* to, int byte, size_t bytes, imago_error* error) {
  if (use(device, error) != 0) return 1;
  return bytes == 0 ? 0 : answer(error, cudaMemsetAsync(to, byte, bytes, cast(stream)));
}

/** 0 with `finished`, or 1 where asking failed. */
int is_finished(cudaError_t code, int* finished, imago_error* error) {
  *finished = code == cudaSuccess;
  if (code != cudaErrorNotReady) return answer(error, code);
  cudaGetLastError();
  return 0;
}

int stream_query(int device, void* stream, int* finished, imago_error* error) {
  if (use(device, error) != 0) return 1;
  return is_finished(cudaStreamQuery(cast(stream)), finished, error);
}

int event_create(int device, void** event, imago_error* error) {
  if (use(device, error) != 0) return 1;
  cudaEvent_t made;
  if (const cudaError_t code = cudaEventCreateWithFlags(&made, cudaEventBlockingSync)) return answer(error, code);
  *event = made;
  return 0;
}

int event_destroy(void* event, imago_error* error) { return answer(error, cudaEventDestroy(event_of(event))); }

int event_record(int device, void* event, void* stream, imago_error* error) {
  if (use(device, error) != 0) return 1;
  return answer(error, cudaEventRecord(event_of(event), cast(stream)));
}

int event_query(void* event, int* finished, imago_error* error) { return is_finished(cudaEventQuery(event_of(event)), finished, error); }

int stream_wait(int device, void* stream, void* event, imago_error* error) {
  if (use(device, error) != 0) return 1;
  return answer(error, cudaStreamWaitEvent(cast(stream), event_of(event), 0));
}

int event_elapsed(void* from, void* to, float* milliseconds, imago_error* error) {
  cudaError_t code = cudaEventSynchronize(event_of(from));
  if (code == cudaSuccess) code = cudaEventSynchronize(event_of(to));
  if (code == cudaSuccess) code = cudaEventElapsedTime(milliseconds, event_of(from), event_of(to));
  return answer(error, code);
}

constexpr imago_device_table table = {
    IMAGO_DEVICE_VERSION, sizeof(imago_device_table),
    count,         properties,    free_memory,
    allocate,      release,       trim,
    allocate_pinned, release_pinned,
    upload,        upload_pinned, copy, fill,
    stream_create, stream_destroy, stream_query,
    wait_begin,    wait_end,
    event_create,  event_destroy, event_record, event_query, stream_wait, event_elapsed,
    capture_begin, capture_end,   graph_launch, graph_destroy,
    use,
};

}  // namespace
}  // namespace imago::cuda

extern "C" const imago_device_table* imago_device(void) { return &imago::cuda::table; }
