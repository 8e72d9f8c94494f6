#include "cuda/runtime.h"

namespace imago::cuda {
namespace {

__global__ void take(unsigned long long* word, unsigned long long* taken) { *taken = atomicExch(word, no_status); }

__global__ void merge(unsigned long long* word, unsigned long long* into, unsigned long long call) {
  const unsigned long long found = atomicExch(word, no_status);
  const unsigned long long rest = (1ull << status_call_shift) - 1;
  if (found != no_status) atomicMin(into, call | (found & rest));
}

}  // namespace

cudaError_t take_status(unsigned long long* word, unsigned long long* taken, cudaStream_t stream) {
  return launch(take, 1, 1, 0, stream, word, taken);
}

cudaError_t merge_status(unsigned long long* word, unsigned long long* into, unsigned long long call, cudaStream_t stream) {
  return launch(merge, 1, 1, 0, stream, word, into, call);
}

}  // namespace imago::cuda
