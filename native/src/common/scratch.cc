#include "common/scratch.h"

#include <new>

namespace imago {
namespace {

constexpr std::align_val_t alignment{64};

struct Arena {
  float* memory = nullptr;
  size_t size = 0;
  ~Arena() { ::operator delete[](memory, alignment); }
};

thread_local Arena arena;

}  // namespace

float* scratch(size_t floats) {
  if (floats > arena.size) {
    ::operator delete[](arena.memory, alignment);
    arena.memory = static_cast<float*>(::operator new[](floats * sizeof(float), alignment, std::nothrow));
    arena.size = arena.memory == nullptr ? 0 : floats;
  }
  return arena.memory;
}

}  // namespace imago
