// 0 with probability t/65536, else 65536/(65536 − t).
#include "common/dropout.h"

IMAGO_KERNEL(dropout_mask) {
  using namespace imago::IMAGO_ISA;
  float* const out = buffer<float>(call, 0);
  return drop(call, [&](size_t i, size_t count, I keep, F factor) { store_lanes(out + i, count, select(keep, factor, F{})); });
}
