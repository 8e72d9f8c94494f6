// Mean and co-moments of rows that come batch by batch (Chan, Golub & LeVeque 1983): the batch is centred on its own mean μ, and
//   M += Σ w·(x − μ)(x − μ)ᵀ + δδᵀ·n·b/(n + b),  mean += δ·b/(n + b),  n += b,  with δ = μ − mean and b = Σ w.
// Only the upper triangle of M is written. All in float64, in an order that depends on the problem alone.
#include "cuda/elements.cuh"

namespace imago::cuda {
namespace {

constexpr int tile = 32;        // columns of a block: a warp reads neighbours
constexpr int lanes = 8;        // rows that a block reads at once
constexpr size_t part_rows = 1024;  // rows that a block sums
constexpr int depth = 16;       // centred rows of two tiles in shared memory

struct Rows {
  const float* x;
  const float* weights;
  size_t rows, columns;
  Status status;
  __device__ __forceinline__ double weight(size_t r) const { return weights == nullptr ? 1 : static_cast<double>(weights[r]); }
};

/** What the batch leaves in scratch. */
struct Batch {
  double* weight;      // b
  double* mean;        // μ [columns]
  double* part_weight; // [parts]
  double* part_sum;    // Σ w·x [parts][columns]
  size_t parts;
};

/** Σ w and Σ w·x of `part_rows` rows and 32 columns; refuses what is not finite. */
__global__ void __launch_bounds__(tile* lanes) sum_columns(Rows in, Batch batch) {
  __shared__ double sums[lanes][tile], masses[lanes];
  const size_t c = static_cast<size_t>(blockIdx.x) * tile + threadIdx.x;
  const size_t first = blockIdx.y * part_rows, end = first + part_rows < in.rows ? first + part_rows : in.rows;
  double sum = 0, mass = 0;
  for (size_t r = first + threadIdx.y; r < end; r += lanes) {
    const double w = in.weight(r);
    mass += w;
    if (w == 0 || c >= in.columns) continue;
    const float x = in.x[r * in.columns + c];
    if (!(fabsf(x) <= 3.402823466e38f)) report(in.status, 0, problem_of(x), r);
    sum += w * static_cast<double>(x);
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  if (threadIdx.x == 0) masses[threadIdx.y] = mass;
  __syncthreads();
  if (threadIdx.y != 0) return;
  for (int lane = 1; lane < lanes; lane++) sum += sums[lane][threadIdx.x];
  if (c < in.columns) batch.part_sum[blockIdx.y * in.columns + c] = sum;
  if (blockIdx.x != 0 || threadIdx.x != 0) return;
  for (int lane = 1; lane < lanes; lane++) mass += masses[lane];
  batch.part_weight[blockIdx.y] = mass;
}

struct Means {
  Batch batch;
  size_t columns;
  __device__ __forceinline__ void operator()(size_t c) const {
    double weight = 0, sum = 0;
    for (size_t part = 0; part < batch.parts; part++) {
      weight += batch.part_weight[part];
      sum += batch.part_sum[part * columns + c];
    }
    batch.mean[c] = weight > 0 ? sum / weight : 0;
    if (c == 0) *batch.weight = weight;
  }
};

/** Two tiles of columns, the lower one first: every thread sums 2 × 2 numbers of M over all rows. */
__global__ void __launch_bounds__(256) sum_products(Rows in, Batch batch, const double* count, const double* mean, double* comoment) {
  __shared__ double left[depth][tile], right[depth][tile];
  if (blockIdx.y > blockIdx.x || !(*batch.weight > 0)) return;
  const size_t i0 = static_cast<size_t>(blockIdx.y) * tile, j0 = static_cast<size_t>(blockIdx.x) * tile;
  const int i = 2 * (threadIdx.x / 16), j = 2 * (threadIdx.x % 16);
  const auto centred = [&](size_t r, size_t c) {
    if (r >= in.rows || c >= in.columns) return 0.0;
    const double w = in.weight(r);
    return w == 0 ? 0.0 : (static_cast<double>(in.x[r * in.columns + c]) - batch.mean[c]) * (w == 1 ? 1 : ::sqrt(w));
  };
  double sum[2][2] = {};
  for (size_t r0 = 0; r0 < in.rows; r0 += depth) {
    for (int at = threadIdx.x; at < depth * tile; at += 256) {
      left[at / tile][at % tile] = centred(r0 + at / tile, i0 + at % tile);
      right[at / tile][at % tile] = centred(r0 + at / tile, j0 + at % tile);
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < depth; r++)
#pragma unroll
      for (int a = 0; a < 2; a++)
#pragma unroll
        for (int b = 0; b < 2; b++) sum[a][b] += left[r][i + a] * right[r][j + b];
    __syncthreads();
  }
  const double n = *count, b = *batch.weight, factor = n * (b / (n + b));
  for (int a = 0; a < 2; a++)
    for (int e = 0; e < 2; e++) {
      const size_t row = i0 + i + a, column = j0 + j + e;
      if (row > column || column >= in.columns) continue;
      const double distances = (batch.mean[row] - mean[row]) * (batch.mean[column] - mean[column]);
      comoment[row * in.columns + column] += sum[a][e] + distances * factor;
    }
}

struct Join {
  Batch batch;
  double* count;
  double* mean;
  __device__ __forceinline__ void operator()(size_t c) const {
    const double b = *batch.weight;
    if (b > 0) mean[c] += (batch.mean[c] - mean[c]) * (b / (*count + b));
  }
};
struct Count {
  Batch batch;
  double* count;
  __device__ __forceinline__ void operator()(size_t) const { *count += *batch.weight; }
};

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(covariance) {
  using namespace imago::cuda;
  const Rows in{buffer<const float>(call, 0), buffer<const float>(call, 1), size(call, 0), size(call, 1), status_of(call, "covariance")};
  if (in.rows == 0 || in.columns == 0) return 0;
  if (in.status.word == nullptr) return refuse(call, "CUDA: out of memory");
  double* const count = buffer<double>(call, 2);
  double* const mean = buffer<double>(call, 3);
  const size_t parts = (in.rows + part_rows - 1) / part_rows, tiles = (in.columns + tile - 1) / tile;
  if (parts > 65535) return refuse(call, "%zu rows are more than the 2^25 of one call", in.rows);
  if (tiles > 65535) return refuse(call, "%zu columns are more than the 2^20 of the CUDA kernel", in.columns);
  auto* const memory = static_cast<double*>(scratch(call, (1 + in.columns + parts + parts * in.columns) * sizeof(double)));
  if (memory == nullptr) return refuse(call, "CUDA: out of memory");
  const Batch batch{memory, memory + 1, memory + 1 + in.columns, memory + 1 + in.columns + parts, parts};
  const auto grid = [&](size_t x, size_t y) { return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y)); };
  if (const int refused = done(call, launch(sum_columns, grid(tiles, parts), dim3(tile, lanes), 0, stream(call), in, batch))) return refused;
  if (const int refused = each_element(call, in.columns, Means{batch, in.columns})) return refused;
  if (const int refused = done(call, launch(sum_products, grid(tiles, tiles), dim3(256), 0, stream(call), in, batch, count, mean,
                                            buffer<double>(call, 4))))
    return refused;
  if (const int refused = each_element(call, in.columns, Join{batch, count, mean})) return refused;
  return each_element(call, 1, Count{batch, count});
}
