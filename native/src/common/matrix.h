// Rows out of a matrix of any type, and sums of its columns.
#pragma once
#include "common/gemm.h"
#include "common/vector_math.h"

namespace imago::IMAGO_ISA {

template <class Source>
static void copy_rows(const void* from, size_t columns, const size_t* index, size_t rows, float* out) {
  const auto* const data = static_cast<const typename Source::Element*>(from);
  parallel(rows, Chunks::of(rows, columns, 1), [&](size_t, size_t first, size_t end) {
    for (size_t r = first; r < end; r++) {
      const auto* const p = data + index[r] * columns;
      float* const q = out + r * columns;
      size_t i = 0;
      for (; i + W <= columns; i += W) store(q + i, Source::read(p + i));
      if (i < columns) store_part(q + i, columns - i, read_part<Source>(p + i, columns - i, 0));
    }
  });
}

/** Rows `index` of a matrix of any type, as float32. */
IMAGO_INLINE void gather(const void* from, Type type, size_t columns, const size_t* index, size_t rows, float* out) {
  if (type == Type::float32) return copy_rows<Float32>(from, columns, index, rows, out);
  if (type == Type::float16) return copy_rows<Float16>(from, columns, index, rows, out);
  copy_rows<Bfloat16>(from, columns, index, rows, out);
}

/** out = scale·(sums of the columns of x) [+ out]. */
IMAGO_INLINE void sum_columns(const float* x, size_t rows, size_t columns, float scale, bool accumulate, float* out) {
  parallel(columns, Chunks::of(columns, rows, W), [&](size_t, size_t first, size_t end) {
    for (size_t c = first; c < end; c += W) {
      const size_t width = least(W, end - c);
      const auto read = [&](const float* p) { return width == W ? load(p) : load_part(p, width, 0); };
      Sum total;
      for (size_t r = 0; r < rows; r += 64) {
        F part{};
        for (size_t i = r; i < least(r + 64, rows); i++) part += read(x + i * columns + c);
        total.add(part);
      }
      const F sum = fma(total.value(), all(scale), accumulate ? read(out + c) : F{});
      if (width == W)
        store(out + c, sum);
      else
        store_part(out + c, width, sum);
    }
  });
}

}  // namespace imago::IMAGO_ISA
