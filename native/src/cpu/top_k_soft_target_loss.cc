// soft_target_loss against a teacher of whom k classes a row are known: KL of k + 1 buckets, the last of them all other classes. Nothing
// is densified: the teacher stays [R, k], a row of the student's logits is all that is swept.
#include <math.h>

#include "common/double_math.h"
#include "common/row_loss.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** What a teacher without a tail may lack or have too much: its numbers are rounded. By valuesType. */
constexpr double mass_tolerance[] = {1e-4, 4e-3, 3e-2};

/** A row's buckets: ln p of the k classes and of the tail. Log-masses of −∞ are none. */
template <class Source>
struct Buckets {
  const typename Source::Element* values;
  size_t k;
  double scale;  // 1/T for logits
  double max;
  double sum;    // Σ e^(value·scale − max)
  double share;  // ln of what all k together have
  double tail;   // ln of what the others have

  __attribute__((always_inline)) double raw(size_t j) const { return static_cast<double>(read_one<Source>(values + j)) * scale; }
  __attribute__((always_inline)) double log_p(size_t j) const { return sum > 0 ? raw(j) - max - ::log(sum) + share : -__builtin_inf(); }

  /** `log_tail` null: the tail is what the k leave of 1. `has_others`: there are classes besides the k. */
  Buckets(const typename Source::Element* values, size_t k, double scale, const double* log_tail, bool has_others)
      : values(values), k(k), scale(scale), max(-__builtin_inf()), sum(0), share(0), tail(-__builtin_inf()) {
    for (size_t j = 0; j < k; j++) max = raw(j) > max ? raw(j) : max;
    if (max > -__builtin_inf())
      for (size_t j = 0; j < k; j++) sum += ::exp(raw(j) - max);
    if (!has_others) return;
    if (log_tail != nullptr) {
      tail = *log_tail;
      share = tail > -0.7 ? ::log(-::expm1(tail)) : ::log1p(-::exp(tail));
      return;
    }
    const double mass = sum > 0 ? sum * ::exp(max) : 0;
    share = mass < 1 ? ::log(mass) : 0;
    tail = mass < 1 ? ::log1p(-mass) : -__builtin_inf();
  }
};

/** Why a row of a teacher is refused. */
enum class Fault { none, not_a_class, twice, not_a_number, infinite, nothing, mass, tail };

/** KL's term of one bucket and its q − p, from ln p, ln q. */
struct Bucket {
  double value;
  double difference;
  IMAGO_INLINE Bucket of(double log_p, double log_q) {
    const double p = ::exp(log_p), q = ::exp(log_q), u = log_q - log_p;
    if (p == 0) return {q, q};
    const double difference = u > 1 ? q - p : p * ::expm1(u);
    if (u > 0.3 || u < -0.3) return {difference - p * u, difference};
    return {p * (u * u * second_order(all_double(u))[0]), difference};
  }
};

template <class Source>
struct TopK {
  typedef typename Source::Element Element;
  const Batch& batch;
  const float* student;
  const int32_t* indices;
  const Element* values;
  const double* log_tail;
  size_t k;
  double temperature;
  double hard_weight;
  bool are_logits;
  double tolerance;
  /** Staged logits of the others; e^((z − max)/T) and e^(z − max) of them; logits of the k, and what their gradients become. */
  static constexpr size_t arrays = 1 + 2 + 2 + 2;

  __attribute__((always_inline)) bool has_others() const { return batch.unmasked > k; }
  __attribute__((always_inline)) Buckets<Source> buckets(size_t r) const {
    return Buckets<Source>(values + r * k, k, are_logits ? 1 / temperature : 1, log_tail == nullptr ? nullptr : log_tail + r, has_others());
  }

  template <class Layout>
  void block(const Rows& rows, float* memory, Terms& terms) const {
    for (size_t i = 0; i < rows.count; i++) {
      Rows one = rows;
      one.index[0] = rows.index[i];
      one.count = 1;
      row(one, rows.labels[i], rows.share[i], memory, terms);
    }
  }

