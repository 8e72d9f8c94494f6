// Σ x² in float64. Blocks sum their part in a fixed order, then one block sums the parts: the same bits for the same n on the same device.
#include "cuda/kernel.h"

namespace imago::cuda {
namespace {

constexpr unsigned threads = 256;

/** The sum over the block, in thread 0. */
__device__ double block_sum(double x) {
  __shared__ double parts[threads / 32];
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_down_sync(0xffffffffu, x, offset);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  if (threadIdx.x != 0) return 0;
  double sum = 0;
  for (unsigned w = 0; w < threads / 32; w++) sum += parts[w];
  return sum;
}

__global__ void __launch_bounds__(threads) squares(const float* __restrict__ x, size_t n, double* __restrict__ parts) {
  double sum = 0;
  for (size_t i = size_t{blockIdx.x} * threads + threadIdx.x; i < n; i += size_t{gridDim.x} * threads) {
    const double value = x[i];
    sum += value * value;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(threads) total(const double* __restrict__ parts, unsigned count, double* __restrict__ result) {
  double sum = 0;
  for (unsigned i = threadIdx.x; i < count; i += threads) sum += parts[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *result = sum;
}

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(squared_norm) {
  const size_t n = size(call, 0);
  const unsigned blocks = blocks_for(n, threads, 4);
  auto* const parts = static_cast<double*>(scratch(call, blocks * sizeof(double)));
  if (parts == nullptr) return refuse(call, "no device memory for %u sums", blocks);
  if (const int refused = done(call, launch(squares, blocks, threads, 0, stream(call), buffer<const float>(call, 0), n, parts))) return refused;
  return done(call, launch(total, 1, threads, 0, stream(call), parts, blocks, buffer<double>(call, 1)));
}
