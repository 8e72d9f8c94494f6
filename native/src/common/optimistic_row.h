// The optimistic way through one long row: vectors along it, in two sweeps.
#pragma once
#include "common/double_math.h"
#include "common/optimistic_terms.h"

namespace imago::IMAGO_ISA {

/** What the sweep over a long row finds; exponents are relative to the row's references. */
struct RowSums {
  double student = 0;  // Σ 2^y of the student
  double teacher = 0;
  double cross = 0;  // Σ 2^y_teacher·(y_teacher − y_student)
  double hard = 0;   // Σ e^z
  float student_max = 0;  // the largest exponents
  float teacher_max = 0;
};

/** Scratch of one long row. */
struct RowScratch {
  float* student;
  float* teacher;
  float* hard;
  static constexpr size_t arrays = 3;
  RowScratch() = default;
  __attribute__((always_inline)) RowScratch(float* memory, size_t floats)
      : student(memory), teacher(memory + floats), hard(memory + 2 * floats) {}
};

/** How far ahead of the sweep the next logits are asked for, in floats. */
inline constexpr size_t ahead = 1536;

/** The largest of the first logits: near enough to the row's largest to be its reference. */
template <class Source>
IMAGO_INLINE F first_largest(const typename Source::Element* row) {
  F greatest = Source::read(row);
  for (size_t i = W; i < 64; i += W) greatest = max(greatest, Source::read(row + i));
  return all(max_of(greatest));
}

/**
 * Exponentials and sums of a row of more than 64 classes, in one sweep. `gradient` (or null) is asked for on the way, so that
 * it is at hand when it is written.
 */
template <class Source, Hard hard>
IMAGO_INLINE RowSums sweep(const float* z, const typename Source::Element* v, size_t classes, Exponent student, Exponent teacher,
                           Exponent own, const float* gradient, const RowScratch& out) {
  // Two of each: an addition takes longer than a step.
  struct Part {
    F student{}, teacher{}, cross{}, labels{};
  } parts[2];
  D sums[4] = {};
  const auto add = [](D& sum, F part) __attribute__((always_inline)) { sum += lower(part) + upper(part); };
  F student_max{}, teacher_max{};
  const Exp2 power;
  const auto step = [&](size_t i, F zs, F vs, Part& part) __attribute__((always_inline)) {
    const F y = student(zs);
    const F x = raised(teacher(vs));
    student_max = max(student_max, y);
    teacher_max = max(teacher_max, x);
    const F a = power(raised(y)), b = power(x);
    part.student += a;
    part.teacher += b;
    part.cross = fma(b, x - y, part.cross);
    store(out.student + i, a);
    store(out.teacher + i, b);
    if constexpr (hard == Hard::separate) {
      const F e = power(raised(own(zs)));
      part.labels += e;
      store(out.hard + i, e);
    } else if constexpr (hard != Hard::none) {
      part.labels += power_of<hard>(a);
    }
  };
  const size_t whole = classes / W * W;
  for (size_t first = 0; first < whole; first += 2 * long_run * W) {
    const size_t end = first + 2 * long_run * W < whole ? first + 2 * long_run * W : whole;
    size_t i = first;
    for (; i + 2 * W <= end; i += 2 * W) {
      for (size_t line = 0; line < 2 * W; line += 16) {
        __builtin_prefetch(z + i + line + ahead);
        __builtin_prefetch(v + i + line + ahead);
        if (gradient != nullptr) __builtin_prefetch(gradient + i + line, 1);
      }
      step(i, load(z + i), Source::read(v + i), parts[0]);
      step(i + W, load(z + i + W), Source::read(v + i + W), parts[1]);
    }
    for (; i < end; i += W) step(i, load(z + i), Source::read(v + i), parts[0]);
    add(sums[0], parts[0].student + parts[1].student);
    add(sums[1], parts[0].teacher + parts[1].teacher);
    add(sums[2], parts[0].cross + parts[1].cross);
    if constexpr (hard != Hard::none) add(sums[3], parts[0].labels + parts[1].labels);
    parts[0] = parts[1] = {};
  }
  if (whole < classes) {
    // Lanes behind the end: far below everything, but finite.
    step(whole, load_part(z + whole, classes - whole, -1e30f), read_part<Source>(v + whole, classes - whole, -infinity), parts[0]);
    add(sums[0], parts[0].student);
    add(sums[1], parts[0].teacher);
    add(sums[2], parts[0].cross);
    if constexpr (hard != Hard::none) add(sums[3], parts[0].labels);
  }
  return {sum_of(sums[0]), sum_of(sums[1]), sum_of(sums[2]), sum_of(sums[3]), max_of(student_max), max_of(teacher_max)};
}

/** True where some |q − p| reaches the threshold; looks no further than the first. */
IMAGO_INLINE bool is_apart(const RowScratch& s, size_t vectors, float student_scale, float teacher_scale, float threshold) {
  const F a = all(student_scale), b = all(teacher_scale), least = all(threshold);
  for (size_t i = 0; i < vectors * W; i += W)
    if (any(abs(load(s.student + i) * a - load(s.teacher + i) * b) >= least)) return true;
  return false;
}

/** Σ e^z over the classes other than the label, again, for where the label has most of the mass. */
template <Hard hard>
IMAGO_INLINE double others_of(const RowScratch& s, size_t vectors, size_t label) {
  Sum sum;
  F part{};
  const I at = all_int(static_cast<int32_t>(label));
  in_blocks(
      vectors,
      [&](size_t i) {
        const F e = hard == Hard::separate ? load(s.hard + i * W) : power_of<hard>(load(s.student + i * W));
        part += select(Wide::classes_of(i) == at, F{}, e);
      },
      [&] {
        sum.add(part);
        part = F{};
      });
  return static_cast<double>(sum_of(sum.value()));
}

/** The exponent of 2 by which e^z at the label is e^(z − reference). */
template <Hard hard>
IMAGO_INLINE double label_exponent(float logit, Exponent student, Exponent own) {
  return hard == Hard::separate ? own.at(logit) : exponent_of(hard) * student.at(logit);
}

/** What W rows add to the loss, of which the logarithms are taken together: share·(ln ratio + rest) and share·ln(1 + odds). */
struct RowLosses {
  double share[W] = {}, ratio[W], rest[W], odds[W];
  size_t count = 0;

