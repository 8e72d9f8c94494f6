// The optimistic way through one long row: vectors along it, in two sweeps.
#pragma once
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

  /** KL in nats. */
  __attribute__((always_inline)) double divergence() const {
    return 0.6931471805599453 * (cross / teacher + ::log2(student / teacher));
  }
};

/** Scratch of one long row. */
struct RowScratch {
  float* student;
  float* teacher;
  float* hard;
  __attribute__((always_inline)) RowScratch(float* memory, size_t floats)
      : student(memory), teacher(memory + floats), hard(memory + 2 * floats) {}
};

/** How far ahead of the sweep the next logits are asked for, in floats. */
inline constexpr size_t ahead = 1024;

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
  Sum sums[4];
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
    sums[0].add(parts[0].student + parts[1].student);
    sums[1].add(parts[0].teacher + parts[1].teacher);
    sums[2].add(parts[0].cross + parts[1].cross);
    if constexpr (hard != Hard::none) sums[3].add(parts[0].labels + parts[1].labels);
    parts[0] = parts[1] = {};
  }
  if (whole < classes) {
    // Lanes behind the end: far below everything, but finite.
    step(whole, load_part(z + whole, classes - whole, -1e30f), read_part<Source>(v + whole, classes - whole, -infinity), parts[0]);
    sums[0].add(parts[0].student);
    sums[1].add(parts[0].teacher);
    sums[2].add(parts[0].cross);
    sums[3].add(parts[0].labels);
  }
  const auto total = [](const Sum& sum) __attribute__((always_inline)) { return sum_in_double(sum.total) + static_cast<double>(sum_of(sum.error)); };
  return {total(sums[0]), total(sums[1]), total(sums[2]), total(sums[3]), max_of(student_max), max_of(teacher_max)};
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

/** A row of more than 128 classes. False, and nothing is written: it needs the careful way. */
template <class Source, Hard hard>
IMAGO_INLINE bool optimistic_row(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms) {
  const Batch& batch = loss.batch;
  const size_t classes = batch.span, n = Wide::vectors(classes), start = rows.index[0] * batch.classes;
  const float* const z = loss.student + start;
  const typename Source::Element* const v = loss.teacher + start;
  float* const gradient = batch.gradient == nullptr ? nullptr : batch.gradient + start;
  const RowScratch s(memory, n * W);
  const float scale = temperature_of(loss.temperature).scale;
  const F reference = first_largest<Float32>(z), teacher_reference = first_largest<Source>(v);
  const Exponent student = Exponent::of(reference, scale), own = Exponent::of(reference, log2e);
  const Exponent teacher = Exponent::of(teacher_reference, scale);
  if (!student.holds(reference) || !teacher.holds(teacher_reference)) return false;
  if (hard == Hard::separate && !own.holds(reference)) return false;
  const RowSums sums = sweep<Source, hard>(z, v, classes, student, teacher, own, gradient, s);

  // Written so that NaN fails too.
  if (!(sums.student_max <= above && sums.teacher_max <= above && sums.student > 0 && sums.teacher > 0)) return false;
  if (hard == Hard::separate && !(loss.temperature * static_cast<double>(sums.student_max) <= 60)) return false;
  const double divergence = sums.divergence();
  const float q = static_cast<float>(1 / sums.student), p = static_cast<float>(1 / sums.teacher);
  const F most = max(exp2(all(sums.student_max)) * q, exp2(all(sums.teacher_max)) * p);
  if (!(divergence >= static_cast<double>(divergent(most)[0]) && divergence < __builtin_inf())) return false;
  if (gradient != nullptr && !is_apart(s, n, q, p, apart * most[0])) return false;

  const double share = rows.share[0];
  Terms sum;
  sum.first = share * divergence;
  const bool labelled = hard != Hard::none && rows.labels[0] >= 0;
  const size_t label = labelled ? static_cast<size_t>(rows.labels[0]) : 0;
  double label_gradient = 0, hard_scale = 0;
  if constexpr (hard != Hard::none)
    if (labelled) {
      const F at = hard == Hard::separate ? all(s.hard[label]) : power_of<hard>(all(s.student[label]));
      const double own_mass = static_cast<double>(at[0]);
      // Near certainty the sum less the label's part has no digits left, and ln(1 + others) keeps those of a small loss.
      const bool is_likely = own_mass > 0.5 * sums.hard;
      const double others = is_likely ? others_of<hard>(s, n, label) : sums.hard - own_mass;
      const double total = others + own_mass;
      const double exponent = label_exponent<hard>(z[label], student, own);
      sum.second = share * (is_likely ? ::log1p(others / own_mass) : ::log(total) - 0.6931471805599453 * exponent);
      hard_scale = share * loss.hard_factor / total;
      label_gradient = -others * hard_scale;
    }
  terms.add(sum);
  if (gradient == nullptr) return true;

  const double soft = share * loss.soft_factor;
  const F a = all(static_cast<float>(soft / sums.student)), b = all(static_cast<float>(soft / sums.teacher));
  const F c = all(static_cast<float>(hard_scale));
  const auto value = [&](size_t i) __attribute__((always_inline)) {
    const F e = load(s.student + i);
    const F difference = fma(e, a, -(load(s.teacher + i) * b));
    if constexpr (hard == Hard::none)
      return difference;
    else
      return fma(hard == Hard::separate ? load(s.hard + i) : power_of<hard>(e), c, difference);
  };
  const float label_soft = s.student[label] * a[0] - s.teacher[label] * b[0];
  size_t i = 0;
  for (; i + W <= classes; i += W) store(gradient + i, value(i));
  if (i < classes) store_part(gradient + i, classes - i, value(i));
  if (labelled) gradient[label] = label_soft + static_cast<float>(label_gradient);
  memset(gradient + classes, 0, (batch.classes - classes) * sizeof(float));
  return true;
}

}  // namespace imago::IMAGO_ISA
