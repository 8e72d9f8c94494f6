// The optimistic way through W short rows at once, a row in each lane.
#pragma once
#include "common/optimistic_terms.h"

namespace imago::IMAGO_ISA {

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

  const Exp2 power;
  Sum student_total, teacher_total;
  F cross_total{}, others_total{}, label_mass{}, label_exponent{};
  for (size_t first = 0; first < classes; first += short_run) {
    const size_t end = first + short_run < classes ? first + short_run : classes;
    F student_part{}, teacher_part{}, cross{}, others{};
    for (size_t c = first; c < end; c++) {
      const F logit = load(z + c * W);
      const F y = student(logit);
      const F x = raised(teacher(load(v + c * W)));
      const F a = power(raised(y)), b = power(x);
      student_part += a;
      teacher_part += b;
      cross = fma(b, x - y, cross);
      store(z + c * W, a);
      store(v + c * W, b);
      if constexpr (hard != Hard::none) {
        const F exponent = hard == Hard::separate ? own(logit) : y * static_cast<float>(exponent_of(hard));
        const F mass = hard == Hard::separate ? power(raised(exponent)) : power_of<hard>(a);
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

}  // namespace imago::IMAGO_ISA
