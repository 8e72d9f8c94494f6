// soft_target_loss of the logits h·Wᵀ + b, and its gradients by h, W and b, some rows at a time: nobody's logit matrix exists as
// a whole. What remains of it is a chunk in scratch, in which the logits turn into their gradient and into products with W and h.
#include "cuda/matrix.cuh"
#include "cuda/soft.cuh"

namespace imago::cuda {
namespace {

/** Unless the call says how many rows make a chunk: 64 MiB of logits, a whole number of tiles but at least one. */
constexpr size_t chunk_logits = size_t{1} << 24;

constexpr int look_threads = 256;

struct Looked {
  Status status;
  uint32_t buffer;
  const uint8_t* kept;  // null: all rows
};

/** Refuses rows of numbers that are not finite. A block a row. */
template <class Source>
__global__ void __launch_bounds__(look_threads) look_at_rows(const typename Source::Element* data, size_t columns, Looked looked) {
  const size_t r = blockIdx.x;
  if (looked.kept != nullptr && looked.kept[r] == 0) return;
  for (size_t c = threadIdx.x; c < columns; c += look_threads) {
    const float x = Source::read(data[r * columns + c]);
    if (!(fabsf(x) <= 3.402823466e38f)) report(looked.status, looked.buffer, problem_of(x), r);
  }
}

/** Refuses a bias that is NaN, +∞, or −∞ for every class there is. One block. */
__global__ void __launch_bounds__(look_threads) look_at_bias(const float* bias, const uint8_t* mask, size_t classes, Looked looked) {
  BlockTeam<look_threads> team;
  float found[1] = {-infinity()};
  for (size_t c = threadIdx.x; c < classes; c += look_threads) {
    if (mask != nullptr && mask[c] == 0) continue;
    const float x = bias[c];
    if (x != x || x == infinity()) report(looked.status, looked.buffer, problem_of(x), 0);
    found[0] = fmaxf(found[0], x);
  }
  team.max(found);
  if (threadIdx.x == 0 && found[0] == -infinity()) report(looked.status, looked.buffer, Problem::only_minus_infinity, 0);
}

__global__ void __launch_bounds__(look_threads) mark_rows(Batch batch, uint8_t* kept) {
  const size_t r = static_cast<size_t>(blockIdx.x) * look_threads + threadIdx.x;
  if (r < batch.rows) kept[r] = batch.counts(r) ? 1 : 0;
}

constexpr int sum_columns_wide = 32, sum_columns_high = 8;

/** out[c] (+)= Σ over the rows of x [rows, columns]. */
__global__ void __launch_bounds__(sum_columns_wide* sum_columns_high) sum_columns(const float* x, size_t rows, size_t columns, bool adds, float* out) {
  __shared__ double parts[sum_columns_high][sum_columns_wide];
  const size_t c = static_cast<size_t>(blockIdx.x) * sum_columns_wide + threadIdx.x;
  double sum = 0;
  for (size_t r = threadIdx.y; r < rows && c < columns; r += sum_columns_high) sum += static_cast<double>(x[r * columns + c]);
  parts[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= columns) return;
  for (int i = 1; i < sum_columns_high; i++) sum += parts[i][threadIdx.x];
  out[c] = static_cast<float>(adds ? static_cast<double>(out[c]) + sum : sum);
}

/** hidden [rows, depth]·weightᵀ [depth, classes] + bias. */
template <class Source>
struct Layer {
  const typename Source::Element* hidden;
  const typename Source::Element* weight;
  const float* bias;
  size_t depth;
  uint32_t hidden_at;  // the buffers' positions; weight and bias follow where they are not named
  uint32_t weight_at, bias_at;

