// Memory of a thread for the duration of a task.
#pragma once
#include <cstddef>

namespace imago {

/** At least `floats` floats, 64-byte aligned, the calling thread's own until its next call; null where memory is out. */
float* scratch(size_t floats);

}  // namespace imago
