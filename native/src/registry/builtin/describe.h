// How a built-in kernel is described. Only the C ABI is included, so that every library of ours can share the tables.
#pragma once
#include <imago/kernel.h>

namespace imago {

/** A kernel's name, buffers and scalars; both arrays end where a name is null. */
struct Description {
  const char* name;
  imago_buffer_spec buffers[IMAGO_MAX_BUFFERS];
  imago_scalar_spec scalars[IMAGO_MAX_SCALARS];
};

enum : int { required, optional };

// Lengths by the positions of scalars: 0 · 1, 0, 1, 0 · 1 · 2 · 3, and a fixed count. Any other is written out: `1, {0, 2, -1, -1}`.
#define IMAGO_MATRIX 1, {0, 1, -1, -1}
#define IMAGO_VECTOR 1, {0, -1, -1, -1}
#define IMAGO_CLASSES 1, {1, -1, -1, -1}
#define IMAGO_IMAGES 1, {0, 1, 2, 3}
#define IMAGO_FIXED(count) count, {-1, -1, -1, -1}

}  // namespace imago
