// Mean and co-moments of rows that come batch by batch (Chan, Golub & LeVeque 1983): the batch is centred on its own mean, and
//   M += Σ w·(x − μ)(x − μ)ᵀ + δδᵀ·n·b/(n + b),  mean += δ·b/(n + b),  n += b,  with δ = μ − mean and b = Σ w.
// The last term of M is one more centred row. Only the upper triangle of M is written.
#include "common/parallel.h"
#include "common/scratch.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** Columns are cut into strips of two vectors of doubles; a panel holds the centred rows of each strip one behind the other. */
inline constexpr size_t lanes = W / 2;
inline constexpr size_t strip = 2 * lanes;
/** Rows of M that are summed at once, in registers. */
inline constexpr size_t tile = W == 16 ? 8 : 4;
static_assert(strip % tile == 0);

/** Rows of a panel: as many as keep it near the core, but enough that reading and writing M does not count. */
IMAGO_INLINE size_t panel_rows(size_t columns) {
  const size_t fit = (size_t{1} << 17) / columns;
  return fit < 64 ? 64 : fit > 256 ? 256 : fit;
}

struct Accumulator {
  double* count;
  double* mean;
  double* comoment;
  size_t columns;
  double* panel;

  IMAGO_INLINE void load_strip(const float* x, size_t width, D& a, D& b) {
    float row[strip] = {};
    if (width >= strip)
      memcpy(row, x, sizeof row);
    else
      memcpy(row, x, width * sizeof *row);
    a = load_doubles(row);
    b = load_doubles(row + lanes);
  }

  /** Centres the strip's columns of the rows into the panel, adds the row of the means' distance, and moves the mean. */
  void centre(const float* x, const float* weights, size_t rows, double batch, size_t s) const {
    const size_t first = s * strip, width = columns - first < strip ? columns - first : strip;
    D sum_a{}, sum_b{};
    for (size_t r = 0; r < rows; r++) {
      const double w = weights == nullptr ? 1 : static_cast<double>(weights[r]);
      if (w == 0) continue;
      D a, b;
      load_strip(x + r * columns + first, width, a, b);
      sum_a += a * w;
      sum_b += b * w;
    }
    const D mean_a = sum_a / batch, mean_b = sum_b / batch;
    double* out = panel + s * strip * (rows + 1);
    for (size_t r = 0; r < rows; r++, out += strip) {
      const double w = weights == nullptr ? 1 : static_cast<double>(weights[r]);
      D a{}, b{};
      if (w != 0) {
        load_strip(x + r * columns + first, width, a, b);
        const double root = w == 1 ? 1 : __builtin_sqrt(w);
        a = (a - mean_a) * root;
        b = (b - mean_b) * root;
      }
      memcpy(out, &a, sizeof a);
      memcpy(out + lanes, &b, sizeof b);
    }
    const double total = *count + batch;
    const double root = __builtin_sqrt(*count * (batch / total));
    double means[strip];
    memcpy(means, &mean_a, sizeof mean_a);
    memcpy(means + lanes, &mean_b, sizeof mean_b);
    for (size_t i = 0; i < strip; i++) {
      const double distance = i < width ? means[i] - mean[first + i] : 0;
      out[i] = distance * root;
      if (i < width) mean[first + i] += distance * (batch / total);
    }
  }

  /** M[i][j] += Σ panel[r][i]·panel[r][j] for `tile` rows i and the columns of one strip j. */
  IMAGO_INLINE void add_tile(const Accumulator& m, const double* left, const double* right, size_t rows, size_t i, size_t j) {
    D sum[tile][2] = {};
    for (size_t r = 0; r < rows; r++) {
      D a, b;
      memcpy(&a, right + r * strip, sizeof a);
      memcpy(&b, right + r * strip + lanes, sizeof b);
      for (size_t t = 0; t < tile; t++) {
        const D factor = left[r * strip + t] - D{};
        sum[t][0] = fma(factor, a, sum[t][0]);
        sum[t][1] = fma(factor, b, sum[t][1]);
      }
    }
    const size_t end = m.columns - j < strip ? m.columns : j + strip;
    for (size_t t = 0; t < tile && i + t < m.columns; t++) {
      double* const row = m.comoment + (i + t) * m.columns;
      if (i + t <= j && j + strip == end) {
        D a, b;
        memcpy(&a, row + j, sizeof a);
        memcpy(&b, row + j + lanes, sizeof b);
        a += sum[t][0];
        b += sum[t][1];
        memcpy(row + j, &a, sizeof a);
        memcpy(row + j + lanes, &b, sizeof b);
      } else {
        double sums[strip];
        memcpy(sums, sum[t], sizeof sums);
        for (size_t c = i + t > j ? i + t : j; c < end; c++) row[c] += sums[c - j];
      }
    }
  }

  void add(const float* x, const float* weights, size_t rows) const {
    const FloatingPointMode mode;  // weights that count as 0 in a task count as 0 here
    double batch = weights == nullptr ? static_cast<double>(rows) : 0;
    for (size_t r = 0; weights != nullptr && r < rows; r++) batch += static_cast<double>(weights[r]);
    if (batch == 0) return;
    const size_t strips = (columns + strip - 1) / strip;
    parallel(strips, Chunks::of(strips, rows * strip, 1), [&](size_t, size_t first, size_t end) {
      for (size_t s = first; s < end; s++) centre(x, weights, rows, batch, s);
    });
    *count += batch;
    parallel(strips, Chunks::of(strips, rows * strip * columns / 2, 1), [&](size_t, size_t first, size_t end) {
      for (size_t s = first; s < end; s++)
        for (size_t t = 0; t < strip; t += tile)
          for (size_t j = s; j < strips; j++)
            add_tile(*this, panel + s * strip * (rows + 1) + t, panel + j * strip * (rows + 1), rows + 1, s * strip + t, j * strip);
    });
  }
};

/** Refuses the first row that counts and is not finite. */
int check(const imago_call* call, const float* x, const float* weights, size_t rows, size_t columns) {
  for (size_t r = 0; r < rows; r++) {
    if (weights != nullptr && weights[r] == 0) continue;
    const float* const row = x + r * columns;
    F sum{};
    for (size_t c = 0; c < columns; c += W) sum += load_lanes_or(row + c, columns - c, 0) * 0.0f;
    if (!any(sum != sum)) continue;
    size_t c = 0;
    while (row[c] - row[c] == 0) c++;
    return refuse(call, "x: %s in row %zu", row[c] != row[c] ? "NaN" : row[c] > 0 ? "Infinity" : "-Infinity", r);
  }
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(covariance) {
  const float* const x = buffer<const float>(call, 0);
  const float* const weights = buffer<const float>(call, 1);
  const size_t rows = size(call, 0), columns = size(call, 1);
  if (rows == 0 || columns == 0) return 0;
  if (const int refused = check(call, x, weights, rows, columns)) return refused;

  const size_t most = panel_rows(columns) < rows ? panel_rows(columns) : rows;
  const size_t padded = (columns + strip - 1) / strip * strip;
  double* const panel = reinterpret_cast<double*>(scratch(2 * (most + 1) * padded));
  if (panel == nullptr) return refuse(call, "out of memory for %zu centred rows", most);
  const Accumulator m{buffer<double>(call, 2), buffer<double>(call, 3), buffer<double>(call, 4), columns, panel};
  for (size_t r = 0; r < rows; r += most)
    m.add(x + r * columns, weights == nullptr ? nullptr : weights + r, rows - r < most ? rows - r : most);
  return 0;
}
