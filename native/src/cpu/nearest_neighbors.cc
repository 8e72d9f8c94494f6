// For each row of a table the nearest other row: squared differences of numbers, one for each word that differs. Sums in float32 over tiles
// of rows only rule out; what they leave is compared in float64, in the order of the definition, so that the answer is its very bits on
// every instruction set and for every number of threads.
#include "common/parallel.h"
#include "common/scratch.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** Rows are packed in groups of two vectors, one attribute behind the other; a tile is one group against `tile` rows. */
inline constexpr size_t group = 2 * W;
inline constexpr size_t tile = W == 16 ? 8 : 4;
static_assert(group % tile == 0);
/** Rows that one task looks for, a multiple of every group; and bytes of packed rows that stay in the L2 cache meanwhile. */
inline constexpr size_t task_rows = 512;
inline constexpr size_t block_bytes = size_t{1} << 18;
/** Attributes between two looks at whether anything in the tile is still near enough. */
inline constexpr size_t stretch = 6;
/** Numbers beyond it are refused: their squares, however many, stay in float32. */
inline constexpr float largest = 0x1p48f;

IMAGO_INLINE F add_mismatch(F sum, I a, I b) {
#if defined(__AVX512F__)
  return _mm512_mask_add_ps(sum, _mm512_cmpneq_epi32_mask((__m512i)a, (__m512i)b), sum, all(1));
#else
  return sum + as_float((a != b) & as_int(all(1)));
#endif
}

struct Table {
  const float* x;
  const int32_t* codes;
  size_t rows, continuous, nominal;
  /** Group g, attribute a (words first, then numbers, the most varied first), row i: packed[(g·attributes + a)·group + i]. */
  float* packed;

  size_t attributes() const { return continuous + nominal; }
  const float* group_at(size_t g) const { return packed + g * attributes() * group; }

  /** The definition. */
  double distance(size_t i, size_t j) const {
    const float *a = x + i * continuous, *b = x + j * continuous;
    double sum = 0;
    for (size_t c = 0; c < continuous; c++) {
      const double difference = static_cast<double>(a[c]) - static_cast<double>(b[c]);
      sum += difference * difference;
    }
    const int32_t *v = codes + i * nominal, *w = codes + j * nominal;
    for (size_t c = 0; c < nominal; c++) sum += v[c] == w[c] ? 0 : 1;
    return sum;
  }

  void pack(size_t g, const size_t* order) const {
    float* out = packed + g * attributes() * group;
    for (size_t a = 0; a < attributes(); a++, out += group)
      for (size_t i = 0; i < group; i++) {
        const size_t row = g * group + i;
        float value = 0;
        if (row < rows && a >= nominal) value = x[row * continuous + order[a - nominal]];
        if (row < rows && a < nominal) memcpy(&value, codes + row * nominal + a, sizeof value);
        memcpy(out + i, &value, sizeof value);
      }
  }
};

/** What is known of the rows of one task. */
struct Found {
  double best[task_rows];
  /** A sum in float32 that is not below it cannot belong to a nearer row. */
  float limit[task_rows];
  int32_t neighbor[task_rows];
};

/** Sums below 2⁻¹²⁶ are flushed to 0, and must be looked at unless there is nothing nearer than what was found. */
IMAGO_INLINE float limit_of(double exact, float slack) {
  const float limit = static_cast<float>(exact) * slack;
  return exact == 0 || limit > 0x1p-126f ? limit : 0x1p-126f;
}

/** One group against the rows first … first + tile − 1, which lie in one group themselves. */
IMAGO_INLINE void look(const Table& table, const float* points, size_t points_first, const float* queries, size_t first,
                       float slack, double* best, float* limit, int32_t* neighbor) {
  F sum[tile][2] = {};
  const auto nothing_near = [&] {
    I near = all_int(0);
    for (size_t t = 0; t < tile; t++) near = near | (sum[t][0] < all(limit[t])) | (sum[t][1] < all(limit[t]));
    return !any(near);
  };
  size_t a = 0;
  for (const size_t end = table.nominal; a < end;) {
    const size_t until = end - a < stretch ? end : a + stretch;
    for (; a < until; a++) {
      I p, q, word;
      memcpy(&p, points + a * group, sizeof p);
      memcpy(&q, points + a * group + W, sizeof q);
      for (size_t t = 0; t < tile; t++) {
        int32_t code;
        memcpy(&code, queries + a * group + t, sizeof code);
        word = all_int(code);
        sum[t][0] = add_mismatch(sum[t][0], p, word);
        sum[t][1] = add_mismatch(sum[t][1], q, word);
      }
    }
    if (nothing_near()) return;
  }
  for (const size_t end = table.attributes(); a < end;) {
    const size_t until = end - a < stretch ? end : a + stretch;
    for (; a < until; a++) {
      const F p = load(points + a * group), q = load(points + a * group + W);
      for (size_t t = 0; t < tile; t++) {
        const F value = all(queries[a * group + t]);
        const F d = p - value, e = q - value;
        sum[t][0] = fma(d, d, sum[t][0]);
        sum[t][1] = fma(e, e, sum[t][1]);
      }
    }
    if (nothing_near()) return;
  }
  for (size_t t = 0; t < tile; t++) {
    float sums[group];
    store(sums, sum[t][0]);
    store(sums + W, sum[t][1]);
    for (size_t i = 0; i < group; i++) {
      // Rows come in ascending order: of equally near ones the first stays.
      const size_t other = points_first + i;
      if (!(sums[i] < limit[t]) || other == first + t || other >= table.rows) continue;
      const double exact = table.distance(first + t, other);
      if (!(exact < best[t])) continue;
      best[t] = exact;
      neighbor[t] = static_cast<int32_t>(other);
      limit[t] = limit_of(exact, slack);
    }
  }
}

