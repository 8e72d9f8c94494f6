// The frame of a loss over rows [R, C]: which rows count, blocks of them, sums in a fixed order; refusals name a row.
#pragma once
#include "common/layout.h"
#include "common/parallel.h"
#include "common/refuse.h"
#include "common/scratch.h"

namespace imago::IMAGO_ISA {

/** The rows of a call. Labels, weights and mask may be null. */
struct Batch {
  size_t rows;
  size_t classes;
  const int32_t* labels;
  const float* weights;
  double ignore_index;  // no label equals it where it is not a whole number
  float* gradient;
  const uint8_t* mask = nullptr;  // [classes]: where it is 0 there is no class, whatever the logits say
  size_t unmasked = 0;            // how many classes there are
  size_t span = 0;                // the same where they are the first ones (a padded vocabulary), else 0
  double weight_sum = 0;
  double equal_share = 0;  // 1/rows that count, where there are no weights
  bool all_count = false;  // no weights, and every label is a class

  /** A row that does not count is not read, and its gradient is 0. */
  __attribute__((always_inline)) bool counts(size_t r) const {
    return all_count || (!(labels != nullptr && labels[r] == ignore_index) && !(weights != nullptr && weights[r] == 0));
  }
  __attribute__((always_inline)) bool is_class(size_t c) const { return mask == nullptr || mask[c] != 0; }
  __attribute__((always_inline)) int32_t label(size_t r) const { return labels == nullptr ? -1 : labels[r]; }
  /** The row's part of the mean: w / Σ w. */
  __attribute__((always_inline)) double share(size_t r) const {
    return weights == nullptr ? equal_share : static_cast<double>(weights[r]) / weight_sum;
  }
};

/** True where every label is one of the first `classes`. Most calls have nothing else. */
IMAGO_INLINE bool all_below(const int32_t* labels, size_t rows, size_t classes) {
  const U limit = U{} + static_cast<uint32_t>(classes);
  I outside{};
  size_t r = 0;
  for (; r + W <= rows; r += W) {
    U x;
    memcpy(&x, labels + r, sizeof x);
    outside |= x >= limit;
  }
  for (; r < rows; r++)
    if (static_cast<uint32_t>(labels[r]) >= classes) return false;
  return !any(outside);
}

/** Checks the mask, labels and weights of the rows that count, counts the classes and sums the weights. 0 where all is well. */
IMAGO_INLINE int prepare(const imago_call* call, Batch& batch) {
  if (batch.rows > 0 && batch.classes == 0) return refuse(call, "rows without classes have no loss");
  batch.span = batch.unmasked = batch.classes;
  if (batch.mask != nullptr) {
    batch.unmasked = 0;
    for (size_t c = 0; c < batch.classes; c++) batch.unmasked += batch.is_class(c);
    if (batch.rows > 0 && batch.unmasked == 0) return refuse(call, "classMask: 0 for every class");
    for (size_t c = 0; c < batch.unmasked; c++)
      if (!batch.is_class(c)) batch.span = 0;
    if (batch.span != 0) batch.span = batch.unmasked;
  }
  const bool ignores_class = batch.ignore_index >= 0 && batch.ignore_index < static_cast<double>(batch.classes);
  if (batch.weights == nullptr &&
      (batch.labels == nullptr || (!ignores_class && all_below(batch.labels, batch.rows, batch.span)))) {
    batch.all_count = true;
    batch.weight_sum = static_cast<double>(batch.rows);
    batch.equal_share = 1 / batch.weight_sum;
    return 0;
  }
  for (size_t r = 0; r < batch.rows; r++) {
    if (!batch.counts(r)) continue;
    const float weight = batch.weights == nullptr ? 1 : batch.weights[r];
    if (!(weight > 0 && weight < infinity))
      return refuse(call, "rowWeights: %g in row %zu is not a finite number >= 0", static_cast<double>(weight), r);
    const int32_t label = batch.label(r);
    const auto index = static_cast<size_t>(label);
    if (label < -1 || (label >= 0 && !(index < batch.classes && batch.is_class(index))))
      return refuse(call, "labels: %d in row %zu is not a class", static_cast<int>(label), r);
    batch.weight_sum += static_cast<double>(weight);
  }
  batch.equal_share = 1 / batch.weight_sum;
  return 0;
}

/** The rows of one block: index, w/Σw and label of each. Those behind the last repeat the first. */
struct Rows {
  size_t index[W];
  size_t count;
  double share[W];
  int32_t labels[W];
  F weight;
  I label;

