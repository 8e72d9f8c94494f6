// What softmax and its losses are made of, over one staged block (layout.h). "Per row" values are vectors: in the Wide layout
// every lane says the same, in the Narrow layout each lane speaks for its row.
#pragma once
#include "common/layout.h"

namespace imago::IMAGO_ISA {

/** So many vectors are summed in plain float32 before the sum moves into a compensated one. */
inline constexpr size_t sum_block = 8;

/** Runs step(i) for i in [0, n) and hands over after every `sum_block` steps: flush(). */
template <class Step, class Flush>
IMAGO_INLINE void in_blocks(size_t n, Step step, Flush flush) {
  for (size_t first = 0; first < n; first += sum_block) {
    const size_t end = first + sum_block < n ? first + sum_block : n;
    for (size_t i = first; i < end; i++) step(i);
    flush();
  }
}

/** T and its inverse as float32, and the factor from logits to exponents of 2. */
struct Temperature {
  float value;
  float inverse;
  float scale;
};
IMAGO_INLINE Temperature temperature_of(double t) {
  return {static_cast<float>(t), static_cast<float>(1 / t), static_cast<float>(1.4426950408889634 / t)};
}

/** out = 2^((x − max)·scale); per row the sum. With scale = log₂e/T that is e^((x − max)/T). */
template <class Layout>
IMAGO_INLINE F exponentials(const float* x, size_t n, F max, float scale, float* out) {
  Sum sum;
  F part{};
  const F factor = all(scale);
  in_blocks(
      n,
      [&](size_t i) {
        const F e = exp2((load(x + i * W) - max) * factor);
        store(out + i * W, e);
        part += e;
      },
      [&] {
        sum.add(part);
        part = F{};
      });
  return Layout::sum(sum.value());
}

/**
 * p = softmax(teacher/T) and q = softmax(student/T) of a block, compared. With u = ln(q/p):
 *   divergence = KL(p ‖ q) = Σ p·(eᵘ − 1 − u)      (the usual Σ −p·u plus Σ (q − p) = 0: no term is negative)
 *   q − p      = p·(eᵘ − 1)
 * u is (z − v)/T less its log-normaliser. Where |u| is small, both come from u by a polynomial: at T = 10⁶ p and q agree in all
 * digits of a float32, yet T·(q − p) and T²·KL are what the loss is about. Elsewhere from p and q themselves.
 */
struct Comparison {
  F divergence;
  /** q − p = (difference[i] − teacher[i]·excess)/sum, with the arrays that `compare` left in its scratch. */
  F sum;
  F excess;
};

/**
 * Where one class has most of the teacher's mass, its q − p is what the other classes leave: −Σ of theirs, which keeps the digits
 * that 1 − 1 would lose. The class is patched in the arrays of `compare`; with two largest logits there is none.
 */
template <class Layout>
IMAGO_INLINE void settle_dominant(const float* v, size_t n, F v_max, F excess, I is_dominated, float* difference, float* teacher) {
  Sum differences, masses;
  F count{}, difference_part{}, mass_part{};
  const auto is_top = [&](size_t i) __attribute__((always_inline)) { return load(v + i * W) == v_max; };
  in_blocks(
      n,
      [&](size_t i) {
        difference_part += select(is_top(i), F{}, load(difference + i * W));
        mass_part += select(is_top(i), F{}, load(teacher + i * W));
        count += select(is_top(i), all(1.0f), F{});
      },
      [&] {
        differences.add(difference_part);
        masses.add(mass_part);
        difference_part = mass_part = F{};
      });
  const I settled = is_dominated & (Layout::sum(count) == 1.0f);
  const F left = Layout::sum(masses.value()) * excess - Layout::sum(differences.value());
  for (size_t i = 0; i < n; i++) {
    const I here = is_top(i) & settled;
    if (!any(here)) continue;
    store(difference + i * W, select(here, left, load(difference + i * W)));
    store(teacher + i * W, select(here, F{}, load(teacher + i * W)));
  }
}

/**
 * student, teacher: e^((x − max)/T) with their sums, as `exponentials` left them; student becomes `difference`.
 * z, v: the staged logits with their maxima.
 */
template <class Layout>
IMAGO_INLINE Comparison compare(const float* z, const float* v, size_t n, F z_max, F v_max, float* student, float* teacher,
                                F student_sum, F teacher_sum, Temperature temperature) {
  // ln(q/p) = ((z − v) − offset)/T. An offset that is wrong by rounding is put right by `excess` below.
  const Pair max_difference = two_difference(z_max, v_max);
  const Pair offset = two_sum(max_difference.value, temperature.value * log(student_sum / teacher_sum));
  F offset_error = offset.error + max_difference.error;
  F ratio = teacher_sum / student_sum;

  for (int pass = 0;; pass++) {
    Sum excess_sum, divergence_sum;
    F excess{}, divergence{};
    in_blocks(
        n,
        [&](size_t i) {
          const Pair d = two_difference(load(z + i * W), load(v + i * W));
          // Infinite logits make NaN here, which becomes a large number: those classes have no mass in p or in q.
          const F exact = ((d.value - offset.value) + (d.error - offset_error)) * temperature.inverse;
          const F u = min(max(exact, all(-1e30f)), all(1e30f));
          const F p = load(teacher + i * W);
          const F q = pass == 0 ? load(student + i * W) * ratio : load(student + i * W) + p;
          const I near = abs(u) < all(0.4f);
          const F curved = u * u * second_order(u);
          const F difference = select(near, p * (u + curved), q - p);
          divergence += select(near, p * curved, difference - p * u);
          excess += difference;
          store(student + i * W, difference);
        },
        [&] {
          excess_sum.add(excess);
          divergence_sum.add(divergence);
          excess = divergence = F{};
        });
    // Σ (q − p) = e ≠ 0 says that q was normalised wrongly by the factor 1 + e.
    const F e = Layout::sum(excess_sum.value()) / teacher_sum;
    const F summed = Layout::sum(divergence_sum.value()) / teacher_sum;
    // Where that error, some 1e-7, is of the size of u itself, too few digits are left: once more with a better offset.
    if (pass == 0 && any(e * e > summed * 0.1f)) {
      offset_error += temperature.value * e;
      continue;
    }
    // ln(1 + e) − e, for e of the order of rounding errors.
    const F correction = e * e * (e * (1.0f / 3) - 0.5f);
    const I is_dominated = teacher_sum < all(2.0f);
    if (any(is_dominated)) settle_dominant<Layout>(v, n, v_max, e, is_dominated, student, teacher);
    return {max(F{}, summed + correction), teacher_sum * (1.0f + e), e};
  }
}

/** Cross-entropy of a block with one label per row (−1: none). */
struct LabelTerm {
  /** −ln q_label as ln(1 + rest/e^(z_label − max)): good where the label is likely. */
  F likely_loss;
  I is_likely;
  /** ln Σ e^(z − max). */
  F log_sum;
  /** 1/Σ e^(z − max): q = exponentials·scale. */
  F scale;
  /** q_label − 1 = −(the mass on the other classes), summed without the label so that nothing cancels. */
  F label_difference;

