// Relations instead of values (DIST: Huang et al. 2022): one minus Pearson's correlation of student and teacher, of each row over
// its classes and of each class over the rows of the batch, and the gradient.
//
// Three passes: by rows (normalisers and correlations of the rows), by columns (correlations of the classes; a column belongs to
// one task, which walks over the rows in their order), by rows again (gradient). Probabilities are computed anew in each: less 1/C,
// which keeps their digits at high T, or as they are, which keeps them where probabilities are small.
#include "common/softmax_pair.h"
#include "common/workspace.h"
#include "cpu/kernel.h"

namespace imago::IMAGO_ISA {
namespace {

/** Sums of squares below this, of the numbers' own or in itself, are constant numbers: they correlate with nothing. 1e-37 is the
 * least normal float32: what a student says with such differences is nothing that it was trained for. */
constexpr double least_relative = 1e-24, least = 1e-74;

/** Pearson's ρ of a and b, from the sums of a², b² and a·b of centred numbers: 1 − ρ, and what the derivative needs. */
struct Correlation {
  double distance;  // 1 − ρ; 1 where one of the two does not vary
  double student;   // 1/‖a‖; 0 there
  double teacher;   // 1/‖b‖

  IMAGO_INLINE Correlation of(double aa, double bb, double ab, bool varies) {
    if (!varies) return {1, 0, 0};
    const double distance = 1 - ab / (__builtin_sqrt(aa) * __builtin_sqrt(bb));
    return {distance > 0 ? distance : 0, 1 / __builtin_sqrt(aa), 1 / __builtin_sqrt(bb)};
  }
  /** −dρ/da at a centred pair (a, b), less its weight: (â − b̂ − (1 − ρ)·â)/‖a‖, in which nothing cancels where b̂ is close to â. */
  IMAGO_INLINE Doubles slope(Doubles a, Doubles b, Doubles distance, Doubles student, Doubles teacher) {
    const Doubles scaled = a * student;
    return (scaled - b * teacher - distance * scaled) * student;
  }
};

IMAGO_INLINE bool varies(double squares, double size) { return squares > least_relative * size && squares > least; }

/** The softmax of a row: with x = e^((logit − max)/T) − 1, probabilities are (x + 1)·scale, less 1/C they are (x − mean)·scale. */
struct Softmax {
  double max;
  double mean;
  double scale;
};
/** A row that counts. */
struct RowState {
  size_t index;
  double share;
  Softmax student;
  Softmax teacher;
  Correlation correlation;
};

/** Probabilities of W classes, and the same less 1/C. */
struct Probabilities {
  Doubles whole;
  Doubles less_even;
};
/** How the numbers of W columns are centred over the rows: in the form in which they are smaller, and have more digits. */
struct Centre {
  Bits is_whole;
  Doubles mean;
  IMAGO_INLINE Centre at(const Probabilities& x) {
    const Bits is_whole = abs(x.whole) < abs(x.less_even);
    return {is_whole, select(is_whole, x.whole, x.less_even)};
  }
  __attribute__((always_inline)) Doubles form(const Probabilities& x) const { return select(is_whole, x.whole, x.less_even); }
  __attribute__((always_inline)) Doubles operator()(const Probabilities& x) const { return form(x) - mean; }
};
struct ColumnState {
  Centre student_centre;
  Centre teacher_centre;
  Doubles distance;  // as in Correlation
  Doubles student;
  Doubles teacher;
};

template <class Source>
struct Dist {
  typedef typename Source::Element Element;
  const Batch& batch;
  const float* student;
  const Element* teacher;
  double inverse;  // 1/T
  double beta;
  double gamma;

  __attribute__((always_inline)) const float* z(const RowState& row) const { return student + row.index * batch.classes; }
  __attribute__((always_inline)) const Element* v(const RowState& row) const { return teacher + row.index * batch.classes; }

