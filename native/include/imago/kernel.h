/*
 * The C ABI between imago and a library of kernels, imago's own among them: plain data and one function per kernel.
 *
 * A kernel is a row of descriptions (its name, its buffers, its scalars) and functions that read them by position. Whoever
 * calls one has checked the call against the descriptions: buffers have a described type and the described length, sizes are
 * whole numbers >= 0. What the numbers mean (T > 0, labels in range, NaN) is the kernel's to check.
 *
 * Structs that may grow begin with their size, as the side that fills them knew it: a reader looks at a field only where
 * struct_size reaches behind it. New fields go to the end; anything else raises IMAGO_ABI_VERSION.
 */
#ifndef IMAGO_KERNEL_H
#define IMAGO_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* A library with another number is refused. */
#define IMAGO_ABI_VERSION 2

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define IMAGO_EXPORT __declspec(dllexport)
#else
#define IMAGO_EXPORT __attribute__((visibility("default")))
#endif

/* Element types, as bits so that a description can allow several. float16 and bfloat16 travel as U16, with a scalar that says which. */
enum {
  IMAGO_F32 = 1 << 0,
  IMAGO_F64 = 1 << 1,
  IMAGO_I32 = 1 << 2,
  IMAGO_U32 = 1 << 3,
  IMAGO_U16 = 1 << 4,
  IMAGO_U8 = 1 << 5,
  IMAGO_I64 = 1 << 6,
};

/*
 * A buffer of the caller: read or written during the call, never kept. data is NULL where it was left out. In a call of a
 * CUDA function it is device memory, which may be in use until the stream has come to the end of the call.
 */
typedef struct imago_buffer {
  void* data;
  size_t length; /* in elements */
  uint32_t type;
} imago_buffer;

/* One call: buffers and scalars in the order of the kernel's descriptions. */
typedef struct imago_call {
  size_t struct_size;
  const imago_buffer* buffers;
  const double* scalars;
  char* message; /* where a refusal is explained, NUL-terminated UTF-8 */
  size_t message_size;
  /*
   * CPU: runs task(context, 0) ... task(context, count - 1) on imago's threads and returns when all have ended. Cut the work
   * by the problem, never by the number of threads, and sum partial results in order.
   */
  void (*parallel_for)(size_t count, void (*task)(void* context, size_t index), void* context);
  /* CUDA: the cudaStream_t to launch on. NULL on the CPU. */
  void* stream;
} imago_call;

/*
 * Returns 0, or any other number after writing a sentence into call->message. It must not throw, must give the same bits
 * whatever the number of threads, may be called from several threads at once, and leaves the floating-point environment as
 * it found it. A CUDA function enqueues its work on call->stream and does not wait for it.
 */
typedef int (*imago_function)(const imago_call* call);

typedef enum imago_scalar_kind {
  IMAGO_SIZE, /* a whole number in [0, 2^53] */
  IMAGO_REAL, /* any double; the kernel judges it */
} imago_scalar_kind;

typedef struct imago_scalar_spec {
  const char* name;
  imago_scalar_kind kind;
} imago_scalar_spec;

#define IMAGO_MAX_FACTORS 4

/* A buffer's length is `count` times the product of the scalars (IMAGO_SIZE) that `factors` names, ended by -1. */
typedef struct imago_buffer_spec {
  const char* name;
  uint32_t types;
  int optional; /* may be left out */
  uint32_t count;
  int factors[IMAGO_MAX_FACTORS];
} imago_buffer_spec;

#define IMAGO_MAX_BUFFERS 16
#define IMAGO_MAX_SCALARS 24

typedef struct imago_kernel {
  size_t struct_size;
  const char* name; /* lower_snake_case */
  size_t buffer_count;
  const imago_buffer_spec* buffers;
  size_t scalar_count;
  const imago_scalar_spec* scalars;
  imago_function cpu;  /* NULL: this library has none */
  imago_function cuda; /* NULL: this library has none */
} imago_kernel;

typedef struct imago_library {
  uint32_t abi_version; /* IMAGO_ABI_VERSION */
  size_t struct_size;
  const char* name;
  const char* version;
  size_t kernel_count;
  const imago_kernel* const* kernels;
} imago_library;

/* The one symbol that a library exports: a table that lives as long as the process. NULL where it cannot work here. */
IMAGO_EXPORT const imago_library* imago_kernels(void);

#ifdef __cplusplus
}
#endif

#endif
