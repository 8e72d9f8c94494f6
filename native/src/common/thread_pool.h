// One pool of threads for the process. Chunks of work are fixed by the caller, so results do not depend on their number.
#pragma once
#include <cstddef>

namespace imago {

/** How many threads compute, the caller included. */
size_t thread_count();

/** Take the count from `text` where the pool has not started; false where `text` is not a whole number in [1, 256]. */
bool configure_threads(const char* text);

/**
 * Run task(context, i) for every i in [0, count), in any order and on any thread, and return when all are done.
 * Where the pool is busy with another caller, the calling thread does everything itself. Tasks must not throw.
 */
void parallel_for(size_t count, void (*task)(void* context, size_t index), void* context);

}  // namespace imago
