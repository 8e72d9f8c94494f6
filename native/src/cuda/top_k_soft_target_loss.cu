// soft_target_loss against a teacher of whom k classes a row are known: KL of k + 1 buckets, the last of them all other classes. Nothing
// is densified: the teacher stays [R, k], and a bit for each class says whether it is one of the k.
//
// A block per row, in float64 as on the CPU; the row is read from global memory, three times.
#include "cuda/rows.cuh"

namespace imago::cuda {
namespace {

constexpr int threads = 256;

/** What a teacher without a tail may lack or have too much: its numbers are rounded. By valuesType. */
constexpr double mass_tolerance[] = {1e-4, 4e-3, 3e-2};

IMAGO_DEVICE double no_mass() { return -static_cast<double>(infinity()); }

template <class Source>
struct TopK {
  const int32_t* indices;
  const typename Source::Element* values;
  const double* log_tail;
  int k;
  double temperature;
  double hard_weight;
  bool are_logits;
  double tolerance;
  uint32_t indices_at, values_at, log_tail_at;
};

/** KL's term of one bucket and its q − p, from ln p, ln q. */
struct Bucket {
  double value;
  double difference;
  __device__ __forceinline__ static Bucket of(double log_p, double log_q) {
    const double p = ::exp(log_p), q = ::exp(log_q), u = log_q - log_p;
    if (p == 0) return {q, q};
    const double difference = u > 1 ? q - p : p * ::expm1(u);
    return {u > 0.3 || u < -0.3 ? difference - p * u : p * expm1_minus(u), difference};
  }
};

/** The teacher's buckets of a row: ln p of the k classes and of the tail. Log-masses of −∞ are none. */
struct Buckets {
  double scale;  // 1/T for logits
  double max;
  double log_sum;  // ln Σ e^(value·scale − max); −∞ where there is nothing
  double share;    // ln of what all k together have
  double tail;     // ln of what the others have
  __device__ __forceinline__ double log_p(float value) const {
    return log_sum > no_mass() ? static_cast<double>(value) * scale - max - log_sum + share : no_mass();
  }
};

template <class Source>
__global__ void __launch_bounds__(threads) losses_of_rows(TopK<Source> op, Batch batch) {
  IMAGO_SHARED(unsigned, chosen);
  BlockTeam<threads> team;
  const size_t r = blockIdx.x;
  const int classes = batch.classes, k = op.k;
  if (!batch.counts(r)) {
    zero_slice(batch, r, 0, classes, threads);
    if (threadIdx.x == 0) batch.losses[r] = {0, 0};
    return;
  }
  if (batch.mask != nullptr) {
    float any[1] = {0};
    for (int c = threadIdx.x; c < classes; c += threads)
      if (batch.is_class(c)) any[0] = 1;
    team.max(any);
    if (any[0] == 0) {
      if (threadIdx.x == 0) batch.refuse(batch.mask_at, Problem::no_class, r);
      return;
    }
  }
  const float* const z = batch.student + r * classes;
  const int32_t* const index = op.indices + r * k;
  const typename Source::Element* const value = op.values + r * k;
  const int label = batch.label(r);
  const double label_logit = label >= 0 ? static_cast<double>(z[label]) : 0;
  const auto is_chosen = [&](int c) { return (chosen[c / 32] >> (c % 32) & 1u) != 0; };

  // What the teacher says. Reports are of any thread; what comes of a refused row is anything but a wrong address.
  for (int i = threadIdx.x; i < (classes + 31) / 32; i += threads) chosen[i] = 0;
  __syncthreads();
  float most[2] = {-infinity(), 0};  // the largest value; whether something is to be refused
  for (int j = threadIdx.x; j < k; j += threads) {
    const int c = index[j];
    const float x = Source::read(value[j]);
    if (c < 0 || c >= classes || !batch.is_class(c)) {
      batch.refuse(op.indices_at, Problem::not_a_class, r);
      most[1] = 1;
    } else if (atomicOr(&chosen[c / 32], 1u << (c % 32)) >> (c % 32) & 1u) {
      batch.refuse(op.indices_at, Problem::twice, r);
      most[1] = 1;
    }
    if (x != x || x == infinity()) {
      batch.refuse(op.values_at, problem_of(x), r);
      most[1] = 1;
    }
    most[0] = fmaxf(most[0], x);
  }
  if (op.log_tail != nullptr && !(op.log_tail[r] <= 0)) {
    if (threadIdx.x == 0) batch.refuse(op.log_tail_at, Problem::positive_log, r);
    most[1] = 1;
  }
  team.max(most);

  // The student: NaN, +∞; the largest logit, of the others too; whether there are others.
  float found[5] = {0, 0, -infinity(), -infinity(), 0};
  for (int c = threadIdx.x; c < classes; c += threads) {
    if (!batch.is_class(c)) continue;
    if (z[c] != z[c]) found[0] = 1;
    if (z[c] == infinity()) found[1] = 1;
    found[2] = fmaxf(found[2], z[c]);
    if (is_chosen(c)) continue;
    found[3] = fmaxf(found[3], z[c]);
    found[4] = 1;
  }
  team.max(found);
  const bool has_others = found[4] != 0;
  const auto refuse_all = [&](bool wrong, uint32_t buffer, Problem problem) {
    if (wrong && threadIdx.x == 0) batch.refuse(buffer, problem, r);
    return wrong;
  };
  bool refused = most[1] != 0;
  refused |= refuse_all(found[0] != 0, batch.student_at, Problem::nan);
  refused |= refuse_all(found[1] != 0, batch.student_at, Problem::infinity);
  refused |= refuse_all(found[2] == -infinity(), batch.student_at, Problem::only_minus_infinity);
  refused |= refuse_all(op.are_logits && op.log_tail == nullptr && has_others, op.values_at, Problem::no_tail);
  const bool tail_has_all = op.log_tail == nullptr ? !op.are_logits : op.log_tail[r] == 0;
  refused |= refuse_all(most[1] == 0 && most[0] == -infinity() && !(has_others && tail_has_all), op.values_at, Problem::only_minus_infinity);
  // The same in every thread.
  if (refused) return;

  Buckets teacher{op.are_logits ? 1 / op.temperature : 1, 0, no_mass(), 0, no_mass()};
  teacher.max = static_cast<double>(most[0]) * teacher.scale;
  double sum[1] = {0};
  if (most[0] > -infinity())
    for (int j = threadIdx.x; j < k; j += threads) sum[0] += ::exp(static_cast<double>(Source::read(value[j])) * teacher.scale - teacher.max);
  team.sum(sum);
  if (sum[0] > 0) teacher.log_sum = ::log(sum[0]);
  const double mass = sum[0] > 0 ? sum[0] * ::exp(teacher.max) : 0;
  if (refuse_all(!op.are_logits && op.log_tail == nullptr && !(mass <= 1 + op.tolerance), op.values_at, Problem::above_one)) return;
  if (has_others) {
    if (op.log_tail != nullptr) {
      teacher.tail = op.log_tail[r];
      teacher.share = teacher.tail > -0.7 ? ::log(-::expm1(teacher.tail)) : ::log1p(-::exp(teacher.tail));
    } else {
      teacher.share = mass < 1 ? ::log(mass) : 0;
      teacher.tail = mass < 1 ? ::log1p(-mass) : no_mass();
    }
  }

  // The student's sums: of the others relative to the largest of them, so that these do not underflow however far below the k they
  // are; of the k relative to the largest of all; each without the label too.
  const double max = static_cast<double>(found[2]), others_max = static_cast<double>(found[3]), inverse = 1 / op.temperature;
  const bool any_other = found[3] > -infinity(), is_hard = label >= 0;
  double sums[4] = {};
  for (int c = threadIdx.x; c < classes && any_other; c += threads) {
    if (!batch.is_class(c) || is_chosen(c)) continue;
    const double below = static_cast<double>(z[c]) - others_max;
    sums[0] += ::exp(below * inverse);
    if (is_hard && c != label) sums[1] += ::exp(below);
  }
  for (int j = threadIdx.x; j < k; j += threads) {
    const double below = static_cast<double>(z[index[j]]) - max;
    sums[2] += ::exp(below * inverse);
    if (is_hard && index[j] != label) sums[3] += ::exp(below);
  }
  team.sum(sums);
  const double log_sum = ::log((any_other ? sums[0] * ::exp((others_max - max) * inverse) : 0) + sums[2]);
  const double log_rest = any_other ? (others_max - max) * inverse + ::log(sums[0]) - log_sum : no_mass();
  double hard_loss = 0, hard_inverse = 0, hard_at_label = 0;
  if (is_hard) {
    const double others = (any_other ? sums[1] * ::exp(others_max - max) : 0) + sums[3], own = ::exp(label_logit - max);
    hard_loss = others < own ? ::log1p(others / own) : (max - label_logit) + ::log(others + own);
    hard_inverse = 1 / (others + own);
    // q − 1 of the label: −(the mass of all others).
    hard_at_label = -others * hard_inverse;
  }

  const double share = batch.share(r);
  const Bucket tail = Bucket::of(teacher.tail, log_rest);
  const double soft_factor = (1 - op.hard_weight) * op.temperature * share, hard_factor = is_hard ? op.hard_weight * share : 0;
  const double soft_scale = any_other && sums[0] > 0 ? soft_factor * tail.difference / sums[0] : 0;
  float* const gradient = batch.gradient == nullptr ? nullptr : batch.gradient + r * classes;
  double divergence[1] = {threadIdx.x == 0 ? tail.value : 0};
  // Each number of the gradient is written by who reads its logit: the two may be one.
  for (int j = threadIdx.x; j < k; j += threads) {
    const int c = index[j];
    const double logit = static_cast<double>(z[c]);
    const Bucket bucket = Bucket::of(teacher.log_p(Source::read(value[j])), (logit - max) * inverse - log_sum);
    divergence[0] += bucket.value;
    if (gradient == nullptr) continue;
    const double of_hard = !is_hard ? 0 : c == label ? hard_at_label : ::exp(logit - max) * hard_inverse;
    gradient[c] = static_cast<float>(soft_factor * bucket.difference + hard_factor * of_hard);
  }
  for (int c = threadIdx.x; c < classes && gradient != nullptr; c += threads) {
    if (is_chosen(c)) continue;
    double g = 0;
    if (batch.is_class(c)) {
      const double logit = static_cast<double>(z[c]);
      if (any_other) g = ::exp((logit - others_max) * inverse) * soft_scale;
      if (hard_factor != 0) g += hard_factor * (c == label ? hard_at_label : ::exp(logit - max) * hard_inverse);
    }
    gradient[c] = static_cast<float>(g);
  }
  team.sum(divergence);
  if (threadIdx.x == 0) batch.losses[r] = {share * (divergence[0] > 0 ? divergence[0] : 0), share * hard_loss};
}

template <class Source>
int run(const imago_call* call, double type) {
  const double temperature = call->scalars[3], a = call->scalars[4];
  Batch batch;
  if (const int refused = batch_of(call, {.student = 0, .labels = 4, .weights = 5, .gradient = 6, .mask = 8, .ignore_index = 5}, batch))
    return refused;
  const size_t k = size(call, 2), classes = static_cast<size_t>(batch.classes);
  const bool are_logits = call->scalars[7] != 0, has_tail = call->buffers[3].type != 0;
  if (batch.rows > 0 && (k == 0 || k > classes)) return refuse(call, "k must be in [1, %zu], the number of classes, got %zu", classes, k);
  if (are_logits && !has_tail && classes > k && batch.mask == nullptr) return refuse(call, "logits of k classes need logTail");
  const size_t bytes = (classes + 31) / 32 * sizeof(unsigned);
  if (bytes > largest_slice()) return refuse(call, "%zu classes are more than the bits of a block's shared memory", classes);
  if (const int refused = prepare(call, "top_k_soft_target_loss", batch, batch.rows)) return refused;
  const TopK<Source> op{buffer<const int32_t>(call, 1),
                        buffer<const typename Source::Element>(call, 2),
                        has_tail ? buffer<const double>(call, 3) : nullptr,
                        static_cast<int>(k),
                        temperature,
                        a,
                        are_logits,
                        mass_tolerance[static_cast<size_t>(type)],
                        1,
                        2,
                        3};
  if (batch.rows > 0)
    if (const int refused = done(call, launch(losses_of_rows<Source>, dim3(static_cast<unsigned>(batch.rows)), dim3(threads), bytes, stream(call),
                                              op, batch)))
      return refused;
  return finish(call, batch, batch.rows, soft_and_hard(buffer<double>(call, 7), temperature, a));
}

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(top_k_soft_target_loss) {
  using namespace imago::cuda;
  const double hard_weight = call->scalars[4], type = call->scalars[6];
  if (const int refused = check_temperature(call, call->scalars[3])) return refused;
  if (!(hard_weight >= 0 && hard_weight <= 1)) return refuse(call, "hardWeight must be in [0, 1], got %g", hard_weight);
  return with_teacher(call, 2, type, [&](auto source) { return run<decltype(source)>(call, type); });
}
