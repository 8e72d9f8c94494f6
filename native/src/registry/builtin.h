// The table of built-in kernels: what packages/kernels/src/signatures.ts says, in the terms of the C ABI.
// A new kernel is one row here, one line in IMAGO_KERNELS, and src/cpu/<name>.cc.
#pragma once
#include <imago/kernel.h>

#define IMAGO_KERNELS(X) \
  X(softmax)             \
  X(soft_target_loss)    \
  X(cross_entropy)       \
  X(kl_divergence)       \
  X(logit_regression)    \
  X(sgd)                 \
  X(adamw)               \
  X(squared_norm)        \
  X(dropout_mask)        \
  X(jitter)

namespace imago {

enum : int { required, optional };
// Lengths: rows · classes (or rows · columns), rows, n, and a fixed count. Numbers are positions of scalars.
#define IMAGO_MATRIX 1, {0, 1, -1, -1}
#define IMAGO_VECTOR 1, {0, -1, -1, -1}
#define IMAGO_IMAGES 1, {0, 1, 2, 3}
#define IMAGO_FIXED(count) count, {-1, -1, -1, -1}

inline constexpr imago_kernel builtin_kernels[] = {
    {"softmax",
     2,
     {{"logits", IMAGO_F32, required, IMAGO_MATRIX}, {"out", IMAGO_F32, required, IMAGO_MATRIX}},
     4,
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"temperature", IMAGO_REAL}, {"log", IMAGO_REAL}}},
    {"soft_target_loss",
     6,
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32 | IMAGO_U16, required, IMAGO_MATRIX},
      {"labels", IMAGO_I32, optional, IMAGO_VECTOR},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(3)}},
     6,
     {{"rows", IMAGO_SIZE},
      {"classes", IMAGO_SIZE},
      {"temperature", IMAGO_REAL},
      {"hardWeight", IMAGO_REAL},
      {"ignoreIndex", IMAGO_REAL},
      {"teacherType", IMAGO_REAL}}},
    {"cross_entropy",
     5,
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"labels", IMAGO_I32, required, IMAGO_VECTOR},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)}},
     4,
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"smoothing", IMAGO_REAL}, {"ignoreIndex", IMAGO_REAL}}},
    {"kl_divergence",
     5,
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)}},
     3,
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"temperature", IMAGO_REAL}}},
    {"logit_regression",
     5,
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)}},
     3,
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"zeroMean", IMAGO_REAL}}},
    {"sgd",
     3,
     {{"parameter", IMAGO_F32, required, IMAGO_MATRIX},
      {"gradient", IMAGO_F32, required, IMAGO_MATRIX},
      {"velocity", IMAGO_F32, required, IMAGO_MATRIX}},
     8,
     {{"rows", IMAGO_SIZE},
      {"columns", IMAGO_SIZE},
      {"rate", IMAGO_REAL},
      {"momentum", IMAGO_REAL},
      {"weightDecay", IMAGO_REAL},
      {"gradientScale", IMAGO_REAL},
      {"unitAxis", IMAGO_REAL},
      {"maxSquaredNorm", IMAGO_REAL}}},
    {"adamw",
     4,
     {{"parameter", IMAGO_F32, required, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, required, IMAGO_VECTOR},
      {"m", IMAGO_F32, required, IMAGO_VECTOR},
      {"v", IMAGO_F32, required, IMAGO_VECTOR}},
     8,
     {{"n", IMAGO_SIZE},
      {"rate", IMAGO_REAL},
      {"beta1", IMAGO_REAL},
      {"beta2", IMAGO_REAL},
      {"epsilon", IMAGO_REAL},
      {"weightDecay", IMAGO_REAL},
      {"gradientScale", IMAGO_REAL},
      {"step", IMAGO_REAL}}},
    {"squared_norm",
     2,
     {{"x", IMAGO_F32, required, IMAGO_VECTOR}, {"result", IMAGO_F64, required, IMAGO_FIXED(1)}},
     1,
     {{"n", IMAGO_SIZE}}},
    {"dropout_mask",
     1,
     {{"out", IMAGO_F32, required, IMAGO_VECTOR}},
     5,
     {{"n", IMAGO_SIZE},
      {"probability", IMAGO_REAL},
      {"key0", IMAGO_SIZE},
      {"key1", IMAGO_SIZE},
      {"block", IMAGO_SIZE}}},
    {"jitter",
     2,
     {{"images", IMAGO_F32, required, IMAGO_IMAGES}, {"out", IMAGO_F32, required, IMAGO_IMAGES}},
     8,
     {{"images", IMAGO_SIZE},
      {"planes", IMAGO_SIZE},
      {"height", IMAGO_SIZE},
      {"width", IMAGO_SIZE},
      {"shift", IMAGO_SIZE},
      {"key0", IMAGO_SIZE},
      {"key1", IMAGO_SIZE},
      {"block", IMAGO_SIZE}}},
};

#undef IMAGO_MATRIX
#undef IMAGO_VECTOR
#undef IMAGO_IMAGES
#undef IMAGO_FIXED

}  // namespace imago
