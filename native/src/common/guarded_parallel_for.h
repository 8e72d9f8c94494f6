// The pool as kernels of others get it.
#pragma once
#include <cstddef>

namespace imago {

/**
 * parallel_for for tasks that nobody vouches for: each runs in the default floating-point environment, and where one throws, which it
 * must not, the rest is passed over and the caller gets the exception instead of the process its end.
 */
void guarded_parallel_for(size_t count, void (*task)(void* context, size_t index), void* context);

}  // namespace imago
