// The float32 twin of softmax_pair.h: four times as fast, and right wherever it says so. Rows that it would not get right go to float64:
//   - a −∞, huge logits or extreme temperatures (before it begins: `fits`);
//   - rows whose gradient nearly cancels, so that the rounding of its terms is what would be left (afterwards: `holds`).
#pragma once
#include "common/softmax_pair.h"
#include "common/softmax_terms.h"

namespace imago::IMAGO_ISA {

struct SinglePair {
  const float* z;
  const float* v;
  float* student;  // e^((z − max)/T)
  float* teacher;  // e^((v − max)/T)
  float* pull;
  F student_max;
  F student_scale, teacher_scale;  // 1/sum
  /** u = ((z − v) − offset)/T, offset a float32 and what it lacks. */
  F offset;
  F offset_error;
  Temperature temperature;

  /** Between these, log-ratios of logits neither overflow nor do their squares underflow. */
  IMAGO_INLINE bool fits(Range z, Range v, double temperature) {
    if (!(temperature >= 1e-6 && temperature <= 1e9)) return false;
    const F limit = all(temperature < 1 ? 1e29f * static_cast<float>(temperature) : 1e29f);
    return !any((z.min < -limit) | (v.min < -limit) | (z.max > limit) | (v.max > limit));
  }

  /** False where a sum is NaN: a row has no softmax. */
  __attribute__((always_inline)) bool has_sums() const { return !any(~((student_scale > 0.0f) & (teacher_scale > 0.0f))); }
  __attribute__((always_inline)) F u(size_t i) const {
    const Pair d = two_difference(load(z + i * W), load(v + i * W));
    const F u = ((d.value - offset) + (d.error - offset_error)) * temperature.inverse;
    // NaN where there is no class on either side: any number will do.
    return max(u, all(-1e30f));
  }
  __attribute__((always_inline)) F q(size_t i) const { return load(student + i * W) * student_scale; }
  __attribute__((always_inline)) Point<F> at(size_t i) const {
    return {load(teacher + i * W) * teacher_scale, q(i), u(i), F{}};
  }
};

template <class Layout>
IMAGO_INLINE SinglePair compare_singles(const PairScratch& s, size_t n, F student_max, F teacher_max, double temperature) {
  SinglePair pair{s.z, s.v, reinterpret_cast<float*>(s.student), reinterpret_cast<float*>(s.teacher), reinterpret_cast<float*>(s.teacher) + n * W, student_max, {}, {}, {}, {},
                  temperature_of(temperature)};
  const F student_sum = exponentials<Layout>(s.z, n, student_max, pair.temperature.scale, pair.student);
  const F teacher_sum = exponentials<Layout>(s.v, n, teacher_max, pair.temperature.scale, pair.teacher);
  pair.student_scale = 1.0f / student_sum;
  pair.teacher_scale = 1.0f / teacher_sum;
  const Pair max_difference = two_difference(student_max, teacher_max);
  const Pair offset = two_sum(max_difference.value, pair.temperature.value * log(student_sum * pair.teacher_scale));
  pair.offset = offset.value;
  pair.offset_error = offset.error + max_difference.error;
  return pair;
}

struct SingleClosing {
  F pull;
  F surest;
  I is_sure;
  /** Of this size are the terms whose sum is a gradient; its error is 1e-7 of it. */
  F size;
  /** Where a sign decides (total variation), classes were too close to call. */
  I is_close_call;

  __attribute__((always_inline)) F gradient(const SinglePair& pair, size_t i) const {
    const I is_surest = is_sure & (load(pair.z + i * W) == pair.student_max);
    return select(is_surest, surest, load(pair.pull + i * W) - pair.q(i) * pull);
  }
  /** True where the rows' largest gradients are right to five digits. Written so that NaN fails. */
  __attribute__((always_inline)) bool holds(F largest, float temperature) const {
    // Up to T = 20 errors of T times the gradient also stay below 5e-7·max(1, T), however large log-ratios make the terms.
    const float most = temperature > 20 ? infinity : temperature > 1 ? 2.0f : 2.0f / temperature;
    return !any(~((largest >= size * 0.05f) & (size <= most)) | is_close_call);
  }
};

/**
 * Sums the divergence of a block's rows and its pulls. Σ (q − p) = e ≠ 0 says that the offset of u is wrong by T·ln(1 + e), some 1e-7: where
 * that is of the size of u, too few digits are left, and the sums are made once more with a better offset.
 */
template <class Layout, class Divergence>
IMAGO_INLINE F sum_divergence(SinglePair& pair, size_t n, const Divergence& divergence, SingleClosing& closing) {
  for (int pass = 0;; pass++) {
    Sum values, excesses, others_sum, mass_sum, sizes;
    F value{}, excess{}, others{}, mass{}, size{}, surest{}, largest{}, least_u = all(infinity), most_u{};
    in_blocks(
        n,
        [&](size_t i) {
          const Point<F> x = pair.at(i);
          const Contribution<F> c = divergence.at(x);
          const I is_other = load(pair.z + i * W) < pair.student_max;
          value += c.value;
          excess += select(abs(x.u) < constant<F>(close<F>), x.p * growth(x.u), x.q - x.p);
          others += select(is_other, c.pull, F{});
          surest += select(is_other, F{}, c.pull);
          mass += select(is_other, x.q, F{});
          size += select(is_other, abs(c.pull), F{});
          largest = max(largest, abs(c.pull));
          if constexpr (Divergence::is_by_sign) {
            const F distance = select(x.q > 0.0f, abs(x.u), all(infinity));
            least_u = min(least_u, distance);
            most_u = max(most_u, select(x.q > 0.0f, distance, F{}));
          }
          store(pair.pull + i * W, c.pull);
        },
        [&] {
          values.add(value);
          excesses.add(excess);
          others_sum.add(others);
          mass_sum.add(mass);
          sizes.add(size);
          value = excess = others = mass = size = F{};
        });
    const F total = Layout::sum(values.value()), e = Layout::sum(excesses.value());
    // What is quadratic in u is wrong by e², what is linear by e.
    const I is_wrong = Divergence::is_by_sign ? abs(e) > total * 1e-6f : e * e > total * 1e-7f;
    if (pass == 0 && any(is_wrong)) {
      pair.offset_error += pair.temperature.value * (e - 0.5f * e * e);
      continue;
    }
    const F other_pulls = Layout::sum(others_sum.value()), other_mass = Layout::sum(mass_sum.value());
    const F other_sizes = Layout::sum(sizes.value()), own = Layout::sum(surest);
    closing.pull = other_pulls + own;
    closing.surest = other_mass * closing.pull - other_pulls;
    closing.is_sure = pair.student_scale > 0.75f;
    const F unsure = Layout::most(largest) + pair.student_scale * (other_sizes + abs(own));
    closing.size = select(closing.is_sure, other_mass * abs(closing.pull) + other_sizes, unsure);
    closing.is_close_call = I{};
    if constexpr (Divergence::is_by_sign) {
      // u has an error of 1e-7, less where all u are small.
      const F most = min(Layout::most(most_u), all(1.0f));
      closing.is_close_call = Layout::least(least_u) < most * 1e-6f;
    }
    return max(F{}, total);
  }
}

}  // namespace imago::IMAGO_ISA
