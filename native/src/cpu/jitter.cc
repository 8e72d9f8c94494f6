// Each image moves by whole pixels (dx, dy), drawn from its Philox block; what comes in from outside is 0.
#include "common/parallel.h"
#include "common/philox.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** ⌊word·(2·shift + 1)/2³²⌋ − shift. */
IMAGO_INLINE int64_t offset_of(uint32_t word, uint64_t shift) {
  return static_cast<int64_t>((word * (2 * shift + 1)) >> 32) - static_cast<int64_t>(shift);
}

/** out[y][x] = in[y − dy][x − dx]: whole rows, their inner stretch copied. */
IMAGO_INLINE void move_plane(const float* in, float* out, int64_t height, int64_t width, int64_t dx, int64_t dy) {
  const int64_t left = dx < 0 ? 0 : dx < width ? dx : width;
  const int64_t right = dx > 0 ? width : width + dx > 0 ? width + dx : 0;
  for (int64_t y = 0; y < height; y++) {
    float* const row = out + y * width;
    const int64_t source = y - dy;
    if (source < 0 || source >= height || left >= right) {
      memset(row, 0, static_cast<size_t>(width) * sizeof(float));
      continue;
    }
    memset(row, 0, static_cast<size_t>(left) * sizeof(float));
    memcpy(row + left, in + source * width + (left - dx), static_cast<size_t>(right - left) * sizeof(float));
    memset(row + right, 0, static_cast<size_t>(width - right) * sizeof(float));
  }
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(jitter) {
  const float* const images = buffer<const float>(call, 0);
  float* const out = buffer<float>(call, 1);
  const size_t count = size(call, 0), planes = size(call, 1), height = size(call, 2), width = size(call, 3);
  const uint64_t shift = size(call, 4);
  const uint32_t key0 = static_cast<uint32_t>(size(call, 5));
  const uint32_t key1 = static_cast<uint32_t>(size(call, 6));
  const uint64_t block = size(call, 7);
  if (shift >= uint64_t{1} << 31) return refuse(call, "shift must be below 2^31");
  const size_t image = planes * height * width;
  if (out < images + count * image && images < out + count * image)
    return refuse(call, "out must not overlap images");

  parallel(count, Chunks::of(count, image, 16), [&](size_t, size_t first, size_t end) {
    for (size_t i = first; i < end; i += W) {
      const PhiloxBlocks random = philox(block + i, key0, key1);
      for (size_t lane = 0; lane < W && i + lane < end; lane++) {
        const int64_t dx = offset_of(random.words[0][lane], shift);
        const int64_t dy = offset_of(random.words[1][lane], shift);
        for (size_t plane = 0; plane < planes; plane++) {
          const size_t start = (i + lane) * image + plane * height * width;
          move_plane(images + start, out + start, static_cast<int64_t>(height), static_cast<int64_t>(width), dx, dy);
        }
      }
    }
  });
  return 0;
}
