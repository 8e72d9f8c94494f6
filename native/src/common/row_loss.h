// The frame of a loss over rows [R, C]: blocks of those that count, sums in a fixed order; refusals name a row.
#pragma once
#include "common/parallel.h"
#include "common/row_batch.h"
#include "common/scratch.h"

namespace imago::IMAGO_ISA {

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