  void row(const Rows& one, int32_t label, double share, float* memory, Terms& terms) const {
    const size_t r = one.index[0], classes = batch.classes, n = Wide::vectors(classes), floats = n * W;
    float* const z = memory;
    double* const soft_exp = reinterpret_cast<double*>(memory + floats);
    double* const hard_exp = reinterpret_cast<double*>(memory + 3 * floats);
    double* const chosen = reinterpret_cast<double*>(memory + 5 * floats);
    const int32_t* const index = indices + r * k;
    const float* const logits = student + r * classes;
    const Buckets<Source> teacher = buckets(r);

    const double label_logit = label >= 0 ? static_cast<double>(logits[label]) : 0;
    const double max = static_cast<double>(stage<Wide, Float32>(batch, one, &logits, z).max[0]);
    for (size_t j = 0; j < k; j++) {
      chosen[j] = static_cast<double>(logits[index[j]]);
      z[index[j]] = -infinity;
    }
    F most = all(-infinity);
    for (size_t i = 0; i < n; i++) most = max_of_both(most, load(z + i * W));
    const double others_max = static_cast<double>(max_of(most));

    // Both sums relative to the largest of the others, so that these do not underflow however far below the k they are.
    const double inverse = 1 / temperature;
    const bool any_other = others_max > -__builtin_inf();
    const double rest = any_other ? sweep(z, n, others_max, inverse, soft_exp) : 0;
    double sum = rest * ::exp((others_max - max) * inverse);
    for (size_t j = 0; j < k; j++) sum += ::exp((chosen[j] - max) * inverse);
    const double log_sum = ::log(sum);
    const double log_rest = any_other ? (others_max - max) * inverse + ::log(rest) - log_sum : -__builtin_inf();

    const bool is_hard = label >= 0;
    Hard hard{};
    if (is_hard) hard = hard_term(z, n, max, others_max, label, label_logit, chosen, index, hard_exp);

    const Bucket tail = Bucket::of(teacher.tail, log_rest);
    double divergence = tail.value;
    const double soft_factor = (1 - hard_weight) * temperature * share, hard_factor = is_hard ? hard_weight * share : 0;
    for (size_t j = 0; j < k; j++) {
      const Bucket bucket = Bucket::of(teacher.log_p(j), (chosen[j] - max) * inverse - log_sum);
      divergence += bucket.value;
      const double of_hard = !is_hard ? 0 : index[j] == label ? hard.at_label : ::exp(chosen[j] - max) * hard.scale;
      chosen[j] = soft_factor * bucket.difference + hard_factor * of_hard;
    }
    terms.first += share * (divergence > 0 ? divergence : 0);
    terms.second += share * hard.loss;
    if (batch.gradient == nullptr) return;

    float* gradient = batch.gradient + r * classes;
    const double soft_scale = rest > 0 ? soft_factor * tail.difference / rest : 0;
    const double hard_scale = hard_factor * hard.scale * (any_other ? ::exp(others_max - max) : 0);
    const bool with_hard = hard_factor != 0;
    Wide::unstage(&gradient, 1, classes, [&](size_t i) {
      Doubles g = any_other ? load(soft_exp + i * W) * soft_scale : all(0.0);
      if (with_hard && any_other) g += load(hard_exp + i * W) * hard_scale;
      return narrowed(g);
    });
    if (with_hard) {
      // The label among the others; where it is one of the k, it is overwritten.
      const double soft_part = any_other ? soft_exp[label] * soft_scale : 0;
      gradient[label] = static_cast<float>(soft_part + hard_factor * hard.at_label);
    }
    for (size_t j = 0; j < k; j++) gradient[index[j]] = static_cast<float>(chosen[j]);
  }

