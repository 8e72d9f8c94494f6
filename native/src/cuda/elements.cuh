// Loops over n elements that have nothing to do with each other.
#pragma once
#include "cuda/kernel.h"
#include "cuda/row_math.cuh"

namespace imago::cuda {

constexpr unsigned element_threads = 256;
/** So many elements of a thread are under way at once: four loads of four bytes hide the memory's latency. */
constexpr int element_steps = 4;

/** work(i) for every i < n. Neighbouring threads have neighbouring elements: no alignment is asked for. */
template <class Work>
__global__ void __launch_bounds__(element_threads) work_on_elements(Work work, size_t n) {
  const size_t stride = static_cast<size_t>(gridDim.x) * element_threads;
  for (size_t start = static_cast<size_t>(blockIdx.x) * element_threads + threadIdx.x; start < n; start += element_steps * stride) {
#pragma unroll
    for (int j = 0; j < element_steps; j++)
      if (start + j * stride < n) work(start + j * stride);
  }
}

template <class Work>
int each_element(const imago_call* call, size_t n, const Work& work) {
  if (n == 0) return 0;
  return done(call, launch(work_on_elements<Work>, dim3(blocks_for(n, element_threads, element_steps)), dim3(element_threads), 0, stream(call),
                           work, n));
}

}  // namespace imago::cuda
