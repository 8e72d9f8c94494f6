// Threads that work on one row together, and what they find out together: maxima and sums, the same number in every thread and the
// same bits in every run. A warp, a block, or a cluster of blocks.
#pragma once
#include "cuda/launch.h"
#include "cuda/row_math.cuh"

namespace imago::cuda {

constexpr unsigned all_lanes = 0xffffffffu;

/** The warp's largest x. */
IMAGO_DEVICE float warp_max(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x = fmaxf(x, __shfl_xor_sync(all_lanes, x, distance));
  return x;
}
/** The warp's sum; a butterfly, so that every lane adds the same numbers in the same tree. */
IMAGO_DEVICE double warp_sum(double x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(all_lanes, x, distance);
  return x;
}

struct WarpTeam {
  static constexpr int threads = 32;
  __device__ __forceinline__ int rank() const { return threadIdx.x % 32; }
  template <int N>
  __device__ __forceinline__ void max(float (&x)[N]) const {
#pragma unroll
    for (int k = 0; k < N; k++) x[k] = warp_max(x[k]);
  }
  template <int N>
  __device__ __forceinline__ void sum(double (&x)[N]) const {
#pragma unroll
    for (int k = 0; k < N; k++) x[k] = warp_sum(x[k]);
  }
};

/** How many numbers a block finds out at once, at most. */
constexpr int max_terms = 8;

#if !IMAGO_CUDA_EMULATION && (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900)
/** The cluster that the block belongs to: its place in it, and the shared memory of the others. */
struct Cluster {
  __device__ __forceinline__ static unsigned rank() {
    unsigned x;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(x));
    return x;
  }
  __device__ __forceinline__ static unsigned size() {
    unsigned x;
    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(x));
    return x;
  }
  /**
   * Waits for all threads of the cluster; what they wrote to shared memory before is seen after. Not the .aligned form: nobody
   * promises that a warp has come together again behind `if (threadIdx.x == 0)`.
   */
  __device__ __forceinline__ static void sync() {
    asm volatile("barrier.cluster.arrive.release;\n\tbarrier.cluster.wait.acquire;" ::: "memory");
  }
  /** The double at `p` of this block's shared memory, as block `rank` has it. */
  __device__ __forceinline__ static double read(const double* p, unsigned rank) {
    unsigned address;
    double x;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(static_cast<unsigned>(__cvta_generic_to_shared(p))), "r"(rank));
    asm volatile("ld.shared::cluster.f64 %0, [%1];" : "=d"(x) : "r"(address) : "memory");
    return x;
  }
};
#else
/** Without clusters every block is one of its own. */
struct Cluster {
  __device__ __forceinline__ static unsigned rank() { return 0; }
  __device__ __forceinline__ static unsigned size() { return 1; }
  __device__ __forceinline__ static void sync() { __syncthreads(); }
  __device__ __forceinline__ static double read(const double* p, unsigned) { return *p; }
};
#endif

/**
 * A block, or with `clustered` all blocks of its cluster. Every number goes through shared memory that the next but one overwrites: between
 * the two lies the barrier of the one between, behind which nobody reads the first any more.
 */
template <int count, bool clustered = false>
struct BlockTeam {
  static constexpr int threads = count;
  static constexpr int warps = count / 32;
  static_assert(count % 32 == 0 && warps <= 32, "a block is whole warps, at most 32");

  __device__ __forceinline__ int rank() const { return threadIdx.x; }
  template <int N>
  __device__ __forceinline__ void max(float (&x)[N]) {
    double wide[N];
#pragma unroll
    for (int k = 0; k < N; k++) wide[k] = static_cast<double>(warp_max(x[k]));
    exchange(wide, [](double a, double b) { return a > b ? a : b; }, -static_cast<double>(infinity()));
#pragma unroll
    for (int k = 0; k < N; k++) x[k] = static_cast<float>(wide[k]);
  }
  template <int N>
  __device__ __forceinline__ void sum(double (&x)[N]) {
#pragma unroll
    for (int k = 0; k < N; k++) x[k] = warp_sum(x[k]);
    exchange(x, [](double a, double b) { return a + b; }, 0.0);
  }
  /** Before a block of a cluster ends: others may still read what it found. */
  __device__ __forceinline__ void leave() const {
    if constexpr (clustered) Cluster::sync();
  }

 private:
  /** Folds what the warps have found, and then what the blocks have. */
  template <int N, class Fold>
  __device__ __forceinline__ void exchange(double (&x)[N], Fold fold, double neutral) {
    static_assert(N <= max_terms, "room in shared memory");
    __shared__ double of_warps[2][warps][max_terms];
    __shared__ double of_blocks[2][max_terms];
    const int lane = threadIdx.x % 32;
    if (lane == 0)
#pragma unroll
      for (int k = 0; k < N; k++) of_warps[slot_][threadIdx.x / 32][k] = x[k];
    __syncthreads();
#pragma unroll
    for (int k = 0; k < N; k++) x[k] = butterfly(lane < warps ? of_warps[slot_][lane][k] : neutral, fold);
    if constexpr (clustered) {
      if (threadIdx.x == 0)
#pragma unroll
        for (int k = 0; k < N; k++) of_blocks[slot_][k] = x[k];
      Cluster::sync();
#pragma unroll
      for (int k = 0; k < N; k++)
        x[k] = butterfly(lane < static_cast<int>(Cluster::size()) ? Cluster::read(&of_blocks[slot_][k], lane) : neutral, fold);
    }
    slot_ ^= 1;
  }
  template <class Fold>
  __device__ __forceinline__ static double butterfly(double x, Fold fold) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) x = fold(x, __shfl_xor_sync(all_lanes, x, distance));
    return x;
  }
  int slot_ = 0;
};

}  // namespace imago::cuda
