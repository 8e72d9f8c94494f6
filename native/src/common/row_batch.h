// The rows of a loss [R, C]: which of them count and for how much, and blocks of them.
#pragma once
#include "common/layout.h"
#include "common/refuse.h"

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

/** The pointers to a block's rows in a matrix of `classes` columns, of a whole vector of rows. */
template <class Element>
struct RowPointers {
  Element* row[W];
  __attribute__((always_inline)) RowPointers(Element* matrix, const Rows& rows, size_t classes) {
    for (size_t i = 0; i < W; i++) row[i] = matrix + rows.index[i] * classes;
  }
};

}  // namespace imago::IMAGO_ISA
