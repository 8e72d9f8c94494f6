/*
 * A library with the faults that sanitizers look for. npm run test:sanitize calls them first and asks for a report: a sanitizer that does not
 * look finds nothing.
 */
#include <imago/kernel.h>
#include <stdlib.h>

static volatile size_t one = 1;

/* out has one element; this reads the second. */
static int outside(const imago_call* call) {
  double* out = call->buffers[0].data;
  out[0] = out[one];
  return 0;
}

static int overflow(const imago_call* call) {
  volatile int largest = 0x7fffffff;
  ((double*)call->buffers[0].data)[0] = largest + (int)one;
  return 0;
}

static void add(void* context, size_t index) { *(double*)context += (double)index; }

/* Every task adds to the same number. */
static int race(const imago_call* call) {
  call->parallel_for(100000, add, call->buffers[0].data);
  return 0;
}

static const imago_buffer_spec out[] = {{"out", IMAGO_F64, 0, 1, {-1, -1, -1, -1}}};
static const imago_kernel rows[] = {
    {sizeof(imago_kernel), "outside", 1, out, 0, NULL, outside, NULL},
    {sizeof(imago_kernel), "overflow", 1, out, 0, NULL, overflow, NULL},
    {sizeof(imago_kernel), "race", 1, out, 0, NULL, race, NULL},
};
static const imago_kernel* const kernels[] = {&rows[0], &rows[1], &rows[2]};
static const imago_library library = {IMAGO_ABI_VERSION, sizeof library, "planted", "0", 3, kernels};

const imago_library* imago_kernels(void) { return &library; }
