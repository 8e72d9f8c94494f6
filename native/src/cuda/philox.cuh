// Philox 4x32-10 (Salmon et al. 2011), a block a thread; the same words as packages/tensor/src/philox.ts and common/philox.h.
#pragma once
#include "cuda/launch.h"

namespace imago::cuda {

struct PhiloxBlock {
  uint32_t words[4];
};

/** Block `block` of the stream under the key: the counter's lower 64 bits are its number. */
__device__ __forceinline__ PhiloxBlock philox(uint64_t block, uint32_t key0, uint32_t key1) {
  uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32), c2 = 0, c3 = 0;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const uint32_t high0 = __umulhi(c0, 0xd2511f53u), low0 = c0 * 0xd2511f53u;
    const uint32_t high1 = __umulhi(c2, 0xcd9e8d57u), low1 = c2 * 0xcd9e8d57u;
    c0 = high1 ^ c1 ^ key0;
    c1 = low1;
    c2 = high0 ^ c3 ^ key1;
    c3 = low0;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
  return {{c0, c1, c2, c3}};
}

/** Elements that come in groups of a block's, four floats at a time where the addresses allow it. */
__device__ __forceinline__ bool is_aligned(const float* p) { return reinterpret_cast<uintptr_t>(p) % sizeof(float4) == 0; }
__device__ __forceinline__ void load_four(const float* p, bool whole, size_t count, float (&x)[4]) {
  if (whole) {
    const float4 four = *reinterpret_cast<const float4*>(p);
    x[0] = four.x;
    x[1] = four.y;
    x[2] = four.z;
    x[3] = four.w;
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++) x[i] = static_cast<size_t>(i) < count ? p[i] : 0;
}
__device__ __forceinline__ void store_four(float* p, bool whole, size_t count, const float (&x)[4]) {
  if (whole) {
    *reinterpret_cast<float4*>(p) = make_float4(x[0], x[1], x[2], x[3]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
    if (static_cast<size_t>(i) < count) p[i] = x[i];
}

}  // namespace imago::cuda
