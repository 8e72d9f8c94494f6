// The row engine: one sequence of steps for every loss and softmax over rows [R, C], and four places to keep a row in meanwhile.
//
//   registers  C ≤ 1024: a warp per row, up to 32 numbers of each input a lane; a block is 4 rows
//   cluster    sm_90 and above: 1 … 16 blocks per row, a slice each in shared memory, fetched by bulk copies; maxima and sums go
//              through the other blocks' shared memory. Slices of at most 72 KiB, so that three blocks of a multiprocessor load,
//              compute and store at the same time
//   shared     a block per row, the row in its shared memory, where that is large enough
//   stream     a block per row that reads it twice, the second time from L2: any size, any device. Maxima of a sample serve for those of
//              the row where they are near enough; where not, and where there are several passes, it is read more often
//
// The first three read and write each number once (12 bytes an element for two inputs and a gradient; 20 for the stream where L2
// does not hold the rows in flight). Threads read one element each, 32 neighbours a warp: no alignment is asked for. An element belongs to the same thread in
// every step, so that a gradient may be written over its input, and shared memory needs no barriers.
//
// An operation (soft.cuh is one) says what happens to an element in each step:
//   Teacher, two, expects, teacher_expects    the other input, if there is one, and what both must be
//   passes, sums                              how many times all elements are summed, and how many sums
//   precision, exact, limit                   what is summed in float64: nothing, everything, or all rows where `exact` and those with
//                                             larger finite numbers than `limit`
//   window                                    how far a row may go above the maxima of its sample, where there is one pass
//   wanted<pass>()                            false: this pass is left out
//   Row begin(batch, r, z_max, v_max)
//   term<pass>(row, c, z, x, sums)            adds to the sums; x is the teacher's logit or what the pass before has returned
//   finish<pass>(row, sums, share, terms)     after each pass, with the row's part of the mean; may not change what `term` of that pass reads
//   is_distribution(row)                      of a distribution: whether its sum is 1
//   give(row, c, z, x)                        the gradient
#pragma once
#include <atomic>

#include "cuda/batch.cuh"
#include "cuda/bulk.cuh"
#include "cuda/row_math.cuh"
#include "cuda/team.cuh"

namespace imago::cuda {

/** What a row of numbers must be: to have a softmax, to be subtracted from another, or to be the targets of a cross entropy. */
enum class Expect { softmax, finite, distribution };

/** Whether rows are summed in float32, float64, or the one or the other. */
enum class Precision { fast, exact, either };

/** What x becomes by the passes before `pass`: where it is not kept, it is computed again. */
template <int pass, class Real, class Op>
__device__ __forceinline__ float recomputed(const Op& op, const typename Op::Row& row, int c, float z, float v) {
  if constexpr (pass == 0) {
    return v;
  } else {
    Real unused[Op::sums] = {};
    if (!op.template wanted<pass - 1>()) return recomputed<pass - 1, Real>(op, row, c, z, v);
    return op.template term<pass - 1>(row, c, z, recomputed<pass - 1, Real>(op, row, c, z, v), unused);
  }
}

/** Steps of a loop in float32 are interleaved; those in float64 are rare and large. */
template <class Real>
constexpr int unrolled = sizeof(Real) == sizeof(float) ? 2 : 1;

/** A row in the registers of a warp. */
template <class Op, int count>
struct Registers {
  float z[count];
  float x[count];
  unsigned present = 0;  // bit j: element j is a class
  int lane;
  int classes;

