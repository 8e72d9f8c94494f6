// Copies from global to shared memory that the copy engine does by itself (1-D bulk TMA, sm_90 and above), cut into chunks with a barrier
// each, so that the first can be worked on while the others are under way.
#pragma once
#include "cuda/launch.h"

namespace imago::cuda {

constexpr int bulk_chunks = 4;
/** The engine moves whole 16-byte words between addresses that are multiples of 16. */
constexpr int bulk_word = 16;

/**
 * What of a row's slice of n elements the engine can move: `inner` elements from `head` on. What is before and behind, at most 15 bytes
 * each, its threads read themselves.
 */
struct BulkPart {
  int head;
  int inner;
  template <class T>
  __device__ __forceinline__ static BulkPart of(const T* p, int n) {
    constexpr int word = bulk_word / static_cast<int>(sizeof(T));
    const int misplaced = static_cast<int>(reinterpret_cast<uintptr_t>(p) / sizeof(T)) % word;
    const int head = misplaced == 0 ? 0 : word - misplaced;
    return head < n ? BulkPart{head, (n - head) / word * word} : BulkPart{n, 0};
  }
  __device__ __forceinline__ bool has(int i) const { return i >= head && i < head + inner; }
};

#if !IMAGO_CUDA_EMULATION && (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900)
/** Barriers in shared memory, one a chunk, each used once. */
struct BulkBarriers {
  uint64_t words[bulk_chunks];

  __device__ __forceinline__ unsigned address(int chunk) { return static_cast<unsigned>(__cvta_generic_to_shared(&words[chunk])); }

  /** By one thread, before a barrier of the block. */
  __device__ __forceinline__ void init() {
    for (int i = 0; i < bulk_chunks; i++) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address(i)) : "memory");
    // The engine looks at the barriers by another way than the block's threads do.
    asm volatile("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async.shared::cta;" ::: "memory");
  }
  /** Says how many bytes chunk `chunk` will bring in all. */
  __device__ __forceinline__ void expect(int chunk, unsigned bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address(chunk)), "r"(bytes) : "memory");
  }
  __device__ __forceinline__ void copy(int chunk, void* to, const void* from, unsigned bytes) {
    if (bytes == 0) return;
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     static_cast<unsigned>(__cvta_generic_to_shared(to))),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(address(chunk))
                 : "memory");
  }
  __device__ __forceinline__ void wait(int chunk) {
    unsigned done = 0;
    while (!done)
      asm volatile(
          "{\n\t.reg .pred p;\n\tmbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0;\n\tselp.u32 %0, 1, 0, p;\n\t}"
          : "=r"(done)
          : "r"(address(chunk))
          : "memory");
  }
};
#else
/** Without a copy engine the thread that asks for a copy makes it; the block's next barrier is the wait. */
struct BulkBarriers {
  __device__ __forceinline__ void init() {}
  __device__ __forceinline__ void expect(int, unsigned) {}
  __device__ __forceinline__ void copy(int, void* to, const void* from, unsigned bytes) { memcpy(to, from, bytes); }
  __device__ __forceinline__ void wait(int) {}
};
#endif

}  // namespace imago::cuda
