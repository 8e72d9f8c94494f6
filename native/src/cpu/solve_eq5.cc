// Hinton, Vinyals & Dean 2015, eq. 5: the q of each row that minimises KL(p^g ‖ q) + Σ_m KL(p^m ‖ q) over a generalist and the specialists
// that are active there. A specialist knows the classes of its set and one dustbin for all others, D_m.
//
// At the minimum q_i·(1 + A − Σ_{m: i ∈ D_m} λ_m) = a_i, with a_i what generalist and specialists put on class i itself and λ_m = p^m_D / q(D_m).
// So q follows from A numbers, and classes that the same specialists know count as one. The λ maximise the concave dual
// Σ p^m_D·ln λ_m + Σ_P w_P·ln(1 + A − Σ_{m ∌ P} λ_m) over such groups P of mass w_P: a few damped Newton steps, whatever the number of classes.
#include <math.h>

#include "common/parallel.h"
#include "common/refuse.h"
#include "common/scratch.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

inline constexpr size_t most_active = 32;
/** Less than any float32 probability that is not 0: where the generalist rules classes out that a dustbin needs, they share alike. */
inline constexpr double least_mass = 1e-38;
/** Of a group of classes: its divisor is a difference, and below this nothing would be left of it. What is added is invisible in float32. */
inline constexpr double least_group = 1e-9;

struct Problem {
  size_t rows, classes, experts, members, active, numbers;
  const float* general;
  const int32_t *set_start, *set_classes;
  const int32_t *active_start, *active_expert, *active_at;
  const float* probabilities;
  float* out;
  int32_t* steps;
  double* residual;
  int32_t most_steps;

  size_t set_begin(size_t m) const { return static_cast<size_t>(set_start[m]); }
  size_t set_size(size_t m) const { return (m + 1 < experts ? set_begin(m + 1) : members) - set_begin(m); }
  size_t active_begin(size_t r) const { return static_cast<size_t>(active_start[r]); }
  size_t active_count(size_t r) const { return (r + 1 < rows ? active_begin(r + 1) : active) - active_begin(r); }
};

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

/** Whether all are ≥ 0 and sum to 1 within 1e-3, and what they sum to. */
IMAGO_INLINE bool is_distribution(const float* p, size_t n, double& sum) {
  sum = 0;
  bool is_fine = true;
  for (size_t i = 0; i < n; i++) {
    is_fine &= p[i] >= 0 && p[i] < infinity;
    sum += static_cast<double>(p[i]);
  }
  return is_fine && sum >= 1 - 1e-3 && sum <= 1 + 1e-3;
}