  __device__ __forceinline__ Registers(const Batch& batch, size_t r, int rank) : lane(rank), classes(batch.classes) {
    typedef typename Op::Teacher Source;
    const float* const student = batch.student + r * classes;
    const auto* const teacher = static_cast<const typename Source::Element*>(batch.teacher) + r * classes;
#pragma unroll
    for (int j = 0; j < count; j++) {
      const int c = lane + 32 * j;
      z[j] = c < classes ? student[c] : 0;
      x[j] = Op::two && c < classes ? Source::read(teacher[c]) : 0;
      if (c < classes && batch.is_class(c)) present |= 1u << j;
    }
  }
  template <class F>
  __device__ __forceinline__ void look(F f) const {
#pragma unroll
    for (int j = 0; j < count; j++)
      if (present >> j & 1) f(lane + 32 * j, z[j], x[j]);
  }
  template <int pass, class Real, class Sums, class F>
  __device__ __forceinline__ void keep(const Op&, const typename Op::Row&, Sums& sums, F f) {
#pragma unroll
    for (int j = 0; j < count; j++) {
      if (present >> j & 1) x[j] = f(lane + 32 * j, z[j], x[j]);
      if (j % sum_block == sum_block - 1 || j == count - 1) sums.flush();
    }
  }
  template <class Real>
  __device__ __forceinline__ void give(const Op& op, const typename Op::Row& row, float* out) const {
#pragma unroll
    for (int j = 0; j < count; j++)
      if (lane + 32 * j < classes) out[lane + 32 * j] = present >> j & 1 ? op.give(row, lane + 32 * j, z[j], x[j]) : 0;
  }
};

/** A block's slice of a row in shared memory: `stored` numbers of each kind, of which this thread owns every `threads`-th. */
template <class Op, int threads>
struct Slice {
  typedef typename Op::Teacher Source;
  typedef typename Source::Element Element;
  /** What the passes return takes the place of a teacher in float32; one in half precision is too narrow for it. */
  static constexpr bool in_place = !Op::two || sizeof(Element) == sizeof(float);

  /** Shared memory of a slice of n elements; each array may begin up to a word late, to be congruent with its row. */
  __host__ __device__ static constexpr size_t bytes(size_t n) {
    const size_t array = (n * sizeof(float) + 2 * bulk_word - 1) / bulk_word * bulk_word;
    return in_place ? 2 * array : 2 * array + (n * sizeof(Element) + 2 * bulk_word - 1) / bulk_word * bulk_word;
  }

  float* z;
  float* x;
  Element* v;
  int first;  // class of element 0
  int n;
  const uint8_t* mask;
  bool is_kept = false;  // a pass has returned something; the first one may be left out

  template <class T>
  __device__ __forceinline__ static T* congruent(unsigned char* memory, const T* p) {
    return reinterpret_cast<T*>(memory + reinterpret_cast<uintptr_t>(p) % bulk_word);
  }
  __device__ __forceinline__ Slice(unsigned char* memory, int stored, const float* student, const Element* teacher, int begin, int count,
                                   const uint8_t* mask)
      : first(begin), n(count), mask(mask) {
    const size_t array = (stored * sizeof(float) + 2 * bulk_word - 1) / bulk_word * bulk_word;
    z = congruent(memory, student);
    v = in_place ? congruent(memory + array, teacher) : congruent(memory + 2 * array, teacher);
    x = in_place ? reinterpret_cast<float*>(v) : reinterpret_cast<float*>(memory + array);
  }
  __device__ __forceinline__ bool is_class(int i) const { return mask == nullptr || mask[first + i] != 0; }
  template <class F>
  __device__ __forceinline__ void look(F f) const {
    for (int i = threadIdx.x; i < n; i += threads)
      if (is_class(i)) f(first + i, z[i], Op::two ? Source::read(v[i]) : 0.0f);
  }
  template <int pass, class Real, class Sums, class F>
  __device__ __forceinline__ void keep(const Op&, const typename Op::Row&, Sums& sums, F f) {
    for (int start = threadIdx.x; start < n; start += sum_block * threads) {
#pragma unroll unrolled<Real>
      for (int j = 0; j < sum_block; j++) {
        const int i = start + j * threads;
        if (i < n && is_class(i)) x[i] = f(first + i, z[i], pass > 0 && is_kept ? x[i] : Op::two ? Source::read(v[i]) : 0.0f);
      }
      sums.flush();
    }
    is_kept = true;
  }
  template <class Real>
  __device__ __forceinline__ void give(const Op& op, const typename Op::Row& row, float* out) const {
#pragma unroll 4
    for (int i = threadIdx.x; i < n; i += threads) out[first + i] = is_class(i) ? op.give(row, first + i, z[i], x[i]) : 0;
  }
};

/** A row that stays where it is. */
template <class Op, int threads>
struct Stream {
  typedef typename Op::Teacher Source;
  typedef typename Source::Element Element;
  const float* student;
  const Element* teacher;
  int classes;
  const uint8_t* mask;