  __attribute__((always_inline)) void add(double row_share, double row_ratio, double row_rest, double row_odds) {
    share[count] = row_share;
    ratio[count] = row_ratio;
    rest[count] = row_rest;
    odds[count++] = row_odds;
  }
  __attribute__((always_inline)) void add_to(Terms& terms) {
    for (size_t i = count; i < W; i++) ratio[i] = 1, rest[i] = odds[i] = 0;
    const Doubles soft = load(share) * (log(load(ratio)) + load(rest)), hard = load(share) * log1p(load(odds));
    terms.first += sum_of(soft.low + soft.high);
    terms.second += sum_of(hard.low + hard.high);
  }
};

/** A long row on its optimistic way: what the sweep has found, until the gradient is written. */
template <class Source, Hard hard>
struct LongRow {
  size_t index;
  int32_t label;
  double share;
  RowScratch s;
  bool holds;
  RowSums sums;
  Exponent student, own;

  /** The first sweep. */
  __attribute__((always_inline)) void exponentiate(const SoftLoss<Source>& loss, const Rows& rows, size_t i, const RowScratch& scratch) {
    const Batch& batch = loss.batch;
    index = rows.index[i];
    label = rows.labels[i];
    share = rows.share[i];
    s = scratch;
    const size_t start = index * batch.classes;
    const float* const z = loss.student + start;
    const typename Source::Element* const v = loss.teacher + start;
    const float scale = temperature_of(loss.temperature).scale;
    const F reference = first_largest<Float32>(z), teacher_reference = first_largest<Source>(v);
    student = Exponent::of(reference, scale);
    own = Exponent::of(reference, log2e);
    const Exponent teacher = Exponent::of(teacher_reference, scale);
    holds = student.holds(reference) && teacher.holds(teacher_reference) && (hard != Hard::separate || own.holds(reference));
    if (holds)
      sums = sweep<Source, hard>(z, v, batch.span, student, teacher, own, batch.gradient == nullptr ? nullptr : batch.gradient + start, s);
  }

