#include "grid.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "fiber.h"

namespace emulation {

thread_local Here here;

namespace {

constexpr size_t stack_bytes = 128 * 1024;
constexpr unsigned most_threads = 1024, warp_size = 32;

enum class State : uint8_t { ready, at_block, at_warp, ended };

struct Thread {
  Fiber fiber;
  uint3 index;
  State state;
  unsigned mask;
};

struct Warp {
  uint64_t values[warp_size];
};

/** What a thread of the process needs to run blocks; made on first use. */
struct Machine {
  unsigned char* stacks;
  Thread threads[most_threads];
  Warp warps[most_threads / warp_size];
  Fiber scheduler;
  unsigned count = 0;
  unsigned current = 0;
  unsigned agreed = 0;  // threads at the barrier whose predicate is true
  unsigned result = 0;
  const char* problem = nullptr;
  char text[256];
  void (*body)(void*) = nullptr;
  void* context = nullptr;

  Machine() {
    stacks = static_cast<unsigned char*>(mmap(nullptr, most_threads * stack_bytes, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (stacks == MAP_FAILED) std::abort();
  }
  ~Machine() { munmap(stacks, most_threads * stack_bytes); }

  void leave(State state) {
    Thread& thread = threads[current];
    thread.state = state;
    switch_to(thread.fiber, scheduler);
  }

  void enter(unsigned i) {
    current = i;
    here.thread = threads[i].index;
    switch_to(scheduler, threads[i].fiber);
  }

  /** Lets go the lanes of a warp that wait for each other; true where there were some. */
  bool release(unsigned first, unsigned end) {
    bool any = false;
    unsigned seen = 0;  // lanes of the groups that have been looked at
    for (unsigned i = first; i < end; i++) {
      if (threads[i].state != State::at_warp || (seen >> (i - first) & 1)) continue;
      const unsigned mask = threads[i].mask;
      seen |= mask;
      bool complete = true;
      for (unsigned rest = mask; rest != 0 && complete; rest &= rest - 1) {
        const unsigned l = static_cast<unsigned>(__builtin_ctz(rest));
        if (first + l >= end || threads[first + l].state == State::ended) {
          std::snprintf(text, sizeof text, "the mask %#x of thread %u names lane %u, which has ended or does not exist", mask, i, l);
          problem = text;
          return false;
        }
        complete = threads[first + l].state == State::at_warp && threads[first + l].mask == mask;
      }
      if (!complete) continue;
      for (unsigned rest = mask; rest != 0; rest &= rest - 1)
        threads[first + static_cast<unsigned>(__builtin_ctz(rest))].state = State::ready;
      any = true;
    }
    return any;
  }

  void run_warp(unsigned first, unsigned end, bool backwards) {
    do {
      for (unsigned k = first; k < end; k++) {
        const unsigned i = backwards ? end - 1 - (k - first) : k;
        if (threads[i].state == State::ready) enter(i);
      }
    } while (release(first, end));
  }

  /** Where nothing more can run: all ended, all at the barrier, or stuck. True while there is more to do. */
  bool next_phase() {
    unsigned ended = 0, waiting = 0, stuck = 0;
    for (unsigned i = 0; i < count; i++) {
      if (threads[i].state == State::ended) ended++;
      if (threads[i].state == State::at_block) waiting++;
      if (threads[i].state == State::at_warp) stuck = i + 1;
    }
    if (problem != nullptr) return false;
    if (stuck != 0) {
      std::snprintf(text, sizeof text, "thread %u waits for the lanes %#x of its warp, which do not come (%u threads at __syncthreads, %u ended)",
                    stuck - 1, threads[stuck - 1].mask, waiting, ended);
      problem = text;
      return false;
    }
    if (ended == count) return false;
    result = agreed;
    agreed = 0;
    for (unsigned i = 0; i < count; i++)
      if (threads[i].state == State::at_block) threads[i].state = State::ready;
    return true;
  }
};

Machine& machine() {
  static thread_local std::unique_ptr<Machine> instance;
  if (instance == nullptr) instance = std::make_unique<Machine>();
  return *instance;
}

void entry() {
  Machine& m = machine();
  m.body(m.context);
  m.leave(State::ended);
}

/** IMAGO_EMULATION_ORDER=reverse runs blocks, warps and lanes backwards: what differs then was a race. */
bool reversed() {
  static const char* const order = std::getenv("IMAGO_EMULATION_ORDER");
  return order != nullptr && std::strcmp(order, "reverse") == 0;
}

uint3 place(unsigned i, const dim3& size) { return {i % size.x, i / size.x % size.y, i / size.x / size.y}; }

}  // namespace

const char* run_grid(dim3 grid, dim3 block, size_t shared_bytes, void (*body)(void*), void* context) {
  Machine& m = machine();
  m.count = block.x * block.y * block.z;
  m.body = body;
  m.context = context;
  m.problem = nullptr;
  const bool backwards = reversed();
  std::vector<unsigned char> shared(shared_bytes + 128);
  auto* const base = reinterpret_cast<unsigned char*>((reinterpret_cast<uintptr_t>(shared.data()) + 127) & ~uintptr_t{127});
  const unsigned blocks = grid.x * grid.y * grid.z;
  for (unsigned k = 0; k < blocks && m.problem == nullptr; k++) {
    here = {{}, place(backwards ? blocks - 1 - k : k, grid), block, grid, base};
    std::memset(base, 0xff, shared_bytes);  // NaN: shared memory is not zeroed
    for (unsigned i = 0; i < m.count; i++) {
      m.threads[i].index = place(i, block);
      m.threads[i].state = State::ready;
      prepare(m.threads[i].fiber, m.stacks + i * stack_bytes, stack_bytes, entry);
    }
    do {
      const unsigned warps = (m.count + warp_size - 1) / warp_size;
      for (unsigned w = 0; w < warps && m.problem == nullptr; w++) {
        const unsigned first = (backwards ? warps - 1 - w : w) * warp_size;
        m.run_warp(first, first + warp_size < m.count ? first + warp_size : m.count, backwards);
      }
    } while (m.next_phase());
  }
  return m.problem;
}

unsigned barrier(bool predicate) {
  Machine& m = machine();
  if (predicate) m.agreed++;
  m.leave(State::at_block);
  return m.result;
}

unsigned lane() { return machine().current % warp_size; }

const uint64_t* exchange(unsigned mask, uint64_t value) {
  Machine& m = machine();
  Warp& warp = m.warps[m.current / warp_size];
  warp.values[m.current % warp_size] = value;
  settle(mask);
  return warp.values;
}

void settle(unsigned mask) {
  Machine& m = machine();
  m.threads[m.current].mask = mask;
  m.leave(State::at_warp);
}

}  // namespace emulation