  __device__ __forceinline__ bool is_class(int c) const { return mask == nullptr || mask[c] != 0; }
  __device__ __forceinline__ float v(int c) const { return Op::two ? Source::read(teacher[c]) : 0.0f; }
  /** One element of each thread, from all over the row. */
  template <class F>
  __device__ __forceinline__ void sample(F f) const {
    const int c = static_cast<int>(static_cast<long long>(threadIdx.x) * classes / threads);
    if (is_class(c)) f(c, student[c], v(c));
  }
  template <class F>
  __device__ __forceinline__ void look(F f) const {
#pragma unroll 4
    for (int c = threadIdx.x; c < classes; c += threads)
      if (is_class(c)) f(c, student[c], v(c));
  }
  template <int pass, class Real, class Sums, class F>
  __device__ __forceinline__ void keep(const Op& op, const typename Op::Row& row, Sums& sums, F f) {
    for (int start = threadIdx.x; start < classes; start += sum_block * threads) {
#pragma unroll unrolled<Real>
      for (int j = 0; j < sum_block; j++) {
        const int c = start + j * threads;
        if (c >= classes || !is_class(c)) continue;
        const float z = student[c];
        f(c, z, recomputed<pass, Real>(op, row, c, z, v(c)));
      }
      sums.flush();
    }
  }
  template <class Real>
  __device__ __forceinline__ void give(const Op& op, const typename Op::Row& row, float* out) const {
#pragma unroll 4
    for (int c = threadIdx.x; c < classes; c += threads) {
      const float z = student[c];
      out[c] = !is_class(c) ? 0 : op.give(row, c, z, recomputed<Op::passes, Real>(op, row, c, z, v(c)));
    }
  }
};

/** An operation whose maxima, z_max and v_max, are those of all classes but the label has a member of this name. */
template <class Op>
constexpr bool leaves_label_out = requires { Op::leaves_label_out; };
template <class Op>
__device__ __forceinline__ int label_left_out(const Batch& batch, size_t r) {
  if constexpr (leaves_label_out<Op>) return batch.label(r);
  return -1;
}

/** The largest numbers of a row, and whether any is not what it must be or beyond the limit of the operation. */
struct Extent {
  float z_max = -infinity();
  float v_max = -infinity();
  bool odd = false;
  template <class Op>
  __device__ __forceinline__ void see(const Op& op, bool is_label, float z, float v) {
    const bool counts = !(leaves_label_out<Op> && is_label);
    if (counts) z_max = fmaxf(z_max, z);
    odd |= !(fabsf(z) <= op.limit);
    if constexpr (Op::two) {
      if (counts) v_max = fmaxf(v_max, v);
      odd |= Op::teacher_expects == Expect::distribution ? !(v >= 0 && v < infinity()) : !(fabsf(v) <= op.limit);
    }
  }
  template <class Team>
  __device__ __forceinline__ void share(Team& team) {
    float all[3] = {z_max, v_max, odd ? 1.0f : 0.0f};
    team.max(all);
    z_max = all[0];
    v_max = all[1];
    odd = all[2] != 0 || z_max == -infinity();
  }
};

enum class Verdict { usual, large, refused };

/** What an odd row is: one with large or excluded (−∞) numbers, or one to refuse. */
template <class Op, class Team, class Store>
__device__ __forceinline__ Verdict judge(const Op& op, const Batch& batch, size_t r, Team& team, const Store& store) {
  // For each input NaN, +∞, and what else is not expected of it or, with a softmax, is; numbers beyond the limit; any class.
  float found[8] = {};
  store.look([&](int, float z, float v) {
    const auto mark = [&](float x, int at, Expect expect) {
      if (x != x) found[at] = 1;
      if (x == infinity()) found[at + 1] = 1;
      if (expect == Expect::softmax ? x > -infinity() : expect == Expect::finite ? x == -infinity() : x < 0) found[at + 2] = 1;
      if (fabsf(x) > op.limit && fabsf(x) < infinity()) found[6] = 1;
    };
    mark(z, 0, Op::expects);
    if constexpr (Op::two) mark(v, 3, Op::teacher_expects);
    found[7] = 1;
  });
  team.max(found);
  const auto say = [&](uint32_t buffer, Problem problem, bool made = false) {
    if (team.rank() == 0) batch.refuse(buffer, problem, r, made);
    return true;
  };
  if (found[7] == 0) {
    say(batch.mask_at, Problem::no_class);
    return Verdict::refused;
  }
  const auto refuses = [&](int at, Expect expect, uint32_t buffer, bool made) {
    if (found[at] != 0) return say(buffer, Problem::nan, made);
    if (found[at + 1] != 0) return say(buffer, Problem::infinity, made);
    if (expect == Expect::softmax) return found[at + 2] == 0 && say(buffer, Problem::only_minus_infinity, made);
    return found[at + 2] != 0 && say(buffer, expect == Expect::finite ? Problem::minus_infinity : Problem::negative);
  };
  bool refused = refuses(0, Op::expects, batch.student_at, batch.is_made);
  if constexpr (Op::two) refused |= refuses(3, Op::teacher_expects, batch.teacher_at, batch.is_made_for_teacher);
  return refused ? Verdict::refused : found[6] != 0 ? Verdict::large : Verdict::usual;
}

/** Passes `pass` and those after it, with sums in Real. */
template <int pass, class Real, class Op, class Team, class Store>
__device__ __forceinline__ void run_passes(const Op& op, const Batch& batch, size_t r, typename Op::Row& row, Team& team, Store& store,
                                           Terms& terms) {
  if (op.template wanted<pass>()) {
    typename Select<Real, Op::sums>::type sums;
    store.template keep<pass, Real>(op, row, sums,
                                    [&](int c, float z, float x) { return op.template term<pass>(row, c, z, x, sums.part); });
    double found[Op::sums];
#pragma unroll
    for (int k = 0; k < Op::sums; k++) found[k] = sums.value(k);
    team.sum(found);
    op.template finish<pass>(row, found, batch.share(r), terms);
  }
  if constexpr (pass + 1 < Op::passes) run_passes<pass + 1, Real>(op, batch, r, row, team, store, terms);
}

template <class Real, class Op, class Team, class Store>
__device__ __forceinline__ Terms sum_and_give(const Op& op, const Batch& batch, size_t r, const Extent& extent, Team& team, Store& store) {
  typename Op::Row row = op.begin(batch, r, extent.z_max, extent.v_max);
  Terms terms{};
  run_passes<0, Real>(op, batch, r, row, team, store, terms);
  if constexpr (Op::teacher_expects == Expect::distribution) {
    if (!op.is_distribution(row)) {
      if (team.rank() == 0) batch.refuse(batch.teacher_at, Problem::not_one, r);
      return {};
    }
  }
  if (batch.gradient != nullptr) store.template give<Real>(op, row, batch.gradient + r * batch.classes);
  return terms;
}

/** A row from its logits to its gradient; returns what it adds to the loss. `extent` is the team's. */
template <class Op, class Team, class Store>
__device__ __forceinline__ Terms run_row(const Op& op, const Batch& batch, size_t r, const Extent& extent, Team& team, Store& store) {
  Verdict verdict = Verdict::usual;
  if (extent.odd) verdict = judge(op, batch, r, team, store);
  if (verdict == Verdict::refused) return {};
  if constexpr (Op::precision == Precision::exact) return sum_and_give<double>(op, batch, r, extent, team, store);
  if constexpr (Op::precision == Precision::either)
    if (op.exact || verdict == Verdict::large) return sum_and_give<double>(op, batch, r, extent, team, store);
  if constexpr (Op::precision != Precision::exact) return sum_and_give<float>(op, batch, r, extent, team, store);
}

/** Whether all rows are summed in float64. */
template <class Op>
__device__ __forceinline__ bool sums_in_double(const Op& op) {
  if constexpr (Op::precision == Precision::either) return op.exact;
  return Op::precision == Precision::exact;
}

/**
 * A row by the maxima of a sample of it, which spares a reading of the row for them. False, and nothing has been written, where the
 * sample does not serve; `extent` is then that of the row.
 */
template <class Op, class Team, class Store>
__device__ __forceinline__ bool run_sampled_row(const Op& op, const Batch& batch, size_t r, Extent& extent, Team& team, Store& store, Terms& terms) {
  const int label = label_left_out<Op>(batch, r);
  Extent sample;
  store.sample([&](int c, float z, float v) { sample.see(op, c == label, z, v); });
  sample.share(team);
  const bool serves = !sample.odd && !(Op::two && sample.v_max == -infinity());
  typename Op::Row row = op.begin(batch, r, sample.z_max, sample.v_max);
  typename Select<float, Op::sums>::type sums;
  store.template keep<0, float>(op, row, sums, [&](int c, float z, float x) {
    extent.see(op, c == label, z, x);
    return op.template term<0>(row, c, z, x, sums.part);
  });
  double found[Op::sums];
#pragma unroll
  for (int k = 0; k < Op::sums; k++) found[k] = sums.value(k);
  extent.share(team);
  if (!serves || sums_in_double(op) || extent.odd || extent.z_max - sample.z_max > op.window || (Op::two && extent.v_max - sample.v_max > op.window)) return false;
  team.sum(found);
  op.template finish<0>(row, found, batch.share(r), terms);
  if (batch.gradient != nullptr) store.template give<float>(op, row, batch.gradient + r * batch.classes);
  return true;
}

constexpr int warp_rows_per_block = 4;
/** From sm_100 on ptxas takes some registers more for the same: room for fewer blocks, rather than a spill. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr int spare = 1;
#else
constexpr int spare = 0;
#endif
/** Blocks that a multiprocessor must have room for. This leaves 168 registers a thread (255 for several passes), 128, and 72. */
template <class Op>
constexpr int register_blocks(int count) {
  if (count > 16) return Op::passes > 1 ? 2 : 3 - spare;
  return count > 4 || Op::precision == Precision::exact ? 4 - spare : 7 - 2 * spare;
}
/** 80 registers a thread; 128 where an element is float64. */
template <class Op>
constexpr int slice_blocks = Op::precision == Precision::exact ? 2 : 3 - spare;
template <class Op>
constexpr int stream_blocks = Op::precision == Precision::exact ? 1 : 2 - spare;

template <class Op, int count>
__global__ void __launch_bounds__(32 * warp_rows_per_block, register_blocks<Op>(count)) rows_in_registers(Op op, Batch batch) {
  __shared__ Terms found[warp_rows_per_block];
  const WarpTeam team;
  const int warp = threadIdx.x / 32;
  const size_t r = static_cast<size_t>(blockIdx.x) * warp_rows_per_block + warp;
  Terms terms{};
  if (r < batch.rows) {
    if (batch.counts(r)) {
      Registers<Op, count> store(batch, r, team.rank());
      Extent extent;
      const int label = label_left_out<Op>(batch, r);
      store.look([&](int c, float z, float v) { extent.see(op, c == label, z, v); });
      extent.share(team);
      terms = run_row(op, batch, r, extent, team, store);
    } else if (batch.gradient != nullptr) {
      for (int c = team.rank(); c < batch.classes; c += 32) batch.gradient[r * batch.classes + c] = 0;
    }
  }
  if (batch.losses == nullptr) return;
  if (team.rank() == 0) found[warp] = terms;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int i = 1; i < warp_rows_per_block; i++) {
    terms.first += found[i].first;
    terms.second += found[i].second;
  }
  batch.losses[blockIdx.x] = terms;
}

