// The short way through rows of student and teacher: one sweep of exponentials, one that writes the gradient.
//
// It computes q − p as a difference of two float32 probabilities and KL from Σ p·log(p/q), which loses digits where p and q
// nearly agree. So every row is judged before anything is written, and one that fails goes the careful way (soft_block.h):
//   - the largest |q − p| is at least `apart` of the largest probability: what rounding leaves of it is 1e-5 or better;
//   - KL is large enough for its rounding errors, which are those of the exponential of the most probable class (`is_divergent`);
//   - in a long row, no logit exceeds the reference by more than 2^`above`: the reference is the largest of the first few
//     logits, which saves a sweep for the maximum;
//   - everything is finite: NaN, infinities and classes that the student excludes are the careful way's.
#pragma once
#include <math.h>

#include "common/row_loss.h"
#include "common/softmax_terms.h"

namespace imago::IMAGO_ISA {

inline constexpr float apart = 0.05f;
/** The same for the sum of soft and hard gradient, of which either has been rounded. */
inline constexpr float cancelling = 0.4f;
inline constexpr float above = 8;
/** Exponents of 2 are cut off here: 2^−400 is 0, and 0·(−400) is not NaN. */
inline constexpr float below = -400;
/** Temperatures at which exponents of usual logits stay within float32, and beyond which T² asks for more digits of KL. */
inline constexpr double coolest = 1e-3;
inline constexpr double warmest = 20;

/** e^z from e^(z/T): at T = 1, 2 and 4 a power, which is cheaper than another exponential and no less exact. */
enum class Hard : int { none, first, second, fourth, separate };
/** T, where e^z = (e^(z/T))^T is a power. */
IMAGO_INLINE int exponent_of(Hard hard) { return hard == Hard::fourth ? 4 : static_cast<int>(hard); }

template <Hard hard>
IMAGO_INLINE F power_of(F e) {
  if constexpr (hard == Hard::first) return e;
  const F square = e * e;
  return hard == Hard::second ? square : square * square;
}

/** (x − reference)·scale, an exponent of 2. What rounding does to reference·scale is the same for the whole row and cancels. */
struct Exponent {
  F scale;
  F reference;
#if defined(__FMA__)
  IMAGO_INLINE Exponent of(F reference, float scale) { return {all(scale), -(reference * scale)}; }
  __attribute__((always_inline)) F operator()(F x) const { return fma(x, scale, reference); }
  /** The same of one number in float64. */
  __attribute__((always_inline)) double at(float x) const {
    return static_cast<double>(x) * static_cast<double>(scale[0]) + static_cast<double>(reference[0]);
  }
#else
  IMAGO_INLINE Exponent of(F reference, float scale) { return {all(scale), reference}; }
  __attribute__((always_inline)) F operator()(F x) const { return (x - reference) * scale; }
  __attribute__((always_inline)) double at(float x) const {
    return (static_cast<double>(x) - static_cast<double>(reference[0])) * static_cast<double>(scale[0]);
  }
#endif
  /**
   * True where the exponents of these references came out near 0, as they must but for rounding. Of logits beyond 2^24 rounding leaves
   * exponents as large as it likes, and 2^y of a whole row may be 0 or infinite.
   */
  __attribute__((always_inline)) bool holds(F references) const {
    const F left = (*this)(references);
    return !any(~((left <= above) & (left >= -above)));
  }
};

/** 2^y for any y ≤ 100. */
IMAGO_INLINE F exp2_below(F y) {
#if defined(__AVX512F__)
  // y = floor + fraction; the fraction in [0, 1) needs no rounding to an integer register and back.
  const F r = _mm512_reduce_ps(y, 0x09);
  F p = all(2.170225489e-04f);
  p = fma(p, r, all(1.243968727e-03f));
  p = fma(p, r, all(9.678840637e-03f));
  p = fma(p, r, all(5.548334122e-02f));
  p = fma(p, r, all(2.402298301e-01f));
  p = fma(p, r, all(6.931470037e-01f));
  p = fma(p, r, all(1.0f));
  return _mm512_scalef_ps(p, y);
#else
  return exp2(y);
#endif
}

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

/** A loss with a soft term and perhaps labels: what its rows are and how much each part counts in the gradient. */
template <class Source>
struct SoftLoss {
  const Batch& batch;
  const float* student;
  const typename Source::Element* teacher;
  double temperature;
  double soft_factor;  // of q − p
  double hard_factor;  // of softmax(z) − onehot(y)
};

/**
 * KL ± 3e-7·(the largest probability): below this the error is no longer 1e-7 + 1e-6·KL. Where no class stands out errors of many
 * exponentials average out.
 */
IMAGO_INLINE F divergent(F most) { return max(all(0.02f), most * 0.4f - 0.1f); }

/** Scratch of one long row. */
struct RowScratch {
  float* student;
  float* teacher;
  float* hard;
  __attribute__((always_inline)) RowScratch(float* memory, size_t floats)
      : student(memory), teacher(memory + floats), hard(memory + 2 * floats) {}
};

/**
 * So many terms are added in plain float32 before the sum moves into a compensated one. Every addition to a sum that holds the row's
 * dominant class loses up to 6e-8 of it.
 */
inline constexpr size_t long_run = 16;
inline constexpr size_t short_run = 4;

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
  const auto step = [&](size_t i, F zs, F vs, Part& part) __attribute__((always_inline)) {
    const F y = student(zs);
    const F x = max(all(below), teacher(vs));  // in this order a NaN stays
    student_max = max(student_max, y);
    teacher_max = max(teacher_max, x);
    const F a = exp2_below(y), b = exp2_below(x);
    part.student += a;
    part.teacher += b;
    part.cross = fma(b, x - y, part.cross);
    store(out.student + i, a);
    store(out.teacher + i, b);
    if constexpr (hard == Hard::separate) {
      const F e = exp2_below(own(zs));
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
  const F most = max(exp2_below(all(sums.student_max)) * q, exp2_below(all(sums.teacher_max)) * p);
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

/** W rows of at most 128 classes, a row in each lane. False, and nothing is written: the careful way for all of them. */
template <class Source, Hard hard>
IMAGO_INLINE bool optimistic_rows(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms) {
  const Batch& batch = loss.batch;
  const size_t classes = batch.classes;
  float* const z = memory;
  float* const v = memory + classes * W;
  float* const e = memory + 2 * classes * W;
  const RowPointers<const float> student_rows(loss.student, rows, classes);
  const RowPointers<const typename Source::Element> teacher_rows(loss.teacher, rows, classes);
  const F student_max = Narrow::template stage<Float32>(student_rows.row, rows.count, classes, z).max;
  const F teacher_max = Narrow::template stage<Source>(teacher_rows.row, rows.count, classes, v).max;
  const float scale = temperature_of(loss.temperature).scale;
  const Exponent student = Exponent::of(student_max, scale), own = Exponent::of(student_max, log2e);
  const Exponent teacher = Exponent::of(teacher_max, scale);
  if (!student.holds(student_max) || !teacher.holds(teacher_max)) return false;
  if (hard == Hard::separate && !own.holds(student_max)) return false;

  Sum student_total, teacher_total;
  F cross_total{}, others_total{}, label_mass{}, label_exponent{};
  for (size_t first = 0; first < classes; first += short_run) {
    const size_t end = first + short_run < classes ? first + short_run : classes;
    F student_part{}, teacher_part{}, cross{}, others{};
    for (size_t c = first; c < end; c++) {
      const F logit = load(z + c * W);
      const F y = student(logit);
      const F x = max(all(below), teacher(load(v + c * W)));
      const F a = exp2_below(y), b = exp2_below(x);
      student_part += a;
      teacher_part += b;
      cross = fma(b, x - y, cross);
      store(z + c * W, a);
      store(v + c * W, b);
      if constexpr (hard != Hard::none) {
        const F exponent = hard == Hard::separate ? own(logit) : y * static_cast<float>(exponent_of(hard));
        const F mass = hard == Hard::separate ? exp2_below(exponent) : power_of<hard>(a);
        if constexpr (hard == Hard::separate) store(e + c * W, mass);
        const I is_label = Narrow::classes_of(c) == rows.label;
        others += select(is_label, F{}, mass);
        label_mass = select(is_label, mass, label_mass);
        label_exponent = select(is_label, exponent, label_exponent);
      }
    }
    student_total.add(student_part);
    teacher_total.add(teacher_part);
    cross_total += cross;
    others_total += others;
  }
  const F student_sum = student_total.value(), teacher_sum = teacher_total.value();
  const F divergence = fma(all(ln2), cross_total / teacher_sum, log(student_sum / teacher_sum));
  // The largest exponential is 1. Written so that NaN fails too.
  const F enough = divergent(1.0f / min(student_sum, teacher_sum));
  if (any(~((divergence >= enough) & (divergence < infinity)))) return false;

  const I labelled = rows.label >= 0;
  const F total = others_total + label_mass;
  if (batch.gradient != nullptr) {
    const F q = rows.weight_over(loss.soft_factor, student_sum), p = rows.weight_over(loss.soft_factor, teacher_sum);
    const F hard_scale = hard == Hard::none ? F{} : select(labelled, rows.weight_over(loss.hard_factor, total), F{});
    const F at_label = others_total * hard_scale;
    F soft_largest{}, largest{};
    for (size_t c = 0; c < classes; c++) {
      const F a = load(z + c * W);
      const F soft = fma(a, q, -(load(v + c * W) * p));
      soft_largest = max(soft_largest, abs(soft));
      F g = soft;
      if constexpr (hard != Hard::none) {
        const F mass = hard == Hard::separate ? load(e + c * W) : power_of<hard>(a);
        g += select(Narrow::classes_of(c) == rows.label, -at_label, mass * hard_scale);
        largest = max(largest, abs(g));
      }
      store(v + c * W, g);
    }
    // With few classes the two terms may cancel in all of them.
    const F least = max(max(q, p) * apart, max(soft_largest, at_label) * cancelling);
    if (any(~((soft_largest >= max(q, p) * apart) & (hard == Hard::none ? ~I{} : largest >= least)))) return false;
    const RowPointers<float> gradient(batch.gradient, rows, classes);
    Narrow::unstage(gradient.row, rows.count, classes, [&](size_t c) { return load(v + c * W); });
  }
  // Lanes behind the last row repeat the first and do not count.
  const I counts = iota() < all_int(static_cast<int32_t>(rows.count));
  terms.first += sum_in_double(select(counts, rows.weight * divergence, F{}));
  if constexpr (hard != Hard::none) {
    F hard_loss = log1p(others_total / label_mass);
    const I is_tiny = label_mass < all(0x1p-100f);
    if (any(is_tiny)) hard_loss = select(is_tiny, log(total) - label_exponent * ln2, hard_loss);
    terms.second += sum_in_double(select(counts & labelled, rows.weight * hard_loss, F{}));
  }
  return true;
}

/** How e^z comes from e^(z/T) at this temperature. */
IMAGO_INLINE Hard hard_of(double temperature) {
  return temperature == 1 ? Hard::first : temperature == 2 ? Hard::second : temperature == 4 ? Hard::fourth : Hard::separate;
}

/** The optimistic way for a block of either layout; false, with nothing written, where it does not hold. */
template <class Layout, class Source, Hard hard>
IMAGO_INLINE bool optimistic(const SoftLoss<Source>& loss, const Rows& rows, float* memory, Terms& terms) {
  if (!(loss.temperature >= coolest && loss.temperature <= warmest)) return false;
  // Long rows may end before the mask does; what it leaves out elsewhere is the careful way's.
  if (Layout::rows == 1 ? loss.batch.span <= narrow_classes : loss.batch.mask != nullptr) return false;
  if constexpr (Layout::rows == 1)
    return optimistic_row<Source, hard>(loss, rows, memory, terms);
  else
    return optimistic_rows<Source, hard>(loss, rows, memory, terms);
}

/** Says which row of which side has no softmax. */
template <class Source>
IMAGO_INLINE int refuse_rows(const imago_call* call, const SoftLoss<Source>& loss) {
  if (const int refused = check_rows<Float32>(call, loss.batch, "student", loss.student, Expect::softmax)) return refused;
  return refuse_rows<Source>(call, loss.batch, "teacher", loss.teacher);
}

}  // namespace imago::IMAGO_ISA