/** The order of the numbers by their variance, largest first: what differs most rules out soonest. */
void order_by_variance(const Table& table, size_t* order, double* variance) {
  for (size_t c = 0; c < table.continuous; c++) {
    double sum = 0, squares = 0;
    const size_t step = table.rows / 1024 + 1;
    size_t count = 0;
    for (size_t r = 0; r < table.rows; r += step, count++) {
      const double value = static_cast<double>(table.x[r * table.continuous + c]);
      sum += value;
      squares += value * value;
    }
    variance[c] = squares - sum * (sum / static_cast<double>(count));
    size_t at = c;
    for (; at > 0 && variance[order[at - 1]] < variance[c]; at--) order[at] = order[at - 1];
    order[at] = c;
  }
}

int check(const imago_call* call, const Table& table) {
  for (size_t r = 0; r < table.rows; r++)
    for (size_t c = 0; c < table.continuous; c++) {
      const float value = table.x[r * table.continuous + c];
      if (value >= -largest && value <= largest) continue;
      if (value != value) return refuse(call, "x: NaN in row %zu", r);
      if (value - value != 0) return refuse(call, "x: %s in row %zu", value > 0 ? "Infinity" : "-Infinity", r);
      return refuse(call, "x: %g is beyond 2^48 in row %zu", static_cast<double>(value), r);
    }
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(nearest_neighbors) {
  Table table{buffer<const float>(call, 0), buffer<const int32_t>(call, 1), size(call, 0), size(call, 1), size(call, 2), nullptr};
  int32_t* const neighbors = buffer<int32_t>(call, 2);
  double* const distances = buffer<double>(call, 3);
  if (table.x == nullptr && table.continuous > 0) return refuse(call, "x must be there where continuous is not 0");
  if (table.codes == nullptr && table.nominal > 0) return refuse(call, "codes must be there where nominal is not 0");
  if (table.rows < 2 || table.rows >= size_t{1} << 31) return refuse(call, "rows must be in [2, 2^31)");
  if (table.attributes() == 0) return refuse(call, "there must be at least one attribute");
  if (const int refused = check(call, table)) return refused;

  const size_t groups = (table.rows + group - 1) / group, attributes = table.attributes();
  // Behind the packed rows: the variances (doubles) and the order of the numbers.
  const size_t floats = groups * attributes * group;
  table.packed = scratch(floats + 4 * table.continuous);
  if (table.packed == nullptr) return refuse(call, "out of memory for %zu packed rows", table.rows);
  double* const variance = reinterpret_cast<double*>(table.packed + floats);
  size_t* const order = reinterpret_cast<size_t*>(variance + table.continuous);
  order_by_variance(table, order, variance);
  parallel(groups, Chunks::of(groups, attributes * group, 1), [&](size_t, size_t first, size_t end) {
    for (size_t g = first; g < end; g++) table.pack(g, order);
  });

  // A float32 sum of n squares lies within n + 3 roundings of the sum in float64; twice that, and one for the limit itself.
  const float slack = 1 + static_cast<float>(2 * (attributes + 8)) * 0x1p-24f;
  const size_t fit = block_bytes / (attributes * group * sizeof(float));
  const size_t block = fit == 0 ? 1 : fit;
  const Chunks chunks{(table.rows + task_rows - 1) / task_rows, task_rows};
  parallel(table.rows, chunks, [&](size_t, size_t first, size_t end) {
    Found found;
    for (size_t i = 0; i < task_rows; i++) {
      found.best[i] = static_cast<double>(infinity);
      found.limit[i] = first + i < end ? infinity : -1;
      found.neighbor[i] = -1;
    }
    for (size_t from = 0; from < groups; from += block) {
      const size_t until = groups - from < block ? groups : from + block;
      for (size_t r = first; r < end; r += tile) {
        const float* const queries = table.group_at(r / group) + r % group;
        for (size_t g = from; g < until; g++)
          look(table, table.group_at(g), g * group, queries, r, slack, found.best + (r - first), found.limit + (r - first),
               found.neighbor + (r - first));
      }
    }
    for (size_t r = first; r < end; r++) {
      neighbors[r] = found.neighbor[r - first];
      if (distances != nullptr) distances[r] = found.best[r - first];
    }
  });
  return 0;
}