constexpr int slice_threads = 256;

/** gradient = 0 for a slice of a row that does not count. */
IMAGO_DEVICE void zero_slice(const Batch& batch, size_t r, int begin, int n, int threads) {
  if (batch.gradient == nullptr) return;
  for (int i = threadIdx.x; i < n; i += threads) batch.gradient[r * batch.classes + begin + i] = 0;
}

/** A cluster per row where `bulk`, a block per row otherwise. `stored` elements of the row belong to each block. */
template <class Op, bool bulk>
__global__ void __launch_bounds__(slice_threads, slice_blocks<Op>) rows_in_shared(Op op, Batch batch, int stored) {
#if IMAGO_CUDA_EMULATION || !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  constexpr bool has_bulk = bulk;
#else
  constexpr bool has_bulk = false;
  if constexpr (bulk) return;  // never launched here
#endif
  typedef Slice<Op, slice_threads> Store;
  typedef typename Store::Element Element;
  IMAGO_SHARED(unsigned char, memory);
  BlockTeam<slice_threads, has_bulk> team;
  const unsigned blocks = has_bulk ? Cluster::size() : 1;
  const unsigned rank = has_bulk ? Cluster::rank() : 0;
  const size_t r = blockIdx.x / blocks;
  const int begin = min(static_cast<int>(rank) * stored, batch.classes);
  const int n = min(stored, batch.classes - begin);
  Terms terms{};
  if (batch.counts(r)) {
    const float* const student = batch.student + r * batch.classes + begin;
    const Element* const teacher = Op::two ? static_cast<const Element*>(batch.teacher) + r * batch.classes + begin : nullptr;
    Store store(memory, stored, student, teacher, begin, n, batch.mask);
    Extent extent;
    const int label = label_left_out<Op>(batch, r);
    if constexpr (has_bulk) {
      __shared__ BulkBarriers barriers;
      const BulkPart z = BulkPart::of(student, n);
      const BulkPart v = Op::two ? BulkPart::of(teacher, n) : z;
      const int chunk = (n / bulk_chunks / slice_threads + 1) * slice_threads;
      if (threadIdx.x == 0) barriers.init();
      __syncthreads();
      if (threadIdx.x == 0) {
        for (int k = 0; k < bulk_chunks; k++) {
          const int z_count = max(0, min(chunk, z.inner - k * chunk)), v_count = max(0, min(chunk, v.inner - k * chunk));
          const unsigned z_bytes = z_count * sizeof(float), v_bytes = Op::two ? v_count * sizeof(Element) : 0;
          barriers.expect(k, z_bytes + v_bytes);
          const int z_at = z.head + k * chunk, v_at = v.head + k * chunk;
          barriers.copy(k, store.z + z_at, student + z_at, z_bytes);
          if constexpr (Op::two) barriers.copy(k, store.v + v_at, teacher + v_at, v_bytes);
        }
      }
#if IMAGO_CUDA_EMULATION
      __syncthreads();
#endif
      // An element is in the chunk that its place behind the heads says; waiting for a chunk that brings nothing is no wait.
      const int before = min(z.head, v.head);
      int arrived = 0;
      for (int i = threadIdx.x; i < n; i += slice_threads) {
        const int needed = min(max(i - before, 0) / chunk, bulk_chunks - 1);
        while (arrived <= needed) barriers.wait(arrived++);
        if (!z.has(i)) store.z[i] = student[i];
        if constexpr (Op::two)
          if (!v.has(i)) store.v[i] = teacher[i];
        if (store.is_class(i)) extent.see(op, begin + i == label, store.z[i], Op::two ? Op::Teacher::read(store.v[i]) : 0.0f);
      }
    } else {
      for (int i = threadIdx.x; i < n; i += slice_threads) {
        const float x = student[i];
        const Element y = Op::two ? teacher[i] : Element{};
        store.z[i] = x;
        if constexpr (Op::two) store.v[i] = y;
        if (store.is_class(i)) extent.see(op, begin + i == label, x, Op::two ? Op::Teacher::read(y) : 0.0f);
      }
    }
    extent.share(team);
    terms = run_row(op, batch, r, extent, team, store);
  } else {
    zero_slice(batch, r, begin, n, slice_threads);
  }
  if (rank == 0 && threadIdx.x == 0 && batch.losses != nullptr) batch.losses[r] = terms;
  team.leave();
}

