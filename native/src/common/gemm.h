// Products of float32 matrices: blocks of both factors are packed into panels that lie in memory as they are read, and a tile of
// the product stays in registers while its sum over `depth_block` terms grows (Goto & van de Geijn 2008; BLIS, Van Zee & van
// de Geijn 2015). The order of every sum is fixed by the sizes alone.
#pragma once
#include "common/layout.h"
#include "common/parallel.h"

namespace imago::IMAGO_ISA {

/** A tile fills the registers: 28 of 32 with AVX-512, 12 of 16 with AVX2 (two for b, one for an element of a). At most W rows. */
#if defined(__AVX512F__)
inline constexpr size_t tile_rows = 14;
#elif defined(__AVX2__)
inline constexpr size_t tile_rows = 6;
#else
inline constexpr size_t tile_rows = 4;
#endif
inline constexpr size_t tile_columns = 2 * W;
/** Terms that are summed in registers. A panel of b, depth_block · tile_columns, stays in the L1 cache. */
inline constexpr size_t depth_block = 256;
/** Of each factor so much is packed at a time; the rows are a multiple of every tile_rows. */
inline constexpr size_t packed_rows = 1008;
inline constexpr size_t packed_columns = 2048;
/** What one task computes: its part of a stays in the L2 cache. */
inline constexpr size_t task_rows = 126 / tile_rows * tile_rows;
inline constexpr size_t task_columns = 128;

enum class Type { float32, float16, bfloat16 };

/** A factor in memory: element (i, j) lies at data[i·stride + j], or at data[j·stride + i] where `turned`. */
struct Factor {
  const void* data;
  size_t stride;
  bool turned;
  Type type;
};

/** What becomes of the product: out = scale·product + bias (one number a column, or null), or out + scale·product. */
struct Product {
  float* out;
  size_t stride;
  float scale;
  const float* bias;
  bool accumulate;
};

IMAGO_INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }
IMAGO_INLINE size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

/** Memory of the packed panels of one multiplication. */
struct Panels {
  float* a;
  float* b;
  IMAGO_INLINE size_t floats_a(size_t rows, size_t depth) {
    return round_up(least(packed_rows, round_up(rows, tile_rows)) * least(depth, depth_block), W);
  }
  IMAGO_INLINE size_t floats_b(size_t columns, size_t depth) {
    return least(packed_columns, round_up(columns, tile_columns)) * least(depth, depth_block);
  }
};

/** tile_rows rows of a from row `first`, `depth` columns: element (i, k) at out[k·tile_rows + i]. Rows behind the last are 0. */
static void pack_a(const Factor& a, size_t first, size_t rows, size_t from, size_t depth, float* out) {
  const float* const data = static_cast<const float*>(a.data);
  // A store writes W numbers, of which the next one overwrites what is too much. The last keeps to the panel.
  const auto put = [&](size_t k, F x) {
    if (k + 1 < depth)
      store(out + k * tile_rows, x);
    else
      store_part(out + k * tile_rows, tile_rows, x);
  };
  if (a.turned) {
    const float* p = data + from * a.stride + first;
    const size_t width = rows - first;
    for (size_t k = 0; k < depth; k++, p += a.stride)
      put(k, width >= W ? load(p) : load_part(p, width, 0));
    return;
  }
  const size_t count = least(tile_rows, rows - first);
  for (size_t k = 0; k < depth; k += W) {
    const size_t width = least(W, depth - k);
    F tile[W];
    for (size_t i = 0; i < W; i++) {
      const float* const p = data + (first + i) * a.stride + from + k;
      tile[i] = i >= count ? F{} : width == W ? load(p) : load_part(p, width, 0);
    }
    transpose(tile);
    for (size_t i = 0; i < W; i++) {
      if (i == width) break;
      put(k + i, tile[i]);
    }
  }
}

/** tile_columns columns of b from column `first`: element (k, j) at out[k·tile_columns + j]. Columns behind the last are 0. */
template <class Source>
static void pack_b(const Factor& b, size_t first, size_t columns, size_t from, size_t depth, float* out) {
  typedef typename Source::Element Element;
  const Element* const data = static_cast<const Element*>(b.data);
  for (size_t half = 0; half < tile_columns; half += W) {
    const size_t column = first + half;
    const size_t count = column < columns ? least(W, columns - column) : 0;
    if (!b.turned) {
      const Element* p = data + from * b.stride + column;
      for (size_t k = 0; k < depth; k++, p += b.stride)
        store(out + k * tile_columns + half, count == W ? Source::read(p) : count == 0 ? F{} : read_part<Source>(p, count, 0));
      continue;
    }
    for (size_t k = 0; k < depth; k += W) {
      const size_t width = least(W, depth - k);
      F tile[W];
      for (size_t j = 0; j < W; j++) {
        const Element* const p = data + (column + j) * b.stride + from + k;
        tile[j] = j >= count ? F{} : width == W ? Source::read(p) : read_part<Source>(p, width, 0);
      }
      transpose(tile);
      for (size_t i = 0; i < W; i++) {
        if (i == width) break;
        store(out + (k + i) * tile_columns + half, tile[i]);
      }
    }
  }
}

