// What imago_cuda.so gives the addon beside its kernels: devices, memory, streams, events, graphs, as a table of functions. The
// addon has no CUDA in it; it opens the library at run time (registry/cuda.cc).
//
// Every function returns 0, or 1 after writing CUDA's reason into `error`. Handles are opaque. Nothing here waits for a device but
// wait_end, event_elapsed and release; any thread may call any function.
#pragma once
#include <imago/kernel.h>

#include <cstddef>
#include <cstdint>

#define IMAGO_DEVICE_VERSION 1

extern "C" {

typedef struct imago_error {
  char text[256];
} imago_error;

typedef struct imago_device_properties {
  char name[256];
  uint64_t memory;   // bytes
  int32_t major, minor;  // compute capability
  int32_t multiprocessors;
  uint64_t l2;  // bytes
  int32_t emulated;
} imago_device_properties;

/** What waiting for a stream found. */
typedef struct imago_wait_result {
  int refused;      // a kernel refused a row; `message` says what the CPU kernel would have said
  char message[256];
} imago_wait_result;

typedef struct imago_device_table {
  uint32_t version; /* IMAGO_DEVICE_VERSION */
  size_t struct_size;

  /** How many devices there are; 1 with CUDA's reason where there is no driver. */
  int (*count)(int* count, imago_error* error);
  int (*properties)(int device, imago_device_properties* properties, imago_error* error);
  int (*free_memory)(int device, uint64_t* bytes, imago_error* error);

  /** Device memory, 256-byte aligned, not zeroed. Released memory is kept and given out again once all work that was enqueued before is done. */
  int (*allocate)(int device, size_t bytes, void** pointer, imago_error* error);
  int (*release)(int device, void* pointer, imago_error* error);
  /** Gives what is kept back to the driver; waits for the device. */
  int (*trim)(int device, imago_error* error);
  int (*allocate_pinned)(size_t bytes, void** pointer, imago_error* error);
  int (*release_pinned)(void* pointer, imago_error* error);

  /** Copies in the order of the stream. Pageable host memory has been read when upload returns. */
  int (*upload)(int device, void* stream, void* to, const void* from, size_t bytes, imago_error* error);
  /** The same from pinned memory, which is read later: it must stay as it is until the stream has come there. */
  int (*upload_pinned)(int device, void* stream, void* to, const void* from, size_t bytes, imago_error* error);
  int (*copy)(int device, void* stream, void* to, const void* from, size_t bytes, imago_error* error);
  int (*fill)(int device, void* stream, void* to, int byte, size_t bytes, imago_error* error);

  int (*stream_create)(int device, void** stream, imago_error* error);
  int (*stream_destroy)(int device, void* stream, imago_error* error);
  /** 1 where all work is done. */
  int (*stream_query)(int device, void* stream, int* finished, imago_error* error);

  /**
   * A wait for what the stream has been given until now, with `bytes` at `from` (device memory; 0: none) to be brought. wait_end blocks, so call it
   * on a thread that may; it copies to `to` and destroys the wait. Where `pinned` is not null the bytes go there at once, and `to` is not used.
   */
  int (*wait_begin)(int device, void* stream, const void* from, size_t bytes, void* pinned, void** wait, imago_error* error);
  int (*wait_end)(void* wait, void* to, imago_wait_result* result, imago_error* error);

  int (*event_create)(int device, void** event, imago_error* error);
  int (*event_destroy)(void* event, imago_error* error);
  int (*event_record)(int device, void* event, void* stream, imago_error* error);
  int (*event_query)(void* event, int* finished, imago_error* error);
  /** The stream goes on once the event has come. */
  int (*stream_wait)(int device, void* stream, void* event, imago_error* error);
  /** Milliseconds between two events; waits for both. */
  int (*event_elapsed)(void* from, void* to, float* milliseconds, imago_error* error);

  /** From here to capture_end the stream keeps what it is given instead of doing it. */
  int (*capture_begin)(int device, void* stream, imago_error* error);
  int (*capture_end)(int device, void* stream, void** graph, imago_error* error);
  int (*graph_launch)(int device, void* graph, void* stream, imago_error* error);
  int (*graph_destroy)(void* graph, imago_error* error);

  /** Makes the device current on this thread, as a kernel's host part expects it. */
  int (*use)(int device, imago_error* error);
} imago_device_table;

/** The table; it lives as long as the process. */
IMAGO_EXPORT const imago_device_table* imago_device(void);
}