constexpr int stream_threads = 384;

/** A block per row that reads it from global memory in every pass. */
template <class Op>
__global__ void __launch_bounds__(stream_threads, stream_blocks<Op>) rows_in_stream(Op op, Batch batch) {
  typedef Stream<Op, stream_threads> Store;
  BlockTeam<stream_threads> team;
  const size_t r = blockIdx.x;
  Terms terms{};
  if (batch.counts(r)) {
    const size_t start = r * batch.classes;
    Store store{batch.student + start, Op::two ? static_cast<const typename Store::Element*>(batch.teacher) + start : nullptr, batch.classes,
                batch.mask};
    Extent extent;
    bool is_done = false;
    if constexpr (Op::passes == 1 && Op::precision != Precision::exact) {
      is_done = run_sampled_row(op, batch, r, extent, team, store, terms);
    } else {
      const int label = label_left_out<Op>(batch, r);
      store.look([&](int c, float z, float v) { extent.see(op, c == label, z, v); });
      extent.share(team);
    }
    if (!is_done) terms = run_row(op, batch, r, extent, team, store);
  } else {
    zero_slice(batch, r, 0, batch.classes, stream_threads);
  }
  if (threadIdx.x == 0 && batch.losses != nullptr) batch.losses[r] = terms;
}

/** The longest rows that are kept in registers: those of float64 would be a page of code for each of a lane's numbers. */
template <class Op>
constexpr int most_in_registers = Op::precision == Precision::exact ? 128 : 1024;

