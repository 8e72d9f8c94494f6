// Kernels over data: conversion, selection, statistics.
#pragma once
#include "registry/builtin/describe.h"

#define IMAGO_DATA_KERNELS(X) X(convert_half)

namespace imago {

inline constexpr Description data_kernels[] = {
    {"convert_half",
     {{"single", IMAGO_F32, required, IMAGO_VECTOR}, {"half", IMAGO_U16, required, IMAGO_VECTOR}},
     {{"n", IMAGO_SIZE}, {"halfType", IMAGO_REAL}, {"encode", IMAGO_REAL}}},
};

}  // namespace imago
