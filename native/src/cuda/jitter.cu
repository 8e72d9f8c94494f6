// Each image moves by whole pixels (dx, dy), drawn from its Philox block; what comes in from outside is 0.
#include "cuda/elements.cuh"
#include "cuda/philox.cuh"

namespace imago::cuda {
namespace {

constexpr unsigned threads = 256;
/** Pixels of an image that a block writes. */
constexpr size_t pixels_per_block = 4096;

struct Images {
  const float* in;
  float* out;
  size_t count, planes, height, width;
  uint64_t shift, block;
  uint32_t key0, key1;
};

/** ⌊word·(2·shift + 1)/2³²⌋ − shift. */
__device__ __forceinline__ int64_t offset_of(uint32_t word, uint64_t shift) {
  return static_cast<int64_t>((word * (2 * shift + 1)) >> 32) - static_cast<int64_t>(shift);
}

/** out[y][x] = in[y − dy][x − dx]: blockIdx.x an image, blockIdx.y a part of it. */
__global__ void __launch_bounds__(threads) move_images(Images images) {
  const size_t plane = images.height * images.width, size = images.planes * plane;
  for (size_t i = blockIdx.x; i < images.count; i += gridDim.x) {
    const PhiloxBlock random = philox(images.block + i, images.key0, images.key1);
    const int64_t dx = offset_of(random.words[0], images.shift), dy = offset_of(random.words[1], images.shift);
    for (size_t at = blockIdx.y * pixels_per_block + threadIdx.x; at < size; at += static_cast<size_t>(gridDim.y) * pixels_per_block) {
      const size_t end = at - threadIdx.x + pixels_per_block < size ? at - threadIdx.x + pixels_per_block : size;
      for (size_t j = at; j < end; j += threads) {
        const size_t in_plane = j % plane;
        const int64_t y = static_cast<int64_t>(in_plane / images.width) - dy, x = static_cast<int64_t>(in_plane % images.width) - dx;
        const bool inside = y >= 0 && y < static_cast<int64_t>(images.height) && x >= 0 && x < static_cast<int64_t>(images.width);
        const size_t from = j - in_plane + static_cast<size_t>(y) * images.width + static_cast<size_t>(x);
        images.out[i * size + j] = inside ? images.in[i * size + from] : 0;
      }
    }
  }
}

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(jitter) {
  using namespace imago::cuda;
  const Images images{buffer<const float>(call, 0),
                      buffer<float>(call, 1),
                      size(call, 0),
                      size(call, 1),
                      size(call, 2),
                      size(call, 3),
                      size(call, 4),
                      size(call, 7),
                      static_cast<uint32_t>(size(call, 5)),
                      static_cast<uint32_t>(size(call, 6))};
  if (images.shift >= uint64_t{1} << 31) return refuse(call, "shift must be below 2^31");
  const size_t image = images.planes * images.height * images.width;
  if (images.out < images.in + images.count * image && images.in < images.out + images.count * image)
    return refuse(call, "out must not overlap images");
  if (images.count * image == 0) return 0;
  const size_t parts = (image + pixels_per_block - 1) / pixels_per_block;
  const dim3 grid(static_cast<unsigned>(images.count < 65535 ? images.count : 65535), static_cast<unsigned>(parts < 1024 ? parts : 1024));
  return done(call, launch(move_images, grid, dim3(threads), 0, stream(call), images));
}
