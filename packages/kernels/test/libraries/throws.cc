// Kernels that do what they must not: throw, in the call or in a task; leave the floating-point environment changed.
#include <imago/kernel.h>

#include <xmmintrin.h>

#include <atomic>
#include <cstdio>
#include <new>
#include <stdexcept>

namespace {

void fail(int how) {
  if (how == 1) throw std::bad_alloc();
  if (how == 2) throw std::runtime_error("thrown by a kernel");
  if (how == 3) throw 42;
}

int in_call(const imago_call* call) {
  fail(static_cast<int>(call->scalars[0]));
  return 0;
}

// out[0] is the number of tasks that ended in spite of it.
int in_task(const imago_call* call) {
  struct Context {
    int how;
    std::atomic<int> ended{0};
  } context{static_cast<int>(call->scalars[0])};
  call->parallel_for(
      100,
      [](void* raw, size_t i) {
        Context& c = *static_cast<Context*>(raw);
        if (i % 7 == 3) fail(c.how);
        c.ended++;
      },
      &context);
  static_cast<double*>(call->buffers[0].data)[0] = context.ended;
  return 0;
}

// Tasks that ask for the pool themselves: out[0] = 10 · 20 · 30.
int nested(const imago_call* call) {
  struct Context {
    const imago_call* call;
    std::atomic<int> count{0};
  } context{call};
  call->parallel_for(
      10,
      [](void* outer, size_t) {
        static_cast<Context*>(outer)->call->parallel_for(
            20,
            [](void* middle, size_t) {
              static_cast<Context*>(middle)->call->parallel_for(
                  30, [](void* inner, size_t) { static_cast<Context*>(inner)->count++; }, middle);
            },
            outer);
      },
      &context);
  static_cast<double*>(call->buffers[0].data)[0] = context.count;
  return 0;
}

// out[0] is the mode found (MXCSR without its flags); leaves round up, flush to zero, denormals are zero, here and on the pool.
int spoil(const imago_call* call) {
  static_cast<double*>(call->buffers[0].data)[0] = _mm_getcsr() & ~0x3fu;
  const unsigned spoilt = 0x1f80 | 0x4000 | 0x8040;
  call->parallel_for(64, [](void*, size_t) { _mm_setcsr(0x1f80 | 0x4000 | 0x8040); }, nullptr);
  _mm_setcsr(spoilt);
  return 0;
}

const imago_scalar_spec how[] = {{"how", IMAGO_SIZE}};
const imago_buffer_spec out[] = {{"out", IMAGO_F64, 0, 1, {-1, -1, -1, -1}}};
const imago_kernel table[] = {
    {sizeof(imago_kernel), "in_call", 1, out, 1, how, in_call, nullptr},
    {sizeof(imago_kernel), "in_task", 1, out, 1, how, in_task, nullptr},
    {sizeof(imago_kernel), "nested", 1, out, 0, nullptr, nested, nullptr},
    {sizeof(imago_kernel), "spoil", 1, out, 0, nullptr, spoil, nullptr},
};
const imago_kernel* const kernels[] = {&table[0], &table[1], &table[2], &table[3]};
const imago_library library = {IMAGO_ABI_VERSION, sizeof library, "throws", "0", 4, kernels};

}  // namespace

extern "C" const imago_library* imago_kernels() { return &library; }