/** Where the rows of the batch are kept: in registers, or, for `launch_rows` to find out, elsewhere. */
template <class Op>
bool in_registers(const Batch& batch) {
  const Form asked = asked_form();
  return batch.classes <= most_in_registers<Op> && (asked == Form::automatic || asked == Form::registers);
}

/** How many entries of batch.losses the rows leave. */
template <class Op>
size_t loss_units(const Batch& batch) {
  return in_registers<Op>(batch) ? (batch.rows + warp_rows_per_block - 1) / warp_rows_per_block : batch.rows;
}

/** How a row is cut into slices; 0 blocks: it does not fit. */
struct Cutting {
  int blocks;
  int stored;
};

/** Three blocks of this much fit a multiprocessor of sm_90. */
constexpr size_t slice_bytes = 72 * 1024;
/** What a block may have at most; the static shared memory of the teams is taken from the same. */
inline size_t largest_slice() { return device().shared_bytes_per_block - 8 * 1024; }
/** Beyond 8 blocks a cluster is not portable: the device is asked. */
constexpr int portable_cluster = 8;

template <class Op>
inline Cutting cut_into(int classes, int blocks, size_t most) {
  const int stored = ((classes + blocks - 1) / blocks + 31) / 32 * 32;
  return Slice<Op, slice_threads>::bytes(stored) <= most ? Cutting{blocks, stored} : Cutting{0, 0};
}

