// The largest of a stream of numbers, with their positions: what is above the last of them so far is collected, and
// when the memory is full the largest stay. Equal numbers stand in the order of their positions.
#pragma once
#include "common/simd.h"

namespace imago::IMAGO_ISA {

/** Whole numbers in the order of the floats: −0 = 0, NaN outside of [−∞, ∞] on its sign's side. */
IMAGO_INLINE I order_of(F x) {
  const I bits = as_int(x);
  return (bits ^ ((bits >> 31) & 0x7fffffff)) - (bits >> 31);
}
inline constexpr int32_t order_of_infinity = 0x7f800000;

/** A number and its position; the greater entry is the greater number, or the earlier of equal ones. All are different. */
typedef uint64_t Entry;
IMAGO_INLINE Entry entry(int32_t order, uint32_t position) {
  return static_cast<uint64_t>(static_cast<uint32_t>(order) ^ 0x80000000u) << 32 | ~position;
}
IMAGO_INLINE int32_t order_of(Entry e) { return static_cast<int32_t>(static_cast<uint32_t>(e >> 32) ^ 0x80000000u); }
IMAGO_INLINE uint32_t position_of(Entry e) { return ~static_cast<uint32_t>(e); }

IMAGO_INLINE void swap(Entry& a, Entry& b) {
  const Entry kept = a;
  a = b;
  b = kept;
}

/** Brings the m largest of n ≥ m entries to the front, the m-th to its place (Hoare; pivots from all over, so no order is bad). */
IMAGO_INLINE void partition(Entry* e, size_t n, size_t m) {
  const ptrdiff_t sought = static_cast<ptrdiff_t>(m) - 1;
  ptrdiff_t left = 0, right = static_cast<ptrdiff_t>(n) - 1;
  uint32_t draw = 1;
  while (left < right) {
    draw = draw * 1664525u + 1013904223u;
    const Entry pivot = e[left + static_cast<ptrdiff_t>(static_cast<uint64_t>(draw) * static_cast<uint64_t>(right - left + 1) >> 32)];
    ptrdiff_t i = left, j = right;
    while (i <= j) {
      while (e[i] > pivot) i++;
      while (e[j] < pivot) j--;
      if (i <= j) swap(e[i++], e[j--]);
    }
    if (j < sought) left = i;
    if (sought < i) right = j;
  }
}

/** Largest first (heapsort). */
IMAGO_INLINE void sort_descending(Entry* e, size_t n) {
  const auto sink = [&](size_t i, size_t count) {
    const Entry moved = e[i];
    for (;;) {
      size_t child = 2 * i + 1;
      if (child >= count) break;
      if (child + 1 < count && e[child + 1] < e[child]) child++;
      if (e[child] >= moved) break;
      e[i] = e[child];
      i = child;
    }
    e[i] = moved;
  };
  for (size_t i = n / 2; i-- > 0;) sink(i, n);
  for (size_t count = n; count-- > 1;) {
    swap(e[0], e[count]);
    sink(0, count);
  }
}

/** Collects the `count` largest of what it is offered; `memory` has room for `capacity(count)` entries. */
struct Largest {
  static constexpr size_t capacity(size_t count) { return 2 * count + 16 * W; }
  Entry* entries;
  size_t count;
  size_t held = 0;
  int32_t bar = -0x7fffffff;  // what is not above cannot be among them

  __attribute__((always_inline)) void offer(I orders, size_t position, size_t lanes) {
    uint32_t above = bits_of(orders > all_int(bar));
    if (lanes < W) above &= (1u << lanes) - 1;
    if (above == 0) return;
    int32_t order[W];
    memcpy(order, &orders, sizeof order);
    for (; above != 0; above &= above - 1) {
      const size_t lane = static_cast<size_t>(__builtin_ctz(above));
      entries[held++] = entry(order[lane], static_cast<uint32_t>(position + lane));
    }
    if (held + W > capacity(count)) keep();
  }
  /** Drops all but the `count` largest. */
  void keep() {
    if (held <= count) return;
    partition(entries, held, count);
    held = count;
    bar = order_of(entries[count - 1]);
  }
};

}  // namespace imago::IMAGO_ISA
