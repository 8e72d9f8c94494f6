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

/** A unit is a column: a stripe of columns runs down all rows, one running sum per column; then it is scaled if it must be. */
void step_columns(const Sgd& sgd, size_t rows, size_t columns, double limit) {
  constexpr size_t stripe = 16 * 8;
  const Chunks chunks{(columns + stripe - 1) / stripe, stripe};
  parallel(columns, chunks, [&](size_t, size_t first, size_t end) {
    const size_t width = end - first;
    const size_t vectors = (width + W - 1) / W;
    const size_t rest = width % W;
    Sum squares[stripe / W];
    for (size_t r = 0; r < rows; r++)
      for (size_t k = 0; k < vectors; k++) {
        const size_t i = r * columns + first + k * W;
        const F w = rest != 0 && k + 1 == vectors ? sgd.update_part(i, rest) : sgd.update(i);
        squares[k].add(w * w);
      }
    F factors[stripe / W];
    bool any = false;
    for (size_t k = 0; k < vectors; k++)
      for (size_t lane = 0; lane < W; lane++) {
        const double squared = static_cast<double>(squares[k].value()[lane]);
        factors[k][lane] = squared > limit ? static_cast<float>(__builtin_sqrt(limit / squared)) : 1.0f;
        any = any || squared > limit;
      }
    if (!any) return;
    for (size_t r = 0; r < rows; r++)
      for (size_t k = 0; k < vectors; k++) {
        float* const p = sgd.parameter + r * columns + first + k * W;
        if (rest != 0 && k + 1 == vectors)
          store_part(p, rest, load_part(p, rest, 0) * factors[k]);
        else
          store(p, load(p) * factors[k]);
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
