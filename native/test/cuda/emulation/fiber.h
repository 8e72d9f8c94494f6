// Fibers: stacks of their own on one operating system thread, switched by hand.
#pragma once
#include <cstddef>

namespace emulation {

struct Fiber {
  void* stack_pointer = nullptr;
#if !defined(__x86_64__) || defined(_WIN32)
  void* context = nullptr;  // a ucontext_t
#endif
};

/** Makes `fiber` call entry() on this stack when it is first switched to. entry must not return. */
void prepare(Fiber& fiber, void* stack, size_t bytes, void (*entry)());

/** Keeps where we are in `from` and goes on in `to`. */
void switch_to(Fiber& from, Fiber& to);

}  // namespace emulation
