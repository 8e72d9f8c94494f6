// What every kernel file needs: its entry point and its arguments by position.
#pragma once
#include <imago/kernel.h>

#include "common/refuse.h"
#include "common/simd.h"

/** Opens the function that the registry calls: int softmax(const imago_call* call). */
#define IMAGO_KERNEL(name)                 \
  namespace imago::IMAGO_ISA {             \
  int name(const imago_call* call);        \
  }                                        \
  int imago::IMAGO_ISA::name(const imago_call* call)

namespace imago::IMAGO_ISA {

template <class T>
IMAGO_INLINE T* buffer(const imago_call* call, size_t position) {
  return static_cast<T*>(call->buffers[position].data);
}
IMAGO_INLINE size_t size(const imago_call* call, size_t position) { return static_cast<size_t>(call->scalars[position]); }

/** Refuses a temperature whose inverse, times a probability, float32 does not hold; packages/kernels/src/guard.ts has the same limits. */
IMAGO_INLINE int check_temperature(const imago_call* call, double temperature) {
  if (temperature >= 1e-38 && temperature <= 1e30) return 0;
  return refuse(call, "temperature must be in [1e-38, 1e30], got %g", temperature);
}

}  // namespace imago::IMAGO_ISA