  cudaError_t look(const Batch& batch, const uint8_t* kept, cudaStream_t stream) const {
    cudaError_t error = launch(look_at_rows<Source>, dim3(static_cast<unsigned>(batch.rows)), dim3(look_threads), 0, stream, hidden, depth,
                               Looked{batch.status, hidden_at, kept});
    if (error == cudaSuccess)
      error = launch(look_at_rows<Source>, dim3(static_cast<unsigned>(batch.classes)), dim3(look_threads), 0, stream, weight, depth,
                     Looked{batch.status, weight_at, nullptr});
    if (error == cudaSuccess && bias != nullptr)
      error = launch(look_at_bias, dim3(1), dim3(look_threads), 0, stream, bias, batch.mask, static_cast<size_t>(batch.classes),
                     Looked{batch.status, bias_at, nullptr});
    return error;
  }
  /** The logits of `rows` rows from `first` on. */
  cudaError_t multiply_into(float* logits, size_t first, size_t rows, size_t classes, const uint8_t* kept, cudaStream_t stream) const {
    const Factor<Source, Order::rows> left{hidden + first * depth, depth, kept + first};
    const Factor<Source, Order::rows> right{weight, depth, nullptr};
    return multiply(left, right, Product{logits, classes, bias, false}, rows, classes, depth, stream);
  }
};

struct Gradients {
  float* hidden;
  float* weight;
  float* bias;
  bool any() const { return hidden != nullptr || weight != nullptr || bias != nullptr; }
};

/** The chunks of a call, and what it has in scratch. */
struct Chunks {
  size_t rows;
  float* logits;
  float* teacher_logits;
  uint8_t* kept;
};

template <class StudentSource>
cudaError_t products(const Layer<StudentSource>& student, const Gradients& gradients, const Chunks& chunks, size_t first, size_t rows,
                     size_t classes, cudaStream_t stream) {
  cudaError_t error = cudaSuccess;
  const bool adds = first > 0;
  if (gradients.bias != nullptr)
    error = launch(sum_columns, dim3(static_cast<unsigned>((classes + sum_columns_wide - 1) / sum_columns_wide)),
                   dim3(sum_columns_wide, sum_columns_high), 0, stream, chunks.logits, rows, classes, adds, gradients.bias);
  // The weights' before the hidden states', which may be written over the states themselves.
  if (error == cudaSuccess && gradients.weight != nullptr)
    error = multiply(Factor<Float32, Order::columns>{chunks.logits, classes, nullptr},
                     Factor<StudentSource, Order::columns>{student.hidden + first * student.depth, student.depth, chunks.kept + first},
                     Product{gradients.weight, student.depth, nullptr, adds}, classes, student.depth, rows, stream);
  if (error == cudaSuccess && gradients.hidden != nullptr)
    error = multiply(Factor<Float32, Order::rows>{chunks.logits, classes, nullptr},
                     Factor<StudentSource, Order::columns>{student.weight, student.depth, nullptr},
                     Product{gradients.hidden + first * student.depth, student.depth, nullptr, false}, rows, student.depth, classes, stream);
  return error;
}

/**
 * The loss of a chunk, its gradient in the place of its logits. `own` is its part of the batch, without teacher or student yet.
 */
template <class Source>
cudaError_t loss_of(const imago_call* call, Batch own, const Chunks& chunks, const typename Source::Element* teacher, bool with_gradient) {
  const double temperature = call->scalars[4], a = call->scalars[5];
  own.student = chunks.logits;
  own.gradient = with_gradient ? chunks.logits : nullptr;
  own.teacher = teacher;
  return launch_rows(soft_of<Source>(temperature, (1 - a) * temperature, a), own, stream(call));
}

template <class StudentSource, class TeacherSource>
int run(const imago_call* call) {
  typedef typename TeacherSource::Element TeacherElement;
  Batch batch;
  if (const int refused = batch_of(call, {.student = 0, .labels = 7, .weights = 8, .mask = 13, .ignore_index = 6}, batch)) return refused;
  const bool has_logits = call->buffers[3].type != 0;
  const size_t rows = batch.rows, classes = static_cast<size_t>(batch.classes);
  const auto* const teacher_logits = buffer<const TeacherElement>(call, 3);
  const Layer<StudentSource> student{buffer<const typename StudentSource::Element>(call, 0),
                                     buffer<const typename StudentSource::Element>(call, 1),
                                     buffer<const float>(call, 2),
                                     size(call, 2),
                                     0,
                                     1,
                                     2};
  const Layer<TeacherSource> teacher{buffer<const TeacherElement>(call, 4), buffer<const TeacherElement>(call, 5), buffer<const float>(call, 6),
                                     size(call, 3), 4, 5, 6};
  const Gradients gradients{buffer<float>(call, 9), buffer<float>(call, 10), buffer<float>(call, 11)};
  if (rows > 0 && (student.depth == 0 || (!has_logits && teacher.depth == 0)))
    return refuse(call, "hidden states need at least one number a row");
  batch.teacher_at = has_logits ? 3 : 4;
  batch.is_made = true;
  batch.is_made_for_teacher = !has_logits;

  Chunks chunks{};
  chunks.rows = size(call, 9);
  if (chunks.rows == 0) {
    const size_t fit = chunk_logits / (classes == 0 ? 1 : classes);
    chunks.rows = fit < product_tile ? product_tile : fit / product_tile * product_tile;
  }
  if (chunks.rows > rows) chunks.rows = rows;
  // Chunks of the loss: whole blocks of rows but for the last of each.
  batch.rows = chunks.rows;
  const size_t units_per_chunk = loss_units<Soft<Float32>>(batch), count = chunks.rows == 0 ? 0 : (rows + chunks.rows - 1) / chunks.rows;
  batch.rows = rows - (count == 0 ? 0 : count - 1) * chunks.rows;
  const size_t units = count == 0 ? 0 : (count - 1) * units_per_chunk + loss_units<Soft<Float32>>(batch);
  batch.rows = rows;

  const size_t matrix = (chunks.rows * classes * sizeof(float) + 255) / 256 * 256;
  void* memory = nullptr;
  if (const int refused =
          prepare(call, "linear_soft_target_loss", batch, units, matrix * (has_logits ? 1 : 2) + rows, &memory))
    return refused;
  chunks.logits = static_cast<float*>(memory);
  chunks.teacher_logits = reinterpret_cast<float*>(static_cast<unsigned char*>(memory) + matrix);
  chunks.kept = static_cast<uint8_t*>(memory) + matrix * (has_logits ? 1 : 2);

  cudaError_t error = cudaSuccess;
  const auto then = [&](auto step) {
    if (error == cudaSuccess) error = step();
  };
  if (rows == 0) {
    // Nothing is multiplied: what is asked for is 0.
    if (gradients.weight != nullptr)
      then([&] { return cudaMemsetAsync(gradients.weight, 0, classes * student.depth * sizeof(float), stream(call)); });
    if (gradients.bias != nullptr) then([&] { return cudaMemsetAsync(gradients.bias, 0, classes * sizeof(float), stream(call)); });
    if (error != cudaSuccess) return done(call, error);
    return finish(call, batch, 0, soft_and_hard(buffer<double>(call, 12), call->scalars[4], call->scalars[5]));
  }
  then([&] {
    return launch(mark_rows, dim3(static_cast<unsigned>((rows + look_threads - 1) / look_threads)), dim3(look_threads), 0, stream(call), batch,
                  chunks.kept);
  });
  then([&] { return student.look(batch, chunks.kept, stream(call)); });
  if (!has_logits) then([&] { return teacher.look(batch, chunks.kept, stream(call)); });
  for (size_t i = 0; i < count && error == cudaSuccess; i++) {
    const size_t first = i * chunks.rows, n = rows - first < chunks.rows ? rows - first : chunks.rows;
    Batch own = batch;
    own.rows = n;
    own.first_row = first;
    own.labels = batch.labels == nullptr ? nullptr : batch.labels + first;
    own.weights = batch.weights == nullptr ? nullptr : batch.weights + first;
    own.losses = batch.losses + i * units_per_chunk;
    then([&] { return student.multiply_into(chunks.logits, first, n, classes, chunks.kept, stream(call)); });
    if (has_logits) {
      then([&] { return loss_of<TeacherSource>(call, own, chunks, teacher_logits + first * classes, gradients.any()); });
    } else {
      then([&] { return teacher.multiply_into(chunks.teacher_logits, first, n, classes, chunks.kept, stream(call)); });
      then([&] { return loss_of<Float32>(call, own, chunks, chunks.teacher_logits, gradients.any()); });
    }
    then([&] { return products(student, gradients, chunks, first, n, classes, stream(call)); });
  }
  if (error != cudaSuccess) return done(call, error);
  return finish(call, batch, units, soft_and_hard(buffer<double>(call, 12), call->scalars[4], call->scalars[5]));
}

template <class StudentSource>
int with_student(const imago_call* call) {
  const double type = call->scalars[8];
  if (type == 0) return run<StudentSource, Float32>(call);
  return type == 1 ? run<StudentSource, Float16>(call) : run<StudentSource, Bfloat16>(call);
}

bool is_type(double type, const imago_buffer& buffer) {
  return (type == 0 && buffer.type == IMAGO_F32) || ((type == 1 || type == 2) && buffer.type == IMAGO_U16);
}

}  // namespace
}  // namespace imago::cuda

