#include "cuda/batch.cuh"

#include <cstdlib>
#include <cstring>

#include "cuda/team.cuh"

namespace imago::cuda {
namespace {

constexpr int threads = 256;
/** So many rows a block sums; more blocks than `max_parts` are not cut, so that one block can sum what they leave. */
constexpr size_t rows_per_block = 8192;
constexpr size_t max_parts = 1024;

/** `items` cut for blocks: the same for the same problem, on any device. */
struct Cut {
  size_t parts;
  size_t size;
};
Cut cut(size_t items) {
  size_t size = rows_per_block;
  if (size * max_parts < items) size = (items + max_parts - 1) / max_parts;
  const size_t parts = (items + size - 1) / size;
  return {parts == 0 ? 1 : parts, size};
}

/** Σ w over the rows that count, by block; refuses labels and weights on the way. */
__global__ void __launch_bounds__(threads) weigh_rows(Batch batch, size_t size, double* parts) {
  BlockTeam<threads> team;
  const size_t first = blockIdx.x * size;
  const size_t end = first + size < batch.rows ? first + size : batch.rows;
  double sum[1] = {0};
  for (size_t r = first + threadIdx.x; r < end; r += threads) {
    if (!batch.counts(r)) continue;
    const float weight = batch.weights == nullptr ? 1 : batch.weights[r];
    if (!(weight > 0 && weight < infinity())) {
      report(batch.status, batch.weights_at, Problem::bad_weight, r);
      continue;
    }
    if (batch.labels != nullptr && batch.labels[r] != -1 && batch.label(r) < 0) {
      bool any_class = false;
      for (int c = 0; c < batch.classes && !any_class; c++) any_class = batch.is_class(c);
      if (any_class)
        report(batch.status, batch.labels_at, Problem::not_a_class, r);
      else
        report(batch.status, batch.mask_at, Problem::no_class, r);
    }
    sum[0] += static_cast<double>(weight);
  }
  team.sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum[0];
}

/** Sums `items` doubles, by block. */
__global__ void __launch_bounds__(threads) sum_parts(const double* items, size_t count, double* out) {
  BlockTeam<threads> team;
  double sum[1] = {0};
  for (size_t i = threadIdx.x; i < count; i += threads) sum[0] += items[i];
  team.sum(sum);
  if (threadIdx.x == 0) *out = sum[0];
}

/** Sums losses, by block. */
__global__ void __launch_bounds__(threads) sum_losses(const Terms* losses, size_t count, size_t size, Terms* parts) {
  BlockTeam<threads> team;
  const size_t first = blockIdx.x * size;
  const size_t end = first + size < count ? first + size : count;
  double sum[2] = {0, 0};
  for (size_t i = first + threadIdx.x; i < end; i += threads) {
    sum[0] += losses[i].first;
    sum[1] += losses[i].second;
  }
  team.sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = {sum[0], sum[1]};
}

/** Sums the last losses, and makes the result of them. */
__global__ void __launch_bounds__(threads) write_result(const Terms* losses, size_t count, Finish how) {
  BlockTeam<threads> team;
  double sum[2] = {0, 0};
  for (size_t i = threadIdx.x; i < count; i += threads) {
    sum[0] += losses[i].first;
    sum[1] += losses[i].second;
  }
  team.sum(sum);
  if (threadIdx.x != 0) return;
  if (how.count == 1) {
    how.result[0] = sum[0];
    return;
  }
  double value = 0;
  for (int i = 0; i < 2; i++) {
    const double term = how.root[i] * (how.root[i] * sum[i]);
    // A term with the factor 0 is not there: 0·∞ would be NaN.
    if (how.factor[i] > 0) value += how.factor[i] * term;
    how.result[1 + i] = term;
  }
  how.result[0] = value;
}

}  // namespace

int batch_of(const imago_call* call, const Places& at, Batch& batch) {
  const auto memory = [&](int position) { return position < 0 ? nullptr : call->buffers[position].data; };
  batch = {};
  batch.rows = size(call, 0);
  const size_t classes = size(call, 1);
  if (classes > max_classes) return refuse(call, "%zu classes are more than the 2^30 of the CUDA kernels", classes);
  if (batch.rows > max_rows) return refuse(call, "%zu rows are more than the 2^26 of the CUDA kernels", batch.rows);
  batch.classes = static_cast<int>(classes);
  batch.student = static_cast<const float*>(memory(at.student));
  batch.teacher = memory(at.teacher);
  batch.labels = static_cast<const int32_t*>(memory(at.labels));
  batch.weights = static_cast<const float*>(memory(at.weights));
  batch.gradient = static_cast<float*>(memory(at.gradient));
  batch.mask = static_cast<const uint8_t*>(memory(at.mask));
  batch.ignore_index = at.ignore_index < 0 ? 0.5 : call->scalars[at.ignore_index];
  batch.student_at = static_cast<uint32_t>(at.student);
  batch.teacher_at = static_cast<uint32_t>(at.teacher);
  batch.labels_at = static_cast<uint32_t>(at.labels);
  batch.weights_at = static_cast<uint32_t>(at.weights);
  batch.mask_at = static_cast<uint32_t>(at.mask);
  return 0;
}

int prepare(const imago_call* call, const char* kernel, Batch& batch, size_t units, size_t more_bytes, void** more) {
  if (batch.rows > 0 && batch.classes == 0) return refuse(call, "rows without classes have no loss");
  batch.status = status_of(call, kernel);
  if (batch.status.word == nullptr) return refuse(call, "CUDA: out of memory");
  const Cut weights = cut(batch.rows);
  // [Σw][its parts][losses][their parts]
  const size_t doubles = 1 + weights.parts + 2 * (units + cut(units).parts);
  const size_t own = (doubles * sizeof(double) + sizeof(Terms) + 255) / 256 * 256;
  double* const memory = static_cast<double*>(scratch(call, own + more_bytes));
  if (memory == nullptr) return refuse(call, "CUDA: no device memory for %zu bytes of scratch", own + more_bytes);
  if (more != nullptr) *more = reinterpret_cast<unsigned char*>(memory) + own;
  batch.losses = units == 0 ? nullptr : reinterpret_cast<Terms*>(memory + 1 + weights.parts);
  batch.equal_share = 1 / static_cast<double>(batch.rows);
  batch.weight_sum = nullptr;
  if (batch.rows == 0 || (batch.labels == nullptr && batch.weights == nullptr)) return 0;
  batch.weight_sum = memory;
  double* const parts = weights.parts == 1 ? memory : memory + 1;
  cudaError_t error = launch(weigh_rows, dim3(static_cast<unsigned>(weights.parts)), dim3(threads), 0, stream(call), batch, weights.size, parts);
  if (error == cudaSuccess && weights.parts > 1)
    error = launch(sum_parts, dim3(1), dim3(threads), 0, stream(call), parts, weights.parts, memory);
  return done(call, error);
}

Form asked_form() {
  static const Form form = [] {
    const char* const name = std::getenv("IMAGO_CUDA_ROWS");
    constexpr const char* names[] = {"", "registers", "cluster", "shared", "stream"};
    for (int i = 1; i < 5; i++)
      if (name != nullptr && std::strcmp(name, names[i]) == 0) return static_cast<Form>(i);
    return Form::automatic;
  }();
  return form;
}

int finish(const imago_call* call, const Batch& batch, size_t units, const Finish& how) {
  const Cut losses = cut(units);
  if (losses.parts == 1) return done(call, launch(write_result, dim3(1), dim3(threads), 0, stream(call), batch.losses, units, how));
  Terms* const parts = batch.losses + units;
  const cudaError_t error =
      launch(sum_losses, dim3(static_cast<unsigned>(losses.parts)), dim3(threads), 0, stream(call), batch.losses, units, losses.size, parts);
  if (error != cudaSuccess) return done(call, error);
  return done(call, launch(write_result, dim3(1), dim3(threads), 0, stream(call), parts, losses.parts, how));
}

}  // namespace imago::cuda
