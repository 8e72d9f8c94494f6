// How a kernel on the device refuses a row: it writes into a word that belongs to the stream, and goes on. The word is looked at when
// somebody waits for the stream (device.h, wait_begin), never by the call itself.
#pragma once
#include <imago/kernel.h>

#include "cuda/launch.h"

namespace imago::cuda {

/** What can be wrong with a row; the words are in status.cc and are those of the CPU kernels. */
enum class Problem : uint32_t {
  nan,                  // "NaN"
  infinity,             // "Infinity"
  minus_infinity,       // "-Infinity"
  only_minus_infinity,  // "only -Infinity"
  not_a_class,          // labels
  bad_weight,           // rowWeights
  negative,             // distribution
  not_one,              // the sum of a distribution
  no_class,             // classMask
  beyond,               // logits that a kernel has made itself
  twice,                // indices
  above_one,            // the sum of probabilities
  positive_log,         // logTail
  no_tail,              // logTail is missing
};

/** Where to report to, made by status_of on the host and given to a kernel by value. */
struct Status {
  unsigned long long* word;
  unsigned long long call;
};

/*
 * The word: the call's number on the stream (14 bits), row (32), problem (4), the buffer's position (4), the kernel's number (10). The
 * least wins, so that the first call and its first row are named whatever order the blocks ran in. All ones: nothing.
 */
inline constexpr unsigned long long no_status = ~0ull;
inline constexpr int status_call_shift = 50, status_row_shift = 18, status_problem_shift = 14, status_buffer_shift = 10;

#if IMAGO_DEVICE_CODE
/** Row `row` of the buffer at this position has a problem. Any thread may say so, any number of times. */
__device__ __forceinline__ void report(const Status& status, uint32_t buffer, Problem problem, size_t row) {
  const unsigned long long least = row < 0xffffffffull ? row : 0xffffffffull;
  atomicMin(status.word, status.call | least << status_row_shift |
                             static_cast<unsigned long long>(problem) << status_problem_shift |
                             static_cast<unsigned long long>(buffer) << status_buffer_shift);
}

/** The problem of a number that is not finite. */
__device__ __forceinline__ Problem problem_of(float x) {
  return x != x ? Problem::nan : x > 0 ? Problem::infinity : Problem::minus_infinity;
}
#endif

}  // namespace imago::cuda
