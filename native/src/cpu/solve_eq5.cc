// Hinton, Vinyals & Dean 2015, eq. 5: the q of each row that minimises KL(p^g ‖ q) + Σ_m KL(p^m ‖ q) over a generalist and the specialists
// that are active there. A specialist knows the classes of its set and one dustbin for all others, D_m.
#include "common/eq5_dual.h"
#include "common/parallel.h"
#include "common/refuse.h"
#include "common/scratch.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

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
