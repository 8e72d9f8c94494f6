// What dropout_mask and dropout share: 16 bits of Philox an element, 8 elements a block and thread, kept where bits ≥ t.
#pragma once
#include "cuda/elements.cuh"
#include "cuda/philox.cuh"

namespace imago::cuda {

/** out = x, or 1 where x is null, times the mask. */
struct Drop {
  const float* x;
  float* out;
  size_t n;
  uint32_t t;
  float factor;
  uint64_t block;
  uint32_t key0, key1;

  __device__ __forceinline__ void operator()(size_t i) const {
    const PhiloxBlock random = philox(block + i, key0, key1);
    const size_t first = 8 * i;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const size_t start = first + 4 * half;
      if (start >= n) return;
      const size_t count = n - start < 4 ? n - start : 4;
      const bool whole = count == 4 && is_aligned(out) && is_aligned(x);
      float values[4] = {1, 1, 1, 1};
      if (x != nullptr) load_four(x + start, whole, count, values);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        // A word's lower half comes first.
        const uint32_t bits = random.words[2 * half + j / 2] >> (16 * (j % 2)) & 0xffffu;
        values[j] = bits >= t ? values[j] * factor : 0.0f;
      }
      store_four(out + start, whole, count, values);
    }
  }
};

/** Scalars n, probability, key0, key1, block. */
inline int drop(const imago_call* call, const float* x, float* out) {
  const size_t n = size(call, 0);
  const double probability = call->scalars[1];
  if (!(probability >= 0 && probability < 1)) return refuse(call, "probability must be in [0, 1), got %g", probability);
  const uint32_t t = static_cast<uint32_t>(65536 * probability + 0.5);
  if (t > 65535) return refuse(call, "probability %.9g leaves no element in 65536", probability);
  const Drop work{x,
                  out,
                  n,
                  t,
                  static_cast<float>(65536.0 / (65536.0 - t)),
                  size(call, 4),
                  static_cast<uint32_t>(size(call, 2)),
                  static_cast<uint32_t>(size(call, 3))};
  return each_element(call, (n + 7) / 8, work);
}

}  // namespace imago::cuda
