// parallel_for with a lambda. Chunks are cut by the problem alone, never by the number of threads.
#pragma once
#include "common/simd.h"
#include "common/thread_pool.h"

namespace imago::IMAGO_ISA {

/** Below this many elements a chunk is not worth waking a thread for. */
inline constexpr size_t chunk_elements = 1 << 15;
/** More chunks than this are not cut, so that what each one returns fits into an array on the stack. */
inline constexpr size_t max_chunks = 256;

/** `count` items cut into chunks of `size` items (the last may be smaller). */
struct Chunks {
  size_t count;
  size_t size;
  IMAGO_INLINE Chunks of(size_t items, size_t elements_per_item, size_t multiple_of) {
    if (items == 0) return {0, 1};
    size_t size = chunk_elements / (elements_per_item == 0 ? 1 : elements_per_item);
    const size_t least = (items + max_chunks - 1) / max_chunks;
    if (size < least) size = least;
    if (size == 0) size = 1;
    size = (size + multiple_of - 1) / multiple_of * multiple_of;
    return {(items + size - 1) / size, size};
  }
};

/** Runs task(chunk, first, end) for every chunk of [0, items), with the kernels' floating-point mode set. */
template <class Task>
IMAGO_INLINE void parallel(size_t items, Chunks chunks, Task task) {
  struct Context {
    Task* task;
    size_t items;
    size_t size;
  } context{&task, items, chunks.size};
  parallel_for(
      chunks.count,
      [](void* raw, size_t chunk) {
        const Context& c = *static_cast<Context*>(raw);
        const FloatingPointMode mode;
        const size_t first = chunk * c.size;
        const size_t end = first + c.size < c.items ? first + c.size : c.items;
        (*c.task)(chunk, first, end);
      },
      &context);
}

/** How many elements, below W, lie before the next whole vector in memory; at most `most`. */
IMAGO_INLINE size_t elements_to_alignment(const float* p, size_t most) {
  const size_t lead = (0 - reinterpret_cast<uintptr_t>(p)) % sizeof(F) / sizeof *p;
  return lead < most ? lead : most;
}

/**
 * Calls visit(i, count) with count ≤ W for all of [first, end), so that x + i is aligned but for the first: JavaScript's memory is
 * aligned to 16 bytes, and a vector that crosses a cache line costs two accesses. For element-wise work, whose results do
 * not depend on the cut.
 */
template <class Visit>
IMAGO_INLINE void each_vector(const float* x, size_t first, size_t end, Visit visit) {
  size_t i = first;
  const size_t lead = elements_to_alignment(x + first, end - first);
  if (lead != 0) visit(i, lead);
  for (i += lead; i + W <= end; i += W) visit(i, W);
  if (i < end) visit(i, end - i);
}

}  // namespace imago::IMAGO_ISA
