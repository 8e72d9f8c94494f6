// Products of matrices in float32, from float32 or half precision, and what goes with them: sums of columns, and a look at every number.
//
// A block makes 128 × 128 numbers of the product, a thread 8 × 8 of them, from slices of 8 that are put into shared memory while the one
// before is worked on. Sums run along k in order: the same bits in every run. No tensor cores: their products of float32 keep 10 bits.
#pragma once
#include "cuda/batch.cuh"
#include "cuda/row_math.cuh"
#include "cuda/team.cuh"

namespace imago::cuda {

/** What logical rows of a matrix are in memory: `rows` where they lie one behind the other, `columns` where it is read turned. */
enum class Order { rows, columns };

/** Element (i, j) of a factor, i its row of the product (or column, for the right one), j along the sum. */
template <class Source, Order order>
struct Factor {
  const typename Source::Element* data;
  size_t stride;        // of rows in memory
  const uint8_t* kept;  // by row in memory: where 0 the row reads as 0; null: all are kept

  __device__ __forceinline__ float at(size_t i, size_t j) const {
    const size_t row = order == Order::rows ? i : j, column = order == Order::rows ? j : i;
    return kept == nullptr || kept[row] != 0 ? Source::read(data[row * stride + column]) : 0.0f;
  }
};

struct Product {
  float* out;
  size_t stride;
  const float* bias;  // by column; may be null
  bool adds;          // to what is there
};

constexpr int product_tile = 128, product_depth = 8, product_threads = 256;

/** A slice of a factor, 128 × 8: the four numbers that belong to this thread, and where they go. Neighbours in memory go to neighbours. */
template <class Source, Order order>
struct SliceOf {
  float x[4];
  __device__ __forceinline__ static int row(int n) { return order == Order::rows ? threadIdx.x / 2 : threadIdx.x % 32 + 32 * n; }
  __device__ __forceinline__ static int place(int n) { return order == Order::rows ? 4 * (threadIdx.x % 2) + n : threadIdx.x / 32; }
  __device__ __forceinline__ void read(const Factor<Source, order>& factor, size_t i0, size_t rows, size_t j0, size_t depth) {
#pragma unroll
    for (int n = 0; n < 4; n++) {
      const size_t i = i0 + row(n), j = j0 + place(n);
      x[n] = i < rows && j < depth ? factor.at(i, j) : 0.0f;
    }
  }
  __device__ __forceinline__ void write(float (&shared)[product_depth][product_tile]) const {
#pragma unroll
    for (int n = 0; n < 4; n++) shared[place(n)][row(n)] = x[n];
  }
};

/** out [rows, columns] = left·right, `depth` terms each. */
template <class LeftSource, Order left_order, class RightSource, Order right_order>
__global__ void __launch_bounds__(product_threads, 2)
    multiply_tiles(Factor<LeftSource, left_order> left, Factor<RightSource, right_order> right, Product product, size_t rows, size_t columns,
                   size_t depth) {
  __align__(16) __shared__ float lefts[2][product_depth][product_tile];
  __align__(16) __shared__ float rights[2][product_depth][product_tile];
  const size_t i0 = static_cast<size_t>(blockIdx.y) * product_tile, j0 = static_cast<size_t>(blockIdx.x) * product_tile;
  const int y = 4 * (threadIdx.x / 16), x = 4 * (threadIdx.x % 16);
  SliceOf<LeftSource, left_order> left_slice;
  SliceOf<RightSource, right_order> right_slice;
  float sum[8][8] = {};
  left_slice.read(left, i0, rows, 0, depth);
  right_slice.read(right, j0, columns, 0, depth);
  int half = 0;
  for (size_t k = 0; k < depth; k += product_depth, half ^= 1) {
    left_slice.write(lefts[half]);
    right_slice.write(rights[half]);
    // One barrier a slice: the half that is written next was read before the last one.
    __syncthreads();
    if (k + product_depth < depth) {
      left_slice.read(left, i0, rows, k + product_depth, depth);
      right_slice.read(right, j0, columns, k + product_depth, depth);
    }
#pragma unroll
    for (int d = 0; d < product_depth; d++) {
      float a[8], b[8];
#pragma unroll
      for (int part = 0; part < 2; part++) {
        const float4 p = *reinterpret_cast<const float4*>(&lefts[half][d][64 * part + y]);
        const float4 q = *reinterpret_cast<const float4*>(&rights[half][d][64 * part + x]);
        a[4 * part] = p.x, a[4 * part + 1] = p.y, a[4 * part + 2] = p.z, a[4 * part + 3] = p.w;
        b[4 * part] = q.x, b[4 * part + 1] = q.y, b[4 * part + 2] = q.z, b[4 * part + 3] = q.w;
      }
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int j = 0; j < 8; j++) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const size_t row = i0 + 64 * (i / 4) + y + i % 4;
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const size_t column = j0 + 64 * (j / 4) + x + j % 4;
      if (row >= rows || column >= columns) continue;
      float* const at = product.out + row * product.stride + column;
      const float value = product.bias == nullptr ? sum[i][j] : sum[i][j] + product.bias[column];
      *at = product.adds ? *at + value : value;
    }
  }
}

template <class LeftSource, Order left_order, class RightSource, Order right_order>
cudaError_t multiply(const Factor<LeftSource, left_order>& left, const Factor<RightSource, right_order>& right, const Product& product,
                     size_t rows, size_t columns, size_t depth, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((columns + product_tile - 1) / product_tile), static_cast<unsigned>((rows + product_tile - 1) / product_tile));
  return launch(multiply_tiles<LeftSource, left_order, RightSource, right_order>, grid, dim3(product_threads), 0, stream, left, right, product,
                rows, columns, depth);
}

}  // namespace imago::cuda
