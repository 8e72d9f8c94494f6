/* A library with nothing wrong: kernels that answer, refuse, refuse without a word, and use the pool. */
#include <imago/kernel.h>
#include <stdio.h>
#include <string.h>

struct scale {
  const imago_call* call;
  size_t n;
};

static void scale_chunk(void* context, size_t chunk) {
  const struct scale* scale = context;
  const imago_call* call = scale->call;
  const size_t end = (chunk + 1) * 1000 < scale->n ? (chunk + 1) * 1000 : scale->n;
  for (size_t i = chunk * 1000; i < end; i++) {
    const double bias = call->buffers[1].data == NULL ? 0 : ((const double*)call->buffers[1].data)[i];
    if (call->buffers[0].type == IMAGO_F32)
      ((double*)call->buffers[2].data)[i] = call->scalars[0] * ((const float*)call->buffers[0].data)[i] + bias;
    else
      ((double*)call->buffers[2].data)[i] = call->scalars[0] * ((const uint16_t*)call->buffers[0].data)[i] + bias;
  }
}

/* out = factor * x + bias */
static int scale(const imago_call* call) {
  struct scale context = {call, (size_t)call->scalars[1] * (size_t)call->scalars[2]};
  call->parallel_for((context.n + 999) / 1000, scale_chunk, &context);
  return 0;
}

/* 1: a sentence; 2: none; 3: one that fills the room and does not end; 4: in the words of a row that is refused; 5: not UTF-8 */
static int refuse(const imago_call* call) {
  const int how = (int)call->scalars[0];
  if (how == 1) snprintf(call->message, call->message_size, "seven is not a number that I like");
  if (how == 3) memset(call->message, 'x', call->message_size);
  if (how == 4) snprintf(call->message, call->message_size, "student: NaN in row 3");
  if (how == 5) snprintf(call->message, call->message_size, "caf\xe9");
  return how;
}

/* What the call says of itself: struct_size, whether there is a pool, whether there is a stream */
static int inspect(const imago_call* call) {
  double* out = call->buffers[0].data;
  out[0] = (double)call->struct_size;
  out[1] = call->parallel_for != NULL;
  out[2] = call->stream != NULL;
  return 0;
}

static int on_device(const imago_call* call) { return call->stream == NULL; }

static const imago_scalar_spec scale_scalars[] = {{"factor", IMAGO_REAL}, {"rows", IMAGO_SIZE}, {"columns", IMAGO_SIZE}};
static const imago_buffer_spec scale_buffers[] = {
    {"x", IMAGO_F32 | IMAGO_U16, 0, 1, {1, 2, -1, -1}},
    {"bias", IMAGO_F64, 1, 1, {1, 2, -1, -1}},
    {"out", IMAGO_F64, 0, 1, {1, 2, -1, -1}},
};
static const imago_scalar_spec refuse_scalars[] = {{"how", IMAGO_SIZE}};
static const imago_buffer_spec three[] = {{"out", IMAGO_F64, 0, 3, {-1, -1, -1, -1}}};

static const imago_kernel scale_kernel = {sizeof(imago_kernel), "scale", 3, scale_buffers, 3, scale_scalars, scale, NULL};
static const imago_kernel refuse_kernel = {sizeof(imago_kernel), "refuse", 1, three, 1, refuse_scalars, refuse, NULL};
/* As a library of an older header had it: the struct ends before cuda. */
static const imago_kernel inspect_kernel = {offsetof(imago_kernel, cuda), "inspect", 1, three, 0, NULL, inspect, on_device};
static const imago_kernel device_kernel = {sizeof(imago_kernel), "on_device", 1, three, 0, NULL, NULL, on_device};
/* As a library of a newer header will have it: the struct goes on. */
static const struct {
  imago_kernel kernel;
  double more[4];
} newer = {{sizeof newer, "newer", 1, three, 0, NULL, inspect, NULL}, {1, 2, 3, 4}};

static const imago_kernel* const kernels[] = {&scale_kernel, &refuse_kernel, &inspect_kernel, &device_kernel, &newer.kernel};
static const imago_library library = {IMAGO_ABI_VERSION, sizeof library, "good", "1.2.3", 5, kernels};

const imago_library* imago_kernels(void) { return &library; }
