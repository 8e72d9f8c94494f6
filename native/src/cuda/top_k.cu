// The k largest logits of each row with their indices; the logarithm of Σ e^(z/T), and of the share of all that is not among them.
//
// A block per row. The k-th largest number is found digit by digit from histograms of eight bits (radix selection: four readings of the
// row, from L2 after the first), then what is larger is collected and sorted. Atomics count and collect; the sort makes the order.
#include "cuda/kernel.h"
#include "cuda/row_math.cuh"
#include "cuda/team.cuh"

namespace imago::cuda {
namespace {

constexpr int threads = 256;
constexpr int most = 1024;

struct TopK {
  const float* logits;
  float* values;
  int32_t* indices;
  double* log_sum_exp;
  double* log_tail;
  int classes, k;
  double temperature;
  float scale;  // log₂e/T
  Status status;
};

/** An order of unsigned numbers that is that of floats; +0 and −0 are one. */
IMAGO_DEVICE uint32_t order_of(float x) {
  const uint32_t bits = __float_as_uint(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/** Of equal numbers the one with the lower index is the larger. */
IMAGO_DEVICE unsigned long long entry_of(float x, int c) {
  return static_cast<unsigned long long>(order_of(x)) << 32 | (0xffffffffu - static_cast<uint32_t>(c));
}
IMAGO_DEVICE int index_of(unsigned long long entry) { return static_cast<int>(0xffffffffu - static_cast<uint32_t>(entry)); }

struct Shared {
  unsigned long long entries[most];
  unsigned histogram[256];
  unsigned digit, remaining, ties, collected;
  unsigned of_warps[threads / 32];
};

/** Which digit the `remaining`-th largest number has, and which of those with that digit it is. By the first warp. */
__device__ __forceinline__ void choose_digit(Shared& shared) {
  const unsigned lane = threadIdx.x, wanted = shared.remaining;
  unsigned own = 0;
  for (int i = 0; i < 8; i++) own += shared.histogram[8 * lane + i];
  // How many numbers have a digit of this lane or of a higher one.
  unsigned above = own;
  for (int distance = 1; distance < 32; distance *= 2) {
    const unsigned more = __shfl_down_sync(all_lanes, above, distance);
    if (lane + distance < 32) above += more;
  }
  if (above < wanted || above - own >= wanted) return;
  unsigned rest = wanted - (above - own);
  int i = 7;
  for (; shared.histogram[8 * lane + i] < rest; i--) rest -= shared.histogram[8 * lane + i];
  shared.digit = 8 * lane + i;
  shared.remaining = rest;
  shared.ties = shared.histogram[8 * lane + i];
}

/** The order of the k-th largest number. shared.remaining: how many of its equals are among the k; shared.ties: of how many. */
__device__ __forceinline__ uint32_t select_bar(const TopK& op, const float* row, Shared& shared) {
  uint32_t prefix = 0, mask = 0;
  if (threadIdx.x == 0) shared.remaining = static_cast<unsigned>(op.k);
  for (int shift = 24; shift >= 0; shift -= 8) {
    shared.histogram[threadIdx.x] = 0;
    __syncthreads();
    for (int c = threadIdx.x; c < op.classes; c += threads) {
      const uint32_t order = order_of(row[c]);
      if ((order & mask) == prefix) atomicAdd(&shared.histogram[order >> shift & 255u], 1u);
    }
    __syncthreads();
    if (threadIdx.x < 32) choose_digit(shared);
    __syncthreads();
    prefix |= shared.digit << shift;
    mask |= 255u << shift;
  }
  return prefix;
}

/** The k entries, in no order. */
__device__ __forceinline__ void collect(const TopK& op, const float* row, uint32_t bar, Shared& shared) {
  const bool all_ties = shared.ties == shared.remaining;
  if (threadIdx.x == 0) shared.collected = 0;
  __syncthreads();
  for (int c = threadIdx.x; c < op.classes; c += threads) {
    const uint32_t order = order_of(row[c]);
    if (order > bar || (all_ties && order == bar)) shared.entries[atomicAdd(&shared.collected, 1u)] = entry_of(row[c], c);
  }
  __syncthreads();
  if (all_ties) return;
  // Of the equal ones the first `remaining`, in the order of the row.
  unsigned wanted = shared.remaining, place = shared.collected;
  for (int start = 0; start < op.classes && wanted > 0; start += threads) {
    const int c = start + static_cast<int>(threadIdx.x);
    const bool is_tie = c < op.classes && order_of(row[c]) == bar;
    const unsigned votes = __ballot_sync(all_lanes, is_tie), lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane == 0) shared.of_warps[warp] = __popc(votes);
    __syncthreads();
    unsigned before = __popc(votes & ((1u << lane) - 1)), all = 0;
    for (unsigned w = 0; w < threads / 32; w++) {
      if (w < warp) before += shared.of_warps[w];
      all += shared.of_warps[w];
    }
    if (is_tie && before < wanted) shared.entries[place + before] = entry_of(row[c], c);
    const unsigned taken = all < wanted ? all : wanted;
    place += taken;
    wanted -= taken;
    __syncthreads();
  }
}

/** Sorts the entries, largest first (bitonic); behind the k-th are zeros. */
__device__ __forceinline__ void sort_descending(unsigned long long* entries, int k) {
  int padded = 1;
  while (padded < k) padded *= 2;
  for (int i = k + static_cast<int>(threadIdx.x); i < padded; i += threads) entries[i] = 0;
  for (int size = 2; size <= padded; size *= 2)
    for (int distance = size / 2; distance > 0; distance /= 2) {
      __syncthreads();
      for (int i = threadIdx.x; i < padded / 2; i += threads) {
        const int low = 2 * i - (i & (distance - 1)), high = low + distance;
        const bool descending = (low & size) == 0;
        const unsigned long long a = entries[low], b = entries[high];
        if ((a < b) == descending) {
          entries[low] = b;
          entries[high] = a;
        }
      }
    }
  __syncthreads();
}

__global__ void __launch_bounds__(threads) select_rows(TopK op) {
  __shared__ Shared shared;
  BlockTeam<threads> team;
  const size_t r = blockIdx.x;
  const float* const row = op.logits + r * op.classes;
  float found[3] = {0, 0, -infinity()};  // NaN, +∞, the largest
  for (int c = threadIdx.x; c < op.classes; c += threads) {
    if (row[c] != row[c]) found[0] = 1;
    if (row[c] == infinity()) found[1] = 1;
    found[2] = fmaxf(found[2], row[c]);
  }
  team.max(found);
  if (found[0] != 0 || found[1] != 0 || found[2] == -infinity()) {
    if (threadIdx.x == 0)
      report(op.status, 0, found[0] != 0 ? Problem::nan : found[1] != 0 ? Problem::infinity : Problem::only_minus_infinity, r);
    return;
  }
  collect(op, row, select_bar(op, row, shared), shared);
  sort_descending(shared.entries, op.k);
  for (int j = threadIdx.x; j < op.k; j += threads) {
    const int c = index_of(shared.entries[j]);
    op.indices[r * op.k + j] = c;
    op.values[r * op.k + j] = row[c];
  }
  if (op.log_sum_exp == nullptr && op.log_tail == nullptr) return;

  // The tail's exponentials are relative to its own largest number, so that a small share keeps its digits.
  const unsigned long long last = shared.entries[op.k - 1];
  float next[1] = {-infinity()};
  for (int c = threadIdx.x; c < op.classes; c += threads)
    if (entry_of(row[c], c) < last) next[0] = fmaxf(next[0], row[c]);
  team.max(next);
  Sums<2> sums;
  const float first = row[index_of(shared.entries[0])];
  for (int j = threadIdx.x; j < op.k; j += threads) {
    sums.part[0] += exp2_fast((row[index_of(shared.entries[j])] - first) * op.scale);
    sums.flush();
  }
  for (int start = threadIdx.x; start < op.classes && next[0] > -infinity(); start += sum_block * threads) {
    for (int i = 0; i < sum_block; i++) {
      const int c = start + i * threads;
      if (c < op.classes && entry_of(row[c], c) < last) sums.part[1] += exp2_fast((row[c] - next[0]) * op.scale);
    }
    sums.flush();
  }
  double total[2] = {sums.value(0), sums.value(1)};
  team.sum(total);
  if (threadIdx.x != 0) return;
  double sum = total[0], tail = -static_cast<double>(infinity());
  if (next[0] > -infinity()) {
    tail = (static_cast<double>(next[0]) - static_cast<double>(first)) / op.temperature + ::log(total[1]);
    sum += ::exp(tail);
  }
  const double log_sum = ::log(sum);
  if (op.log_sum_exp != nullptr) op.log_sum_exp[r] = static_cast<double>(first) / op.temperature + log_sum;
  if (op.log_tail != nullptr) op.log_tail[r] = tail - log_sum;
}

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(top_k) {
  using namespace imago::cuda;
  const size_t rows = size(call, 0), classes = size(call, 1), k = size(call, 2);
  const double temperature = call->scalars[3];
  if (const int refused = check_temperature(call, temperature)) return refused;
  if (k < 1 || k > most || k > classes) return refuse(call, "k must be in [1, min(1024, classes)], got %zu", k);
  if (classes >= size_t{1} << 30) return refuse(call, "classes must be below 2^30");
  if (rows >= size_t{1} << 31) return refuse(call, "rows must be below 2^31");
  if (rows == 0) return 0;
  const TopK op{buffer<const float>(call, 0),
                buffer<float>(call, 1),
                buffer<int32_t>(call, 2),
                buffer<double>(call, 3),
                buffer<double>(call, 4),
                static_cast<int>(classes),
                static_cast<int>(k),
                temperature,
                static_cast<float>(1.4426950408889634 / temperature),
                status_of(call, "top_k")};
  if (op.status.word == nullptr) return refuse(call, "CUDA: out of memory");
  return done(call, launch(select_rows, dim3(static_cast<unsigned>(rows)), dim3(threads), 0, stream(call), op));
}
