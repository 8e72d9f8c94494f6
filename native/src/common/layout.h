// Two ways to put rows into vectors, so that one set of loops serves 10 classes and 100,000.
//
//   Wide    one row at a time: vector i holds classes i·W … i·W + W − 1. What belongs to the row is the same in every lane.
//   Narrow  W rows at a time: vector i holds class i of each. What belongs to a row is in its lane; nothing is summed across.
//
// A block is the rows that are computed together (1 or W). Its logits are staged into aligned scratch of `vectors` vectors,
// so what follows knows neither tails nor half precision, and an output may overwrite its input.
#pragma once
#include "common/half.h"
#include "common/vector_math.h"

namespace imago::IMAGO_ISA {

/** Where logits come from: rows of `Source::Element`, read W at a time. */
struct Float32 {
  typedef float Element;
  IMAGO_INLINE F read(const float* p) { return load(p); }
};
struct Float16 {
  typedef uint16_t Element;
  IMAGO_INLINE F read(const uint16_t* p) {
    Words16 x;
    memcpy(&x, p, sizeof x);
    return from_float16(x);
  }
};
struct Bfloat16 {
  typedef uint16_t Element;
  IMAGO_INLINE F read(const uint16_t* p) {
    Words16 x;
    memcpy(&x, p, sizeof x);
    return from_bfloat16(x);
  }
};

/** The first `count` < W elements at p; the others are `fill`. */
template <class Source>
IMAGO_INLINE F read_part(const typename Source::Element* p, size_t count, float fill) {
  typename Source::Element buffer[W] = {};
  for (size_t i = 0; i < count; i++) buffer[i] = p[i];
  return select(iota() < all_int(static_cast<int32_t>(count)), Source::read(buffer), all(fill));
}
template <>
__attribute__((always_inline)) inline F read_part<Float32>(const float* p, size_t count, float fill) {
  return load_part(p, count, fill);
}
/** The number at p. */
template <class Source>
IMAGO_INLINE float read_one(const typename Source::Element* p) {
  return read_part<Source>(p, 1, 0)[0];
}

/** Largest and smallest logit of each row of a block. */
struct Range {
  F max;
  F min;
};

/** All bits where one of the `count` ≤ W bytes at p is not 0; none in the lanes behind them. */
IMAGO_INLINE I nonzero(const uint8_t* p, size_t count) {
  uint8_t bytes[W] = {};
  for (size_t i = 0; i < count; i++) bytes[i] = p[i];
  typedef uint8_t Bytes __attribute__((vector_size(W)));
  Bytes x;
  memcpy(&x, bytes, sizeof x);
  return __builtin_convertvector(x, I) != 0;
}

struct Wide {
  static constexpr size_t rows = 1;
  static size_t vectors(size_t classes) { return (classes + W - 1) / W; }
  IMAGO_INLINE F sum(F x) { return all(sum_of(x)); }
  IMAGO_INLINE F most(F x) { return all(max_of(x)); }
  IMAGO_INLINE F least(F x) { return all(min_of(x)); }
  /** The class in every lane of vector i. */
  IMAGO_INLINE I classes_of(size_t i) { return iota() + all_int(static_cast<int32_t>(i * W)); }
  /** Which lanes of vector i hold classes whose mask is not 0. */
  IMAGO_INLINE I unmasked(const uint8_t* mask, size_t i, size_t classes) {
    return nonzero(mask + i * W, classes - i * W < W ? classes - i * W : W);
  }

  /** Lanes behind the last class are −∞: no mass. */
  template <class Source>
  static Range stage(const typename Source::Element* const* row, size_t, size_t classes, float* out) {
    const typename Source::Element* p = row[0];
    F max0 = all(-infinity), max1 = max0, min0 = all(infinity), min1 = min0;
    size_t i = 0;
    for (; i + 2 * W <= classes; i += 2 * W) {
      const F a = Source::read(p + i), b = Source::read(p + i + W);
      store(out + i, a);
      store(out + i + W, b);
      max0 = max(max0, a);
      max1 = max(max1, b);
      min0 = min(min0, a);
      min1 = min(min1, b);
    }
    for (; i + W <= classes; i += W) {
      const F a = Source::read(p + i);
      store(out + i, a);
      max0 = max(max0, a);
      min0 = min(min0, a);
    }
    if (i < classes) {
      const F a = read_part<Source>(p + i, classes - i, -infinity);
      store(out + i, a);
      max0 = max(max0, a);
      min0 = min(min0, read_part<Source>(p + i, classes - i, infinity));
    }
    return {all(max_of(max(max0, max1))), all(min_of(min(min0, min1)))};
  }

  /** Writes value(0) … value(vectors − 1) to the row. */
  template <class Value>
  static void unstage(float* const* row, size_t, size_t classes, Value value) {
    float* const p = row[0];
    size_t i = 0;
    for (; i + W <= classes; i += W) store(p + i, value(i / W));
    if (i < classes) store_part(p + i, classes - i, value(i / W));
  }
};

struct Narrow {
  static constexpr size_t rows = W;
  static size_t vectors(size_t classes) { return classes; }
  IMAGO_INLINE F sum(F x) { return x; }
  IMAGO_INLINE F most(F x) { return x; }
  IMAGO_INLINE F least(F x) { return x; }
  IMAGO_INLINE I classes_of(size_t i) { return all_int(static_cast<int32_t>(i)); }
  IMAGO_INLINE I unmasked(const uint8_t* mask, size_t i, size_t) { return all_int(mask[i] != 0 ? -1 : 0); }

  /** Lanes behind the last row repeat the first, as the pointers do; nobody looks at them. */
  template <class Source>
  static Range stage(const typename Source::Element* const* row, size_t, size_t classes, float* out) {
    Range range = {all(-infinity), all(infinity)};
    for (size_t first = 0; first < classes; first += W) {
      const size_t width = classes - first < W ? classes - first : W;
      F tile[W];
      if (width == W)
        for (size_t r = 0; r < W; r++) tile[r] = Source::read(row[r] + first);
      else
        for (size_t r = 0; r < W; r++) tile[r] = read_part<Source>(row[r] + first, width, 0);
      transpose(tile);
      for (size_t c = 0; c < W; c++) {
        if (c == width) break;
        store(out + (first + c) * W, tile[c]);
        range.max = max(range.max, tile[c]);
        range.min = min(range.min, tile[c]);
      }
    }
    return range;
  }

  template <class Value>
  static void unstage(float* const* row, size_t count, size_t classes, Value value) {
    for (size_t first = 0; first < classes; first += W) {
      const size_t width = classes - first < W ? classes - first : W;
      F tile[W];
      for (size_t c = 0; c < W; c++) tile[c] = c < width ? value(first + c) : F{};
      transpose(tile);
      for (size_t r = 0; r < W; r++) {
        if (r == count) break;
        if (width == W)
          store(row[r] + first, tile[r]);
        else
          store_part(row[r] + first, width, tile[r]);
      }
    }
  }
};

/** Below this many classes vectors along a row would be mostly tail; above it W rows at once leave the L1 cache. */
inline constexpr size_t narrow_classes = 128;

}  // namespace imago::IMAGO_ISA
