// The dual of eq. 5 (Hinton, Vinyals & Dean 2015) for one row, and Newton's method on it. At the minimum
// q_i·(1 + A − Σ_{m: i ∈ D_m} λ_m) = a_i, with a_i what generalist and specialists put on class i itself and λ_m = p^m_D / q(D_m).
// So q follows from A numbers, and classes that the same specialists know count as one. The λ maximise the concave dual
// Σ p^m_D·ln λ_m + Σ_P w_P·ln(1 + A − Σ_{m ∌ P} λ_m) over such groups P of mass w_P: a few damped Newton steps, whatever the number of classes.
#pragma once
#include <math.h>

#include "common/simd.h"

namespace imago::IMAGO_ISA {

inline constexpr size_t most_active = 32;
/** Less than any float32 probability that is not 0: where the generalist rules classes out that a dustbin needs, they share alike. */
inline constexpr double least_mass = 1e-38;
/** Of a group of classes: its divisor is a difference, and below this nothing would be left of it. What is added is invisible in float32. */
inline constexpr double least_group = 1e-9;

/** Classes that the same specialists know: bit m of `known` says that the row's m-th active one does. */
struct Group {
  uint32_t known;
  double mass;
  double divisor;  // 1 + A − Σ λ of those that do not know it
  double raised;   // what its mass has been multiplied by
};

struct Row {
  double* mass;       // [C]: a_i
  uint32_t* known;    // [C]
  uint32_t* group_of; // [C]
  Group* groups;      // [≤ C + 1]
  uint32_t* table;    // hash of `known` to group + 1
  size_t table_size;
  size_t group_count;
  size_t count;                // A
  double dustbin[most_active];  // p^m_D
  double outside[most_active];  // p^g(D_m)
  double lambda[most_active];
};

IMAGO_INLINE size_t group_with(Row& row, uint32_t known) {
  size_t slot = (known * 0x9e3779b1u) & (row.table_size - 1);
  while (row.table[slot] != 0) {
    const size_t found = row.table[slot] - 1;
    if (row.groups[found].known == known) return found;
    slot = (slot + 1) & (row.table_size - 1);
  }
  row.groups[row.group_count] = {known, 0, 0, 1};
  row.table[slot] = static_cast<uint32_t>(++row.group_count);
  return row.group_count - 1;
}

/** The dual at λ, −∞ outside its domain; leaves the groups' divisors at λ. */
IMAGO_INLINE double dual(Row& row, const double* lambda) {
  double value = 0;
  for (size_t m = 0; m < row.count; m++) {
    if (row.dustbin[m] == 0) continue;
    if (!(lambda[m] > 0)) return -__builtin_inf();
    value += row.dustbin[m] * ::log(lambda[m]);
  }
  for (size_t g = 0; g < row.group_count; g++) {
    Group& group = row.groups[g];
    group.divisor = 1 + static_cast<double>(row.count);
    for (size_t m = 0; m < row.count; m++)
      if (!(group.known >> m & 1)) group.divisor -= lambda[m];
    if (!(group.divisor > 0)) return -__builtin_inf();
    value += group.mass * ::log(group.divisor);
  }
  return value;
}

/** The Newton step at λ (whose divisors the groups hold): −H x = gradient by Cholesky. Returns gradient·x, twice the gap that it promises. */
IMAGO_INLINE double newton_step(const Row& row, double* step) {
  const size_t n = row.count;
  double gradient[most_active], h[most_active][most_active];
  for (size_t m = 0; m < n; m++) {
    const bool is_free = row.dustbin[m] > 0;
    for (size_t k = 0; k <= m; k++) h[m][k] = 0;
    gradient[m] = is_free ? row.dustbin[m] / row.lambda[m] : 0;
    h[m][m] = is_free ? row.dustbin[m] / (row.lambda[m] * row.lambda[m]) : 1;
  }
  for (size_t g = 0; g < row.group_count; g++) {
    const Group& group = row.groups[g];
    const double share = group.mass / group.divisor, second = share / group.divisor;
    for (size_t m = 0; m < n; m++) {
      if ((group.known >> m & 1) || row.dustbin[m] == 0) continue;
      gradient[m] -= share;
      for (size_t k = 0; k <= m; k++)
        if (!(group.known >> k & 1) && row.dustbin[k] > 0) h[m][k] += second;
    }
  }
  for (size_t m = 0; m < n; m++) {
    for (size_t k = 0; k <= m; k++) {
      double sum = h[m][k];
      for (size_t j = 0; j < k; j++) sum -= h[m][j] * h[k][j];
      h[m][k] = k < m ? sum / h[k][k] : __builtin_sqrt(sum);
    }
  }
  for (size_t m = 0; m < n; m++) {
    double sum = gradient[m];
    for (size_t j = 0; j < m; j++) sum -= h[m][j] * step[j];
    step[m] = sum / h[m][m];
  }
  for (size_t m = n; m-- > 0;) {
    double sum = step[m];
    for (size_t j = m + 1; j < n; j++) sum -= h[j][m] * step[j];
    step[m] = sum / h[m][m];
  }
  double product = 0;
  for (size_t m = 0; m < n; m++) product += gradient[m] * step[m];
  return product;
}

/** |Σ_{m ∌ P} (p^m_D / q(D_m) − λ_m)| at its largest: by how much the multiplier of q differs between groups. */
IMAGO_INLINE double residual_of(const Row& row) {
  double missing[most_active];
  for (size_t m = 0; m < row.count; m++) {
    double mass = 0;
    for (size_t g = 0; g < row.group_count; g++)
      if (!(row.groups[g].known >> m & 1)) mass += row.groups[g].mass / row.groups[g].divisor;
    missing[m] = row.dustbin[m] > 0 ? row.dustbin[m] / mass - row.lambda[m] : 0;
  }
  double worst = 0;
  for (size_t g = 0; g < row.group_count; g++) {
    double sum = 0;
    for (size_t m = 0; m < row.count; m++)
      if (!(row.groups[g].known >> m & 1)) sum += missing[m];
    worst = ::fmax(worst, ::fabs(sum));
  }
  return worst;
}

/**
 * Newton on the dual. One specialist alone has a closed form, q(D) = (p^g(D) + p_D) / 2; several begin at λ = p_D, which is always inside of the
 * domain, since q(D) ≤ 1. Returns the evaluations of the dual.
 */
IMAGO_INLINE int32_t solve(Row& row, int32_t most_steps) {
  double step[most_active], next[most_active];
  for (size_t m = 0; m < row.count; m++) row.lambda[m] = row.dustbin[m];
  if (row.count == 1 && row.outside[0] > least_group) row.lambda[0] = 2 * row.dustbin[0] / (row.outside[0] + row.dustbin[0]);
  double value = dual(row, row.lambda);
  int32_t steps = 1;
  while (steps < most_steps) {
    const double promised = newton_step(row, step);
    if (!(promised > 1e-26)) break;
    // Below, rounding decides which of two values is larger, and a whole step is right.
    const bool is_near = promised < 1e-10;
    double length = 1, found;
    do {
      for (size_t m = 0; m < row.count; m++) next[m] = row.lambda[m] + length * step[m];
      found = dual(row, next);
      steps++;
      length /= 2;
    } while (!(is_near ? found > -__builtin_inf() : found >= value + 0.2 * length * promised) && steps < most_steps && length > 1e-12);
    if (!(found > -__builtin_inf())) break;
    for (size_t m = 0; m < row.count; m++) row.lambda[m] = next[m];
    value = found;
  }
  return steps;
}

}  // namespace imago::IMAGO_ISA
