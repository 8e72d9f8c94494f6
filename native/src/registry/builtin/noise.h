// Kernels that draw from a Philox stream.
#pragma once
#include "registry/builtin/describe.h"

#define IMAGO_NOISE_KERNELS(X) \
  X(dropout_mask)              \
  X(dropout)                   \
  X(gaussian_noise)            \
  X(jitter)

namespace imago {

inline constexpr Description noise_kernels[] = {
    {"dropout_mask",
     {{"out", IMAGO_F32, required, IMAGO_VECTOR}},
     {{"n", IMAGO_SIZE},
      {"probability", IMAGO_REAL},
      {"key0", IMAGO_SIZE},
      {"key1", IMAGO_SIZE},
      {"block", IMAGO_SIZE}}},
    {"dropout",
     {{"x", IMAGO_F32, required, IMAGO_VECTOR}, {"out", IMAGO_F32, required, IMAGO_VECTOR}},
     {{"n", IMAGO_SIZE},
      {"probability", IMAGO_REAL},
      {"key0", IMAGO_SIZE},
      {"key1", IMAGO_SIZE},
      {"block", IMAGO_SIZE}}},
    {"gaussian_noise",
     {{"x", IMAGO_F32, optional, IMAGO_VECTOR}, {"out", IMAGO_F32, required, IMAGO_VECTOR}},
     {{"n", IMAGO_SIZE}, {"sigma", IMAGO_REAL}, {"key0", IMAGO_SIZE}, {"key1", IMAGO_SIZE}, {"block", IMAGO_SIZE}}},
    {"jitter",
     {{"images", IMAGO_F32, required, IMAGO_IMAGES}, {"out", IMAGO_F32, required, IMAGO_IMAGES}},
     {{"images", IMAGO_SIZE},
      {"planes", IMAGO_SIZE},
      {"height", IMAGO_SIZE},
      {"width", IMAGO_SIZE},
      {"shift", IMAGO_SIZE},
      {"key0", IMAGO_SIZE},
      {"key1", IMAGO_SIZE},
      {"block", IMAGO_SIZE}}},
};

}  // namespace imago
