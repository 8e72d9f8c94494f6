// soft_target_loss of the logits h·Wᵀ + b, and its gradients by h, W and b, some rows at a time: nobody's logit matrix exists as
// a whole. What remains of it is a chunk, in which the logits turn into their gradient and into products with W and h.
#include "common/matrix.h"
#include "common/row_loss.h"
#include "common/workspace.h"
#include "cpu/kernel.h"
#include "registry/builtin/losses.h"

namespace imago::IMAGO_ISA {
int soft_target_loss(const imago_call* call);

namespace {

/** Unless the call says how many rows make a chunk: 64 MiB of logits, 16 MiB of hidden states, but not less than 42 rows. */
constexpr size_t chunk_logits = size_t{1} << 24;
constexpr size_t chunk_hidden = size_t{1} << 22;
/** A whole number of tiles: the same chunks with AVX-512 and AVX2. */
constexpr size_t row_unit = 42;

/** hidden [rows, depth]·weightᵀ [depth, classes] + bias; no weight: the hidden "states" are logits already. */
struct Layer {
  const void* hidden;
  const void* weight;
  const float* bias;
  size_t depth;
  Type type;
};

struct Gradients {
  float* hidden;
  float* weight;
  float* bias;
  __attribute__((always_inline)) bool any() const { return hidden != nullptr || weight != nullptr || bias != nullptr; }
};

int check(const imago_call* call, const Batch& batch, const char* name, const void* data, Type type, Expect expect) {
  if (type == Type::float32) return check_rows<Float32>(call, batch, name, static_cast<const float*>(data), expect);
  if (type == Type::float16) return check_rows<Float16>(call, batch, name, static_cast<const uint16_t*>(data), expect);
  return check_rows<Bfloat16>(call, batch, name, static_cast<const uint16_t*>(data), expect);
}

/** A matrix all of whose rows count. */
Batch matrix(size_t rows, size_t columns, const uint8_t* mask = nullptr) {
  return {rows, columns, nullptr, nullptr, 0, nullptr, mask};
}

struct Names {
  const char* whole;
  const char* hidden;
  const char* weight;
  const char* bias;
};

/** Hidden states and weights must be finite, those of masked classes too; the bias of a class may be −∞, which excludes it. */
int check_layer(const imago_call* call, const Batch& batch, const Layer& layer, const Names& names) {
  Batch hidden = batch;
  hidden.classes = layer.depth;
  hidden.mask = nullptr;
  if (const int refused = check(call, hidden, names.hidden, layer.hidden, layer.type, Expect::finite)) return refused;
  const Batch weight = matrix(batch.classes, layer.depth);
  if (const int refused = check(call, weight, names.weight, layer.weight, layer.type, Expect::finite)) return refused;
  if (layer.bias == nullptr) return 0;
  return check(call, matrix(1, batch.classes, batch.mask), names.bias, layer.bias, Type::float32, Expect::softmax);
}

/** A refusal where logits of the chunk are too large for float32; 0 where all are fine. */
int check_overflow(const imago_call* call, const Batch& chunk, const float* logits, const size_t* index, const char* name) {
  for (size_t r = 0; r < chunk.rows; r++)
    if (!is_fine<Float32>(chunk, logits + r * chunk.classes, Expect::softmax))
      return refuse(call, "%s: logits beyond float32 in row %zu", name, index[r]);
  return 0;
}

/** Whether soft_target_loss is described with so many buffers and scalars, since it is called by position. */
consteval bool takes(size_t buffers, size_t scalars) {
  for (const Description& kernel : loss_kernels) {
    const char *a = kernel.name, *b = "soft_target_loss";
    while (*a == *b && *a != '\0') a++, b++;
    if (*a != *b) continue;
    return kernel.buffers[buffers - 1].name != nullptr && kernel.buffers[buffers].name == nullptr &&
           kernel.scalars[scalars - 1].name != nullptr && kernel.scalars[scalars].name == nullptr;
  }
  return false;
}

constexpr Names student_names = {"student", "studentHidden", "studentWeight", "studentBias"};
constexpr Names teacher_names = {"teacher", "teacherHidden", "teacherWeight", "teacherBias"};

struct Settings {
  double temperature;
  double hard_weight;
  double ignore_index;
  size_t chunk;
};

size_t chunk_rows(size_t asked, size_t rows, size_t classes, size_t depth) {
  if (rows == 0) return 0;
  if (asked > 0) return least(asked, rows);
  const size_t fit = least(chunk_logits / classes, chunk_hidden / depth);
  return least(fit < row_unit ? row_unit : fit / row_unit * row_unit, rows);
}

/** Some of the rows that count, moved together. */
struct Chunk {
  size_t rows;
  double weight_sum;
  size_t* index;    // where the rows are in the call
  float* weights;
  int32_t* labels;
  float* hidden;    // [rows, depth]
  float* logits;    // [rows, classes], then their gradient
};

/** Takes the next rows that count, `most` at most, from row `next` on, which moves behind them. */
void fill(Chunk& chunk, const Batch& batch, size_t most, size_t& next) {
  chunk.rows = 0;
  chunk.weight_sum = 0;
  for (; next < batch.rows && chunk.rows < most; next++) {
    if (!batch.counts(next)) continue;
    const float weight = batch.weights == nullptr ? 1 : batch.weights[next];
    chunk.index[chunk.rows] = next;
    chunk.weights[chunk.rows] = weight;
    chunk.labels[chunk.rows++] = batch.label(next);
    chunk.weight_sum += static_cast<double>(weight);
  }
}

/** soft_target_loss of the chunk, its mean over the chunk's own weights; the gradient takes the place of the logits. */
int loss_of(const imago_call* call, const Batch& batch, const Settings& settings, const Chunk& chunk, const void* teacher,
            Type teacher_type, bool with_gradient, double* result) {
  const auto number = [](const void* data, size_t length, uint32_t type) {
    return data == nullptr ? imago_buffer{} : imago_buffer{const_cast<void*>(data), length, type};
  };
  const size_t n = chunk.rows * batch.classes;
  const imago_buffer buffers[] = {
      number(chunk.logits, n, IMAGO_F32),
      number(teacher, n, teacher_type == Type::float32 ? IMAGO_F32 : IMAGO_U16),
      number(batch.labels == nullptr ? nullptr : chunk.labels, chunk.rows, IMAGO_I32),
      number(batch.weights == nullptr ? nullptr : chunk.weights, chunk.rows, IMAGO_F32),
      number(with_gradient ? chunk.logits : nullptr, n, IMAGO_F32),
      number(result, 3, IMAGO_F64),
      number(batch.mask, batch.classes, IMAGO_U8),
  };
  const double scalars[] = {static_cast<double>(chunk.rows), static_cast<double>(batch.classes), settings.temperature,
                            settings.hard_weight,            settings.ignore_index,              static_cast<double>(teacher_type)};
  static_assert(takes(sizeof buffers / sizeof *buffers, sizeof scalars / sizeof *scalars));
  imago_call inner = *call;
  inner.buffers = buffers;
  inner.scalars = scalars;
  return soft_target_loss(&inner);
}

int run(const imago_call* call, Batch& batch, const Layer& student, const Layer& teacher, const Gradients& gradients,
        const Settings& settings, double* result) {
  const size_t rows = batch.rows, classes = batch.classes, depth = student.depth;
  const bool has_logits = teacher.weight == nullptr;
  size_t counted = 0;
  for (size_t r = 0; r < rows; r++) counted += batch.counts(r) ? 1 : 0;

  const size_t most = chunk_rows(settings.chunk, counted, classes, teacher.depth < depth ? depth : teacher.depth);
  if (static_cast<double>(most) * static_cast<double>(classes) > 0x1p44)
    return refuse(call, "a chunk of %zu rows of %zu classes does not fit into memory", most, classes);
  // The teacher's own rows serve where none is left out.
  const bool in_place = has_logits && counted == rows;
  const size_t teacher_floats = in_place ? 0 : most * classes;
  const size_t floats_a = Panels::floats_a(most > classes ? most : classes, depth_block);
  const size_t floats_b = Panels::floats_b(depth > classes ? depth : classes, depth_block);
  typedef Workspace S;
  Workspace workspace(S::bytes_of<float>(most * classes) + S::bytes_of<float>(teacher_floats) +
                      2 * S::bytes_of<float>(most * depth) + S::bytes_of<float>(most * teacher.depth) +
                      S::bytes_of<float>(most) + S::bytes_of<int32_t>(most) + S::bytes_of<size_t>(most) +
                      S::bytes_of<float>(floats_a) + S::bytes_of<float>(floats_b));
  if (workspace.failed()) return refuse(call, "out of memory for a chunk of %zu rows of %zu classes", most, classes);
  Chunk chunk{};
  chunk.index = workspace.take<size_t>(most);
  chunk.weights = workspace.take<float>(most);
  chunk.labels = workspace.take<int32_t>(most);
  chunk.hidden = workspace.take<float>(most * depth);
  chunk.logits = workspace.take<float>(most * classes);
  float* const teacher_hidden = workspace.take<float>(most * teacher.depth);
  float* const teacher_logits = workspace.take<float>(teacher_floats);
  float* const hidden_gradient = workspace.take<float>(most * depth);
  const Panels panels{workspace.take<float>(floats_a), workspace.take<float>(floats_b)};

  double soft = 0, hard = 0;
  bool is_first = true;
  size_t next = 0;
  for (fill(chunk, batch, most, next); chunk.rows > 0; fill(chunk, batch, most, next)) {
    const size_t n = chunk.rows;
    gather(student.hidden, student.type, depth, chunk.index, n, chunk.hidden);
    multiply(n, classes, depth, {chunk.hidden, depth, false, Type::float32}, {student.weight, depth, true, student.type},
             {chunk.logits, classes, 1, student.bias, false}, panels);
    const void* targets = teacher_logits;
    Type targets_type = Type::float32;
    if (in_place) {
      const size_t bytes = teacher.type == Type::float32 ? sizeof(float) : sizeof(uint16_t);
      targets = static_cast<const char*>(teacher.hidden) + chunk.index[0] * classes * bytes;
      targets_type = teacher.type;
    } else if (has_logits) {
      gather(teacher.hidden, teacher.type, classes, chunk.index, n, teacher_logits);
    } else {
      gather(teacher.hidden, teacher.type, teacher.depth, chunk.index, n, teacher_hidden);
      multiply(n, classes, teacher.depth, {teacher_hidden, teacher.depth, false, Type::float32},
               {teacher.weight, teacher.depth, true, teacher.type}, {teacher_logits, classes, 1, teacher.bias, false}, panels);
    }

    double part[3];
    if (const int refused = loss_of(call, batch, settings, chunk, targets, targets_type, gradients.any(), part)) {
      // Everything else has been looked at before the first chunk.
      const Batch all = matrix(n, classes, batch.mask);
      if (const int why = check_overflow(call, all, chunk.logits, chunk.index, student_names.whole)) return why;
      if (has_logits) return refused;
      if (const int why = check_overflow(call, all, teacher_logits, chunk.index, teacher_names.whole)) return why;
      return refused;
    }
    const double share = chunk.weight_sum / batch.weight_sum;
    soft += share * part[1];
    hard += share * part[2];

    const float scale = static_cast<float>(share);
    if (gradients.bias != nullptr) sum_columns(chunk.logits, n, classes, scale, !is_first, gradients.bias);
    if (gradients.weight != nullptr)
      multiply(classes, depth, n, {chunk.logits, classes, true, Type::float32}, {chunk.hidden, depth, false, Type::float32},
               {gradients.weight, depth, scale, nullptr, !is_first}, panels);
    if (gradients.hidden != nullptr) {
      multiply(n, depth, classes, {chunk.logits, classes, false, Type::float32}, {student.weight, depth, false, student.type},
               {hidden_gradient, depth, scale, nullptr, false}, panels);
      for (size_t r = 0; r < n; r++)
        memcpy(gradients.hidden + chunk.index[r] * depth, hidden_gradient + r * depth, depth * sizeof(float));
    }
    is_first = false;
  }

  if (gradients.hidden != nullptr)
    for (size_t r = 0; r < rows; r++)
      if (!batch.counts(r)) memset(gradients.hidden + r * depth, 0, depth * sizeof(float));
  if (is_first && gradients.weight != nullptr) memset(gradients.weight, 0, classes * depth * sizeof(float));
  if (is_first && gradients.bias != nullptr) memset(gradients.bias, 0, classes * sizeof(float));
  const double a = settings.hard_weight;
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (a < 1 ? (1 - a) * soft : 0) + (a > 0 ? a * hard : 0);
  result[1] = soft;
  result[2] = hard;
  return 0;
}

bool is_type(double type, const imago_buffer& buffer) {
  return (type == 0 && buffer.type == IMAGO_F32) || ((type == 1 || type == 2) && buffer.type == IMAGO_U16);
}

}  // namespace
}  // namespace imago::IMAGO_ISA

