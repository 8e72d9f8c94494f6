// One pass over the weights for every optimizer: its rule moves them, max-norm holds each unit's length, and a bfloat16 copy
// is written along. Weights are a row-major matrix; a unit's incoming weights are a row or a column of it.
//
// A rule has `F moved(size_t i, size_t count)`: the new weights i … i + count − 1 (count ≤ W), its own moments written back.
#pragma once
#include "common/half.h"
#include "common/parallel.h"
#include "common/refuse.h"
#include "common/vector_math.h"

namespace imago::IMAGO_ISA {

/** Lane l of the result is lane (l + by) mod W, by ≤ W. */
IMAGO_INLINE F rotated(F x, size_t by) {
  float twice[2 * W];
  store(twice, x);
  store(twice + W, x);
  return load(twice + by);
}

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
      each_vector(weights.parameter, first, end, [&](size_t i, size_t count) { update(i, count); });
    });
  }

  /** A unit is a row: its squares are summed while it is updated, and it is still in the cache when it is scaled. */
  void rows(size_t count, size_t columns, double limit) const {
    parallel(count, Chunks::of(count, columns, 1), [&](size_t, size_t first, size_t end) {
      for (size_t r = first; r < end; r++) {
        const size_t start = r * columns;
        // Lane l sums the columns lead + l, lead + l + W, …: the squares of the lead stand in the last lanes.
        const size_t lead = elements_to_alignment(weights.parameter + start, columns);
        Sum squares;
        if (lead != 0 && lead < columns) {
          const F w = update(start, lead);
          squares.add(rotated(w * w, lead));
        }
        each_vector(weights.parameter, start + (lead < columns ? lead : 0), start + columns, [&](size_t i, size_t lanes) {
          const F w = update(i, lanes);
          squares.add(w * w);
        });
        const double squared = static_cast<double>(sum_of(rotated(squares.value(), lead < columns ? W - lead : W)));
        if (!(squared > limit)) continue;
        const F factor = all(static_cast<float>(__builtin_sqrt(limit / squared)));
        each_vector(weights.parameter, start, start + columns, [&](size_t i, size_t lanes) { weights.scale(i, lanes, factor); });
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
    // The columns before the first aligned one are a stripe of their own, where that helps in every row.
    const size_t lead = count % W == 0 ? elements_to_alignment(weights.parameter, count) : 0;
    const size_t stripes = 1 + (count - lead + Stripe::columns - 1) / Stripe::columns;
    parallel(stripes, Chunks{stripes, 1}, [&](size_t, size_t s, size_t) {
      const size_t first = s == 0 ? 0 : lead + (s - 1) * Stripe::columns;
      const size_t width = s == 0 ? lead : count - first < Stripe::columns ? count - first : Stripe::columns;
      if (width == 0) return;
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
