/*
 * The α-divergence of a teacher p from a student q (Wang, Gong, Li, Chandra & Liu, "AlphaNet", ICML 2021, §3):
 *
 *   D(p || q) = [ sum_c q_c (p_c / q_c)^a - 1 ] / (a (a - 1)),    p = softmax(v / T),  q = softmax(z / T)
 *
 * a → 1 is KL(p || q), a → 0 KL(q || p), a = 1/2 four times the squared Hellinger distance. The loss is sum w T² D / sum w, as that of
 * the soft targets, and its gradient with respect to z is  - w T / a · (t_c - q_c · sum t) / sum w  with t_c = q_c (p_c / q_c)^a.
 */
#include <imago/kernel.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The positions of what the tables at the end describe. */
enum { STUDENT, TEACHER, ROW_WEIGHTS, GRADIENT, RESULT };
enum { ROWS, CLASSES, TEMPERATURE, ALPHA };

struct job {
  const imago_call* call;
  size_t rows, classes, rows_per_chunk;
  double temperature, alpha;
  double sum_of_weights;
  double* partial; /* by chunk */
};

static float* f32(const imago_call* call, int position) { return call->buffers[position].data; }

static double weight_of(const imago_call* call, size_t row) {
  const float* weights = f32(call, ROW_WEIGHTS);
  return weights == NULL ? 1 : weights[row];
}

/* ln sum exp(x_c / T), in nats. */
static double log_partition(const float* x, size_t classes, double temperature) {
  double max = -INFINITY, sum = 0;
  for (size_t c = 0; c < classes; c++) max = fmax(max, x[c] / temperature);
  for (size_t c = 0; c < classes; c++) sum += exp(x[c] / temperature - max);
  return max + log(sum);
}

/* q (r^a - 1) with ln r = log_p - log_q: by expm1 where the two are close, for the plain difference has lost everything at high T. */
static double excess(double a, double log_p, double log_q) {
  const double u = log_p - log_q;
  return fabs(u) < 1 ? exp(log_q) * expm1(a * u) : exp(a * log_p + (1 - a) * log_q) - exp(log_q);
}

/* One row: its T² D; and where there is a gradient, `share` times that of the row. */
static double row_loss(const struct job* job, size_t row, double share) {
  const float* z = f32(job->call, STUDENT) + row * job->classes;
  const float* v = f32(job->call, TEACHER) + row * job->classes;
  const double T = job->temperature, a = job->alpha;
  const double log_zq = log_partition(z, job->classes, T), log_zp = log_partition(v, job->classes, T);
  double divergence = 0;
  for (size_t c = 0; c < job->classes; c++) {
    const double log_p = v[c] / T - log_zp, log_q = z[c] / T - log_zq;
    /* a (p - q) sums to 0, and taken off here it leaves terms that are never negative. */
    divergence += excess(a, log_p, log_q) - a * excess(1, log_p, log_q);
  }
  if (f32(job->call, GRADIENT) != NULL) {
    float* gradient = f32(job->call, GRADIENT) + row * job->classes;
    for (size_t c = 0; c < job->classes; c++) {
      const double log_p = v[c] / T - log_zp, log_q = z[c] / T - log_zq;
      gradient[c] = (float)(-share * T / a * (excess(a, log_p, log_q) - exp(log_q) * divergence));
    }
  }
  return T * T * divergence / (a * (a - 1));
}

static void chunk(void* context, size_t index) {
  const struct job* job = context;
  const size_t first = index * job->rows_per_chunk;
  const size_t end = first + job->rows_per_chunk < job->rows ? first + job->rows_per_chunk : job->rows;
  double sum = 0;
  for (size_t row = first; row < end; row++) {
    const double weight = weight_of(job->call, row);
    if (weight > 0) {
      const double share = weight / job->sum_of_weights;
      sum += share * row_loss(job, row, share);
    } else if (f32(job->call, GRADIENT) != NULL) {
      for (size_t c = 0; c < job->classes; c++) f32(job->call, GRADIENT)[row * job->classes + c] = 0;
    }
  }
  job->partial[index] = sum;
}

