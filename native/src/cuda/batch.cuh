// The frame of a loss over rows [R, C]: which rows count, what part of the mean each has, and sums in an order that depends on the
// problem alone (no atomics on floating-point numbers). The device twin of common/row_loss.h.
#pragma once
#include "cuda/kernel.h"

namespace imago::cuda {

/** What a row adds to the loss: two sums, of which a kernel may use one. */
struct Terms {
  double first;
  double second;
};

/** The rows of a call; labels, weights, mask and gradient may be null. Passed to kernels by value. */
struct Batch {
  size_t rows;
  int classes;
  const float* student;
  const void* teacher;  // of the operation's source; null where there is none
  const int32_t* labels;
  const float* weights;
  const uint8_t* mask;  // [classes]: where it is 0 there is no class, whatever the logits say
  double ignore_index;  // no label equals it where it is not a whole number
  float* gradient;      // or whatever else the operation gives for each logit
  const double* weight_sum;
  double equal_share;  // 1/rows, where weight_sum is null: every row counts the same
  Terms* losses;       // one a unit (a block of rows or a row); null: there is no loss
  Status status;
  size_t first_row;  // of the call, which reports name: a chunk of it may be what the batch is
  bool is_made;      // the logits are products of this call: what is wrong with them is that float32 does not hold them
  bool is_made_for_teacher;
  // Positions of the buffers, for reports.
  uint32_t student_at, teacher_at, labels_at, weights_at, mask_at;

  /** A row that does not count is not read, and its gradient is 0. */
  __device__ __forceinline__ bool counts(size_t r) const {
    return !(labels != nullptr && labels[r] == ignore_index) && !(weights != nullptr && weights[r] == 0);
  }
  /** Row r is to be refused for what is in the buffer at this position. */
  __device__ __forceinline__ void refuse(uint32_t buffer, Problem problem, size_t r, bool made = false) const {
    // Where hidden states or weights have been refused, their products say nothing new.
    if (made && *status.word >> status_call_shift <= status.call >> status_call_shift) return;
    report(status, buffer, made ? Problem::beyond : problem, first_row + r);
  }
  __device__ __forceinline__ bool is_class(int c) const { return mask == nullptr || mask[c] != 0; }
  /** The row's label, −1 where it has none or one that is refused (prepare reports it; it must not be used as an index). */
  __device__ __forceinline__ int label(size_t r) const {
    if (labels == nullptr) return -1;
    const int label = labels[r];
    return label >= 0 && label < classes && is_class(label) ? label : -1;
  }
  /** w/Σw. */
  __device__ __forceinline__ double share(size_t r) const {
    if (weight_sum == nullptr) return equal_share;
    return (weights == nullptr ? 1.0 : static_cast<double>(weights[r])) / *weight_sum;
  }
};

/** How the two sums become the call's result. */
struct Finish {
  double* result;
  int count;                // 1: [first]; 3: [Σ factor·term, terms]
  double root[2] = {1, 1};  // a term is root·(root·sum): a square of its own could overflow
  double factor[2] = {1, 0};
};
/** [(1 − a)·soft + a·hard, soft = T²·first, hard = second]. */
inline Finish soft_and_hard(double* result, double temperature, double hard_weight) {
  return {result, 3, {temperature, 1}, {1 - hard_weight, hard_weight}};
}

/** The largest number of classes: positions in a row are 32-bit on the device. */
constexpr size_t max_classes = size_t{1} << 30;
/** Blocks of a grid are 31 bits, and a row may take 16. */
constexpr size_t max_rows = size_t{1} << 26;

/** Positions of a call's buffers, and of the scalar ignoreIndex; −1 where it has none. rows and classes are scalars 0 and 1. */
struct Places {
  int student = 0;
  int teacher = -1;
  int labels = -1;
  int weights = -1;
  int gradient = -1;
  int mask = -1;
  int ignore_index = -1;
};

/** The batch of a call, but for what `prepare` fills. */
int batch_of(const imago_call* call, const Places& at, Batch& batch);

/**
 * Takes the call's scratch, checks labels and weights on the device, and sums the weights there. `units` is how many entries batch.losses
 * gets; 0: there is no loss. `more`: memory of the kernel's own, 256-byte aligned, since a call has one scratch. Fills weight_sum, equal_share, losses and status.
 */
int prepare(const imago_call* call, const char* kernel, Batch& batch, size_t units, size_t more_bytes = 0, void** more = nullptr);

/** Where a row is kept while it is worked on (rows.cuh). */
enum class Form { automatic, registers, cluster, shared, stream };

/** What IMAGO_CUDA_ROWS asks for, where a row can be kept there: so that every form can be tried with every row. */
Form asked_form();

/** Sums batch.losses in order and writes the result. */
int finish(const imago_call* call, const Batch& batch, size_t units, const Finish& how);

}  // namespace imago::cuda