  /** −ln q_label of each row, from its largest logit and its label's. */
  __attribute__((always_inline)) void losses(F max, const float* label_logit, double* out) const {
    float likely[W], log_sums[W], maxima[W];
    int32_t is[W];
    store(likely, likely_loss);
    store(log_sums, log_sum);
    store(maxima, max);
    memcpy(is, &is_likely, sizeof is);
    for (size_t i = 0; i < W; i++) {
      const double unlikely =
          static_cast<double>(log_sums[i]) + (static_cast<double>(maxima[i]) - static_cast<double>(label_logit[i]));
      out[i] = is[i] ? static_cast<double>(likely[i]) : unlikely;
    }
  }
};

/** x: staged logits; out: e^(x − max), which may be x. */
template <class Layout>
IMAGO_INLINE LabelTerm label_term(const float* x, size_t n, F max, I label, float* out) {
  Sum others_sum;
  F others{}, label_exp{};
  in_blocks(
      n,
      [&](size_t i) {
        const F e = exp2((load(x + i * W) - max) * log2e);
        const I is_label = Layout::classes_of(i) == label;
        store(out + i * W, e);
        others += select(is_label, F{}, e);
        label_exp += select(is_label, e, F{});
      },
      [&] {
        others_sum.add(others);
        others = F{};
      });
  const F rest = Layout::sum(others_sum.value());
  label_exp = Layout::sum(label_exp);
  const F sum = rest + label_exp;
  // Near certainty ln(1 + rest) keeps the digits of a small loss; far from it e^(z − max) of the label underflows.
  return {log1p(rest / label_exp), rest < label_exp, log(sum), 1.0f / sum, -rest / sum};
}

}  // namespace imago::IMAGO_ISA
