// out = x + sigma·z, z normal: Box–Muller on the word pairs of a Philox block, four numbers a block.
#include "common/parallel.h"
#include "common/philox.h"
#include "common/vector_math.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

inline constexpr size_t block_elements = 4;

/** ln u, u = (word + ½)·2⁻³². Near 1 what is missing from 1 is kept instead of u, which would round it away. */
IMAGO_INLINE F log_uniform(U word) {
  const I upper = (I)word >> 31;
  const F small = (to_float((I)word ^ upper) + 0.5f) * 0x1p-32f;  // u or 1 − u, at most ½
  const Scaled u = scaled(select(upper, 1.0f - small, small));
  const F numerator = select(upper & (u.exponent == 0), -small, u.m - 1.0f);
  return fma(to_float(u.exponent), all(ln2), twice_atanh(numerator / (u.m + 1.0f)));
}

struct Turn {
  F cosine;
  F sine;
};
/** Of 2π·word/2³²: whole quarters of the turn are taken off in integers, |rest| ≤ π/4 goes into the series. */
IMAGO_INLINE Turn turn(U word) {
  const U quarter = (word + 0x20000000u) >> 30;
  const F x = to_float((I)(word - (quarter << 30))) * 1.46291807926715969e-9f;  // 2π/2³²
  const F t = x * x;
  F s = all(-1.9515295891e-4f);
  s = fma(s, t, all(8.3321608736e-3f));
  s = fma(s, t, all(-1.6666654611e-1f));
  s = fma(s * t, x, x);
  F c = all(2.443315711809948e-5f);
  c = fma(c, t, all(-1.388731625493765e-3f));
  c = fma(c, t, all(4.166664568298827e-2f));
  c = fma(c * t, t, fma(t, all(-0.5f), all(1.0f)));
  const I odd = (I)(quarter & 1) != 0;
  const U negative_cosine = ((quarter + 1) & 2) << 30, negative_sine = (quarter & 2) << 30;
  return {(F)((U)select(odd, s, c) ^ negative_cosine), (F)((U)select(odd, c, s) ^ negative_sine)};
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(gaussian_noise) {
  const float* const x = buffer<const float>(call, 0);
  float* const out = buffer<float>(call, 1);
  const size_t n = size(call, 0);
  const double sigma = call->scalars[1];
  const uint32_t key0 = static_cast<uint32_t>(size(call, 2));
  const uint32_t key1 = static_cast<uint32_t>(size(call, 3));
  const uint64_t first_block = size(call, 4);
  if (!(sigma >= 0 && sigma <= 3.4e38)) return refuse(call, "sigma must be >= 0 and finite, got %g", sigma);
  const F scale = all(static_cast<float>(sigma));

  constexpr size_t stride = W * block_elements;
  parallel(n, Chunks::of(n, 1, 16 * block_elements), [&](size_t, size_t first, size_t end) {
    float normals[stride];
    for (size_t i = first; i < end; i += stride) {
      PhiloxBlocks random = philox(first_block + i / block_elements, key0, key1);
      for (size_t pair = 0; pair < 4; pair += 2) {
        const F radius = sqrt(log_uniform(random.words[pair]) * -2.0f) * scale;
        const Turn angle = turn(random.words[pair + 1]);
        random.words[pair] = (U)(radius * angle.cosine);
        random.words[pair + 1] = (U)(radius * angle.sine);
      }
      store_in_order(random, normals);
      for (size_t j = 0; j < stride && i + j < end; j += W) {
        const size_t count = end - i - j < W ? end - i - j : W;
        const F noise = load(normals + j);
        store_lanes(out + i + j, count, x == nullptr ? noise : load_lanes(x + i + j, count) + noise);
      }
    }
  });
  return 0;
}