  struct Hard {
    double loss;
    double scale;     // 1/Σ e^(z − max)
    double at_label;  // q − 1 of the label: −(the mass of all others)
  };
  Hard hard_term(const float* z, size_t n, double max, double others_max, int32_t label, double label_logit, const double* chosen,
                 const int32_t* index, double* out) const {
    double others = 0;
    bool is_chosen = false;
    if (others_max > -__builtin_inf()) others = sweep(z, n, others_max, 1, out) * ::exp(others_max - max);
    for (size_t j = 0; j < k; j++) {
      is_chosen = is_chosen || index[j] == label;
      if (index[j] != label) others += ::exp(chosen[j] - max);
    }
    const double own = ::exp(label_logit - max);
    if (!is_chosen) {
      // The label is in the sweep: once more without it, since a difference would lose what is left.
      double without = 0;
      if (others_max > -__builtin_inf())
        for (size_t i = 0; i < n; i++) {
          const Bits is_label = widened(Wide::classes_of(i) == all_int(label));
          const Doubles e = select(is_label, all(0.0), load(out + i * W));
          without += sum_of(e.low + e.high);
        }
      others = without * ::exp(others_max - max);
      for (size_t j = 0; j < k; j++) others += ::exp(chosen[j] - max);
    }
    const double sum = others + own;
    const double loss = others < own ? ::log1p(others / own) : (max - label_logit) + ::log(sum);
    return {loss, 1 / sum, -others / sum};
  }

  /** out = e^((z − max)·inverse); their sum. */
  IMAGO_INLINE double sweep(const float* z, size_t n, double max, double inverse, double* out) {
    Doubles sum = all(0.0);
    for (size_t i = 0; i < n; i++) {
      const Doubles e = exp((load_wide(z + i * W) - max) * inverse);
      store(out + i * W, e);
      sum += e;
    }
    return sum_of(sum.low + sum.high);
  }
  IMAGO_INLINE F max_of_both(F a, F b) { return imago::IMAGO_ISA::max(a, b); }

  /** What is wrong with a row of the teacher; `seen` marks classes with the row's number plus one. */
  Fault fault(size_t r, uint32_t* seen, size_t& at) const {
    bool any_mass = false;
    for (at = 0; at < k; at++) {
      const int32_t c = indices[r * k + at];
      if (c < 0 || static_cast<size_t>(c) >= batch.classes || !batch.is_class(static_cast<size_t>(c))) return Fault::not_a_class;
      if (seen[c] == r + 1) return Fault::twice;
      seen[c] = static_cast<uint32_t>(r + 1);
      const float value = read_one<Source>(values + r * k + at);
      if (value != value) return Fault::not_a_number;
      if (value == infinity) return Fault::infinite;
      any_mass = any_mass || value > -infinity;
    }
    if (log_tail != nullptr && !(log_tail[r] <= 0)) return Fault::tail;
    const bool tail_has_all = log_tail == nullptr ? !are_logits : log_tail[r] == 0;
    if (!any_mass && !(has_others() && tail_has_all)) return Fault::nothing;
    if (are_logits || log_tail != nullptr) return Fault::none;
    const Buckets<Source> teacher = buckets(r);
    const double mass = teacher.sum > 0 ? teacher.sum * ::exp(teacher.max) : 0;
    return mass <= 1 + tolerance ? Fault::none : Fault::mass;
  }
};