  /** All bits where one of W lanes is a class. */
  __attribute__((always_inline)) Bits classes_from(size_t c) const {
    const size_t count = batch.classes - c < W ? batch.classes - c : W;
    return widened(batch.mask == nullptr ? iota() < all_int(static_cast<int32_t>(count)) : nonzero(batch.mask + c, count));
  }
  /** W logits; −∞ in lanes that are no class. */
  template <class Any>
  __attribute__((always_inline)) Doubles logits(const typename Any::Element* row, size_t c) const {
    const size_t count = batch.classes - c < W ? batch.classes - c : W;
    F x = count == W ? Any::read(row + c) : read_part<Any>(row + c, count, -infinity);
    if (batch.mask != nullptr) x = select(nonzero(batch.mask + c, count), x, all(-infinity));
    return widened(x);
  }
  /** W probabilities; 0 in lanes that are no class. */
  template <class Any>
  __attribute__((always_inline)) Probabilities probabilities(const typename Any::Element* row, size_t c, const Softmax& s) const {
    const Doubles d = (logits<Any>(row, c) - s.max) * inverse;
    const Doubles e = exp(d);
    const Doubles x = select(abs(d) < close<Doubles>, growth(d), e - 1.0);
    return {e * s.scale, select(classes_from(c), (x - s.mean) * s.scale, all(0.0))};
  }

  /** The normalisers of a row; x is left in `out`, 0 in lanes that are no class. */
  template <class Any>
  Softmax softmax(const typename Any::Element* row, double* out) const {
    Doubles most = all(-__builtin_inf());
    for (size_t c = 0; c < batch.classes; c += W) {
      const Doubles x = logits<Any>(row, c);
      most = select(x > most, x, most);
    }
    double lanes[W], max = -__builtin_inf();
    store(lanes, most);
    for (size_t i = 0; i < W; i++) max = lanes[i] > max ? lanes[i] : max;
    Doubles sum = all(0.0);
    for (size_t c = 0; c < batch.classes; c += W) {
      const Doubles x = probabilities<Any>(row, c, {max, 0, 1}).less_even;
      store(out + c, x);
      sum += x;
    }
    const double total = sum_of(sum.low + sum.high), count = static_cast<double>(batch.unmasked);
    return {max, total / count, 1 / (count + total)};
  }

  /** Pass 1: a row's normalisers and its correlation. */
  void prepare_row(RowState& row, double* x, double* y) const {
    row.student = softmax<Float32>(z(row), x);
    row.teacher = softmax<Source>(v(row), y);
    Doubles aa = all(0.0), bb = aa, ab = aa;
    for (size_t c = 0; c < batch.classes; c += W) {
      const Bits is_class = classes_from(c);
      const Doubles a = select(is_class, (load(x + c) - row.student.mean) * row.student.scale, all(0.0));
      const Doubles b = select(is_class, (load(y + c) - row.teacher.mean) * row.teacher.scale, all(0.0));
      aa += a * a;
      bb += b * b;
      ab += a * b;
    }
    const double student_squares = sum_of(aa.low + aa.high), teacher_squares = sum_of(bb.low + bb.high);
    const double count = static_cast<double>(batch.unmasked);
    const auto size = [&](const Softmax& s) { return count * s.mean * s.mean * s.scale * s.scale; };
    row.correlation = Correlation::of(student_squares, teacher_squares, sum_of(ab.low + ab.high),
                                      varies(student_squares, size(row.student)) && varies(teacher_squares, size(row.teacher)));
  }

