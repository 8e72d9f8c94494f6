// Losses behind a linear layer: hidden states and weights in, the logits never as a whole.
#pragma once
#include "registry/builtin/describe.h"

#define IMAGO_LINEAR_KERNELS(X) X(linear_soft_target_loss)

namespace imago {

inline constexpr Description linear_kernels[] = {
    {"linear_soft_target_loss",
     {{"studentHidden", IMAGO_F32 | IMAGO_U16, required, 1, {0, 2, -1, -1}},
      {"studentWeight", IMAGO_F32 | IMAGO_U16, required, 1, {1, 2, -1, -1}},
      {"studentBias", IMAGO_F32, optional, 1, {1, -1, -1, -1}},
      {"teacherLogits", IMAGO_F32 | IMAGO_U16, optional, IMAGO_MATRIX},
      {"teacherHidden", IMAGO_F32 | IMAGO_U16, optional, 1, {0, 3, -1, -1}},
      {"teacherWeight", IMAGO_F32 | IMAGO_U16, optional, 1, {1, 3, -1, -1}},
      {"teacherBias", IMAGO_F32, optional, 1, {1, -1, -1, -1}},
      {"labels", IMAGO_I32, optional, IMAGO_VECTOR},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"hiddenGradient", IMAGO_F32, optional, 1, {0, 2, -1, -1}},
      {"weightGradient", IMAGO_F32, optional, 1, {1, 2, -1, -1}},
      {"biasGradient", IMAGO_F32, optional, 1, {1, -1, -1, -1}},
      {"result", IMAGO_F64, required, IMAGO_FIXED(3)},
      {"classMask", IMAGO_U8, optional, 1, {1, -1, -1, -1}}},
     {{"rows", IMAGO_SIZE},
      {"classes", IMAGO_SIZE},
      {"depth", IMAGO_SIZE},
      {"teacherDepth", IMAGO_SIZE},
      {"temperature", IMAGO_REAL},
      {"hardWeight", IMAGO_REAL},
      {"ignoreIndex", IMAGO_REAL},
      {"studentType", IMAGO_REAL},
      {"teacherType", IMAGO_REAL},
      {"chunkRows", IMAGO_SIZE}}},
};

}  // namespace imago
