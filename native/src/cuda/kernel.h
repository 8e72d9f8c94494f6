// What every kernel file needs: its entry point, its arguments by position, and what belongs to the stream of the call.
#pragma once
#include <imago/kernel.h>

#include "common/refuse.h"
#include "cuda/launch.h"
#include "cuda/status.h"

/** Opens the function that the registry calls, int softmax(const imago_call* call): it enqueues on the call's stream and returns. */
#define IMAGO_KERNEL(name)               \
  namespace imago::cuda {                \
  int name(const imago_call* call);      \
  }                                      \
  int imago::cuda::name(const imago_call* call)

namespace imago::cuda {

/** Device memory, or null where the buffer was left out. */
template <class T>
inline T* buffer(const imago_call* call, size_t position) {
  return static_cast<T*>(call->buffers[position].data);
}
inline size_t size(const imago_call* call, size_t position) { return static_cast<size_t>(call->scalars[position]); }
inline cudaStream_t stream(const imago_call* call) { return static_cast<cudaStream_t>(call->stream); }

/** `return done(call, launch(…))`: 0, or the refusal with CUDA's reason. */
inline int done(const imago_call* call, cudaError_t error) {
  return error == cudaSuccess ? 0 : refuse(call, "CUDA: %s", cudaGetErrorString(error));
}

/** packages/kernels/src/guard.ts has the same limits. */
inline int check_temperature(const imago_call* call, double temperature) {
  if (temperature >= 1e-38 && temperature <= 1e30) return 0;
  return refuse(call, "temperature must be in [1e-38, 1e30], got %g", temperature);
}

/** Where the rows of this call are reported. `kernel` is its name in the table. Null word: no memory for one; refuse. */
Status status_of(const imago_call* call, const char* kernel);

/**
 * Device memory for this call alone, 256-byte aligned, not zeroed. The next call on the stream gets the same memory; so does a graph, each
 * time it is launched. Null where there is none.
 */
void* scratch(const imago_call* call, size_t bytes);

/** What launches are cut by; of the device that is current. */
struct Device {
  int multiprocessors;
  int compute_capability;        // 10·major + minor
  size_t shared_bytes_per_block;  // with opt-in, above 48 KiB
  size_t l2_bytes;
};
const Device& device();

/** Blocks of `threads` for n elements, `each` of them a thread: at most 32 blocks a multiprocessor, for loops with a stride of the grid. */
inline unsigned blocks_for(size_t n, unsigned threads, size_t each = 1) {
  const size_t wanted = (n + threads * each - 1) / (threads * each);
  const size_t most = static_cast<size_t>(device().multiprocessors) * 32;
  return static_cast<unsigned>(wanted < 1 ? 1 : wanted < most ? wanted : most);
}

}  // namespace imago::cuda