#if !IMAGO_CUDA_EMULATION
struct ClusterLaunch {
  cudaLaunchAttribute attribute[1] = {};
  cudaLaunchConfig_t config = {};
  ClusterLaunch(size_t rows, int blocks, size_t shared_bytes, cudaStream_t stream) {
    attribute[0].id = cudaLaunchAttributeClusterDimension;
    attribute[0].val.clusterDim.x = static_cast<unsigned>(blocks);
    attribute[0].val.clusterDim.y = attribute[0].val.clusterDim.z = 1;
    config.gridDim = dim3(static_cast<unsigned>(rows * blocks));
    config.blockDim = dim3(slice_threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    config.attrs = attribute;
    config.numAttrs = 1;
  }
};

/** True where the device can hold a cluster of 16 blocks with such slices. Asked once a device. */
template <class Op>
bool has_large_clusters(const Cutting& cutting) {
  int ordinal = 0;
  if (cudaGetDevice(&ordinal) != cudaSuccess || ordinal >= 64) return false;
  static std::atomic<signed char> known[64];  // 0 not asked, 1 no, 2 yes
  if (const signed char answer = known[ordinal].load(std::memory_order_relaxed)) return answer == 2;
  const void* const kernel = reinterpret_cast<const void*>(rows_in_shared<Op, true>);
  const size_t bytes = Slice<Op, slice_threads>::bytes(cutting.stored);
  ClusterLaunch launch(1, cutting.blocks, slice_bytes, nullptr);
  int clusters = 0;
  const bool has = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1) == cudaSuccess &&
                   cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(slice_bytes)) == cudaSuccess &&
                   bytes <= slice_bytes && cudaOccupancyMaxActiveClusters(&clusters, kernel, &launch.config) == cudaSuccess && clusters > 0;
  if (!has) cudaGetLastError();
  known[ordinal].store(has ? 2 : 1, std::memory_order_relaxed);
  return has;
}

template <class Op>
cudaError_t launch_clusters(const Op& op, const Batch& batch, const Cutting& cutting, cudaStream_t stream) {
  const size_t bytes = Slice<Op, slice_threads>::bytes(cutting.stored);
  const void* const kernel = reinterpret_cast<const void*>(rows_in_shared<Op, true>);
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error == cudaSuccess && cutting.blocks > portable_cluster)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
  if (error != cudaSuccess) return error;
  const ClusterLaunch launch(batch.rows, cutting.blocks, bytes, stream);
  return cudaLaunchKernelEx(&launch.config, rows_in_shared<Op, true>, op, batch, cutting.stored);
}
#else
template <class Op>
bool has_large_clusters(const Cutting&) {
  return false;
}
/** A cluster of one block is what the emulation has. */
template <class Op>
cudaError_t launch_clusters(const Op& op, const Batch& batch, const Cutting& cutting, cudaStream_t stream) {
  return launch(rows_in_shared<Op, true>, dim3(static_cast<unsigned>(batch.rows)), dim3(slice_threads),
                Slice<Op, slice_threads>::bytes(cutting.stored), stream, op, batch, cutting.stored);
}
#endif

