// Steps over parameters, and what they need of a gradient.
#pragma once
#include "registry/builtin/describe.h"

#define IMAGO_OPTIMIZER_KERNELS(X) \
  X(sgd)                           \
  X(adamw)                         \
  X(ema)                           \
  X(squared_norm)

namespace imago {

inline constexpr Description optimizer_kernels[] = {
    {"sgd",
     {{"parameter", IMAGO_F32, required, IMAGO_MATRIX},
      {"gradient", IMAGO_F32, required, IMAGO_MATRIX},
      {"velocity", IMAGO_F32, required, IMAGO_MATRIX},
      {"copy", IMAGO_U16, optional, IMAGO_MATRIX}},
     {{"rows", IMAGO_SIZE},
      {"columns", IMAGO_SIZE},
      {"rate", IMAGO_REAL},
      {"momentum", IMAGO_REAL},
      {"weightDecay", IMAGO_REAL},
      {"gradientScale", IMAGO_REAL},
      {"unitAxis", IMAGO_REAL},
      {"maxSquaredNorm", IMAGO_REAL}}},
    {"adamw",
     {{"parameter", IMAGO_F32, required, IMAGO_MATRIX},
      {"gradient", IMAGO_F32, required, IMAGO_MATRIX},
      {"m", IMAGO_F32, required, IMAGO_MATRIX},
      {"v", IMAGO_F32, required, IMAGO_MATRIX},
      {"copy", IMAGO_U16, optional, IMAGO_MATRIX}},
     {{"rows", IMAGO_SIZE},
      {"columns", IMAGO_SIZE},
      {"rate", IMAGO_REAL},
      {"beta1", IMAGO_REAL},
      {"beta2", IMAGO_REAL},
      {"epsilon", IMAGO_REAL},
      {"weightDecay", IMAGO_REAL},
      {"gradientScale", IMAGO_REAL},
      {"step", IMAGO_REAL},
      {"unitAxis", IMAGO_REAL},
      {"maxSquaredNorm", IMAGO_REAL}}},
    {"ema",
     {{"average", IMAGO_F32, required, IMAGO_VECTOR}, {"x", IMAGO_F32, required, IMAGO_VECTOR}},
     {{"n", IMAGO_SIZE}, {"decay", IMAGO_REAL}}},
    {"squared_norm",
     {{"x", IMAGO_F32, required, IMAGO_VECTOR}, {"result", IMAGO_F64, required, IMAGO_FIXED(1)}},
     {{"n", IMAGO_SIZE}}},
};

}  // namespace imago
