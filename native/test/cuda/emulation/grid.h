// One launch on the emulated device: blocks one after the other, the threads of a block as fibers that switch at barriers.
#pragma once
#include <cstddef>
#include <cstdint>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3() = default;
  constexpr dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

namespace emulation {

/** What a kernel sees of itself. */
struct Here {
  uint3 thread, block;
  dim3 block_size, grid_size;
  unsigned char* shared;
};
extern thread_local Here here;

/**
 * Runs body(context) once for every thread of the grid. Null, or what is wrong with the kernel: threads that wait for others that never
 * come, a mask that names a thread that has ended.
 */
const char* run_grid(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void* context), void* context);

/** __syncthreads, and how many threads passed a true predicate. */
unsigned barrier(bool predicate = false);

/** Waits for the lanes of the mask, and gives what each of them passed; lanes outside the mask have 0. */
const uint64_t* exchange(unsigned mask, uint64_t value);

/** Second half of an exchange: nobody may overwrite what others still read. */
void settle(unsigned mask);

unsigned lane();

}  // namespace emulation