/** The fewest blocks whose slices leave room for three on a multiprocessor; where none do, the most that fit at all. */
template <class Op>
Cutting cluster_for(int classes) {
  if (device().compute_capability < 90 && !IMAGO_CUDA_EMULATION) return {0, 0};
  const size_t most = largest_slice();
  for (int blocks = 1; blocks <= (IMAGO_CUDA_EMULATION ? 1 : portable_cluster); blocks *= 2)
    if (const Cutting cutting = cut_into<Op>(classes, blocks, slice_bytes < most ? slice_bytes : most); cutting.blocks) return cutting;
  if (const Cutting cutting = cut_into<Op>(classes, 16, slice_bytes < most ? slice_bytes : most);
      cutting.blocks && has_large_clusters<Op>(cutting))
    return cutting;
  return cut_into<Op>(classes, IMAGO_CUDA_EMULATION ? 1 : portable_cluster, most);
}

/** Runs an operation over the rows of a batch, in the place that suits their length. */
template <class Op>
cudaError_t launch_rows(const Op& op, const Batch& batch, cudaStream_t stream) {
  if (batch.rows == 0) return cudaSuccess;
  if (in_registers<Op>(batch)) {
    const dim3 grid(static_cast<unsigned>((batch.rows + warp_rows_per_block - 1) / warp_rows_per_block));
    const dim3 block(32 * warp_rows_per_block);
    if (batch.classes <= 128) return launch(rows_in_registers<Op, 4>, grid, block, 0, stream, op, batch);
    if constexpr (most_in_registers<Op> > 128) {
      if (batch.classes <= 512) return launch(rows_in_registers<Op, 16>, grid, block, 0, stream, op, batch);
      return launch(rows_in_registers<Op, 32>, grid, block, 0, stream, op, batch);
    }
  }
  const Form asked = asked_form();
  if (asked != Form::shared && asked != Form::stream)
    if (const Cutting cutting = cluster_for<Op>(batch.classes); cutting.blocks) return launch_clusters(op, batch, cutting, stream);
  const dim3 grid(static_cast<unsigned>(batch.rows));
  if (asked != Form::stream)
    if (const Cutting cutting = cut_into<Op>(batch.classes, 1, largest_slice()); cutting.blocks)
      return launch(rows_in_shared<Op, false>, grid, dim3(slice_threads), Slice<Op, slice_threads>::bytes(cutting.stored), stream, op, batch,
                    cutting.stored);
  return launch(rows_in_stream<Op>, grid, dim3(stream_threads), 0, stream, op, batch);
}

/** A loss from the call to its result. */
template <class Op>
int run_loss(const imago_call* call, const char* kernel, const Places& places, const Finish& result, const Op& op) {
  Batch batch;
  if (const int refused = batch_of(call, places, batch)) return refused;
  const size_t units = loss_units<Op>(batch);
  if (const int refused = prepare(call, kernel, batch, units)) return refused;
  if (const int refused = done(call, launch_rows(op, batch, stream(call)))) return refused;
  return finish(call, batch, units, result);
}

/** run(source) for the type of the teacher's buffer: 0 float32, 1 float16, 2 bfloat16. */
template <class Run>
int with_teacher(const imago_call* call, size_t position, double type, Run run) {
  if (type != 0 && type != 1 && type != 2) return refuse(call, "teacherType must be 0 (float32), 1 (float16) or 2 (bfloat16), got %g", type);
  if ((call->buffers[position].type == IMAGO_F32) != (type == 0))
    return refuse(call, "teacherType %g does not fit the teacher's buffer (0 float32, 1 float16, 2 bfloat16)", type);
  return type == 0 ? run(Float32{}) : type == 1 ? run(Float16{}) : run(Bfloat16{});
}

}  // namespace imago::cuda
