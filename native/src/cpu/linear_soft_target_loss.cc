// soft_target_loss of the logits h·Wᵀ + b, and its gradients by h, W and b, some rows at a time: nobody's logit matrix exists as
// a whole. What remains of it is a chunk, in which the logits turn into their gradient and into products with W and h.
#include <stdlib.h>

#include "common/gemm.h"
#include "common/row_loss.h"
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

/** All memory that a call takes, in one piece. */
class Workspace {
 public:
  /** Bytes of everything that `take` will be asked for, each a multiple of 64. */
  __attribute__((always_inline)) explicit Workspace(size_t bytes) : memory_(malloc(bytes + 64)) {
    next_ = static_cast<char*>(memory_) + (64 - reinterpret_cast<uintptr_t>(memory_) % 64);
  }
  __attribute__((always_inline)) ~Workspace() { free(memory_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  __attribute__((always_inline)) bool failed() const { return memory_ == nullptr; }
  template <class T>
  __attribute__((always_inline)) T* take(size_t count) {
    T* const p = reinterpret_cast<T*>(next_);
    next_ += bytes_of<T>(count);
    return p;
  }
  template <class T>
  IMAGO_INLINE size_t bytes_of(size_t count) {
    return round_up(count * sizeof(T), 64);
  }

 private:
  void* memory_;
  char* next_;
};

template <class Source>
void copy_rows(const void* from, size_t columns, const size_t* index, size_t rows, float* out) {
  const auto* const data = static_cast<const typename Source::Element*>(from);
  parallel(rows, Chunks::of(rows, columns, 1), [&](size_t, size_t first, size_t end) {
    for (size_t r = first; r < end; r++) {
      const auto* const p = data + index[r] * columns;
      float* const q = out + r * columns;
      size_t i = 0;
      for (; i + W <= columns; i += W) store(q + i, Source::read(p + i));
      if (i < columns) store_part(q + i, columns - i, read_part<Source>(p + i, columns - i, 0));
    }
  });
}

/** Rows `index` of a matrix of any type, as float32. */
void gather(const void* from, Type type, size_t columns, const size_t* index, size_t rows, float* out) {
  if (type == Type::float32) return copy_rows<Float32>(from, columns, index, rows, out);
  if (type == Type::float16) return copy_rows<Float16>(from, columns, index, rows, out);
  copy_rows<Bfloat16>(from, columns, index, rows, out);
}

/** out = scale·(sums of the columns of x) [+ out]. */
void sum_columns(const float* x, size_t rows, size_t columns, float scale, bool accumulate, float* out) {
  parallel(columns, Chunks::of(columns, rows, W), [&](size_t, size_t first, size_t end) {
    for (size_t c = first; c < end; c += W) {
      const size_t width = least(W, end - c);
      const auto read = [&](const float* p) { return width == W ? load(p) : load_part(p, width, 0); };
      Sum total;
      for (size_t r = 0; r < rows; r += 64) {
        F part{};
        for (size_t i = r; i < least(r + 64, rows); i++) part += read(x + i * columns + c);
        total.add(part);
      }
      const F sum = fma(total.value(), all(scale), accumulate ? read(out + c) : F{});
      if (width == W)
        store(out + c, sum);
      else
        store_part(out + c, width, sum);
    }
  });
}

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

int run(const imago_call* call, Batch& batch, const Layer& student, const Layer& teacher, const Gradients& gradients,
        const Settings& settings, double* result) {
  const size_t rows = batch.rows, classes = batch.classes, depth = student.depth;
  const bool has_logits = teacher.weight == nullptr;
  size_t counted = 0;
  for (size_t r = 0; r < rows; r++) counted += batch.counts(r) ? 1 : 0;

  const size_t deepest = has_logits || teacher.depth < depth ? depth : teacher.depth;
  const size_t chunk = chunk_rows(settings.chunk, counted, classes, deepest);
  if (static_cast<double>(chunk) * static_cast<double>(classes) > 0x1p44)
    return refuse(call, "a chunk of %zu rows of %zu classes does not fit into memory", chunk, classes);
  // The teacher's own rows serve where none is left out.
  const bool copies = has_logits && counted < rows;
  const size_t teacher_floats = has_logits ? (copies ? chunk * classes : 0) : chunk * classes;
  const size_t widest = depth > classes ? depth : classes;
  const size_t tallest = chunk > classes ? chunk : classes;
  const size_t floats_a = Panels::floats_a(tallest, depth_block), floats_b = Panels::floats_b(widest, depth_block);
  typedef Workspace S;
  Workspace workspace(S::bytes_of<float>(chunk * classes) + S::bytes_of<float>(teacher_floats) +
                      2 * S::bytes_of<float>(chunk * depth) + S::bytes_of<float>(has_logits ? 0 : chunk * teacher.depth) +
                      S::bytes_of<float>(chunk) + S::bytes_of<int32_t>(chunk) + S::bytes_of<size_t>(chunk) +
                      S::bytes_of<float>(floats_a) + S::bytes_of<float>(floats_b));
  if (workspace.failed()) return refuse(call, "out of memory for a chunk of %zu rows of %zu classes", chunk, classes);
  float* const logits = workspace.take<float>(chunk * classes);
  float* const teacher_logits = workspace.take<float>(teacher_floats);
  float* const hidden = workspace.take<float>(chunk * depth);
  float* const hidden_gradient = workspace.take<float>(chunk * depth);
  float* const teacher_hidden = workspace.take<float>(has_logits ? 0 : chunk * teacher.depth);
  float* const weights = workspace.take<float>(chunk);
  int32_t* const labels = workspace.take<int32_t>(chunk);
  size_t* const index = workspace.take<size_t>(chunk);
  const Panels panels{workspace.take<float>(floats_a), workspace.take<float>(floats_b)};

  double soft = 0, hard = 0;
  bool is_first = true;
  for (size_t next = 0; next < rows;) {
    size_t n = 0;
    double weight_sum = 0;
    for (; next < rows && n < chunk; next++) {
      if (!batch.counts(next)) continue;
      index[n] = next;
      weights[n] = batch.weights == nullptr ? 1 : batch.weights[next];
      labels[n] = batch.label(next);
      weight_sum += static_cast<double>(weights[n++]);
    }
    if (n == 0) break;
    const double share = weight_sum / batch.weight_sum;

    gather(student.hidden, student.type, depth, index, n, hidden);
    multiply(n, classes, depth, {hidden, depth, false, Type::float32}, {student.weight, depth, true, student.type},
             {logits, classes, 1, student.bias, false}, panels);
    const void* targets = teacher_logits;
    Type targets_type = Type::float32;
    if (!has_logits) {
      gather(teacher.hidden, teacher.type, teacher.depth, index, n, teacher_hidden);
      multiply(n, classes, teacher.depth, {teacher_hidden, teacher.depth, false, Type::float32},
               {teacher.weight, teacher.depth, true, teacher.type}, {teacher_logits, classes, 1, teacher.bias, false}, panels);
    } else if (copies) {
      gather(teacher.hidden, teacher.type, classes, index, n, teacher_logits);
    } else {
      const size_t bytes = teacher.type == Type::float32 ? sizeof(float) : sizeof(uint16_t);
      targets = static_cast<const char*>(teacher.hidden) + index[0] * classes * bytes;
      targets_type = teacher.type;
    }

    double part[3];
    const auto number = [](auto* data, size_t length, uint32_t type) {
      return imago_buffer{const_cast<void*>(static_cast<const void*>(data)), data == nullptr ? 0 : length, data == nullptr ? 0 : type};
    };
    const imago_buffer buffers[] = {
        number(logits, n * classes, IMAGO_F32),
        number(targets, n * classes, targets_type == Type::float32 ? IMAGO_F32 : IMAGO_U16),
        number(batch.labels == nullptr ? nullptr : labels, n, IMAGO_I32),
        number(batch.weights == nullptr ? nullptr : weights, n, IMAGO_F32),
        number(gradients.any() ? logits : nullptr, n * classes, IMAGO_F32),
        number(part, 3, IMAGO_F64),
        number(batch.mask, classes, IMAGO_U8),
    };
    const double scalars[] = {static_cast<double>(n), static_cast<double>(classes), settings.temperature,
                              settings.hard_weight,   settings.ignore_index,        static_cast<double>(targets_type)};
    static_assert(takes(sizeof buffers / sizeof *buffers, sizeof scalars / sizeof *scalars));
    imago_call of_chunk = *call;
    of_chunk.buffers = buffers;
    of_chunk.scalars = scalars;
    if (const int refused = soft_target_loss(&of_chunk)) {
      // Everything else has been looked at before the first chunk.
      const Batch all = matrix(n, classes, batch.mask);
      if (const int why = check_overflow(call, all, logits, index, student_names.whole)) return why;
      if (has_logits) return refused;
      if (const int why = check_overflow(call, all, teacher_logits, index, teacher_names.whole)) return why;
      return refused;
    }
    soft += share * part[1];
    hard += share * part[2];

    // The chunk's mean is over its own weights.
    const float scale = static_cast<float>(share);
    if (gradients.bias != nullptr) sum_columns(logits, n, classes, scale, !is_first, gradients.bias);
    if (gradients.weight != nullptr)
      multiply(classes, depth, n, {logits, classes, true, Type::float32}, {hidden, depth, false, Type::float32},
               {gradients.weight, depth, scale, nullptr, !is_first}, panels);
    if (gradients.hidden != nullptr) {
      multiply(n, depth, classes, {logits, classes, false, Type::float32}, {student.weight, depth, false, student.type},
               {hidden_gradient, depth, scale, nullptr, false}, panels);
      for (size_t r = 0; r < n; r++)
        memcpy(gradients.hidden + index[r] * depth, hidden_gradient + r * depth, depth * sizeof(float));
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
