// Memory of one call, in one piece.
#pragma once
#include <stdlib.h>

#include "common/simd.h"

namespace imago::IMAGO_ISA {

/** Freed with the call; arrays lie at multiples of 64 bytes. */
class Workspace {
 public:
  /** Bytes of everything that `take` will be asked for, each a multiple of 64. */
  __attribute__((always_inline)) explicit Workspace(size_t bytes) : memory_(malloc(bytes + 64)) {
    next_ = static_cast<char*>(memory_) + (64 - reinterpret_cast<uintptr_t>(memory_) % 64);
  }
  __attribute__((always_inline)) ~Workspace() { free(memory_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  __attribute__((always_inline)) bool failed() const { return memory_ == nullptr; }
  template <class T>
  __attribute__((always_inline)) T* take(size_t count) {
    T* const p = reinterpret_cast<T*>(next_);
    next_ += bytes_of<T>(count);
    return p;
  }
  template <class T>
  IMAGO_INLINE size_t bytes_of(size_t count) {
    return (count * sizeof(T) + 63) / 64 * 64;
  }

 private:
  void* memory_;
  char* next_;
};

}  // namespace imago::IMAGO_ISA
