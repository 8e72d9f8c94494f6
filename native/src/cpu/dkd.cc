// Decoupled knowledge distillation (Zhao et al. 2022): T²·[α·KL of (target, rest) + β·KL among the rest], and its gradient.
#include "common/softmax_pair.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** ln σ(m) = −ln(1 + e⁻ᵐ), for ±∞ too. */
IMAGO_INLINE Doubles log_sigmoid(Doubles m) {
  return select(m < 0.0, m, all(0.0)) - log1p(exp(-abs(m)));
}
IMAGO_INLINE Doubles zero_for_nan(Doubles x) { return select(x == x, x, all(0.0)); }

/** The two classes "target" and "rest" as teacher and student see them. */
struct Target {
  Point<Doubles> target;
  Point<Doubles> rest;

  /**
   * From the logits of the target against the rest, teacher and student, and their difference δ, which is exact where the two
   * are close and not used (`apart`) where they are not.
   */
  IMAGO_INLINE Target of(Doubles teacher, Doubles student, Doubles delta, Bits apart) {
    const Doubles log_p = log_sigmoid(teacher), log_rest_p = log_sigmoid(-teacher);
    const Doubles log_q = log_sigmoid(student), log_rest_q = log_sigmoid(-student);
    const Doubles p = exp(log_p), rest_p = exp(log_rest_p);
    // ln(q/p) less the log-normaliser, taken from the side of the likelier class: there δ is 0 and nothing cancels.
    const Bits is_rest_likelier = p < rest_p;
    const Doubles d = select(apart, all(0.0), select(is_rest_likelier, delta, -delta));
    const Doubles grown = select(abs(d) < close<Doubles>, growth(d), exp(d) - 1.0);
    const Doubles normaliser = log1p(select(is_rest_likelier, p, rest_p) * grown);
    const Doubles lesser = d - normaliser, greater = -normaliser;
    const Doubles u = select(apart, zero_for_nan(log_q - log_p), select(is_rest_likelier, lesser, greater));
    const Doubles rest_u = select(apart, zero_for_nan(log_rest_q - log_rest_p), select(is_rest_likelier, greater, lesser));
    return {{p, exp(log_q), u, all(0.0)}, {rest_p, exp(log_rest_q), rest_u, all(0.0)}};
  }
};

template <class Source>
struct Dkd {
  const Batch& batch;
  const float* student;
  const typename Source::Element* teacher;
  double temperature;
  double alpha;
  double beta;
  static constexpr size_t arrays = PairScratch::arrays;

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    const size_t classes = batch.classes;
    const size_t n = Layout::vectors(classes);
    const PairScratch s(memory, n * W);
    const RowPointers<const float> student_rows(student, rows, classes);
    const RowPointers<const typename Source::Element> teacher_rows(teacher, rows, classes);
    stage<Layout, Float32>(batch, rows, student_rows.row, s.z);
    stage<Layout, Source>(batch, rows, teacher_rows.row, s.v);
    double student_labels[W] = {}, teacher_labels[W] = {};
    for (size_t i = 0; i < W; i++) {
      const size_t r = i < rows.count ? i : 0;
      if (rows.labels[r] < 0) continue;
      student_labels[i] = static_cast<double>(student_rows.row[r][rows.labels[r]]);
      teacher_labels[i] = static_cast<double>(read_one<Source>(teacher_rows.row[r] + rows.labels[r]));
    }
    const Doubles z = load(student_labels), v = load(teacher_labels);

    // The rest: the row without its label. Where it has no mass its largest logit is taken for 0.
    const F student_max = without_label<Layout>(s.z, n, rows.label), teacher_max = without_label<Layout>(s.v, n, rows.label);
    const SoftmaxPair rest = compare<Layout>(s, n, student_max, teacher_max, temperature);
    Closing closing;
    const Bits has_teacher = rest.teacher_sum > 0.0, has_student = rest.student_sum > 0.0;
    const Doubles among_rest = select(has_teacher, sum_divergence<Layout>(rest, n, KullbackLeibler{}, closing), all(0.0));

