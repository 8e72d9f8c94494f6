// What the optimistic way (optimistic.h) is made of: its limits, exponents of 2, e^z from e^(z/T).
#pragma once
#include <math.h>

#include "common/exp2.h"
#include "common/row_loss.h"
#include "common/softmax_terms.h"

namespace imago::IMAGO_ISA {

inline constexpr float apart = 0.05f;
/** The same for the sum of soft and hard gradient, of which either has been rounded. */
inline constexpr float cancelling = 0.4f;
inline constexpr float above = 8;
/** Temperatures at which exponents of usual logits stay within float32, and beyond which T² asks for more digits of KL. */
inline constexpr double coolest = 1e-3;
inline constexpr double warmest = 20;

/** e^z from e^(z/T): at T = 1, 2 and 4 a power, which is cheaper than another exponential and no less exact. */
enum class Hard : int { none, first, second, fourth, separate };
/** T, where e^z = (e^(z/T))^T is a power. */
IMAGO_INLINE int exponent_of(Hard hard) { return hard == Hard::fourth ? 4 : static_cast<int>(hard); }

template <Hard hard>
IMAGO_INLINE F power_of(F e) {
  if constexpr (hard == Hard::first) return e;
  const F square = e * e;
  return hard == Hard::second ? square : square * square;
}

/** (x − reference)·scale, an exponent of 2. What rounding does to reference·scale is the same for the whole row and cancels. */
struct Exponent {
  F scale;
  F reference;
#if defined(__FMA__)
  IMAGO_INLINE Exponent of(F reference, float scale) { return {all(scale), -(reference * scale)}; }
  __attribute__((always_inline)) F operator()(F x) const { return fma(x, scale, reference); }
  /** The same of one number in float64. */
  __attribute__((always_inline)) double at(float x) const {
    return static_cast<double>(x) * static_cast<double>(scale[0]) + static_cast<double>(reference[0]);
  }
#else
  IMAGO_INLINE Exponent of(F reference, float scale) { return {all(scale), reference}; }
  __attribute__((always_inline)) F operator()(F x) const { return (x - reference) * scale; }
  __attribute__((always_inline)) double at(float x) const {
    return (static_cast<double>(x) - static_cast<double>(reference[0])) * static_cast<double>(scale[0]);
  }
#endif
  /**
   * True where the exponents of these references came out near 0, as they must but for rounding. Of logits beyond 2^24 rounding leaves
   * exponents as large as it likes, and 2^y of a whole row may be 0 or infinite.
   */
  __attribute__((always_inline)) bool holds(F references) const {
    const F left = (*this)(references);
    return !any(~((left <= above) & (left >= -above)));
  }
};

/** A loss with a soft term and perhaps labels: what its rows are and how much each part counts in the gradient. */
template <class Source>
struct SoftLoss {
  const Batch& batch;
  const float* student;
  const typename Source::Element* teacher;
  double temperature;
  double soft_factor;  // of q − p
  double hard_factor;  // of softmax(z) − onehot(y)
};

/**
 * KL ± 3e-7·(the largest probability): below this the error is no longer 1e-7 + 1e-6·KL. Where no class stands out errors of many
 * exponentials average out.
 */
IMAGO_INLINE F divergent(F most) { return max(all(0.02f), most * 0.4f - 0.1f); }

/**
 * So many terms are added in plain float32 before the sum moves into a compensated one. Every addition to a sum that holds the row's
 * dominant class loses up to 6e-8 of it.
 */
inline constexpr size_t long_run = 16;
inline constexpr size_t short_run = 4;

/** How e^z comes from e^(z/T) at this temperature. */
IMAGO_INLINE Hard hard_of(double temperature) {
  return temperature == 1 ? Hard::first : temperature == 2 ? Hard::second : temperature == 4 ? Hard::fourth : Hard::separate;
}

}  // namespace imago::IMAGO_ISA
