/*
 * The C ABI of an imago kernel: what the addon asks of its own kernels and of those that you bring.
 *
 * A kernel is a function over buffers and numbers. It allocates nothing that outlives the call, keeps no state, and
 * never throws across this boundary: where it refuses, it writes a sentence to `error` and returns non-zero.
 */
#ifndef IMAGO_KERNEL_H
#define IMAGO_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define IMAGO_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  IMAGO_F32 = 0,
  IMAGO_F64 = 1,
  IMAGO_I32 = 2,
  IMAGO_U32 = 3,
  IMAGO_U16 = 4, /* float16 and bfloat16 travel as their bits */
  IMAGO_U8 = 5,
  IMAGO_I64 = 6
} imago_type;

/* `data` is NULL for an argument that was left out; `length` counts elements. */
typedef struct {
  void* data;
  size_t length;
  imago_type type;
} imago_buffer;

typedef struct {
  const imago_buffer* buffers;
  size_t buffer_count;
  const double* scalars;
  size_t scalar_count;
  char* error; /* at least 256 bytes, zero-terminated by the kernel */
} imago_call;

/* 0: done. Anything else: refused, with the reason in call->error. */
typedef int (*imago_kernel)(const imago_call* call);

#ifdef __cplusplus
}
#endif

#endif
