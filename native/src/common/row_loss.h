// The frame of a loss over rows [R, C]: which rows count, blocks of them, sums in a fixed order, refusals that name a row.
#pragma once
#include "common/layout.h"
#include "common/parallel.h"
#include "common/refuse.h"
#include "common/scratch.h"

namespace imago::IMAGO_ISA {

/** The rows of a call. Labels and weights may be null. */
struct Batch {
  size_t rows;
  size_t classes;
  const int32_t* labels;
  const float* weights;
  double ignore_index;
  float* gradient;
  double weight_sum = 0;

  /** A row that does not count is not read, and its gradient is 0. */
  __attribute__((always_inline)) bool counts(size_t r) const {
    return !(labels != nullptr && labels[r] == ignore_index) && !(weights != nullptr && weights[r] == 0);
  }
  __attribute__((always_inline)) int32_t label(size_t r) const { return labels == nullptr ? -1 : labels[r]; }
  /** The row's part of the mean: w / Σ w. */
  __attribute__((always_inline)) double share(size_t r) const {
    return (weights == nullptr ? 1.0 : static_cast<double>(weights[r])) / weight_sum;
  }
};

/** Checks labels and weights of the rows that count, and sums the weights. 0 where all is well. */
IMAGO_INLINE int prepare(const imago_call* call, Batch& batch) {
  if (batch.rows > 0 && batch.classes == 0) return refuse(call, "rows without classes have no loss");
  for (size_t r = 0; r < batch.rows; r++) {
    if (!batch.counts(r)) continue;
    const float weight = batch.weights == nullptr ? 1 : batch.weights[r];
    if (!(weight > 0 && weight < infinity))
      return refuse(call, "rowWeights: %g in row %zu is not a finite number >= 0", static_cast<double>(weight), r);
    const int32_t label = batch.label(r);
    if (label < -1 || (label >= 0 && static_cast<size_t>(label) >= batch.classes))
      return refuse(call, "labels: %d in row %zu is not a class", static_cast<int>(label), r);
    batch.weight_sum += static_cast<double>(weight);
  }
  return 0;
}

/** The rows of one block: their indices, w/Σw and label in each lane. Lanes behind the last repeat the first. */
struct Rows {
  size_t index[W];
  size_t count;
  F weight;
  I label;
};

/** What a block adds to the loss: two sums, of which a kernel may use one. */
struct Terms {
  double first = 0;
  double second = 0;
};

inline constexpr size_t no_row = ~size_t{0};

/** The first of `rows` whose lane of `sum` is NaN or infinite, or no_row. */
IMAGO_INLINE size_t first_bad(const Rows& rows, F sum) {
  size_t bad = no_row;
  for (size_t i = 0; i < rows.count; i++)
    if (!(sum[i] < infinity) && rows.index[i] < bad) bad = rows.index[i];
  return bad;
}

/**
 * Runs kernel.block<Layout>(rows, scratch, terms) over all rows that count; it returns the row that it refuses or no_row, and
 * kernel.explain(row) then says why. The scratch holds kernel.arrays staged blocks.
 */
template <class Kernel>
IMAGO_INLINE int for_each_block(const imago_call* call, const Batch& batch, const Kernel& kernel, Terms& total) {
  struct Partial {
    Terms terms;
    size_t bad_row = no_row;
    bool out_of_memory = false;
  } partials[max_chunks];

  const bool narrow = batch.classes <= narrow_classes;
  const size_t block_rows = narrow ? W : 1;
  const size_t block_floats = (narrow ? batch.classes : Wide::vectors(batch.classes)) * W;
  const Chunks chunks = Chunks::of(batch.rows, batch.classes, narrow ? 16 : 1);

  parallel(batch.rows, chunks, [&](size_t chunk, size_t first, size_t end) {
    Partial& partial = partials[chunk];
    float* const memory = scratch(block_floats * kernel.arrays);
    if (memory == nullptr) {
      partial.out_of_memory = true;
      return;
    }
    const auto run = [&](Rows& rows) {
      float weight[W];
      int32_t label[W];
      for (size_t i = 0; i < W; i++) {
        const size_t r = rows.index[i < rows.count ? i : 0];
        weight[i] = static_cast<float>(batch.share(r));
        label[i] = batch.label(r);
      }
      rows.weight = load(weight);
      memcpy(&rows.label, label, sizeof label);
      const size_t bad = narrow ? kernel.template block<Narrow>(rows, memory, partial.terms)
                                : kernel.template block<Wide>(rows, memory, partial.terms);
      if (bad < partial.bad_row) partial.bad_row = bad;
      rows.count = 0;
    };
    Rows rows;
    rows.count = 0;
    for (size_t r = first; r < end; r++) {
      if (!batch.counts(r)) {
        if (batch.gradient != nullptr) memset(batch.gradient + r * batch.classes, 0, batch.classes * sizeof(float));
        continue;
      }
      rows.index[rows.count++] = r;
      if (rows.count == block_rows) run(rows);
    }
    if (rows.count > 0) run(rows);
  });

  size_t bad_row = no_row;
  for (size_t i = 0; i < chunks.count; i++) {
    if (partials[i].out_of_memory) return refuse(call, "out of memory for %zu classes", batch.classes);
    if (partials[i].bad_row < bad_row) bad_row = partials[i].bad_row;
    total.first += partials[i].terms.first;
    total.second += partials[i].terms.second;
  }
  return bad_row == no_row ? 0 : kernel.explain(bad_row);
}

/** The pointers to a block's rows in a matrix of `classes` columns. */
template <class Element>
struct RowPointers {
  Element* row[W];
  __attribute__((always_inline)) RowPointers(Element* matrix, const Rows& rows, size_t classes) {
    for (size_t i = 0; i < rows.count; i++) row[i] = matrix + rows.index[i] * classes;
  }
};

/** Refuses a row whose logits have no softmax (or, with `finite`, are not all finite); 0 where it is fine. */
template <class Source>
IMAGO_INLINE int explain_row(const imago_call* call, const char* name, const typename Source::Element* row, size_t classes,
                             size_t index, bool finite) {
  bool all_excluded = true;
  for (size_t c = 0; c < classes; c++) {
    const float x = read_part<Source>(row + c, 1, 0)[0];
    if (x != x) return refuse(call, "%s: NaN in row %zu", name, index);
    if (x == infinity) return refuse(call, "%s: Infinity in row %zu", name, index);
    if (x != -infinity)
      all_excluded = false;
    else if (finite)
      return refuse(call, "%s: -Infinity in row %zu", name, index);
  }
  return all_excluded ? refuse(call, "%s: only -Infinity in row %zu", name, index) : 0;
}

}  // namespace imago::IMAGO_ISA
