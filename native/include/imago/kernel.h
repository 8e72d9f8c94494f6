/*
 * The C ABI between the addon and a kernel: plain data and one function per kernel.
 *
 * A kernel is a row of descriptions (its name, its buffers, its scalars) and a function that reads them by position.
 * Whoever calls it has checked the call against the descriptions: buffers have a described type and the described
 * length, sizes are whole numbers ≥ 0. What the numbers mean (T > 0, labels in range, NaN) is the kernel's to check.
 */
#ifndef IMAGO_KERNEL_H
#define IMAGO_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/* Raised whenever a struct or a rule below changes; the TypeScript loader refuses an addon with another number. */
#define IMAGO_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

/* Element types, as bits so that a description can allow several. */
enum {
  IMAGO_F32 = 1 << 0,
  IMAGO_F64 = 1 << 1,
  IMAGO_I32 = 1 << 2,
  IMAGO_U32 = 1 << 3,
  IMAGO_U16 = 1 << 4,
  IMAGO_U8 = 1 << 5,
  IMAGO_I64 = 1 << 6,
};

/* A buffer of the caller: read or written during the call, never kept. data is NULL where it was left out. */
typedef struct imago_buffer {
  void* data;
  size_t length; /* in elements */
  uint32_t type;
} imago_buffer;

/* One call: buffers and scalars in the order of the kernel's descriptions. */
typedef struct imago_call {
  const imago_buffer* buffers;
  const double* scalars;
  char* message; /* where a refusal is explained, NUL-terminated UTF-8 */
  size_t message_size;
} imago_call;

/*
 * Returns 0, or any other number after writing a sentence into call->message. It must not throw, must give the same
 * bits whatever the number of threads, may be called from several threads at once, and leaves the floating-point
 * environment as it found it.
 */
typedef int (*imago_cpu_kernel)(const imago_call* call);

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

#define IMAGO_MAX_BUFFERS 8
#define IMAGO_MAX_SCALARS 16

typedef struct imago_kernel {
  const char* name;
  size_t buffer_count;
  imago_buffer_spec buffers[IMAGO_MAX_BUFFERS];
  size_t scalar_count;
  imago_scalar_spec scalars[IMAGO_MAX_SCALARS];
} imago_kernel;

#ifdef __cplusplus
}
#endif

#endif
