// One pass over the weights for every optimizer: its rule moves them, max-norm holds each unit's length, and a bfloat16 copy
// is written along. Weights are a row-major matrix; a unit's incoming weights are a row or a column of it. The device twin of
// common/weight_step.h.
//
// A rule has `float moved(size_t i)`: the new weight i, its own moments written back.
#pragma once
#include "cuda/elements.cuh"
#include "cuda/team.cuh"

namespace imago::cuda {

/** Where the new weights go; copy may be null. */
struct Weights {
  float* parameter;
  uint16_t* copy;

  __device__ __forceinline__ void write(size_t i, float w) const {
    parameter[i] = w;
    if (copy != nullptr) copy[i] = to_bfloat16(w);
  }
};

template <class Rule>
struct Step {
  Rule rule;
  Weights weights;
  __device__ __forceinline__ float operator()(size_t i) const {
    const float w = rule.moved(i);
    weights.write(i, w);
    return w;
  }
};

/** The factor that brings a unit of this squared length to the allowed one; 1 where it is short enough. */
IMAGO_DEVICE float factor_of(double squared, double limit) {
  return squared > limit ? static_cast<float>(::sqrt(limit / squared)) : 1.0f;
}

constexpr int unit_threads = 256;

/** A block per unit that is a row. What a thread scales it has written itself. */
template <class Rule>
__global__ void __launch_bounds__(unit_threads) step_row_units(Step<Rule> step, size_t columns, double limit) {
  BlockTeam<unit_threads> team;
  const size_t start = blockIdx.x * columns;
  double squared[1] = {0};
  for (size_t c = threadIdx.x; c < columns; c += unit_threads) {
    const double w = static_cast<double>(step(start + c));
    squared[0] += w * w;
  }
  team.sum(squared);
  const float factor = factor_of(squared[0], limit);
  if (factor == 1) return;
  for (size_t c = threadIdx.x; c < columns; c += unit_threads) step.weights.write(start + c, step.weights.parameter[start + c] * factor);
}

/** A tile of a matrix whose units are columns: 32 columns, so that a warp reads neighbours, and so many rows. */
constexpr int tile_columns = 32;
constexpr int tile_lanes = 8;
constexpr size_t tile_rows = 64;

/** Moves a tile's weights and sums the squares of each of its columns: squares[tile row][column]. */
template <class Rule>
__global__ void __launch_bounds__(tile_columns* tile_lanes) step_column_units(Step<Rule> step, size_t rows, size_t columns, double* squares) {
  __shared__ double parts[tile_lanes][tile_columns];
  const size_t c = static_cast<size_t>(blockIdx.x) * tile_columns + threadIdx.x;
  const size_t first = blockIdx.y * tile_rows, end = first + tile_rows < rows ? first + tile_rows : rows;
  double sum = 0;
  if (c < columns) {
    for (size_t r = first + threadIdx.y; r < end; r += tile_lanes) {
      const double w = static_cast<double>(step(r * columns + c));
      sum += w * w;
    }
  }
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= columns) return;
  for (int lane = 1; lane < tile_lanes; lane++) sum += parts[lane][threadIdx.x];
  squares[blockIdx.y * columns + c] = sum;
}

/** factors[column] from the sums of its tiles, in their order. */
struct ColumnFactors {
  const double* squares;
  size_t tiles, columns;
  double limit;
  float* factors;
  __device__ __forceinline__ void operator()(size_t c) const {
    double sum = 0;
    for (size_t tile = 0; tile < tiles; tile++) sum += squares[tile * columns + c];
    factors[c] = factor_of(sum, limit);
  }
};

/** Scales the columns of a tile whose factor is not 1. */
static __global__ void __launch_bounds__(tile_columns* tile_lanes) scale_columns(Weights weights, size_t rows, size_t columns, const float* factors) {
  const size_t c = static_cast<size_t>(blockIdx.x) * tile_columns + threadIdx.x;
  if (c >= columns || factors[c] == 1) return;
  const float factor = factors[c];
  const size_t first = blockIdx.y * tile_rows, end = first + tile_rows < rows ? first + tile_rows : rows;
  for (size_t r = first + threadIdx.y; r < end; r += tile_lanes)
    weights.write(r * columns + c, weights.parameter[r * columns + c] * factor);
}

/** Moves the weights [rows, columns] by the rule. axis: −1 no max-norm, 0 a unit is a row, 1 a column; copy may be null. */
template <class Rule>
int step_weights(const imago_call* call, const Rule& rule, float* parameter, uint16_t* copy, size_t rows, size_t columns, double axis,
                 double limit) {
  if (axis != -1 && axis != 0 && axis != 1) return refuse(call, "unitAxis must be -1 (no max-norm), 0 or 1, got %g", axis);
  if (axis != -1 && !(limit >= 0)) return refuse(call, "maxSquaredNorm must be >= 0, got %g", limit);
  const Step<Rule> step{rule, {parameter, copy}};
  const size_t n = rows * columns;
  if (axis == -1 || n == 0) return each_element(call, n, step);
  if (axis == 0)
    return done(call, launch(step_row_units<Rule>, dim3(static_cast<unsigned>(rows)), dim3(unit_threads), 0, stream(call), step, columns, limit));

  const size_t tiles = (rows + tile_rows - 1) / tile_rows;
  if (tiles > 65535) return refuse(call, "%zu rows are more than the 2^22 of max-norm by columns", rows);
  auto* const squares = static_cast<double*>(scratch(call, tiles * columns * sizeof(double) + columns * sizeof(float)));
  if (squares == nullptr) return refuse(call, "CUDA: out of memory");
  auto* const factors = reinterpret_cast<float*>(squares + tiles * columns);
  const dim3 grid(static_cast<unsigned>((columns + tile_columns - 1) / tile_columns), static_cast<unsigned>(tiles));
  const dim3 block(tile_columns, tile_lanes);
  if (const int refused = done(call, launch(step_column_units<Rule>, grid, block, 0, stream(call), step, rows, columns, squares))) return refused;
  if (const int refused = each_element(call, columns, ColumnFactors{squares, tiles, columns, limit, factors})) return refused;
  return done(call, launch(scale_columns, grid, block, 0, stream(call), step.weights, rows, columns, factors));
}

}  // namespace imago::cuda
