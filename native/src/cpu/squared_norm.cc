// Σ x² in float64: exact squares, chunks summed in order.
#include "common/parallel.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

IMAGO_INLINE double sum_of_squares(const float* x, size_t n) {
  constexpr size_t lanes = W / 2;
  D a{}, b{}, c{}, d{};
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const D x0 = load_doubles(x + i), x1 = load_doubles(x + i + lanes);
    const D x2 = load_doubles(x + i + 2 * lanes), x3 = load_doubles(x + i + 3 * lanes);
    a += x0 * x0;
    b += x1 * x1;
    c += x2 * x2;
    d += x3 * x3;
  }
  double sum = sum_of((a + b) + (c + d));
  for (; i < n; i++) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(squared_norm) {
  const float* const x = buffer<const float>(call, 0);
  const size_t n = size(call, 0);
  double partial[max_chunks];
  const Chunks chunks = Chunks::of(n, 1, 16);
  parallel(n, chunks, [&](size_t chunk, size_t first, size_t end) { partial[chunk] = sum_of_squares(x + first, end - first); });
  double sum = 0;
  for (size_t i = 0; i < chunks.count; i++) sum += partial[i];
  *buffer<double>(call, 1) = sum;
  return 0;
}