IMAGO_KERNEL(linear_soft_target_loss) {
  using namespace imago::cuda;
  const double student_type = call->scalars[7], teacher_type = call->scalars[8], hard_weight = call->scalars[5];
  if (const int refused = check_temperature(call, call->scalars[4])) return refused;
  if (!(hard_weight >= 0 && hard_weight <= 1)) return refuse(call, "hardWeight must be in [0, 1], got %g", hard_weight);
  const imago_buffer* const b = call->buffers;
  const bool has_logits = b[3].type != 0;
  if (has_logits == (b[4].type != 0) || (b[4].type != 0) != (b[5].type != 0) || (has_logits && b[6].type != 0))
    return refuse(call, "the teacher comes as teacherLogits, or as teacherHidden with teacherWeight");
  if (!is_type(student_type, b[0]) || !is_type(student_type, b[1]))
    return refuse(call, "studentType %g does not fit studentHidden or studentWeight (0 float32, 1 float16, 2 bfloat16)", student_type);
  if (has_logits ? !is_type(teacher_type, b[3]) : !is_type(teacher_type, b[4]) || !is_type(teacher_type, b[5]))
    return refuse(call, "teacherType %g does not fit the teacher's buffers (0 float32, 1 float16, 2 bfloat16)", teacher_type);
  if (student_type == 0) return with_student<Float32>(call);
  return student_type == 1 ? with_student<Float16>(call) : with_student<Bfloat16>(call);
}
