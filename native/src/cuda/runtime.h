// What the files of this library share: errors of CUDA, and what belongs to a stream.
#pragma once
#include <cstdio>
#include <mutex>
#include <vector>

#include "cuda/device.h"
#include "cuda/kernel.h"

namespace imago::cuda {

/** `return answer(error, cudaFree(p))`: 0, or 1 with CUDA's words. */
inline int answer(imago_error* error, cudaError_t code) {
  if (code == cudaSuccess) return 0;
  cudaGetLastError();  // not to be found by the next call
  std::snprintf(error->text, sizeof error->text, "%s", cudaGetErrorString(code));
  return 1;
}

// memory.cc
int allocate(int device, size_t bytes, void** pointer, imago_error* error);
int release(int device, void* pointer, imago_error* error);
int trim(int device, imago_error* error);
int allocate_pinned(size_t bytes, void** pointer, imago_error* error);
int release_pinned(void* pointer, imago_error* error);
/** Pinned memory for the wait of a read, from what is kept. */
cudaError_t take_staging(size_t bytes, void** pointer);
void give_staging(void* pointer);

// streams.cc
int stream_create(int device, void** stream, imago_error* error);
int stream_destroy(int device, void* stream, imago_error* error);
int capture_begin(int device, void* stream, imago_error* error);
int capture_end(int device, void* stream, void** graph, imago_error* error);
int graph_launch(int device, void* graph, void* stream, imago_error* error);
int graph_destroy(void* graph, imago_error* error);
int wait_begin(int device, void* stream, const void* from, size_t bytes, void* pinned, void** wait, imago_error* error);
int wait_end(void* wait, void* to, imago_wait_result* result, imago_error* error);
/** The streams of a device that are not being captured: what released memory may still be used by. */
std::vector<cudaStream_t> streams_of(int device);

// status.cu: kernels on a stream's word.
/** *taken = *word; *word = no_status. */
cudaError_t take_status(unsigned long long* word, unsigned long long* taken, cudaStream_t stream);
/** *into = min(*into, *word), as the stream's next call; *word = no_status. */
cudaError_t merge_status(unsigned long long* word, unsigned long long* into, unsigned long long call, cudaStream_t stream);

// status.cc
/** The sentence behind a word, as in `student: NaN in row 3`. */
void explain(unsigned long long word, char* text, size_t size);
/** The number of a kernel in the table of descriptions; 1023 where it has none. */
unsigned long long number_of(const char* kernel);

}  // namespace imago::cuda