  /** The rows whose indices are known. */
  IMAGO_INLINE void describe(const Batch& batch, Rows& rows) {
    for (size_t i = rows.count; i < W; i++) rows.index[i] = rows.index[0];
    if (batch.weights == nullptr) {
      for (size_t i = 0; i < W; i++) rows.share[i] = batch.equal_share;
      rows.weight = all(static_cast<float>(batch.equal_share));
    } else {
      float weight[W];
      for (size_t i = 0; i < W; i++) {
        rows.share[i] = batch.share(rows.index[i]);
        weight[i] = static_cast<float>(rows.share[i]);
      }
      rows.weight = load(weight);
    }
    const bool are_neighbours = rows.index[W - 1] == rows.index[0] + W - 1;
    if (batch.labels != nullptr && are_neighbours)
      memcpy(rows.labels, batch.labels + rows.index[0], sizeof rows.labels);
    else
      for (size_t i = 0; i < W; i++) rows.labels[i] = batch.label(rows.index[i]);
    memcpy(&rows.label, rows.labels, sizeof rows.label);
  }
  /** Row i alone. */
  __attribute__((always_inline)) Rows at(size_t i) const {
    Rows one;
    for (size_t lane = 0; lane < W; lane++) one.index[lane] = index[i];
    for (size_t lane = 0; lane < W; lane++) one.share[lane] = share[i];
    one.count = 1;
    one.weight = all(static_cast<float>(share[i]));
    one.label = all_int(labels[i]);
    memcpy(one.labels, &one.label, sizeof one.label);
    return one;
  }
  /** w/Σw times a factor over a sum, rounded once. */
  __attribute__((always_inline)) F weight_over(double factor, F sums) const {
    float quotients[W], divisors[W];
    store(divisors, sums);
    for (size_t i = 0; i < W; i++) quotients[i] = static_cast<float>(share[i] * factor / static_cast<double>(divisors[i]));
    return load(quotients);
  }
};

/** What a block adds to the loss: two sums, of which a kernel may use one. */
struct Terms {
  double first = 0;
  double second = 0;
  /** A row that has no softmax was met: the call is refused, and its output is unspecified. */
  bool is_refused = false;
  __attribute__((always_inline)) void add(const Terms& more) {
    first += more.first;
    second += more.second;
    is_refused |= more.is_refused;
  }
};

/**
 * Runs kernel.block<Layout>(rows, scratch, terms) over all rows that count. The scratch holds kernel.arrays staged blocks.
 * A block that meets a row without a softmax says so in terms, and does not write that row. A kernel that gains by seeing several
 * long rows together has long_rows(rows, scratch, terms) for up to W of them.
 */
template <class Kernel>
IMAGO_INLINE int for_each_block(const imago_call* call, const Batch& batch, const Kernel& kernel, Terms& total) {
  struct Partial {
    Terms terms;
    bool out_of_memory = false;
  };
  // Of as many as there are chunks: making all of them takes longer than a small call.
  union Partials {
    Partial of[max_chunks];
    __attribute__((always_inline)) Partials() {}
  } partials;

  const bool narrow = batch.classes <= narrow_classes;
  const size_t block_floats = (narrow ? batch.classes : Wide::vectors(batch.classes)) * W;
  const Chunks chunks = Chunks::of(batch.rows, batch.classes, narrow ? 16 : 1);

  parallel(batch.rows, chunks, [&](size_t chunk, size_t first, size_t end) {
    Partial& partial = partials.of[chunk] = Partial();
    float* const memory = scratch(block_floats * kernel.arrays);
    if (memory == nullptr && kernel.arrays > 0) {
      partial.out_of_memory = true;
      return;
    }
    for (size_t r = first; r < end;) {
      Rows rows;
      rows.count = 0;
      if (batch.all_count) {
        rows.count = end - r < W ? end - r : W;
        for (size_t i = 0; i < W; i++) rows.index[i] = r + i;
        r += rows.count;
      }
      for (; !batch.all_count && r < end && rows.count < W; r++) {
        if (batch.counts(r))
          rows.index[rows.count++] = r;
        else if (batch.gradient != nullptr)
          memset(batch.gradient + r * batch.classes, 0, batch.classes * sizeof(float));
      }
      if (rows.count == 0) break;
      Rows::describe(batch, rows);
      if (narrow)
        kernel.template block<Narrow>(rows, memory, partial.terms);
      else if constexpr (requires { kernel.long_rows(rows, memory, partial.terms); })
        kernel.long_rows(rows, memory, partial.terms);
      else
        for (size_t i = 0; i < rows.count; i++) kernel.template block<Wide>(rows.at(i), memory, partial.terms);
    }
  });

  for (size_t i = 0; i < chunks.count; i++) {
    if (partials.of[i].out_of_memory) return refuse(call, "out of memory for rows of %zu classes", batch.classes);
    total.add(partials.of[i].terms);
  }
  return 0;
}

/** The logit of each row's label; 0 where the row has none. */
IMAGO_INLINE void label_logits(const Rows& rows, const float* logits, size_t classes, float* out) {
  for (size_t i = 0; i < W; i++) out[i] = 0;
  for (size_t i = 0; i < rows.count; i++)
    if (rows.labels[i] >= 0) out[i] = logits[rows.index[i] * classes + static_cast<size_t>(rows.labels[i])];
}

/** Stages a block's rows. What the mask leaves out becomes −∞, and neither largest nor smallest. */
template <class Layout, class Source>
IMAGO_INLINE Range stage(const Batch& batch, const Rows& rows, const typename Source::Element* const* row, float* out) {
  const Range range = Layout::template stage<Source>(row, rows.count, batch.classes, out);
  if (batch.mask == nullptr) return range;
  F greatest = all(-infinity), smallest = all(infinity);
  for (size_t i = 0; i < Layout::vectors(batch.classes); i++) {
    const I is_class = Layout::unmasked(batch.mask, i, batch.classes);
    const F x = load(out + i * W);
    store(out + i * W, select(is_class, x, all(-infinity)));
    greatest = max(greatest, select(is_class, x, all(-infinity)));
    smallest = min(smallest, select(is_class, x, all(infinity)));
  }
  return {Layout::most(greatest), Layout::least(smallest)};
}

/** The pointers to a block's rows in a matrix of `classes` columns, of a whole vector of rows. */
template <class Element>
struct RowPointers {
  Element* row[W];
  __attribute__((always_inline)) RowPointers(Element* matrix, const Rows& rows, size_t classes) {
    for (size_t i = 0; i < W; i++) row[i] = matrix + rows.index[i] * classes;
  }
};

/** Runs task(source) with the Source that a teacher's buffer and its teacherType say, or refuses. */
template <class Task>
IMAGO_INLINE int with_teacher(const imago_call* call, const imago_buffer& teacher, double type, Task task) {
  if ((teacher.type == IMAGO_F32) != (type == 0))
    return refuse(call, "teacherType %g does not fit the teacher's buffer (0 float32, 1 float16, 2 bfloat16)", type);
  if (type == 0) return task(Float32());
  if (type == 1) return task(Float16());
  if (type == 2) return task(Bfloat16());
  return refuse(call, "teacherType must be 0 (float32), 1 (float16) or 2 (bfloat16), got %g", type);
}

/** What a row of logits must be: to have a softmax, or to be subtracted from another. */
enum class Expect { softmax, finite };

/** True where every number is finite: then every row is fine, whatever it must be. Most calls end here. */
template <class Source>
IMAGO_INLINE bool all_finite(const typename Source::Element* p, size_t n) {
  I bad{};
  size_t i = 0;
  for (; i + W <= n; i += W) bad |= ~(abs(Source::read(p + i)) < all(infinity));
  if (i < n) bad |= ~(abs(read_part<Source>(p + i, n - i, 0)) < all(infinity));
  return !any(bad);
}

template <class Source>
IMAGO_INLINE bool is_fine(const Batch& batch, const typename Source::Element* row, Expect expect) {
  const size_t classes = batch.classes;
  I bad{};
  F greatest = all(-infinity);
  const auto look = [&](F x, size_t c, size_t count) {
    // What is no class is taken for −∞ where that is fine, and for 0 where it is not.
    if (batch.mask != nullptr) x = select(nonzero(batch.mask + c, count), x, all(expect == Expect::finite ? 0 : -infinity));
    bad |= ~(expect == Expect::finite ? abs(x) < all(infinity) : x < all(infinity));
    greatest = max(greatest, x);
  };
  size_t c = 0;
  for (; c + W <= classes; c += W) look(Source::read(row + c), c, W);
  // A tail is looked at together with what is before it, or filled up with its first number.
  if (c < classes && classes >= W)
    look(Source::read(row + classes - W), classes - W, W);
  else if (c < classes)
    look(read_part<Source>(row, classes, read_one<Source>(row)), 0, classes);
  return !any(bad) && max_of(greatest) > -infinity;
}

/** Refuses the first row that counts and is not fine. 0 where all are. */
template <class Source>
IMAGO_INLINE int check_rows(const imago_call* call, const Batch& batch, const char* name, const typename Source::Element* logits,
                            Expect expect) {
  const size_t classes = batch.classes;
  const Chunks chunks = Chunks::of(batch.rows, classes, 16);
  size_t bad[max_chunks];
  parallel(batch.rows, chunks, [&](size_t chunk, size_t first, size_t end) {
    bad[chunk] = batch.rows;
    if (all_finite<Source>(logits + first * classes, (end - first) * classes)) return;
    for (size_t r = end; r-- > first;)
      if (batch.counts(r) && !is_fine<Source>(batch, logits + r * classes, expect)) bad[chunk] = r;
  });
  size_t row = batch.rows;
  for (size_t i = chunks.count; i-- > 0;)
    if (bad[i] != batch.rows) row = bad[i];
  if (row == batch.rows) return 0;
  for (size_t c = 0; c < classes; c++) {
    if (!batch.is_class(c)) continue;
    const float x = read_one<Source>(logits + row * classes + c);
    if (x != x) return refuse(call, "%s: NaN in row %zu", name, row);
    if (x == infinity) return refuse(call, "%s: Infinity in row %zu", name, row);
    if (x == -infinity && expect == Expect::finite) return refuse(call, "%s: -Infinity in row %zu", name, row);
  }
  return refuse(call, "%s: only -Infinity in row %zu", name, row);
}

/**
 * Says which row has no softmax, once a block has found that there is one: it was not written, also where the output is the
 * input, and what was written since is finite.
 */
template <class Source>
IMAGO_INLINE int refuse_rows(const imago_call* call, const Batch& batch, const char* name, const typename Source::Element* logits) {
  if (const int refused = check_rows<Source>(call, batch, name, logits, Expect::softmax)) return refused;
  return refuse(call, "%s: a row has no softmax", name);
}

}  // namespace imago::IMAGO_ISA
