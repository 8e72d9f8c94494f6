// Relations instead of values (DIST: Huang et al. 2022): one minus Pearson's correlation of student and teacher, of each row over
// its classes and of each class over the rows of the batch, and the gradient.
//
// Three passes in float64: by rows (normalisers and correlations of the rows), by columns (correlations of the classes), by rows again
// (gradient). Probabilities are computed anew each time: as a − 1/C, which keeps its digits at high T, or as a itself, which keeps them
// where probabilities are small.
#include "cuda/rows.cuh"

namespace imago::cuda {
namespace {

constexpr int row_threads = 256;
/** A block's columns: a warp reads neighbours, and 8 of them every eighth row. */
constexpr int tile = 32, lanes = 8;

/** Where |x| is below, eˣ − 1 comes from expm1. */
constexpr double close = 0.3;
/** Sums of squares below this, of the numbers' own or in itself, are constant numbers: they correlate with nothing. */
constexpr double least_relative = 1e-24, least = 1e-74;

IMAGO_DEVICE bool varies(double squares, double size) { return squares > least_relative * size && squares > least; }

/** Pearson's ρ of a and b, from the sums of a², b² and a·b of centred numbers: 1 − ρ, and what the derivative needs. */
struct Correlation {
  double distance;  // 1 − ρ; 1 where one of the two does not vary
  double student;   // 1/‖a‖; 0 there
  double teacher;   // 1/‖b‖
  __device__ __forceinline__ static Correlation of(double aa, double bb, double ab, bool both_vary) {
    if (!both_vary) return {1, 0, 0};
    const double distance = 1 - ab / (::sqrt(aa) * ::sqrt(bb));
    return {distance > 0 ? distance : 0, 1 / ::sqrt(aa), 1 / ::sqrt(bb)};
  }
  /** −dρ/da at a centred pair (a, b), less its weight: (â − b̂ − (1 − ρ)·â)/‖a‖, in which nothing cancels where b̂ is close to â. */
  __device__ __forceinline__ double slope(double a, double b) const {
    const double scaled = a * student;
    return (scaled - b * teacher - distance * scaled) * student;
  }
};

/** The softmax of a row: with x = e^((logit − max)/T) − 1, probabilities are (x + 1)·scale, less 1/C they are (x − mean)·scale. */
struct Softmax {
  double max;
  double mean;
  double scale;
};
struct RowState {
  double share;  // 0: the row does not count
  Softmax student, teacher;
  Correlation correlation;
};
struct Probability {
  double whole;
  double less_even;
};
/** How the numbers of a column are centred over the rows: in the form in which they are smaller, and have more digits. */
struct Centre {
  bool is_whole;
  double mean;
  __device__ __forceinline__ double operator()(const Probability& x) const { return (is_whole ? x.whole : x.less_even) - mean; }
};
struct ColumnState {
  Centre student_centre, teacher_centre;
  Correlation correlation;
};

template <class Source>
struct Dist {
  double temperature;
  double beta, gamma;
  RowState* rows;
  ColumnState* columns;

