// Losses over rows, and the softmax.
#pragma once
#include "registry/builtin/describe.h"

#define IMAGO_LOSS_KERNELS(X) \
  X(softmax)                  \
  X(soft_target_loss)         \
  X(cross_entropy)            \
  X(kl_divergence)            \
  X(logit_regression)         \
  X(reverse_kl)               \
  X(js_divergence)            \
  X(total_variation)

namespace imago {

inline constexpr Description loss_kernels[] = {
    {"softmax",
     {{"logits", IMAGO_F32, required, IMAGO_MATRIX}, {"out", IMAGO_F32, required, IMAGO_MATRIX}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"temperature", IMAGO_REAL}, {"log", IMAGO_REAL}}},
    {"soft_target_loss",
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32 | IMAGO_U16, required, IMAGO_MATRIX},
      {"labels", IMAGO_I32, optional, IMAGO_VECTOR},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(3)},
      {"classMask", IMAGO_U8, optional, IMAGO_CLASSES}},
     {{"rows", IMAGO_SIZE},
      {"classes", IMAGO_SIZE},
      {"temperature", IMAGO_REAL},
      {"hardWeight", IMAGO_REAL},
      {"ignoreIndex", IMAGO_REAL},
      {"teacherType", IMAGO_REAL}}},
    {"cross_entropy",
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"labels", IMAGO_I32, optional, IMAGO_VECTOR},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)},
      {"distribution", IMAGO_F32, optional, IMAGO_MATRIX},
      {"classMask", IMAGO_U8, optional, IMAGO_CLASSES}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"smoothing", IMAGO_REAL}, {"ignoreIndex", IMAGO_REAL}}},
    {"kl_divergence",
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32 | IMAGO_U16, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)},
      {"classMask", IMAGO_U8, optional, IMAGO_CLASSES}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"temperature", IMAGO_REAL}, {"teacherType", IMAGO_REAL}}},
    {"logit_regression",
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32 | IMAGO_U16, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)},
      {"classMask", IMAGO_U8, optional, IMAGO_CLASSES}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"zeroMean", IMAGO_REAL}, {"teacherType", IMAGO_REAL}}},
    {"reverse_kl",
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32 | IMAGO_U16, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)},
      {"classMask", IMAGO_U8, optional, IMAGO_CLASSES}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"temperature", IMAGO_REAL}, {"teacherType", IMAGO_REAL}}},
    {"js_divergence",
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32 | IMAGO_U16, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)},
      {"classMask", IMAGO_U8, optional, IMAGO_CLASSES}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"temperature", IMAGO_REAL}, {"beta", IMAGO_REAL}, {"teacherType", IMAGO_REAL}}},
    {"total_variation",
     {{"student", IMAGO_F32, required, IMAGO_MATRIX},
      {"teacher", IMAGO_F32 | IMAGO_U16, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"gradient", IMAGO_F32, optional, IMAGO_MATRIX},
      {"result", IMAGO_F64, required, IMAGO_FIXED(1)},
      {"classMask", IMAGO_U8, optional, IMAGO_CLASSES}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"temperature", IMAGO_REAL}, {"teacherType", IMAGO_REAL}}},
};

}  // namespace imago