/** Σ masses and the groups that they fall into. False where a distribution is none. */
IMAGO_INLINE bool gather(const Problem& p, size_t r, Row& row) {
  double sum, general_sum;
  const float* const general = p.general + r * p.classes;
  if (!is_distribution(general, p.classes, general_sum)) return false;
  for (size_t c = 0; c < p.classes; c++) {
    row.mass[c] = static_cast<double>(general[c]) / general_sum;
    row.known[c] = 0;
  }
  row.count = p.active_count(r);
  for (size_t a = 0; a < row.count; a++) {
    const size_t expert = static_cast<size_t>(p.active_expert[p.active_begin(r) + a]), size = p.set_size(expert);
    const float* const own = p.probabilities + p.active_at[p.active_begin(r) + a];
    if (!is_distribution(own, size + 1, sum)) return false;
    const int32_t* const set = p.set_classes + p.set_begin(expert);
    double inside = 0;
    for (size_t i = 0; i < size; i++) {
      inside += static_cast<double>(general[set[i]]) / general_sum;
      row.mass[set[i]] += static_cast<double>(own[i]) / sum;
      row.known[set[i]] |= uint32_t{1} << a;
    }
    row.dustbin[a] = static_cast<double>(own[size]) / sum;
    row.outside[a] = inside < 1 ? 1 - inside : 0;
  }
  row.group_count = 0;
  memset(row.table, 0, row.table_size * sizeof *row.table);
  size_t g = group_with(row, row.known[0]);
  for (size_t c = 0; c < p.classes; c++) {
    if (row.mass[c] < least_mass) row.mass[c] = least_mass;
    if (row.known[c] != row.groups[g].known) g = group_with(row, row.known[c]);
    row.group_of[c] = static_cast<uint32_t>(g);
    row.groups[g].mass += row.mass[c];
  }
  for (size_t i = 0; i < row.group_count; i++) {
    Group& group = row.groups[i];
    if (group.mass >= least_group) continue;
    group.raised = least_group / group.mass;
    group.mass = least_group;
  }
  return true;
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

IMAGO_INLINE void give(const Problem& p, size_t r, const Row& row) {
  float* const out = p.out + r * p.classes;
  for (size_t c = 0; c < p.classes; c++) {
    const Group& group = row.groups[row.group_of[c]];
    out[c] = static_cast<float>(row.mass[c] * group.raised / group.divisor);
  }
}

/** Refuses what points outside, or a set that has a class twice or all of them. */
int check(const imago_call* call, const Problem& p, uint32_t* seen) {
  for (size_t c = 0; c < p.classes; c++) seen[c] = 0;
  for (size_t m = 0; m < p.experts; m++) {
    const size_t begin = p.set_begin(m), end = m + 1 < p.experts ? p.set_begin(m + 1) : p.members;
    if (p.set_start[m] < 0 || begin > end || end > p.members || (m == 0 && begin != 0)) return refuse(call, "setStart: expert %zu does not begin inside the sets", m);
    if (end == begin) return refuse(call, "setClasses: expert %zu has no class", m);
    if (end - begin >= p.classes) return refuse(call, "setClasses: expert %zu has every class, which leaves none for its dustbin", m);
    for (size_t i = begin; i < end; i++) {
      const int32_t c = p.set_classes[i];
      if (c < 0 || static_cast<size_t>(c) >= p.classes) return refuse(call, "setClasses: %d of expert %zu is no class", static_cast<int>(c), m);
      if (seen[c] == m + 1) return refuse(call, "setClasses: expert %zu has class %d twice", m, static_cast<int>(c));
      seen[c] = static_cast<uint32_t>(m + 1);
    }
  }
  for (size_t r = 0; r < p.rows; r++) {
    const size_t begin = p.active_begin(r), end = r + 1 < p.rows ? p.active_begin(r + 1) : p.active;
    if (p.active_start[r] < 0 || begin > end || end > p.active || (r == 0 && begin != 0)) return refuse(call, "activeStart: row %zu does not begin inside", r);
    if (end - begin > most_active) return refuse(call, "activeStart: %zu active experts in row %zu, at most 32", end - begin, r);
    for (size_t a = begin; a < end; a++) {
      const int32_t m = p.active_expert[a];
      if (m < 0 || static_cast<size_t>(m) >= p.experts) return refuse(call, "activeExpert: %d in row %zu is no expert", static_cast<int>(m), r);
      const size_t size = p.set_size(static_cast<size_t>(m));
      if (p.active_at[a] < 0 || static_cast<size_t>(p.active_at[a]) + size + 1 > p.numbers)
        return refuse(call, "activeAt: %d in row %zu is outside of the probabilities", static_cast<int>(p.active_at[a]), r);
    }
  }
  return 0;
}

/** Refuses p if it is no distribution. */
int refuse_distribution(const imago_call* call, const char* name, const float* p, size_t n, size_t r) {
  double sum;
  if (is_distribution(p, n, sum)) return 0;
  for (size_t i = 0; i < n; i++)
    if (!(p[i] >= 0 && p[i] < infinity)) return refuse(call, "%s: %g in row %zu", name, static_cast<double>(p[i]), r);
  return refuse(call, "%s: %g as the sum in row %zu", name, sum, r);
}

/** Says which distribution of the row is none. */
int refuse_row(const imago_call* call, const Problem& p, size_t r) {
  if (const int refused = refuse_distribution(call, "general", p.general + r * p.classes, p.classes, r)) return refused;
  for (size_t a = p.active_begin(r); a < p.active_begin(r) + p.active_count(r); a++) {
    const size_t size = p.set_size(static_cast<size_t>(p.active_expert[a]));
    if (const int refused = refuse_distribution(call, "probabilities", p.probabilities + p.active_at[a], size + 1, r)) return refused;
  }
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(solve_eq5) {
  using namespace imago;
  const Problem p{size(call, 0),
                  size(call, 1),
                  size(call, 2),
                  size(call, 3),
                  size(call, 4),
                  size(call, 5),
                  buffer<const float>(call, 0),
                  buffer<const int32_t>(call, 1),
                  buffer<const int32_t>(call, 2),
                  buffer<const int32_t>(call, 3),
                  buffer<const int32_t>(call, 4),
                  buffer<const int32_t>(call, 5),
                  buffer<const float>(call, 6),
                  buffer<float>(call, 7),
                  buffer<int32_t>(call, 8),
                  buffer<double>(call, 9),
                  0};
  const double most_steps = call->scalars[6];
  if (!(most_steps >= 1 && most_steps <= 1e6)) return refuse(call, "mostSteps must be in [1, 1e6], got %g", most_steps);
  if (p.rows > 0 && p.classes < 2) return refuse(call, "classes must be at least 2");
  size_t table_size = 4;
  while (table_size < 2 * (p.classes + 1)) table_size *= 2;
  // Doubles first, for their alignment.
  const size_t floats = 2 * p.classes + sizeof(Group) / sizeof(float) * (p.classes + 1) + 2 * p.classes + table_size;
  uint32_t* const seen = reinterpret_cast<uint32_t*>(scratch(floats));
  if (seen == nullptr) return refuse(call, "out of memory for %zu classes", p.classes);
  if (const int refused = check(call, p, seen)) return refused;

  Problem problem = p;
  problem.most_steps = static_cast<int32_t>(most_steps);
  size_t bad[max_chunks];
  const Chunks chunks = Chunks::of(p.rows, 8 * p.classes, 1);
  parallel(p.rows, chunks, [&](size_t chunk, size_t first, size_t end) {
    bad[chunk] = p.rows;
    float* memory = scratch(floats);
    if (memory == nullptr) {
      bad[chunk] = p.rows + 1;
      return;
    }
    Row row;
    row.mass = reinterpret_cast<double*>(memory);
    row.groups = reinterpret_cast<Group*>(row.mass + p.classes);
    row.known = reinterpret_cast<uint32_t*>(row.groups + p.classes + 1);
    row.group_of = row.known + p.classes;
    row.table = row.group_of + p.classes;
    row.table_size = table_size;
    for (size_t r = first; r < end; r++) {
      if (!gather(problem, r, row)) {
        bad[chunk] = r;
        return;
      }
      problem.steps[r] = row.count == 0 ? 0 : solve(row, problem.most_steps);
      if (row.count == 0) row.groups[0].divisor = 1;
      problem.residual[r] = residual_of(row);
      give(problem, r, row);
    }
  });
  for (size_t i = 0; i < chunks.count; i++) {
    if (bad[i] == p.rows) continue;
    if (bad[i] > p.rows) return refuse(call, "out of memory for %zu classes", p.classes);
    return refuse_row(call, p, bad[i]);
  }
  return 0;
}