  /**
   * Pass 2: the correlations of W columns; returns the sum of 1 − ρ. Moments are taken about the row `heaviest`: no other weighs more, so
   * the variance is at least its share of the squared distance from the mean, and little cancels when that is taken off.
   */
  double prepare_columns(const RowState* rows, size_t count, const RowState& heaviest, size_t c, ColumnState& column) const {
    const Centre q0 = Centre::at(probabilities<Float32>(z(heaviest), c, heaviest.student));
    const Centre p0 = Centre::at(probabilities<Source>(v(heaviest), c, heaviest.teacher));
    const Doubles zero = all(0.0);
    Doubles a_sum = zero, b_sum = zero, aa = zero, bb = zero, ab = zero, a_size = zero, b_size = zero;
    for (size_t r = 0; r < count; r++) {
      const double share = rows[r].share;
      const Doubles q = q0.form(probabilities<Float32>(z(rows[r]), c, rows[r].student));
      const Doubles p = p0.form(probabilities<Source>(v(rows[r]), c, rows[r].teacher));
      const Doubles a = q - q0.mean, b = p - p0.mean, weighted_a = a * share, weighted_b = b * share;
      a_sum += weighted_a;
      b_sum += weighted_b;
      aa += weighted_a * a;
      bb += weighted_b * b;
      ab += weighted_a * b;
      a_size += q * q * share;
      b_size += p * p * share;
    }
    column.student_centre = {q0.is_whole, q0.mean + a_sum};
    column.teacher_centre = {p0.is_whole, p0.mean + b_sum};
    double student_squares[W], teacher_squares[W], products[W], student_size[W], teacher_size[W];
    store(student_squares, aa - a_sum * a_sum);
    store(teacher_squares, bb - b_sum * b_sum);
    store(products, ab - a_sum * b_sum);
    store(student_size, a_size);
    store(teacher_size, b_size);
    double distance[W] = {}, student_inverse[W] = {}, teacher_inverse[W] = {}, sum = 0;
    for (size_t i = 0; i < W && c + i < batch.classes; i++) {
      if (!batch.is_class(c + i)) continue;
      const bool both = varies(student_squares[i], student_size[i]) && varies(teacher_squares[i], teacher_size[i]);
      const Correlation correlation = Correlation::of(student_squares[i], teacher_squares[i], products[i], both);
      sum += distance[i] = correlation.distance;
      student_inverse[i] = correlation.student;
      teacher_inverse[i] = correlation.teacher;
    }
    column.distance = load(distance);
    column.student = load(student_inverse);
    column.teacher = load(teacher_inverse);
    return sum;
  }

  /** dvalue/dq of W classes of a row, by its share. */
  __attribute__((always_inline)) Doubles slope(const RowState& row, const ColumnState& column, const Probabilities& q,
                                               const Probabilities& p) const {
    const Correlation& r = row.correlation;
    const Doubles by_row = Correlation::slope(q.less_even, p.less_even, all(r.distance), all(r.student), all(r.teacher));
    const Doubles by_column = Correlation::slope(column.student_centre(q), column.teacher_centre(p), column.distance,
                                                 column.student, column.teacher);
    return by_row * beta + by_column * (gamma / static_cast<double>(batch.unmasked));
  }