template <class Source>
int check_teacher(const imago_call* call, const TopK<Source>& kernel) {
  const Batch& batch = kernel.batch;
  const Chunks chunks = Chunks::of(batch.rows, kernel.k * 4 + batch.classes / 16, 16);
  size_t bad[max_chunks];
  bool failed[max_chunks] = {};
  const auto marks = [&]() -> uint32_t* {
    uint32_t* const seen = reinterpret_cast<uint32_t*>(scratch(batch.classes));
    if (seen != nullptr) memset(seen, 0, batch.classes * sizeof(uint32_t));
    return seen;
  };
  parallel(batch.rows, chunks, [&](size_t chunk, size_t first, size_t end) {
    bad[chunk] = batch.rows;
    uint32_t* const seen = marks();
    failed[chunk] = seen == nullptr && batch.classes > 0;
    if (failed[chunk]) return;
    size_t at;
    for (size_t r = first; r < end && bad[chunk] == batch.rows; r++)
      if (batch.counts(r) && kernel.fault(r, seen, at) != Fault::none) bad[chunk] = r;
  });
  for (size_t i = 0; i < chunks.count; i++) {
    if (failed[i]) return refuse(call, "out of memory for rows of %zu classes", batch.classes);
    const size_t r = bad[i];
    if (r == batch.rows) continue;
    uint32_t* const seen = marks();
    if (seen == nullptr) return refuse(call, "out of memory for rows of %zu classes", batch.classes);
    size_t at = 0;
    const Fault fault = kernel.fault(r, seen, at);
    const int index = at < kernel.k ? static_cast<int>(kernel.indices[r * kernel.k + at]) : 0;
    switch (fault) {
      case Fault::not_a_class: return refuse(call, "indices: %d in row %zu is not a class", index, r);
      case Fault::twice: return refuse(call, "indices: %d in row %zu is there twice", index, r);
      case Fault::not_a_number: return refuse(call, "values: NaN in row %zu", r);
      case Fault::infinite: return refuse(call, "values: Infinity in row %zu", r);
      case Fault::tail: return refuse(call, "logTail: %g in row %zu", kernel.log_tail[r], r);
      case Fault::mass: {
        const auto teacher = kernel.buckets(r);
        return refuse(call, "values: %g as the sum of the probabilities in row %zu", teacher.sum * ::exp(teacher.max), r);
      }
      default: return refuse(call, "values: only -Infinity in row %zu", r);
    }
  }
  return 0;
}

template <class Source>
int run(const imago_call* call, Batch& batch, double type) {
  const double temperature = call->scalars[3], a = call->scalars[4];
  const size_t k = size(call, 2);
  if (const int refused = prepare(call, batch)) return refused;
  if (batch.rows > 0 && (k == 0 || k > batch.unmasked))
    return refuse(call, "k must be in [1, %zu], the number of classes, got %zu", batch.unmasked, k);
  const bool are_logits = call->scalars[7] != 0;
  const double* const log_tail = buffer<const double>(call, 3);
  const bool has_tail = call->buffers[3].type != 0;
  if (are_logits && !has_tail && batch.unmasked > k) return refuse(call, "logits of k classes need logTail");
  const float* const student = buffer<const float>(call, 0);
  const TopK<Source> kernel{batch,
                            student,
                            buffer<const int32_t>(call, 1),
                            buffer<const typename Source::Element>(call, 2),
                            has_tail ? log_tail : nullptr,
                            k,
                            temperature,
                            a,
                            are_logits,
                            mass_tolerance[static_cast<size_t>(type)]};
  if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::softmax)) return refused;
  if (const int refused = check_teacher(call, kernel)) return refused;
  Terms mean;
  if (const int refused = for_each_block(call, batch, kernel, mean)) return refused;
  const double soft = temperature * (temperature * mean.first);
  const double hard = mean.second;
  double* const result = buffer<double>(call, 7);
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (a < 1 ? (1 - a) * soft : 0) + (a > 0 ? a * hard : 0);
  result[1] = soft;
  result[2] = hard;
  return 0;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(top_k_soft_target_loss) {
  const double hard_weight = call->scalars[4], type = call->scalars[6];
  if (const int refused = check_temperature(call, call->scalars[3])) return refused;
  if (!(hard_weight >= 0 && hard_weight <= 1)) return refuse(call, "hardWeight must be in [0, 1], got %g", hard_weight);
  Batch batch{size(call, 0),
              size(call, 1),
              buffer<const int32_t>(call, 4),
              buffer<const float>(call, 5),
              call->scalars[5],
              buffer<float>(call, 6),
              buffer<const uint8_t>(call, 8)};
  return with_teacher(call, call->buffers[2], type, [&](auto source) { return run<decltype(source)>(call, batch, type); });
}
