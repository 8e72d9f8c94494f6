// out = x + sigma·z, z normal: Box–Muller on the word pairs of a Philox block, four numbers a block and thread.
#include "cuda/elements.cuh"
#include "cuda/philox.cuh"

namespace imago::cuda {
namespace {

/** ln u, u = (word + ½)·2⁻³². Near 1 what is missing from 1 is kept instead of u, which would round it away. */
IMAGO_DEVICE float log_uniform(uint32_t word) {
  const bool upper = word >> 31;
  const float small = (static_cast<float>(upper ? ~word : word) + 0.5f) * 0x1p-32f;  // u or 1 − u, at most ½
  return upper ? ::log1pf(-small) : ::logf(small);
}

struct Turn {
  float cosine;
  float sine;
};
/** Of 2π·word/2³²: whole quarters of the turn are taken off in integers, |rest| ≤ π/4 goes into the series. */
IMAGO_DEVICE Turn turn(uint32_t word) {
  const uint32_t quarter = (word + 0x20000000u) >> 30;
  const float x = static_cast<float>(static_cast<int32_t>(word - (quarter << 30))) * 1.46291807926715969e-9f;  // 2π/2³²
  const float t = x * x;
  float s = -1.9515295891e-4f;
  s = fmaf(s, t, 8.3321608736e-3f);
  s = fmaf(s, t, -1.6666654611e-1f);
  s = fmaf(s * t, x, x);
  float c = 2.443315711809948e-5f;
  c = fmaf(c, t, -1.388731625493765e-3f);
  c = fmaf(c, t, 4.166664568298827e-2f);
  c = fmaf(c * t, t, fmaf(t, -0.5f, 1.0f));
  const bool odd = quarter & 1;
  const float cosine = odd ? s : c, sine = odd ? c : s;
  return {(quarter + 1) & 2 ? -cosine : cosine, quarter & 2 ? -sine : sine};
}

struct Noise {
  const float* x;
  float* out;
  size_t n;
  float sigma;
  uint64_t block;
  uint32_t key0, key1;

  __device__ __forceinline__ void operator()(size_t i) const {
    const PhiloxBlock random = philox(block + i, key0, key1);
    const size_t start = 4 * i, count = n - start < 4 ? n - start : 4;
    const bool whole = count == 4 && is_aligned(out) && is_aligned(x);
    float values[4] = {};
    if (x != nullptr) load_four(x + start, whole, count, values);
#pragma unroll
    for (int pair = 0; pair < 4; pair += 2) {
      const float radius = ::sqrtf(log_uniform(random.words[pair]) * -2.0f) * sigma;
      const Turn angle = turn(random.words[pair + 1]);
      values[pair] += radius * angle.cosine;
      values[pair + 1] += radius * angle.sine;
    }
    store_four(out + start, whole, count, values);
  }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(gaussian_noise) {
  using namespace imago::cuda;
  const size_t n = size(call, 0);
  const double sigma = call->scalars[1];
  if (!(sigma >= 0 && sigma <= 3.4e38)) return refuse(call, "sigma must be >= 0 and finite, got %g", sigma);
  const Noise work{buffer<const float>(call, 0),
                   buffer<float>(call, 1),
                   n,
                   static_cast<float>(sigma),
                   size(call, 4),
                   static_cast<uint32_t>(size(call, 2)),
                   static_cast<uint32_t>(size(call, 3))};
  return each_element(call, (n + 3) / 4, work);
}