  /** Pass 3: q·(slope − Σ q·slope)/T; the gradients of a row sum to 0, which gives the surest class its digits. */
  void write_gradient(const RowState& row, const ColumnState* columns, double* masses, double* pulls) const {
    Doubles others = all(0.0), surest = all(0.0), mass = all(0.0);
    for (size_t c = 0; c < batch.classes; c += W) {
      const Probabilities q = probabilities<Float32>(z(row), c, row.student);
      const Probabilities p = probabilities<Source>(v(row), c, row.teacher);
      const Doubles pull = q.whole * slope(row, columns[c / W], q, p);
      const Bits is_other = q.whole < row.student.scale;
      others += select(is_other, pull, all(0.0));
      surest += select(is_other, all(0.0), pull);
      mass += select(is_other, q.whole, all(0.0));
      store(masses + c, q.whole);
      store(pulls + c, pull);
    }
    const bool is_sure = row.student.scale > 0.75;
    const double rest = sum_of(others.low + others.high);
    const double total = rest + sum_of(surest.low + surest.high);
    const double closing = sum_of(mass.low + mass.high) * total - rest;
    const double factor = row.share * inverse;
    float* const gradient = batch.gradient + row.index * batch.classes;
    for (size_t c = 0; c < batch.classes; c += W) {
      const Doubles q = load(masses + c);
      Doubles g = load(pulls + c) - q * total;
      if (is_sure) g = select(q < row.student.scale, g, all(closing));
      const F out = narrowed(g * factor);
      if (c + W <= batch.classes)
        store(gradient + c, out);
      else
        store_part(gradient + c, batch.classes - c, out);
    }
  }
};

template <class Source>
int run(const imago_call* call, Batch& batch) {
  const double beta = call->scalars[3], gamma = call->scalars[4];
  if (const int refused = prepare(call, batch)) return refused;
  const float* const student = buffer<const float>(call, 0);
  const auto* const teacher = buffer<const typename Source::Element>(call, 1);
  if (const int refused = check_rows<Float32>(call, batch, "student", student, Expect::softmax)) return refused;
  if (const int refused = check_rows<Source>(call, batch, "teacher", teacher, Expect::softmax)) return refused;
  const Dist<Source> kernel{batch, student, teacher, 1 / call->scalars[2], beta, gamma};

  const size_t tiles = (batch.classes + W - 1) / W;
  typedef Workspace S;
  Workspace workspace(S::bytes_of<RowState>(batch.rows) + S::bytes_of<ColumnState>(tiles) + S::bytes_of<double>(tiles));
  if (workspace.failed()) return refuse(call, "out of memory for %zu rows of %zu classes", batch.rows, batch.classes);
  RowState* const rows = workspace.take<RowState>(batch.rows);
  ColumnState* const columns = workspace.take<ColumnState>(tiles);
  double* const distances = workspace.take<double>(tiles);
  size_t count = 0;
  for (size_t r = 0; r < batch.rows; r++) {
    if (!batch.counts(r)) continue;
    rows[count].index = r;
    rows[count++].share = batch.share(r);
  }
  const RowState* heaviest = rows;
  for (size_t r = 0; r < count; r++)
    if (rows[r].share > heaviest->share) heaviest = rows + r;
  // Every task has room for two rows in float64.
  bool failed[max_chunks] = {};
  const auto each_row = [&](auto task) {
    const Chunks chunks = Chunks::of(count, batch.classes, 1);
    parallel(count, chunks, [&](size_t chunk, size_t first, size_t end) {
      double* const memory = reinterpret_cast<double*>(scratch(4 * tiles * W));
      failed[chunk] = memory == nullptr;
      for (size_t r = first; memory != nullptr && r < end; r++) task(rows[r], memory, memory + tiles * W);
    });
    for (size_t i = 0; i < chunks.count; i++)
      if (failed[i]) return refuse(call, "out of memory for rows of %zu classes", batch.classes);
    return 0;
  };
  const auto prepare_row = [&](RowState& row, double* x, double* y) { kernel.prepare_row(row, x, y); };
  if (const int refused = each_row(prepare_row)) return refused;
  if (count > 0)
    parallel(tiles, Chunks::of(tiles, count * W, 1), [&](size_t, size_t first, size_t end) {
      for (size_t i = first; i < end; i++) distances[i] = kernel.prepare_columns(rows, count, *heaviest, i * W, columns[i]);
    });
  double inter = 0, intra = 0;
  for (size_t r = 0; r < count; r++) inter += rows[r].share * rows[r].correlation.distance;
  if (count > 0)
    for (size_t i = 0; i < tiles; i++) intra += distances[i] / static_cast<double>(batch.unmasked);
  double* const result = buffer<double>(call, 4);
  result[0] = beta * inter + gamma * intra;
  result[1] = inter;
  result[2] = intra;
  if (batch.gradient == nullptr) return 0;
  for (size_t r = 0; r < batch.rows; r++)
    if (!batch.counts(r)) memset(batch.gradient + r * batch.classes, 0, batch.classes * sizeof(float));
  return each_row([&](RowState& row, double* x, double* y) { kernel.write_gradient(row, columns, x, y); });
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(dist) {
  if (const int refused = check_temperature(call, call->scalars[2])) return refused;
  for (size_t i = 3; i < 5; i++)
    if (!(call->scalars[i] >= 0 && call->scalars[i] < static_cast<double>(infinity)))
      return refuse(call, "%s must be finite and >= 0, got %g", i == 3 ? "beta" : "gamma", call->scalars[i]);
  Batch batch{size(call, 0),          size(call, 1), nullptr, buffer<const float>(call, 2), 0, buffer<float>(call, 3),
              buffer<const uint8_t>(call, 5)};
  return with_teacher(call, call->buffers[1], call->scalars[5], [&](auto source) { return run<decltype(source)>(call, batch); });
}