/* Refusals: a sentence, and a status that is not 0. One about a row is written like this and becomes a NumericError that names it. */
static int check_rows(const imago_call* call, int position, const char* name, size_t rows, size_t classes) {
  for (size_t row = 0; row < rows; row++) {
    if (!(weight_of(call, row) > 0)) continue;
    for (size_t c = 0; c < classes; c++) {
      const float x = f32(call, position)[row * classes + c];
      if (isfinite(x)) continue;
      const char* what = isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity";
      snprintf(call->message, call->message_size, "%s: %s in row %zu", name, what, row);
      return 1;
    }
  }
  return 0;
}

static int alpha_divergence(const imago_call* call) {
  struct job job = {call, (size_t)call->scalars[ROWS], (size_t)call->scalars[CLASSES], 1, call->scalars[TEMPERATURE],
                    call->scalars[ALPHA], 0, NULL};
  if (!(job.temperature >= 1e-3 && job.temperature <= 1e6)) {
    snprintf(call->message, call->message_size, "temperature must be in [1e-3, 1e6], got %g", job.temperature);
    return 1;
  }
  if (!(job.alpha > 0 && job.alpha <= 8) || job.alpha == 1) {
    snprintf(call->message, call->message_size, "alpha must be in (0, 8] and not 1 (which is KL: klDivergence), got %g", job.alpha);
    return 1;
  }
  if (check_rows(call, STUDENT, "student", job.rows, job.classes)) return 1;
  if (check_rows(call, TEACHER, "teacher", job.rows, job.classes)) return 1;
  for (size_t row = 0; row < job.rows; row++) job.sum_of_weights += weight_of(call, row);

  /* Chunks by the problem alone and their sums in order: the same bits from any number of threads. */
  job.rows_per_chunk = 1 + 4096 / (job.classes + 1);
  const size_t chunks = (job.rows + job.rows_per_chunk - 1) / job.rows_per_chunk;
  job.partial = malloc((chunks + 1) * sizeof(double));
  if (job.partial == NULL) {
    snprintf(call->message, call->message_size, "out of memory for %zu partial sums", chunks);
    return 1;
  }
  call->parallel_for(chunks, chunk, &job);
  double value = 0;
  for (size_t i = 0; i < chunks; i++) value += job.partial[i];
  free(job.partial);
  *(double*)call->buffers[RESULT].data = value;
  return 0;
}

/* What imago checks before it calls, and what loadKernels(…).call takes by name. */
static const imago_scalar_spec scalars[] = {
    [ROWS] = {"rows", IMAGO_SIZE},
    [CLASSES] = {"classes", IMAGO_SIZE},
    [TEMPERATURE] = {"temperature", IMAGO_REAL},
    [ALPHA] = {"alpha", IMAGO_REAL},
};
static const imago_buffer_spec buffers[] = {
    [STUDENT] = {"student", IMAGO_F32, 0, 1, {ROWS, CLASSES, -1}},
    [TEACHER] = {"teacher", IMAGO_F32, 0, 1, {ROWS, CLASSES, -1}},
    [ROW_WEIGHTS] = {"rowWeights", IMAGO_F32, 1, 1, {ROWS, -1}},
    [GRADIENT] = {"gradient", IMAGO_F32, 1, 1, {ROWS, CLASSES, -1}},
    [RESULT] = {"result", IMAGO_F64, 0, 1, {-1}},
};
static const imago_kernel kernel = {
    .struct_size = sizeof(imago_kernel),
    .name = "alpha_divergence",
    .buffer_count = sizeof buffers / sizeof *buffers,
    .buffers = buffers,
    .scalar_count = sizeof scalars / sizeof *scalars,
    .scalars = scalars,
    .cpu = alpha_divergence,
};
static const imago_kernel* const kernels[] = {&kernel};
static const imago_library library = {
    .abi_version = IMAGO_ABI_VERSION,
    .struct_size = sizeof(imago_library),
    .name = "alpha-divergence",
    .version = "1.0.0",
    .kernel_count = sizeof kernels / sizeof *kernels,
    .kernels = kernels,
};

const imago_library* imago_kernels(void) { return &library; }
