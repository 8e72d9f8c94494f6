// Memory that is kept: cudaMalloc and cudaFree wait for the device, and a training loop makes the same outputs again and again.
//
// A block that is released gets an event on every stream of its device. It is given out again when all of them have come: then
// nothing that was enqueued before the release uses it, on whatever stream.
#include <map>
#include <memory>
#include <unordered_map>

#include "cuda/runtime.h"

namespace imago::cuda {
namespace {

/** Whole multiples of 512 bytes, above 1 MiB of 1/8 of the power of two below: few sizes, little waste. */
size_t size_class(size_t bytes) {
#if IMAGO_CUDA_EMULATION
  return bytes;  // the emulation has guards around an allocation, which rounding would move away
#endif
  size_t step = 512;
  if (bytes > (size_t{1} << 20)) {
    step = size_t{1} << 17;
    while (step * 16 <= bytes) step *= 2;
  }
  return bytes == 0 ? step : (bytes + step - 1) / step * step;
}

struct Block {
  void* pointer;
  std::vector<cudaEvent_t> pending;
};

struct Pool {
  std::mutex lock;
  std::unordered_map<void*, size_t> live;
  std::multimap<size_t, Block> kept;
};

Pool& pool(int device) {
  static std::mutex lock;
  static auto* const pools = new std::map<int, std::unique_ptr<Pool>>;  // leaked: threads may outlive static destructors
  const std::lock_guard guard(lock);
  std::unique_ptr<Pool>& one = (*pools)[device];
  if (one == nullptr) one = std::make_unique<Pool>();
  return *one;
}

bool is_free(Block& block) {
  while (!block.pending.empty()) {
    if (cudaEventQuery(block.pending.back()) != cudaSuccess) {
      cudaGetLastError();
      return false;
    }
    cudaEventDestroy(block.pending.back());
    block.pending.pop_back();
  }
  return true;
}

cudaError_t empty(Pool& p) {
  cudaError_t error = cudaDeviceSynchronize();
  for (auto& [size, block] : p.kept) {
    for (const cudaEvent_t event : block.pending) cudaEventDestroy(event);
    const cudaError_t freed = cudaFree(block.pointer);
    if (error == cudaSuccess) error = freed;
  }
  p.kept.clear();
  return error;
}

}  // namespace

int allocate(int device, size_t bytes, void** pointer, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  const size_t size = size_class(bytes);
  Pool& p = pool(device);
  const std::lock_guard guard(p.lock);
  const auto [first, last] = p.kept.equal_range(size);
  for (auto at = first; at != last; ++at) {
    if (!is_free(at->second)) continue;
    *pointer = at->second.pointer;
    p.kept.erase(at);
    p.live.emplace(*pointer, size);
    return 0;
  }
  cudaError_t code = cudaMalloc(pointer, size);
  if (code == cudaErrorMemoryAllocation && !p.kept.empty()) {
    cudaGetLastError();
    empty(p);
    code = cudaMalloc(pointer, size);
  }
  if (code != cudaSuccess) {
    cudaGetLastError();
    size_t free_bytes = 0, total = 0;
    cudaMemGetInfo(&free_bytes, &total);
    std::snprintf(error->text, sizeof error->text, "%s: %.1f MiB wanted, %.1f of %.1f MiB free", cudaGetErrorString(code),
                  static_cast<double>(bytes) / 0x1p20, static_cast<double>(free_bytes) / 0x1p20, static_cast<double>(total) / 0x1p20);
    return 1;
  }
  p.live.emplace(*pointer, size);
  return 0;
}

int release(int device, void* pointer, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  const std::vector<cudaStream_t> streams = streams_of(device);
  Pool& p = pool(device);
  const std::lock_guard guard(p.lock);
  const auto found = p.live.find(pointer);
  if (found == p.live.end()) return answer(error, cudaErrorInvalidValue);
  Block block{pointer, {}};
  for (const cudaStream_t stream : streams) {
    cudaEvent_t event;
    cudaError_t code = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    if (code == cudaSuccess) {
      code = cudaEventRecord(event, stream);
      block.pending.push_back(event);
    }
    if (code != cudaSuccess) {
      // Not known when it is free: the driver knows.
      for (const cudaEvent_t made : block.pending) cudaEventDestroy(made);
      p.live.erase(found);
      cudaGetLastError();
      return answer(error, cudaFree(pointer));
    }
  }
  p.kept.emplace(found->second, std::move(block));
  p.live.erase(found);
  return 0;
}

int trim(int device, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  Pool& p = pool(device);
  const std::lock_guard guard(p.lock);
  return answer(error, empty(p));
}

int allocate_pinned(size_t bytes, void** pointer, imago_error* error) {
  return answer(error, cudaHostAlloc(pointer, bytes == 0 ? 1 : bytes, cudaHostAllocDefault));
}

int release_pinned(void* pointer, imago_error* error) { return answer(error, cudaFreeHost(pointer)); }

namespace {

/** Pinned memory is slow to make: up to this much of it is kept for the next read. */
constexpr size_t staging_kept = size_t{64} << 20;

struct Staging {
  std::mutex lock;
  std::multimap<size_t, void*> kept;
  std::unordered_map<void*, size_t> live;
  size_t kept_bytes = 0;
};
Staging& staging() {
  static Staging* const instance = new Staging;
  return *instance;
}

}  // namespace

cudaError_t take_staging(size_t bytes, void** pointer) {
  size_t size = 4096;
  while (size < bytes) size *= 2;
  if (size > staging_kept) size = bytes;
  Staging& s = staging();
  const std::lock_guard guard(s.lock);
  const auto found = s.kept.find(size);
  if (found != s.kept.end()) {
    *pointer = found->second;
    s.kept.erase(found);
    s.kept_bytes -= size;
  } else if (const cudaError_t code = cudaHostAlloc(pointer, size, cudaHostAllocDefault)) {
    return code;
  }
  s.live.emplace(*pointer, size);
  return cudaSuccess;
}

void give_staging(void* pointer) {
  Staging& s = staging();
  const std::lock_guard guard(s.lock);
  const auto found = s.live.find(pointer);
  if (found == s.live.end()) return;
  const size_t size = found->second;
  s.live.erase(found);
  if (s.kept_bytes + size > staging_kept) {
    cudaFreeHost(pointer);
    return;
  }
  s.kept.emplace(size, pointer);
  s.kept_bytes += size;
}

}  // namespace imago::cuda
