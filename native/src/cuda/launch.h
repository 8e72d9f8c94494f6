// What kernels write instead of what only nvcc understands, so that the same .cu compiles for a GPU and, as plain C++, for the
// emulation of one (native/test/cuda/emulation), where every thread of a block is a fiber.
//
// A kernel file uses launch(…) for <<<…>>>, IMAGO_SHARED for dynamic shared memory, and the functions below for inline PTX.
// What the emulation does not have (clusters, bulk copies, tensor cores) stands in #if !IMAGO_CUDA_EMULATION, with a path
// beside it that any device can run.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#ifndef IMAGO_CUDA_EMULATION
#define IMAGO_CUDA_EMULATION 0
#endif

/** 0 in files of the host, which may include this too. */
#if defined(__CUDACC__) || IMAGO_CUDA_EMULATION
#define IMAGO_DEVICE_CODE 1
#endif

#if IMAGO_DEVICE_CODE && !IMAGO_CUDA_EMULATION
/** The block's dynamic shared memory as `name`, a T*; 128-byte aligned. */
#define IMAGO_SHARED(T, name)                                  \
  extern __shared__ __align__(128) unsigned char imago_shared[]; \
  T* const name = reinterpret_cast<T*>(imago_shared)

namespace imago::cuda {

/** kernel<<<grid, block, shared_bytes, stream>>>(args…). Above 48 KiB it asks for the shared memory first. */
template <class... P, class... A>
inline cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A... args) {
  static_assert(sizeof...(P) == sizeof...(A), "a kernel takes as many arguments as it has parameters");
  if (shared_bytes > 48 * 1024) {
    const cudaError_t error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(shared_bytes));
    if (error != cudaSuccess) return error;
  }
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(args)...);
  return cudaGetLastError();
}

/** 2^x: relative error about 2e-7, results below 2^-126 are 0. */
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/** log2 x: absolute error about 1e-7 near 1, relative 1e-7 elsewhere. */
__device__ __forceinline__ float log2_fast(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
/** The number that IEEE half precision bits stand for. */
__device__ __forceinline__ float from_float16(uint16_t bits) {
  float y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(bits));
  return y;
}
/** The bits of the nearest half precision number, ties to even. */
__device__ __forceinline__ uint16_t to_float16(float x) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}

}  // namespace imago::cuda
#endif

#if IMAGO_DEVICE_CODE
namespace imago::cuda {

/** The number that bfloat16 bits stand for. */
__device__ __forceinline__ float from_bfloat16(uint16_t bits) { return __uint_as_float(static_cast<uint32_t>(bits) << 16); }

/** The bits of the nearest bfloat16 number, ties to even; NaN stays NaN. */
__device__ __forceinline__ uint16_t to_bfloat16(float x) {
  const uint32_t bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace imago::cuda
#endif
