// The k largest logits of each row with their indices; the logarithm of Σ e^(z/T), and of the share of all that is not among them.
#include <math.h>

#include "common/largest.h"
#include "common/parallel.h"
#include "common/scratch.h"
#include "common/vector_math.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** What is wrong with a row. */
enum Fault : int { fine, nan, positive_infinity, nothing, no_memory };

/** Σ 2^((z − reference)·scale) over the classes that are not among the selected, whose last is `last`; reference ≥ all of them. */
IMAGO_INLINE double tail_sum(const float* row, size_t classes, Entry last, float reference, float scale) {
  const I bar = all_int(order_of(last)), place = all_int(static_cast<int32_t>(position_of(last)));
  Sum sum;
  for (size_t i = 0; i < classes; i += W) {
    const F z = load_lanes_or(row + i, classes - i, -infinity);
    const I order = order_of(z), position = iota() + all_int(static_cast<int32_t>(i));
    const I outside = (order < bar) | ((order == bar) & (position > place));
    sum.add(select(outside, exp2((z - reference) * scale), F{}));
  }
  return static_cast<double>(sum_of(sum.total)) + static_cast<double>(sum_of(sum.error));
}

struct TopK {
  const float* logits;
  float* values;
  int32_t* indices;
  double* log_sum_exp;
  double* log_tail;
  size_t classes, k;
  double temperature;

  Fault row(size_t r) const {
    const float* const z = logits + r * classes;
    // One more than asked for: the largest of the tail is what its exponentials are relative to.
    const size_t count = k < classes ? k + 1 : k;
    Largest largest{reinterpret_cast<Entry*>(scratch(2 * Largest::capacity(count))), count};
    if (largest.entries == nullptr) return no_memory;
    I least = all_int(0);
    size_t i = 0;
    for (; i + 4 * W <= classes; i += 4 * W) {
      const I a = order_of(load(z + i)), b = order_of(load(z + i + W));
      const I c = order_of(load(z + i + 2 * W)), d = order_of(load(z + i + 3 * W));
      const I low_ab = a < b ? a : b, low_cd = c < d ? c : d, low = low_ab < low_cd ? low_ab : low_cd;
      const I high_ab = a > b ? a : b, high_cd = c > d ? c : d, high = high_ab > high_cd ? high_ab : high_cd;
      least = least < low ? least : low;
      if (!any(high > all_int(largest.bar))) continue;
      largest.offer(a, i, W);
      largest.offer(b, i + W, W);
      largest.offer(c, i + 2 * W, W);
      largest.offer(d, i + 3 * W, W);
    }
    for (; i < classes; i += W) {
      const I a = order_of(load_lanes_or(z + i, classes - i, -infinity));
      least = least < a ? least : a;
      largest.offer(a, i, classes - i < W ? classes - i : W);
    }
    largest.keep();
    sort_descending(largest.entries, largest.held);
    const int32_t top = order_of(largest.entries[0]);
    if (top >= order_of_infinity || any(least < all_int(-order_of_infinity))) return fault_of(z);
    if (top == -order_of_infinity) return nothing;
    for (size_t j = 0; j < k; j++) {
      const uint32_t index = position_of(largest.entries[j]);
      indices[r * k + j] = static_cast<int32_t>(index);
      values[r * k + j] = z[index];
    }
    if (log_sum_exp != nullptr || log_tail != nullptr) masses(r, z, largest.entries);
    return fine;
  }

  /** The first of NaN and +∞. */
  static Fault fault_of(const float* z) {
    for (;; z++) {
      if (*z != *z) return nan;
      if (*z == infinity) return positive_infinity;
    }
  }

  void masses(size_t r, const float* z, const Entry* entries) const {
    const float* const selected = values + r * k;
    const float scale = static_cast<float>(1.4426950408889634 / temperature);
    Sum head;
    for (size_t j = 0; j < k; j += W)
      head.add(exp2((load_lanes_or(selected + j, k - j, -infinity) - selected[0]) * scale));
    double sum = static_cast<double>(sum_of(head.total)) + static_cast<double>(sum_of(head.error));
    double tail = -static_cast<double>(infinity);
    const float next = k < classes ? z[position_of(entries[k])] : -infinity;
    if (next > -infinity) {
      tail = (static_cast<double>(next) - static_cast<double>(selected[0])) / temperature +
             ::log(tail_sum(z, classes, entries[k - 1], next, scale));
      sum += ::exp(tail);
    }
    const double log_sum = ::log(sum);
    if (log_sum_exp != nullptr) log_sum_exp[r] = static_cast<double>(selected[0]) / temperature + log_sum;
    if (log_tail != nullptr) log_tail[r] = tail - log_sum;
  }
};

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(top_k) {
  const size_t rows = size(call, 0);
  const double temperature = call->scalars[3];
  const TopK kernel{buffer<const float>(call, 0), buffer<float>(call, 1),  buffer<int32_t>(call, 2), buffer<double>(call, 3),
                    buffer<double>(call, 4),      size(call, 1),           size(call, 2),            temperature};
  if (const int refused = check_temperature(call, temperature)) return refused;
  if (kernel.k < 1 || kernel.k > 1024 || kernel.k > kernel.classes)
    return refuse(call, "k must be in [1, min(1024, classes)], got %zu", kernel.k);
  if (kernel.classes >= size_t{1} << 31) return refuse(call, "classes must be below 2^31");

  // A chunk stops at its first bad row; the first of all is told.
  struct Bad {
    size_t row;
    Fault fault;
  } bad[max_chunks];
  const Chunks chunks = Chunks::of(rows, kernel.classes, 1);
  parallel(rows, chunks, [&](size_t chunk, size_t first, size_t end) {
    bad[chunk].fault = fine;
    for (size_t r = first; r < end && bad[chunk].fault == fine; r++) bad[chunk] = {r, kernel.row(r)};
  });
  for (size_t i = 0; i < chunks.count; i++) switch (bad[i].fault) {
      case fine: break;
      case nan: return refuse(call, "logits: NaN in row %zu", bad[i].row);
      case positive_infinity: return refuse(call, "logits: Infinity in row %zu", bad[i].row);
      case nothing: return refuse(call, "logits: only -Infinity in row %zu", bad[i].row);
      case no_memory: return refuse(call, "out of memory");
    }
  return 0;
}
