// −Σ t·ln softmax(z) of rows with targets t = (1 − ε)·distribution + ε/C, and the gradient softmax(z)·Σt − t. In float64: a target is a number
// of its own, so that q − t is whatever the two leave of each other, and a student that has learned its targets would have a
// gradient of rounding errors.
#pragma once
#include <math.h>

#include "common/double_math.h"
#include "common/row_loss.h"

namespace imago::IMAGO_ISA {

struct DistributionEntropy {
  const Batch& batch;
  const float* student;
  const float* distribution;
  double smoothing;
  static constexpr size_t arrays = 2;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    for (size_t i = 0; i < rows.count; i++) {
      const size_t start = rows.index[i] * batch.classes;
      float* const gradient = batch.gradient == nullptr ? nullptr : batch.gradient + start;
      const double loss = row(student + start, distribution + start, gradient, rows.share[i], reinterpret_cast<double*>(memory));
      terms.first += rows.share[i] * loss;
    }
  }

  /** W numbers of a row, and which of them are classes; elsewhere they are `fill`. */
  struct Lanes {
    I is_class;
    size_t count;
  };
  __attribute__((always_inline)) Lanes lanes_from(size_t c) const {
    const size_t count = batch.classes - c < W ? batch.classes - c : W;
    return {batch.mask == nullptr ? iota() < all_int(static_cast<int32_t>(count)) : nonzero(batch.mask + c, count), count};
  }
  IMAGO_INLINE F read(const float* p, Lanes lanes, float fill) {
    const F x = lanes.count == W ? load(p) : load_part(p, lanes.count, fill);
    return select(lanes.is_class, x, all(fill));
  }
  __attribute__((always_inline)) Doubles target(const float* t, Lanes lanes, double everywhere) const {
    const Doubles smoothed = widened(read(t, lanes, 0)) * (1 - smoothing) + everywhere;
    return select(widened(lanes.is_class), smoothed, all(0.0));
  }

  /** The row's loss; gradient may be null, or the student's own row. `e` has room for the row. */
  double row(const float* z, const float* t, float* gradient, double share, double* e) const {
    const size_t classes = batch.classes;
    F greatest = all(-infinity);
    for (size_t c = 0; c < classes; c += W) greatest = max(greatest, read(z + c, lanes_from(c), -infinity));
    const double most = static_cast<double>(max_of(greatest));
    const double everywhere = smoothing / static_cast<double>(batch.unmasked);
    Doubles others = all(0.0), best = others, depth = others, other_targets = others, best_targets = others;
    for (size_t c = 0; c < classes; c += W) {
      const Lanes lanes = lanes_from(c);
      const Doubles x = widened(read(z + c, lanes, -infinity));
      const Doubles mass = target(t + c, lanes, everywhere), exponential = exp(x - most);
      const Bits is_other = x < most;
      store(e + c, exponential);
      others += select(is_other, exponential, all(0.0));
      best += select(is_other, all(0.0), exponential);
      other_targets += select(is_other, mass, all(0.0));
      best_targets += select(is_other, all(0.0), mass);
      depth += select(mass > 0.0, mass * (all(most) - x), all(0.0));
    }
    const auto total = [](Doubles x) { return sum_of(x.low + x.high); };
    // The largest class, or one of several, adds 1 to Σ e^(z − max): the rest keeps its digits.
    const double rest = total(others) + (total(best) - 1), targets = total(other_targets) + total(best_targets);
    const double scale = targets / (1 + rest);
    // A class with most of the mass has the gradient that the others leave: all of them sum to 0.
    const bool is_sure = rest < 0.3;
    const double surest = is_sure ? total(other_targets) - rest * scale : 0;
    for (size_t c = 0; gradient != nullptr && c < classes; c += W) {
      const Lanes lanes = lanes_from(c);
      const Doubles exponential = load(e + c), difference = exponential * scale - target(t + c, lanes, everywhere);
      const F g = narrowed((is_sure ? select(exponential == 1.0, all(surest), difference) : difference) * share);
      if (lanes.count == W)
        store(gradient + c, g);
      else
        store_part(gradient + c, lanes.count, g);
    }
    // −ln q = (max − z) + ln(1 + Σ of the others): no term is negative, and a small sum keeps its digits.
    return total(depth) + targets * ::log1p(rest);
  }
};

/** Refuses the first row that is no distribution: numbers outside [0, ∞) or a sum that is not 1. 0 where all are. */
IMAGO_INLINE int check_distribution(const imago_call* call, const DistributionEntropy& kernel) {
  const Batch& batch = kernel.batch;
  const Chunks chunks = Chunks::of(batch.rows, batch.classes, 16);
  size_t bad[max_chunks];
  const auto sum_of_row = [&](size_t r) {
    Doubles sum = all(0.0);
    I wrong{};
    for (size_t c = 0; c < batch.classes; c += W) {
      const F t = kernel.read(kernel.distribution + r * batch.classes + c, kernel.lanes_from(c), 0);
      wrong |= ~((t >= 0.0f) & (t < infinity));
      sum += widened(t);
    }
    return any(wrong) ? -1 : sum_of(sum.low + sum.high);
  };
  parallel(batch.rows, chunks, [&](size_t chunk, size_t first, size_t end) {
    bad[chunk] = batch.rows;
    for (size_t r = end; r-- > first;) {
      if (!batch.counts(r)) continue;
      const double sum = sum_of_row(r);
      if (!(sum >= 1 - 1e-3 && sum <= 1 + 1e-3)) bad[chunk] = r;
    }
  });
  for (size_t i = 0; i < chunks.count; i++) {
    const size_t r = bad[i];
    if (r == batch.rows) continue;
    for (size_t c = 0; c < batch.classes; c++) {
      const float t = kernel.distribution[r * batch.classes + c];
      if (batch.is_class(c) && !(t >= 0 && t < infinity))
        return refuse(call, "distribution: %g in row %zu", static_cast<double>(t), r);
    }
    return refuse(call, "distribution: %g as the sum in row %zu", sum_of_row(r), r);
  }
  return 0;
}

}  // namespace imago::IMAGO_ISA
