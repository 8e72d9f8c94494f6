// One pass over the weights for every optimizer: its rule moves them, max-norm holds each unit's length, and a bfloat16 copy
// is written along. Weights are a row-major matrix; a unit's incoming weights are a row or a column of it.
//
// A rule has `F moved(size_t i, size_t count)`: the new weights i … i + count − 1 (count ≤ W), its own moments written back.
#pragma once
#include "common/parallel.h"
#include "common/refuse.h"
#include "common/vector_math.h"

namespace imago::IMAGO_ISA {

/** Where the new weights go. */
template <bool copied>
struct Weights {
  float* parameter;
  uint16_t* copy;

  __attribute__((always_inline)) void write(size_t i, size_t count, F w) const {
    store_lanes(parameter + i, count, w);
    if constexpr (copied) {
      store_words(copy + i, count, to_bfloat16(w));
    }
  }
  __attribute__((always_inline)) void scale(size_t i, size_t count, F factor) const {
    write(i, count, load_lanes(parameter + i, count) * factor);
  }
};

template <class Rule, bool copied>
struct WeightStep {
  Rule rule;
  Weights<copied> weights;

  __attribute__((always_inline)) F update(size_t i, size_t count) const {
    const F w = rule.moved(i, count);
    weights.write(i, count, w);
    return w;
  }

  void elements(size_t n) const {
    parallel(n, Chunks::of(n, 1, 16), [&](size_t, size_t first, size_t end) {
      size_t i = first;
      for (; i + W <= end; i += W) update(i, W);
      if (i < end) update(i, end - i);
    });
  }

  /** A unit is a row: its squares are summed while it is updated, and it is still in the cache when it is scaled. */
  void rows(size_t count, size_t columns, double limit) const {
    parallel(count, Chunks::of(count, columns, 1), [&](size_t, size_t first, size_t end) {
      for (size_t r = first; r < end; r++) {
        const size_t start = r * columns;
        Sum squares;
        size_t c = 0;
        for (; c + W <= columns; c += W) {
          const F w = update(start + c, W);
          squares.add(w * w);
        }
        if (c < columns) {
          const F w = update(start + c, columns - c);
          squares.add(w * w);
        }
        const double squared = static_cast<double>(sum_of(squares.value()));
        if (!(squared > limit)) continue;
        const F factor = all(static_cast<float>(__builtin_sqrt(limit / squared)));
        for (c = 0; c + W <= columns; c += W) weights.scale(start + c, W, factor);
        if (c < columns) weights.scale(start + c, columns - c, factor);
      }
    });
  }

  /**
   * A unit is a column: a stripe of columns runs down all rows with one running sum per column, then the columns that are
   * too long are scaled. The sums stay in the cache; they are compensated every `sum_rows` rows.
   */
  struct Stripe {
    static constexpr size_t columns = 512;
    static constexpr size_t sum_rows = 64;
    F part[columns / W];
    Sum squares[columns / W];
  };

  __attribute__((always_inline)) void update_stripe(size_t rows, size_t columns, size_t first, size_t width, Stripe& stripe) const {
    const size_t whole = width / W, rest = width % W;
    for (size_t k = 0; k < Stripe::columns / W; k++) {
      stripe.part[k] = F{};
      stripe.squares[k] = Sum{};
    }
    for (size_t r = 0; r < rows; r++) {
      const size_t start = r * columns + first;
      for (size_t k = 0; k < whole; k++) {
        const F w = update(start + k * W, W);
        stripe.part[k] = fma(w, w, stripe.part[k]);
      }
      if (rest != 0) {
        const F w = update(start + whole * W, rest);
        stripe.part[whole] = fma(w, w, stripe.part[whole]);
      }
      if ((r + 1) % Stripe::sum_rows != 0 && r + 1 != rows) continue;
      for (size_t k = 0; k < Stripe::columns / W; k++) {
        stripe.squares[k].add(stripe.part[k]);
        stripe.part[k] = F{};
      }
    }
  }

  void columns(size_t rows, size_t count, double limit) const {
    const Chunks stripes{(count + Stripe::columns - 1) / Stripe::columns, Stripe::columns};
    parallel(count, stripes, [&](size_t, size_t first, size_t end) {
      const size_t width = end - first;
      Stripe stripe;
      update_stripe(rows, count, first, width, stripe);

      size_t long_vectors[Stripe::columns / W];
      size_t long_count = 0;
      for (size_t k = 0; k * W < width; k++) {
        const F squares = stripe.squares[k].value();
        if (!any(squares > all(static_cast<float>(limit)))) continue;
        long_vectors[long_count++] = k;
        // sqrt(limit / squares) where it is below 1; the lanes behind the last column are 0 and stay.
        stripe.part[k] = min(sqrt(all(static_cast<float>(limit)) / squares), all(1.0f));
      }
      for (size_t r = 0; r < rows && long_count > 0; r++)
        for (size_t i = 0; i < long_count; i++) {
          const size_t k = long_vectors[i];
          const size_t rest = width - k * W;
          weights.scale(r * count + first + k * W, rest < W ? rest : W, stripe.part[k]);
        }
    });
  }

  void run(size_t row_count, size_t column_count, double axis, double limit) const {
    if (axis == 0)
      rows(row_count, column_count, limit);
    else if (axis == 1)
      columns(row_count, column_count, limit);
    else
      elements(row_count * column_count);
  }
};

/** Moves the weights [rows, columns] by the rule. axis: −1 no max-norm, 0 a unit is a row, 1 a column; copy may be null. */
template <class Rule>
IMAGO_INLINE int step_weights(const imago_call* call, const Rule& rule, float* parameter, uint16_t* copy, size_t rows,
                              size_t columns, double axis, double limit) {
  if (axis != -1 && axis != 0 && axis != 1)
    return refuse(call, "unitAxis must be -1 (no max-norm), 0 or 1, got %g", axis);
  if (axis != -1 && !(limit >= 0)) return refuse(call, "maxSquaredNorm must be >= 0, got %g", limit);
  if (copy == nullptr)
    WeightStep<Rule, false>{rule, {parameter, copy}}.run(rows, columns, axis, limit);
  else
    WeightStep<Rule, true>{rule, {parameter, copy}}.run(rows, columns, axis, limit);
  return 0;
}

}  // namespace imago::IMAGO_ISA
