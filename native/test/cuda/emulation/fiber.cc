#include "fiber.h"

#include <cstdint>

#if defined(__x86_64__) && !defined(_WIN32)

// The registers that a function must keep (System V ABI) go onto the old stack and come from the new one.
asm(R"(
  .text
  .p2align 4
imago_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
extern "C" void imago_emulation_switch(void** from, void* to) __asm__("imago_emulation_switch");

namespace emulation {

void prepare(Fiber& fiber, void* stack, size_t bytes, void (*entry)()) {
  auto top = reinterpret_cast<uintptr_t>(stack) + bytes;
  auto* words = reinterpret_cast<uint64_t*>(top & ~uintptr_t{15});
  *--words = 0;                                     // where entry would return to; also aligns its frame
  *--words = reinterpret_cast<uint64_t>(entry);     // what `ret` jumps to
  for (int i = 0; i < 6; i++) *--words = 0;
  fiber.stack_pointer = words;
}

void switch_to(Fiber& from, Fiber& to) { imago_emulation_switch(&from.stack_pointer, to.stack_pointer); }

}  // namespace emulation

#else

#include <ucontext.h>

namespace emulation {
namespace {
ucontext_t* context_of(Fiber& fiber) {
  if (fiber.context == nullptr) fiber.context = new ucontext_t;
  return static_cast<ucontext_t*>(fiber.context);
}
}  // namespace

void prepare(Fiber& fiber, void* stack, size_t bytes, void (*entry)()) {
  ucontext_t* const context = context_of(fiber);
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
}

void switch_to(Fiber& from, Fiber& to) { swapcontext(context_of(from), context_of(to)); }

}  // namespace emulation
#endif