    const Doubles student_margin = margin(z, rest.student_max, rest.student_sum, rest.inverse);
    const Doubles teacher_margin = margin(v, rest.teacher_max, rest.teacher_sum, rest.inverse);
    const Doubles delta = (z - v - rest.offset) * rest.inverse - rest.log_normaliser;
    const Target pair = Target::of(teacher_margin, student_margin, delta, ~(has_teacher & has_student & (abs(delta) < 1.0)));
    const Contribution<Doubles> target = KullbackLeibler().at(pair.target), other = KullbackLeibler().at(pair.rest);
    double targets[W], others[W];
    store(targets, target.value + other.value);
    store(others, among_rest);
    Terms sums;
    for (size_t i = 0; i < rows.count; i++) {
      if (rows.labels[i] < 0) continue;
      sums.first += rows.share[i] * targets[i];
      sums.second += rows.share[i] * others[i];
    }
    terms.add(sums);
    if (batch.gradient == nullptr) return;

    const RowPointers<float> gradient(batch.gradient, rows, classes);
    double factors[W];
    for (size_t i = 0; i < W; i++) factors[i] = rows.labels[i] < 0 ? 0 : rows.share[i] * temperature;
    const Doubles factor = load(factors);
    const Doubles pull = target.pull * alpha * factor;
    const Doubles among = select(has_teacher, factor * beta, all(0.0));
    Layout::unstage(gradient.row, rows.count, classes, [&](size_t i) {
      const Doubles of_rest = load(s.teacher + i * W) * among - rest.q(i) * pull;
      return narrowed(select(widened(Layout::classes_of(i) == rows.label), pull, of_rest));
    });
  }

  /** Takes the label out of staged rows; the largest logit of what is left. */
  template <class Layout>
  IMAGO_INLINE F without_label(float* x, size_t n, I label) {
    F most = all(-infinity);
    for (size_t i = 0; i < n; i++) {
      const F rest = select(Layout::classes_of(i) == label, all(-infinity), load(x + i * W));
      store(x + i * W, rest);
      most = max(most, rest);
    }
    most = Layout::most(most);
    return select(most == -infinity, F{}, most);
  }

  /** The logit of the target against all the rest: ln of the quotient of their masses. */
  IMAGO_INLINE Doubles margin(Doubles label, Doubles max, Doubles sum, double inverse) {
    const Bits alone = sum == 0.0;
    const Doubles of_rest = log(select(alone, all(1.0), sum));
    return select(alone, all(__builtin_inf()), (label - max) * inverse - of_rest);
  }
};

template <class Source>
int run(const imago_call* call, Batch& batch) {
  const double temperature = call->scalars[2], alpha = call->scalars[3], beta = call->scalars[4];
  if (const int refused = prepare(call, batch)) return refused;
  const float* const student = buffer<const float>(call, 0);
  const auto* const teacher = buffer<const typename Source::Element>(call, 1);
  if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::softmax)) return refused;
  if (const int refused = check_rows<Source>(call, batch, "teacher", teacher, Expect::softmax)) return refused;
  const Dkd<Source> kernel{batch, student, teacher, temperature, alpha, beta};
  Terms mean;
  if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  const double target = temperature * (temperature * mean.first);
  const double rest = temperature * (temperature * mean.second);
  double* const result = buffer<double>(call, 5);
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (alpha > 0 ? alpha * target : 0) + (beta > 0 ? beta * rest : 0);
  result[1] = target;
  result[2] = rest;
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(dkd) {
  if (const int refused = check_temperature(call, call->scalars[2])) return refused;
  for (size_t i = 3; i < 5; i++)
    if (!(call->scalars[i] >= 0 && call->scalars[i] < static_cast<double>(infinity)))
      return refuse(call, "%s must be finite and >= 0, got %g", i == 3 ? "alpha" : "beta", call->scalars[i]);
  Batch batch{size(call, 0),
              size(call, 1),
              buffer<const int32_t>(call, 2),
              buffer<const float>(call, 3),
              call->scalars[5],
              buffer<float>(call, 4),
              buffer<const uint8_t>(call, 6)};
  return with_teacher(call, call->buffers[1], call->scalars[6], [&](auto source) { return run<decltype(source)>(call, batch); });
}
