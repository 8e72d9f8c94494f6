#include "common/guarded_parallel_for.h"

#include <atomic>
#include <exception>

#include "common/floating_point.h"
#include "common/thread_pool.h"

namespace imago {
namespace {

struct Guard {
  void (*task)(void*, size_t);
  void* context;
  std::atomic<bool> failed{false};
  std::exception_ptr error;

  void run(size_t index) {
    if (failed.load(std::memory_order_relaxed)) return;
    const DefaultFloatingPoint environment;
    try {
      task(context, index);
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
};

}  // namespace

void guarded_parallel_for(size_t count, void (*task)(void*, size_t), void* context) {
  Guard guard{task, context, {}, {}};
  parallel_for(count, [](void* raw, size_t index) { static_cast<Guard*>(raw)->run(index); }, &guard);
  if (guard.failed) std::rethrow_exception(guard.error);
}

}  // namespace imago