  /** Judges the row, adds its loss and writes its gradient. False, and nothing is written: it needs the careful way. */
  __attribute__((always_inline)) bool settle(const SoftLoss<Source>& loss, RowLosses& losses, Terms& terms) const {
    // Written so that NaN fails too.
    if (!(holds && sums.student_max <= above && sums.teacher_max <= above && sums.student > 0 && sums.teacher > 0)) return false;
    if (hard == Hard::separate && !(loss.temperature * static_cast<double>(sums.student_max) <= 60)) return false;
    const Batch& batch = loss.batch;
    const size_t classes = batch.span, n = Wide::vectors(classes);
    const double student_inverse = 1 / sums.student, teacher_inverse = 1 / sums.teacher;
    const double ratio = sums.student * teacher_inverse, rest = 0.6931471805599453 * (sums.cross * teacher_inverse);
    const float q = static_cast<float>(student_inverse), p = static_cast<float>(teacher_inverse);
    F largest = all(sums.student_max);
    largest[1] = sums.teacher_max;
    largest = exp2(largest);
    const F most = all(largest[0] * q > largest[1] * p ? largest[0] * q : largest[1] * p);
    const float divergence = log(all(static_cast<float>(ratio)))[0] + static_cast<float>(rest);
    if (!(divergence >= divergent(most)[0] && divergence < infinity)) return false;
    if (batch.gradient != nullptr && !is_apart(s, n, q, p, apart * most[0])) return false;

    const bool labelled = hard != Hard::none && label >= 0;
    const size_t at = labelled ? static_cast<size_t>(label) : 0;
    double label_gradient = 0, hard_scale = 0, odds = 0;
    if constexpr (hard != Hard::none)
      if (labelled) {
        const F mass = hard == Hard::separate ? all(s.hard[at]) : power_of<hard>(all(s.student[at]));
        const double own_mass = static_cast<double>(mass[0]);
        // Near certainty the sum less the label's part has no digits left, and ln(1 + odds) keeps those of a small loss.
        const double others = own_mass > 0.5 * sums.hard ? others_of<hard>(s, n, at) : sums.hard - own_mass;
        const double total = others + own_mass;
        if (own_mass > 0x1p-100)
          odds = others / own_mass;
        else
          terms.second += share * (::log(total) - 0.6931471805599453 * label_exponent<hard>(loss.student[index * batch.classes + at], student, own));
        hard_scale = share * loss.hard_factor / total;
        label_gradient = -others * hard_scale;
      }
    losses.add(share, ratio, rest, odds);
    if (batch.gradient == nullptr) return true;

    float* const gradient = batch.gradient + index * batch.classes;
    const double soft = share * loss.soft_factor;
    const F a = all(static_cast<float>(soft * student_inverse)), b = all(static_cast<float>(soft * teacher_inverse));
    const F c = all(static_cast<float>(hard_scale));
    const auto value = [&](size_t i) __attribute__((always_inline)) {
      const F e = load(s.student + i);
      const F difference = fma(e, a, -(load(s.teacher + i) * b));
      if constexpr (hard == Hard::none)
        return difference;
      else
        return fma(hard == Hard::separate ? load(s.hard + i) : power_of<hard>(e), c, difference);
    };
    const float label_soft = s.student[at] * a[0] - s.teacher[at] * b[0];
    size_t i = 0;
    for (; i + W <= classes; i += W) store(gradient + i, value(i));
    if (i < classes) store_part(gradient + i, classes - i, value(i));
    if (labelled) gradient[at] = label_soft + static_cast<float>(label_gradient);
    memset(gradient + classes, 0, (batch.classes - classes) * sizeof(float));
    return true;
  }
};

/** Above this many classes two rows' exponentials crowd each other out of the second-level cache. */
inline constexpr size_t crowding = 8192;

/**
 * Rows of more than 128 classes; the result has a bit for each that needs the careful way, of which nothing is written. The sweep
 * of the next row comes before a row is settled: what settling waits for (sums across lanes, logarithms, divisions) is computed meanwhile.
 */
template <class Source, Hard hard>
IMAGO_INLINE uint32_t optimistic_long_rows(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms) {
  const size_t floats = Wide::vectors(loss.batch.classes) * W;
  const RowScratch places[2] = {RowScratch(memory, floats), RowScratch(memory + RowScratch::arrays * floats, floats)};
  const size_t lead = loss.batch.span <= crowding ? 1 : 0;
  LongRow<Source, hard> row[2];
  RowLosses losses;
  uint32_t doubtful = 0;
  for (size_t i = 0; i < rows.count + lead; i++) {
    if (i < rows.count) row[i % 2].exponentiate(loss, rows, i, places[i % 2]);
    if (i >= lead && !row[(i - lead) % 2].settle(loss, losses, terms)) doubtful |= 1u << (i - lead);
  }
  losses.add_to(terms);
  return doubtful;
}

}  // namespace imago::IMAGO_ISA