IMAGO_KERNEL(linear_soft_target_loss) {
  const double student_type = call->scalars[7], teacher_type = call->scalars[8];
  const Settings settings{call->scalars[4], call->scalars[5], call->scalars[6], size(call, 9)};
  if (const int refused = check_temperature(call, settings.temperature)) return refused;
  if (!(settings.hard_weight >= 0 && settings.hard_weight <= 1))
    return refuse(call, "hardWeight must be in [0, 1], got %g", settings.hard_weight);
  const imago_buffer* const b = call->buffers;
  const bool has_logits = b[3].data != nullptr || b[3].type != 0;
  if (has_logits == (b[4].type != 0) || (b[4].type != 0) != (b[5].type != 0) || (has_logits && b[6].type != 0))
    return refuse(call, "the teacher comes as teacherLogits, or as teacherHidden with teacherWeight");
  if (!is_type(student_type, b[0]) || !is_type(student_type, b[1]))
    return refuse(call, "studentType %g does not fit studentHidden or studentWeight (0 float32, 1 float16, 2 bfloat16)", student_type);
  if (has_logits ? !is_type(teacher_type, b[3]) : !is_type(teacher_type, b[4]) || !is_type(teacher_type, b[5]))
    return refuse(call, "teacherType %g does not fit the teacher's buffers (0 float32, 1 float16, 2 bfloat16)", teacher_type);

  Batch batch{size(call, 0),
              size(call, 1),
              buffer<const int32_t>(call, 7),
              buffer<const float>(call, 8),
              settings.ignore_index,
              nullptr,
              buffer<const uint8_t>(call, 13)};
  const Layer student{b[0].data, b[1].data, buffer<const float>(call, 2), size(call, 2), static_cast<Type>(student_type)};
  const Layer teacher = has_logits
                            ? Layer{b[3].data, nullptr, nullptr, 0, static_cast<Type>(teacher_type)}
                            : Layer{b[4].data, b[5].data, buffer<const float>(call, 6), size(call, 3), static_cast<Type>(teacher_type)};
  const Gradients gradients{buffer<float>(call, 9), buffer<float>(call, 10), buffer<float>(call, 11)};
  if (batch.rows > 0 && (student.depth == 0 || (!has_logits && teacher.depth == 0)))
    return refuse(call, "hidden states need at least one number a row");
  if (const int refused = prepare(call, batch)) return refused;
  if (const int refused = check_layer(call, batch, student, student_names)) return refused;
  if (has_logits) {
    if (const int refused = check(call, batch, teacher_names.whole, teacher.hidden, teacher.type, Expect::softmax)) return refused;
  } else if (const int refused = check_layer(call, batch, teacher, teacher_names)) {
    return refused;
  }
  return run(call, batch, student, teacher, gradients, settings, buffer<double>(call, 12));
}
