// SGD with momentum and max-norm in one pass (Hinton et al. 2012, arXiv 1207.0580, section 2 and appendix A.1):
//   g = gradientScale·gradient + weightDecay·w;  v ← momentum·v − rate·g;  w ← w + v;
// then the incoming weights of each unit (a row or a column of the matrix) are scaled down to the allowed squared length.
#include "common/parallel.h"
#include "common/vector_math.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

struct Sgd {
  float* parameter;
  const float* gradient;
  float* velocity;
  float momentum;
  float gradient_factor;  // −rate·gradientScale
  float decay_factor;     // −rate·weightDecay

  IMAGO_INLINE F velocity_of(const Sgd& s, F w, F g, F v) {
    return fma(v, all(s.momentum), fma(g, all(s.gradient_factor), w * s.decay_factor));
  }

  /** Updates W elements and returns the new weights. */
  __attribute__((always_inline)) F update(size_t i) const {
    const F w = load(parameter + i);
    const F v = velocity_of(*this, w, load(gradient + i), load(velocity + i));
    store(velocity + i, v);
    store(parameter + i, w + v);
    return w + v;
  }

  /** The same for `count` < W elements; 0 in the other lanes. */
  __attribute__((always_inline)) F update_part(size_t i, size_t count) const {
    const F w = load_part(parameter + i, count, 0);
    const F v = velocity_of(*this, w, load_part(gradient + i, count, 0), load_part(velocity + i, count, 0));
    store_part(velocity + i, count, v);
    store_part(parameter + i, count, w + v);
    return w + v;
  }
};

IMAGO_INLINE void scale(float* x, size_t n, float factor) {
  size_t i = 0;
  for (; i + W <= n; i += W) store(x + i, load(x + i) * factor);
  if (i < n) store_part(x + i, n - i, load_part(x + i, n - i, 0) * factor);
}

void step(const Sgd& sgd, size_t n) {
  parallel(n, Chunks::of(n, 1, 16), [&](size_t, size_t first, size_t end) {
    size_t i = first;
    for (; i + W <= end; i += W) sgd.update(i);
    if (i < end) sgd.update_part(i, end - i);
  });
}

/** A unit is a row: its squares are summed while it is updated, and it is still in the cache when it is scaled. */
void step_rows(const Sgd& sgd, size_t rows, size_t columns, double limit) {
  parallel(rows, Chunks::of(rows, columns, 1), [&](size_t, size_t first, size_t end) {
    for (size_t r = first; r < end; r++) {
      const size_t start = r * columns;
      Sum squares;
      size_t c = 0;
      for (; c + W <= columns; c += W) {
        const F w = sgd.update(start + c);
        squares.add(w * w);
      }
      if (c < columns) {
        const F w = sgd.update_part(start + c, columns - c);
        squares.add(w * w);
      }
      const double squared = static_cast<double>(sum_of(squares.value()));
      if (squared > limit)
        scale(sgd.parameter + start, columns, static_cast<float>(__builtin_sqrt(limit / squared)));
    }
  });
}

/**
 * A unit is a column: a stripe of columns runs down all rows with one running sum per column, then the columns that are too
 * long are scaled. The sums stay in the cache; they are compensated every `sum_rows` rows.
 */
struct Stripe {
  static constexpr size_t columns = 512;
  static constexpr size_t sum_rows = 64;
  F part[columns / W];
  Sum squares[columns / W];
};

IMAGO_INLINE void update_stripe(const Sgd& sgd, size_t rows, size_t columns, size_t first, size_t width, Stripe& stripe) {
  const size_t whole = width / W, rest = width % W;
  for (size_t k = 0; k < Stripe::columns / W; k++) {
    stripe.part[k] = F{};
    stripe.squares[k] = Sum{};
  }
  for (size_t r = 0; r < rows; r++) {
    const size_t start = r * columns + first;
    for (size_t k = 0; k < whole; k++) {
      const F w = sgd.update(start + k * W);
      stripe.part[k] = fma(w, w, stripe.part[k]);
    }
    if (rest != 0) {
      const F w = sgd.update_part(start + whole * W, rest);
      stripe.part[whole] = fma(w, w, stripe.part[whole]);
    }
    if ((r + 1) % Stripe::sum_rows != 0 && r + 1 != rows) continue;
    for (size_t k = 0; k < Stripe::columns / W; k++) {
      stripe.squares[k].add(stripe.part[k]);
      stripe.part[k] = F{};
    }
  }
}

void step_columns(const Sgd& sgd, size_t rows, size_t columns, double limit) {
  parallel(columns, Chunks{(columns + Stripe::columns - 1) / Stripe::columns, Stripe::columns}, [&](size_t, size_t first, size_t end) {
    const size_t width = end - first;
    Stripe stripe;
    update_stripe(sgd, rows, columns, first, width, stripe);

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
        float* const p = sgd.parameter + r * columns + first + k * W;
        const size_t rest = width - k * W;
        if (rest < W)
          store_part(p, rest, load_part(p, rest, 0) * stripe.part[k]);
        else
          store(p, load(p) * stripe.part[k]);
      }
  });
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(sgd) {
  const size_t rows = size(call, 0), columns = size(call, 1);
  const double* const s = call->scalars;
  const double rate = s[2], momentum = s[3], decay = s[4], gradient_scale = s[5], axis = s[6], limit = s[7];
  const Sgd sgd{buffer<float>(call, 0),           buffer<const float>(call, 1),      buffer<float>(call, 2), static_cast<float>(momentum),
                static_cast<float>(-rate * gradient_scale), static_cast<float>(-rate * decay)};
  if (axis == -1) {
    step(sgd, rows * columns);
    return 0;
  }
  if (axis != 0 && axis != 1) return refuse(call, "unitAxis must be -1 (no max-norm), 0 or 1, got %g", axis);
  if (!(limit >= 0)) return refuse(call, "maxSquaredNorm must be >= 0, got %g", limit);
  if (axis == 0)
    step_rows(sgd, rows, columns, limit);
  else
    step_columns(sgd, rows, columns, limit);
  return 0;
}