  __device__ __forceinline__ Probability at(float x, const Softmax& s) const {
    const double d = (static_cast<double>(x) - s.max) / temperature, e = ::exp(d);
    return {e * s.scale, ((::fabs(d) < close ? ::expm1(d) : e - 1) - s.mean) * s.scale};
  }
  __device__ __forceinline__ Probability student(const Batch& batch, const RowState& row, size_t r, int c) const {
    return at(batch.student[r * batch.classes + c], row.student);
  }
  __device__ __forceinline__ Probability teacher(const Batch& batch, const RowState& row, size_t r, int c) const {
    return at(Source::read(static_cast<const typename Source::Element*>(batch.teacher)[r * batch.classes + c]), row.teacher);
  }
};

/** 1: normalisers and correlation of a row; refuses what is not to have a softmax. */
template <class Source>
__global__ void __launch_bounds__(row_threads) prepare_rows(Dist<Source> op, Batch batch) {
  BlockTeam<row_threads> team;
  const size_t r = blockIdx.x;
  const int classes = batch.classes;
  RowState row{};
  if (!batch.counts(r)) {
    if (threadIdx.x == 0) {
      op.rows[r] = row;
      batch.losses[r] = {0, 0};
    }
    return;
  }
  const float* const z = batch.student + r * classes;
  const auto* const v = static_cast<const typename Source::Element*>(batch.teacher) + r * classes;
  float found[7] = {0, 0, -infinity(), 0, 0, -infinity(), 0};  // NaN, +∞, the largest; of the teacher; any class
  for (int c = threadIdx.x; c < classes; c += row_threads) {
    if (!batch.is_class(c)) continue;
    const auto see = [&](float x, int at) {
      if (x != x) found[at] = 1;
      if (x == infinity()) found[at + 1] = 1;
      found[at + 2] = fmaxf(found[at + 2], x);
    };
    see(z[c], 0);
    see(Source::read(v[c]), 3);
    found[6] = 1;
  }
  team.max(found);
  const auto refuses = [&](int at, uint32_t buffer) {
    if (found[at] == 0 && found[at + 1] == 0 && found[at + 2] > -infinity()) return false;
    if (threadIdx.x == 0)
      batch.refuse(found[6] == 0 ? batch.mask_at : buffer,
                   found[6] == 0        ? Problem::no_class
                   : found[at] != 0     ? Problem::nan
                   : found[at + 1] != 0 ? Problem::infinity
                                        : Problem::only_minus_infinity,
                   r);
    return true;
  };
  const bool student_is = refuses(0, batch.student_at), teacher_is = refuses(3, batch.teacher_at);
  if (student_is || teacher_is) {
    if (threadIdx.x == 0) {
      op.rows[r] = row;
      batch.losses[r] = {0, 0};
    }
    return;
  }

  row.student = {static_cast<double>(found[2]), 0, 1};
  row.teacher = {static_cast<double>(found[5]), 0, 1};
  double growth[3] = {};
  for (int c = threadIdx.x; c < classes; c += row_threads) {
    if (!batch.is_class(c)) continue;
    growth[0] += op.student(batch, row, r, c).less_even;
    growth[1] += op.teacher(batch, row, r, c).less_even;
    growth[2] += 1;
  }
  team.sum(growth);
  const double count = growth[2];
  row.student.mean = growth[0] / count;
  row.student.scale = 1 / (count + growth[0]);
  row.teacher.mean = growth[1] / count;
  row.teacher.scale = 1 / (count + growth[1]);

  double sums[3] = {};
  for (int c = threadIdx.x; c < classes; c += row_threads) {
    if (!batch.is_class(c)) continue;
    const double a = op.student(batch, row, r, c).less_even, b = op.teacher(batch, row, r, c).less_even;
    sums[0] += a * a;
    sums[1] += b * b;
    sums[2] += a * b;
  }
  team.sum(sums);
  if (threadIdx.x != 0) return;
  const auto size = [&](const Softmax& s) { return count * s.mean * s.mean * s.scale * s.scale; };
  row.correlation = Correlation::of(sums[0], sums[1], sums[2], varies(sums[0], size(row.student)) && varies(sums[1], size(row.teacher)));
  row.share = batch.share(r);
  op.rows[r] = row;
  batch.losses[r] = {row.share * row.correlation.distance, 0};
}

/** The sums of the eight lanes of a column, in each of them. */
template <int N>
__device__ __forceinline__ void sum_lanes(double (&x)[N]) {
  __shared__ double parts[lanes][N][tile];
  __syncthreads();
  for (int k = 0; k < N; k++) parts[threadIdx.y][k][threadIdx.x] = x[k];
  __syncthreads();
  for (int k = 0; k < N; k++) {
    x[k] = 0;
    for (int lane = 0; lane < lanes; lane++) x[k] += parts[lane][k][threadIdx.x];
  }
}

/** 2: correlation of a column; its distance goes to `distances`, and 1 where the column is a class. */
template <class Source>
__global__ void __launch_bounds__(tile* lanes) prepare_columns(Dist<Source> op, Batch batch, Terms* distances) {
  const int c = static_cast<int>(blockIdx.x) * tile + static_cast<int>(threadIdx.x);
  const bool is_class = c < batch.classes && batch.is_class(c);
  // Σ w of x, x less 1/C, and of their squares; student and teacher.
  double moments[8] = {};
  for (size_t r = threadIdx.y; r < batch.rows && is_class; r += lanes) {
    const RowState& row = op.rows[r];
    if (row.share == 0) continue;
    const auto add = [&](const Probability& x, int at) {
      moments[at] += x.whole * row.share;
      moments[at + 1] += x.less_even * row.share;
      moments[at + 2] += x.whole * x.whole * row.share;
      moments[at + 3] += x.less_even * x.less_even * row.share;
    };
    add(op.student(batch, row, r, c), 0);
    add(op.teacher(batch, row, r, c), 4);
  }
  sum_lanes(moments);
  const auto centre = [&](int at) {
    const bool is_whole = moments[at + 2] < moments[at + 3];
    return Centre{is_whole, is_whole ? moments[at] : moments[at + 1]};
  };
  ColumnState column{centre(0), centre(4), {}};
  double sums[3] = {};
  for (size_t r = threadIdx.y; r < batch.rows && is_class; r += lanes) {
    const RowState& row = op.rows[r];
    if (row.share == 0) continue;
    const double a = column.student_centre(op.student(batch, row, r, c)), b = column.teacher_centre(op.teacher(batch, row, r, c));
    sums[0] += a * a * row.share;
    sums[1] += b * b * row.share;
    sums[2] += a * b * row.share;
  }
  sum_lanes(sums);
  if (threadIdx.y != 0 || c >= batch.classes) return;
  const double student_size = column.student_centre.is_whole ? moments[2] : moments[3];
  const double teacher_size = column.teacher_centre.is_whole ? moments[6] : moments[7];
  column.correlation = Correlation::of(sums[0], sums[1], sums[2], varies(sums[0], student_size) && varies(sums[1], teacher_size));
  op.columns[c] = column;
  distances[c] = is_class ? Terms{column.correlation.distance, 1} : Terms{0, 0};
}

/** result = [β·inter + γ·intra, inter, intra]; the number of classes for the gradient. One block. */
__global__ void __launch_bounds__(row_threads) join(Batch batch, const Terms* distances, double beta, double gamma, double* class_count,
                                                    double* result) {
  BlockTeam<row_threads> team;
  double sums[4] = {};
  for (size_t r = threadIdx.x; r < batch.rows; r += row_threads) {
    sums[0] += batch.losses[r].first;
    if (batch.counts(r)) sums[3] = 1;
  }
  for (int c = threadIdx.x; c < batch.classes; c += row_threads) {
    sums[1] += distances[c].first;
    sums[2] += distances[c].second;
  }
  team.sum(sums);
  if (threadIdx.x != 0) return;
  const double intra = sums[3] > 0 && sums[2] > 0 ? sums[1] / sums[2] : 0;
  *class_count = sums[2];
  result[0] = beta * sums[0] + gamma * intra;
  result[1] = sums[0];
  result[2] = intra;
}

/** 3: q·(slope − Σ q·slope)/T; the gradients of a row sum to 0, which gives the surest class its digits. */
template <class Source>
__global__ void __launch_bounds__(row_threads) write_gradients(Dist<Source> op, Batch batch, const double* class_count) {
  BlockTeam<row_threads> team;
  const size_t r = blockIdx.x;
  const RowState row = op.rows[r];
  float* const gradient = batch.gradient + r * batch.classes;
  if (row.share == 0) {
    zero_slice(batch, r, 0, batch.classes, row_threads);
    return;
  }
  const double by_class = op.gamma / *class_count;
  const auto pull_at = [&](int c, double& whole) {
    const Probability q = op.student(batch, row, r, c), p = op.teacher(batch, row, r, c);
    const ColumnState& column = op.columns[c];
    whole = q.whole;
    const double slope = row.correlation.slope(q.less_even, p.less_even) * op.beta +
                         column.correlation.slope(column.student_centre(q), column.teacher_centre(p)) * by_class;
    return q.whole * slope;
  };
  double sums[3] = {};  // pulls of the surest classes, of the others; q of the others
  for (int c = threadIdx.x; c < batch.classes; c += row_threads) {
    if (!batch.is_class(c)) continue;
    double q;
    const double pull = pull_at(c, q);
    const bool is_other = q < row.student.scale;
    sums[0] += is_other ? 0 : pull;
    sums[1] += is_other ? pull : 0;
    sums[2] += is_other ? q : 0;
  }
  team.sum(sums);
  const double total = sums[0] + sums[1], closing = sums[2] * total - sums[1], factor = row.share / op.temperature;
  const bool is_sure = row.student.scale > 0.75;
  for (int c = threadIdx.x; c < batch.classes; c += row_threads) {
    double g = 0;
    if (batch.is_class(c)) {
      double q;
      const double pull = pull_at(c, q);
      g = is_sure && !(q < row.student.scale) ? closing : pull - q * total;
    }
    gradient[c] = static_cast<float>(g * factor);
  }
}

template <class Source>
int run(const imago_call* call) {
  const double beta = call->scalars[3], gamma = call->scalars[4];
  Batch batch;
  if (const int refused = batch_of(call, {.student = 0, .teacher = 1, .weights = 2, .gradient = 3, .mask = 5}, batch)) return refused;
  const size_t classes = static_cast<size_t>(batch.classes);
  const size_t bytes = classes * (sizeof(ColumnState) + sizeof(Terms)) + batch.rows * sizeof(RowState) + sizeof(double);
  void* memory = nullptr;
  if (const int refused = prepare(call, "dist", batch, batch.rows == 0 ? 1 : batch.rows, bytes, &memory)) return refused;
  Dist<Source> op{call->scalars[2], beta, gamma, static_cast<RowState*>(memory), nullptr};
  op.columns = reinterpret_cast<ColumnState*>(op.rows + batch.rows);
  Terms* const distances = reinterpret_cast<Terms*>(op.columns + classes);
  double* const class_count = reinterpret_cast<double*>(distances + classes);
  const dim3 rows(static_cast<unsigned>(batch.rows)), columns(static_cast<unsigned>((classes + tile - 1) / tile));
  cudaError_t error = cudaSuccess;
  if (batch.rows > 0) error = launch(prepare_rows<Source>, rows, dim3(row_threads), 0, stream(call), op, batch);
  if (error == cudaSuccess && classes > 0)
    error = launch(prepare_columns<Source>, columns, dim3(tile, lanes), 0, stream(call), op, batch, distances);
  if (error == cudaSuccess)
    error = launch(join, dim3(1), dim3(row_threads), 0, stream(call), batch, distances, beta, gamma, class_count, buffer<double>(call, 4));
  if (error == cudaSuccess && batch.gradient != nullptr && batch.rows > 0)
    error = launch(write_gradients<Source>, rows, dim3(row_threads), 0, stream(call), op, batch, class_count);
  return done(call, error);
}

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(dist) {
  using namespace imago::cuda;
  if (const int refused = check_temperature(call, call->scalars[2])) return refused;
  for (size_t i = 3; i < 5; i++)
    if (!(call->scalars[i] >= 0 && call->scalars[i] < static_cast<double>(__builtin_huge_valf())))
      return refuse(call, "%s must be finite and >= 0, got %g", i == 3 ? "beta" : "gamma", call->scalars[i]);
  return with_teacher(call, 1, call->scalars[5], [&](auto source) { return run<decltype(source)>(call); });
}
