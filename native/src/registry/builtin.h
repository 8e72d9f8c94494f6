// The table of built-in kernels: what packages/kernels/src/signatures.ts says, in the terms of the C ABI, by family.
// A new kernel is one line and one row in its family's file, and src/cpu/<name>.cc. A new family is two lines here.
#pragma once
#include <cstddef>

#include "registry/builtin/linear.h"
#include "registry/builtin/data.h"
#include "registry/builtin/losses.h"
#include "registry/builtin/noise.h"
#include "registry/builtin/optimizers.h"

#define IMAGO_KERNELS(X)     \
  IMAGO_LOSS_KERNELS(X)      \
  IMAGO_LINEAR_KERNELS(X)    \
  IMAGO_OPTIMIZER_KERNELS(X) \
  IMAGO_NOISE_KERNELS(X)     \
  IMAGO_DATA_KERNELS(X)

namespace imago {

struct Family {
  const Description* rows;
  size_t count;
};

inline constexpr Family families[] = {
    {loss_kernels, sizeof loss_kernels / sizeof *loss_kernels},
    {linear_kernels, sizeof linear_kernels / sizeof *linear_kernels},
    {optimizer_kernels, sizeof optimizer_kernels / sizeof *optimizer_kernels},
    {noise_kernels, sizeof noise_kernels / sizeof *noise_kernels},
    {data_kernels, sizeof data_kernels / sizeof *data_kernels},
};

/** The description of this name, or null. */
constexpr const Description* describe(const char* name) {
  for (const Family& family : families)
    for (size_t i = 0; i < family.count; i++) {
      const char *a = name, *b = family.rows[i].name;
      while (*a == *b && *a != '\0') a++, b++;
      if (*a == *b) return &family.rows[i];
    }
  return nullptr;
}

struct Functions {
  const char* name;
  imago_function cpu;
  imago_function cuda;
};

/** A library of built-in kernels: the descriptions with the functions that one target has for them. */
template <const auto& functions>
struct Library {
  static constexpr size_t count = sizeof functions / sizeof *functions;
  struct Rows {
    imago_kernel kernels[count];
  };
  struct Pointers {
    const imago_kernel* kernels[count];
  };
  static constexpr Rows make_rows() {
    Rows rows{};
    for (size_t i = 0; i < count; i++) {
      const Description& description = *describe(functions[i].name);
      size_t buffers = 0, scalars = 0;
      while (buffers < IMAGO_MAX_BUFFERS && description.buffers[buffers].name != nullptr) buffers++;
      while (scalars < IMAGO_MAX_SCALARS && description.scalars[scalars].name != nullptr) scalars++;
      rows.kernels[i] = {sizeof(imago_kernel), description.name,   buffers,          description.buffers,
                         scalars,              description.scalars, functions[i].cpu, functions[i].cuda};
    }
    return rows;
  }
  static constexpr Rows rows = make_rows();
  static constexpr Pointers make_pointers() {
    Pointers pointers{};
    for (size_t i = 0; i < count; i++) pointers.kernels[i] = &rows.kernels[i];
    return pointers;
  }
  static constexpr Pointers pointers = make_pointers();
};

}  // namespace imago

/**
 * Defines `table`, the imago_library of the kernels that `KERNELS` lists and namespace imago::`space` defines; `FUNCTIONS(kernel)`
 * says which they are: IMAGO_CPU or IMAGO_CUDA.
 */
#define IMAGO_DECLARE(kernel) int kernel(const imago_call*);
#define IMAGO_CPU(kernel) {#kernel, kernel, nullptr},
#define IMAGO_CUDA(kernel) {#kernel, nullptr, kernel},
#define IMAGO_LIBRARY(space, KERNELS, FUNCTIONS)                                                                    \
  namespace imago::space {                                                                                          \
  KERNELS(IMAGO_DECLARE)                                                                                            \
  inline constexpr Functions functions[] = {KERNELS(FUNCTIONS)};                                                    \
  inline constexpr imago_library table = {IMAGO_ABI_VERSION, sizeof(imago_library), #space, IMAGO_VERSION,          \
                                          Library<functions>::count, Library<functions>::pointers.kernels};         \
  }
