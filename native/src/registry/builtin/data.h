// Kernels over data: conversion, selection, statistics.
#pragma once
#include "registry/builtin/describe.h"

#define IMAGO_DATA_KERNELS(X) \
  X(convert_half)             \
  X(top_k)                    \
  X(covariance)               \
  X(nearest_neighbors)        \
  X(solve_eq5)

namespace imago {

inline constexpr Description data_kernels[] = {
    {"convert_half",
     {{"single", IMAGO_F32, required, IMAGO_VECTOR}, {"half", IMAGO_U16, required, IMAGO_VECTOR}},
     {{"n", IMAGO_SIZE}, {"halfType", IMAGO_REAL}, {"encode", IMAGO_REAL}}},
    {"top_k",
     {{"logits", IMAGO_F32, required, IMAGO_MATRIX},
      {"values", IMAGO_F32, required, 1, {0, 2, -1, -1}},
      {"indices", IMAGO_I32, required, 1, {0, 2, -1, -1}},
      {"logSumExp", IMAGO_F64, optional, IMAGO_VECTOR},
      {"logTail", IMAGO_F64, optional, IMAGO_VECTOR}},
     {{"rows", IMAGO_SIZE}, {"classes", IMAGO_SIZE}, {"k", IMAGO_SIZE}, {"temperature", IMAGO_REAL}}},
    {"covariance",
     {{"x", IMAGO_F32, required, IMAGO_MATRIX},
      {"rowWeights", IMAGO_F32, optional, IMAGO_VECTOR},
      {"count", IMAGO_F64, required, IMAGO_FIXED(1)},
      {"mean", IMAGO_F64, required, 1, {1, -1, -1, -1}},
      {"comoment", IMAGO_F64, required, 1, {1, 1, -1, -1}}},
     {{"rows", IMAGO_SIZE}, {"columns", IMAGO_SIZE}}},
    // On the CPU alone: neighbors are looked for once for a transfer set that is made of tables in the host's memory.
    {"nearest_neighbors",
     {{"x", IMAGO_F32, optional, IMAGO_MATRIX},
      {"codes", IMAGO_I32, optional, 1, {0, 2, -1, -1}},
      {"neighbors", IMAGO_I32, required, IMAGO_VECTOR},
      {"squaredDistances", IMAGO_F64, optional, IMAGO_VECTOR}},
     {{"rows", IMAGO_SIZE}, {"continuous", IMAGO_SIZE}, {"nominal", IMAGO_SIZE}}},
    // On the CPU alone so far.
    {"solve_eq5",
     {{"general", IMAGO_F32, required, IMAGO_MATRIX},
      {"setStart", IMAGO_I32, required, 1, {2, -1, -1, -1}},
      {"setClasses", IMAGO_I32, required, 1, {3, -1, -1, -1}},
      {"activeStart", IMAGO_I32, required, IMAGO_VECTOR},
      {"activeExpert", IMAGO_I32, required, 1, {4, -1, -1, -1}},
      {"activeAt", IMAGO_I32, required, 1, {4, -1, -1, -1}},
      {"probabilities", IMAGO_F32, required, 1, {5, -1, -1, -1}},
      {"out", IMAGO_F32, required, IMAGO_MATRIX},
      {"steps", IMAGO_I32, required, IMAGO_VECTOR},
      {"residual", IMAGO_F64, required, IMAGO_VECTOR}},
     {{"rows", IMAGO_SIZE},
      {"classes", IMAGO_SIZE},
      {"experts", IMAGO_SIZE},
      {"members", IMAGO_SIZE},
      {"active", IMAGO_SIZE},
      {"numbers", IMAGO_SIZE},
      {"mostSteps", IMAGO_REAL}}},
};

}  // namespace imago
