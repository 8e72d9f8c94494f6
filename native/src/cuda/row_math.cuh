// Arithmetic of one element, for float and (where float32 cannot hold a row) double: the device twin of common/vector_math.h.
#pragma once
#include "cuda/launch.h"

namespace imago::cuda {

#define IMAGO_DEVICE static __device__ __forceinline__

constexpr float log2e = 1.44269504f;

IMAGO_DEVICE float infinity() { return __builtin_huge_valf(); }

/**
 * eˣ for x ≤ 0, a unit or two in the last place; 0 below −87. exp2_fast(x·log₂e) would round its argument, which is worth |x| units: too
 * much where a hard and a soft gradient nearly cancel.
 */
IMAGO_DEVICE float exp_below(float x) {
  x = fmaxf(x, -87.5f);
  const float shifted = fmaf(x, log2e, 12582912.0f);  // 1.5·2²³: the low bits are the rounded x·log₂e
  const float whole = shifted - 12582912.0f;
  const float rest = fmaf(x, 1.925963033e-8f, fmaf(x, log2e, -whole));
  const float power = exp2_fast(rest);
  const float scaled = __int_as_float(__float_as_int(power) + (__float_as_int(shifted) << 23));
  return x > -87.5f ? scaled : 0.0f;
}

/** (eˣ − 1 − x)/x² for |x| ≤ 0.4, where eˣ − 1 and x agree in most digits. */
IMAGO_DEVICE float second_order(float x) {
  float p = 1.986327989e-04f;
  p = fmaf(p, x, 1.394845429e-03f);
  p = fmaf(p, x, 8.333382197e-03f);
  p = fmaf(p, x, 4.166631028e-02f);
  p = fmaf(p, x, 1.666666567e-01f);
  return fmaf(p, x, 0.5f);
}

/** eˣ − 1 − x without cancellation near 0. */
IMAGO_DEVICE double expm1_minus(double x) {
  if (x > 1e-3 || x < -1e-3) return ::expm1(x) - x;
  return x * x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)));
}

/** x − ln(1 + x) for x > −1, without cancellation near 0. */
IMAGO_DEVICE double minus_log1p(double x) {
  if (x > 1e-2 || x < -1e-2) return x - ::log1p(x);
  return x * x * (1.0 / 2 - x * (1.0 / 3 - x * (1.0 / 4 - x * (1.0 / 5 - x * (1.0 / 6 - x * (1.0 / 7 - x * (1.0 / 8)))))));
}

/** The exact sum of two floats as a rounded value and its error (Knuth). */
struct Pair {
  float value;
  float error;
};
IMAGO_DEVICE Pair two_sum(float a, float b) {
  // Never fused with a product that an operand came from: the error terms need every rounding.
  const float sum = __fadd_rn(a, b);
  const float part = __fadd_rn(sum, -a);
  return {sum, __fadd_rn(__fadd_rn(a, -__fadd_rn(sum, -part)), __fadd_rn(b, -part))};
}
IMAGO_DEVICE Pair two_difference(float a, float b) { return two_sum(a, -b); }

/** So many terms are added in plain float32 before the sum moves into a compensated one. */
constexpr int sum_block = 16;

/** N running sums with their rounding errors beside them; `part` takes the terms of a block. */
template <int N>
struct Sums {
  float part[N] = {};
  float total[N] = {};
  float error[N] = {};
  __device__ __forceinline__ void flush() {
#pragma unroll
    for (int k = 0; k < N; k++) {
      const Pair next = two_sum(total[k], part[k]);
      total[k] = next.value;
      error[k] += next.error;
      part[k] = 0;
    }
  }
  __device__ __forceinline__ double value(int k) const { return static_cast<double>(total[k]) + static_cast<double>(error[k]); }
};

/** The same for rows that are summed in float64. */
template <int N>
struct DoubleSums {
  double part[N] = {};
  __device__ __forceinline__ void flush() {}
  __device__ __forceinline__ double value(int k) const { return part[k]; }
};

template <class Real, int N>
struct Select {
  typedef Sums<N> type;
};
template <int N>
struct Select<double, N> {
  typedef DoubleSums<N> type;
};

/** Where logits come from. */
struct Float32 {
  typedef float Element;
  IMAGO_DEVICE float read(float x) { return x; }
};
struct Float16 {
  typedef uint16_t Element;
  IMAGO_DEVICE float read(uint16_t x) { return from_float16(x); }
};
struct Bfloat16 {
  typedef uint16_t Element;
  IMAGO_DEVICE float read(uint16_t x) { return from_bfloat16(x); }
};

}  // namespace imago::cuda