IMAGO_INLINE void pack_b_of(const Factor& b, size_t first, size_t columns, size_t from, size_t depth, float* out) {
  if (b.type == Type::float32) return pack_b<Float32>(b, first, columns, from, depth, out);
  if (b.type == Type::float16) return pack_b<Float16>(b, first, columns, from, depth, out);
  return pack_b<Bfloat16>(b, first, columns, from, depth, out);
}

/** One tile: the sum over `depth` terms in registers, then into `rows` × `columns` of the product. */
static void multiply_tile(const float* a, const float* b, size_t depth, const Product& c, size_t row, size_t column, size_t rows,
                          size_t columns, bool first) {
  F sums[tile_rows][2] = {};
  float* const out = c.out + row * c.stride + column;
  for (size_t i = 0; i < rows; i++) __builtin_prefetch(out + i * c.stride, 1);
  for (size_t k = 0; k < depth; k++, a += tile_rows, b += tile_columns) {
    const F b0 = load(b), b1 = load(b + W);
#pragma GCC unroll 16
    for (size_t i = 0; i < tile_rows; i++) {
      const F x = all(a[i]);
      sums[i][0] = fma(x, b0, sums[i][0]);
      sums[i][1] = fma(x, b1, sums[i][1]);
    }
  }
  const F scale = all(c.scale);
  const bool add = c.accumulate || !first;
  const bool biased = c.bias != nullptr && !add;
#pragma GCC unroll 2
  for (size_t half = 0; half < 2; half++) {
    const size_t at = half * W;
    if (at >= columns) break;
    const size_t count = least(W, columns - at);
    const float* const start = biased ? c.bias + column + at : nullptr;
    const F bias = !biased ? F{} : count == W ? load(start) : load_part(start, count, 0);
#pragma GCC unroll 16
    for (size_t i = 0; i < tile_rows; i++) {
      if (i >= rows) break;
      float* const p = out + i * c.stride + at;
      if (count == W) {
        store(p, fma(sums[i][half], scale, add ? load(p) : bias));
      } else {
        store_part(p, count, fma(sums[i][half], scale, add ? load_part(p, count, 0) : bias));
      }
    }
  }
}

/** c ← a·b, with a [rows, depth] of float32, b [depth, columns] and c [rows, columns]. */
IMAGO_INLINE void multiply(size_t rows, size_t columns, size_t depth, const Factor& a, const Factor& b, const Product& c,
                           const Panels& panels) {
  // Where there is nothing to sum one empty block still writes the bias.
  const size_t depths = depth == 0 ? 1 : (depth + depth_block - 1) / depth_block;
  for (size_t left = 0; left < columns; left += packed_columns)
    for (size_t d = 0; d < depths; d++)
      for (size_t top = 0; top < rows; top += packed_rows) {
        const size_t from = d * depth_block;
        const size_t terms = least(depth_block, depth - from);
        const size_t width = least(packed_columns, columns - left);
        const size_t height = least(packed_rows, rows - top);
        const size_t panels_a = (height + tile_rows - 1) / tile_rows;
        const size_t panels_b = top > 0 ? 0 : (width + tile_columns - 1) / tile_columns;
        // Eight panels make a task that is worth a thread.
        parallel(panels_a + panels_b, {(panels_a + panels_b + 7) / 8, 8}, [&](size_t, size_t begin, size_t end) {
          for (size_t i = begin; i < end; i++) {
            if (i < panels_b) {
              const size_t at = i * tile_columns;
              pack_b_of(b, left + at, columns, from, terms, panels.b + at * terms);
            } else {
              const size_t at = (i - panels_b) * tile_rows;
              pack_a(a, top + at, rows, from, terms, panels.a + at * terms);
            }
          }
        });
        const size_t down = (height + task_rows - 1) / task_rows;
        const size_t across = (width + task_columns - 1) / task_columns;
        parallel(down * across, {down * across, 1}, [&](size_t task, size_t, size_t) {
          const size_t y0 = task / across * task_rows, y1 = least(y0 + task_rows, height);
          const size_t x0 = task % across * task_columns, x1 = least(x0 + task_columns, width);
          for (size_t x = x0; x < x1; x += tile_columns)
            for (size_t y = y0; y < y1; y += tile_rows)
              multiply_tile(panels.a + y * terms, panels.b + x * terms, terms, c, top + y, left + x, least(tile_rows, y1 - y),
                            least(tile_columns, x1 - x), d == 0);
        });
      }
}

}  // namespace imago::IMAGO_ISA
