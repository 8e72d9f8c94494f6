// The part of CUDA that imago uses, for a compiler of plain C++: the runtime's functions (runtime.cc) with memory of the host behind them,
// and what a kernel may say. Streams are queues that run when somebody waits for them, so that who does not wait sees it.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>

#include "grid.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__

#define threadIdx (::emulation::here.thread)
#define blockIdx (::emulation::here.block)
#define blockDim (::emulation::here.block_size)
#define gridDim (::emulation::here.grid_size)
inline constexpr int warpSize = 32;

#define IMAGO_SHARED(T, name) T* const name = reinterpret_cast<T*>(::emulation::here.shared)

// Vectors.

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(4) ushort2 { unsigned short x, y; };
struct alignas(8) ushort4 { unsigned short x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline ushort2 make_ushort2(unsigned short x, unsigned short y) { return {x, y}; }
inline ushort4 make_ushort4(unsigned short x, unsigned short y, unsigned short z, unsigned short w) { return {x, y, z, w}; }
inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) { return {x, y, z, w}; }

// Barriers and warps.

inline void __syncthreads() { ::emulation::barrier(); }
inline int __syncthreads_count(int predicate) { return static_cast<int>(::emulation::barrier(predicate != 0)); }
inline int __syncthreads_or(int predicate) { return ::emulation::barrier(predicate != 0) != 0; }
inline int __syncthreads_and(int predicate) { return ::emulation::barrier(predicate == 0) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) { ::emulation::settle(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

namespace emulation {

template <class T, class Source>
inline T shuffle(unsigned mask, T value, Source source) {
  static_assert(sizeof(T) <= 8, "shuffles move at most 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const uint64_t* const values = exchange(mask, bits);
  const int self = static_cast<int>(lane());
  int from = source(self);
  if (!(mask >> from & 1)) from = self;  // undefined on a device
  std::memcpy(&value, &values[from], sizeof value);
  settle(mask);
  return value;
}
inline unsigned ballot(unsigned mask, bool predicate) {
  const uint64_t* const values = exchange(mask, predicate ? 1 : 0);
  unsigned bits = 0;
  for (unsigned l = 0; l < 32; l++)
    if ((mask >> l & 1) && values[l] != 0) bits |= 1u << l;
  settle(mask);
  return bits;
}
template <class T, class Combine>
inline T reduce(unsigned mask, T value, Combine combine) {
  const uint64_t* const values = exchange(mask, static_cast<uint64_t>(value));
  bool first = true;
  T result{};
  for (unsigned l = 0; l < 32; l++) {
    if (!(mask >> l & 1)) continue;
    result = first ? static_cast<T>(values[l]) : combine(result, static_cast<T>(values[l]));
    first = false;
  }
  settle(mask);
  return result;
}

}  // namespace emulation

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return ::emulation::shuffle(mask, value, [=](int self) { return (self & ~(width - 1)) + (source & (width - 1)); });
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32) {
  return ::emulation::shuffle(mask, value, [=](int self) { return (self ^ bits) < (self & ~(width - 1)) + width ? self ^ bits : self; });
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return ::emulation::shuffle(mask, value, [=](int self) {
    return (self & (width - 1)) + static_cast<int>(by) < width ? self + static_cast<int>(by) : self;
  });
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  return ::emulation::shuffle(mask, value, [=](int self) {
    return (self & (width - 1)) >= static_cast<int>(by) ? self - static_cast<int>(by) : self;
  });
}
inline unsigned __ballot_sync(unsigned mask, int predicate) { return ::emulation::ballot(mask, predicate != 0); }
inline int __any_sync(unsigned mask, int predicate) { return ::emulation::ballot(mask, predicate != 0) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return ::emulation::ballot(mask, predicate == 0) == 0; }
template <class T>
inline T __reduce_add_sync(unsigned mask, T value) {
  return ::emulation::reduce(mask, value, [](T a, T b) { return static_cast<T>(a + b); });
}
template <class T>
inline T __reduce_max_sync(unsigned mask, T value) {
  return ::emulation::reduce(mask, value, [](T a, T b) { return a < b ? b : a; });
}
template <class T>
inline T __reduce_min_sync(unsigned mask, T value) {
  return ::emulation::reduce(mask, value, [](T a, T b) { return b < a ? b : a; });
}

// Atomics: blocks run one after the other and fibers switch at barriers only, but streams may run on several threads.

template <class T>
inline T atomicAdd(T* p, T value) {
  T old;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  for (;;) {
    T next = old + value;
    if (__atomic_compare_exchange(p, &old, &next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return old;
  }
}
template <class T>
inline T atomicMin(T* p, T value) {
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (value < old && !__atomic_compare_exchange_n(p, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  return old;
}
template <class T>
inline T atomicMax(T* p, T value) {
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (old < value && !__atomic_compare_exchange_n(p, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  return old;
}
template <class T>
inline T atomicExch(T* p, T value) {
  T old;
  __atomic_exchange(p, &value, &old, __ATOMIC_RELAXED);
  return old;
}
template <class T>
inline T atomicCAS(T* p, T compare, T value) {
  __atomic_compare_exchange_n(p, &compare, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return compare;
}
template <class T>
inline T atomicOr(T* p, T value) {
  return __atomic_fetch_or(p, value, __ATOMIC_RELAXED);
}
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  const unsigned old = *p;
  *p = old >= limit ? 0 : old + 1;
  return old;
}

// Numbers.

inline unsigned __float_as_uint(float x) { unsigned y; std::memcpy(&y, &x, 4); return y; }
inline int __float_as_int(float x) { int y; std::memcpy(&y, &x, 4); return y; }
inline float __uint_as_float(unsigned x) { float y; std::memcpy(&y, &x, 4); return y; }
inline float __int_as_float(int x) { float y; std::memcpy(&y, &x, 4); return y; }
inline long long __double_as_longlong(double x) { long long y; std::memcpy(&y, &x, 8); return y; }
inline double __longlong_as_double(long long x) { double y; std::memcpy(&y, &x, 8); return y; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
template <class T> inline T __ldg(const T* p) { return *p; }
template <class T> inline T __ldcs(const T* p) { return *p; }
template <class T> inline T __ldcg(const T* p) { return *p; }
template <class T> inline void __stcs(T* p, T value) { *p = value; }
template <class T> inline void __stcg(T* p, T value) { *p = value; }
using std::isfinite;
using std::isinf;
using std::isnan;
using std::max;
using std::min;

// The runtime.

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
};
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();

struct emulated_stream;
struct emulated_event;
struct emulated_graph;
typedef emulated_stream* cudaStream_t;
typedef emulated_event* cudaEvent_t;
typedef emulated_graph* cudaGraph_t;
typedef emulated_graph* cudaGraphExec_t;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor, multiProcessorCount, l2CacheSize;
  size_t sharedMemPerBlockOptin;
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaDeviceSynchronize();

enum { cudaHostAllocDefault = 0, cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };
cudaError_t cudaMalloc(void** pointer, size_t bytes);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void* pointer);
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to);

enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };
enum cudaStreamCaptureStatus { cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive, cudaStreamCaptureStatusInvalidated };
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }

namespace emulation {
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
/** Enqueues a grid; wrong sizes are refused at once, what goes wrong in a kernel is found by who waits. */
cudaError_t enqueue_grid(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, std::function<void()> thread);
}  // namespace emulation

// What launch.h says for nvcc.
namespace imago::cuda {

template <class... P, class... A>
inline cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A... args) {
  static_assert(sizeof...(P) == sizeof...(A), "a kernel takes as many arguments as it has parameters");
  return ::emulation::enqueue_grid(grid, block, shared_bytes, stream, [kernel, values = std::tuple<P...>(static_cast<P>(args)...)] {
    std::apply(kernel, values);
  });
}

/** As on the device: denormals are 0 on both sides. */
inline float flushed(float x) { return std::fabs(x) < 0x1p-126f ? 0.0f : x; }
inline float exp2_fast(float x) { return flushed(exp2f(flushed(x))); }
inline float log2_fast(float x) { return log2f(flushed(x)); }
float from_float16(uint16_t bits);
uint16_t to_float16(float x);

}  // namespace imago::cuda
