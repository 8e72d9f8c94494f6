#include "common/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>

namespace imago {
namespace {

/** Inside a task. A task that asks for the pool again computes alone: trying the lock that one holds oneself is undefined. */
thread_local bool in_task = false;

struct Job {
  void (*task)(void*, size_t);
  void* context;
  size_t count;
  std::atomic<size_t> next{0};

  void work() {
    const bool nested = in_task;
    in_task = true;
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) task(context, i);
    in_task = nested;
  }
};

/** Threads that wait for a job. Never destroyed: a process that exits does not wait for them. */
class Pool {
 public:
  explicit Pool(size_t helpers) {
    for (size_t i = 0; i < helpers; i++) {
      // A process at its limit of threads computes with those it got.
      try {
        std::thread([this] { serve(); }).detach();
      } catch (const std::system_error&) {
        return;
      }
      helpers_++;
    }
  }

  void run(Job& job) {
    // Callers from several worker threads do not queue up behind one another: the one who comes second works alone.
    const std::unique_lock<std::mutex> owner(busy_, std::try_to_lock);
    if (!owner.owns_lock() || helpers_ == 0) return job.work();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      turn_++;
    }
    wake_.notify_all();
    job.work();
    std::unique_lock<std::mutex> lock(mutex_);
    // Helpers that have not looked at the job by now shall not: it lives on this stack.
    job_ = nullptr;
    idle_.wait(lock, [this] { return working_ == 0; });
  }

 private:
  void serve() {
    size_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return turn_ != seen; });
      seen = turn_;
      Job* const job = job_;
      if (job == nullptr) continue;
      working_++;
      lock.unlock();
      job->work();
      lock.lock();
      if (--working_ == 0) idle_.notify_one();
    }
  }

  std::mutex busy_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  Job* job_ = nullptr;
  size_t turn_ = 0;
  size_t working_ = 0;
  size_t helpers_ = 0;
};

/** 0 until somebody asks. */
std::atomic<size_t> configured{0};

Pool& pool() {
  static Pool* const instance = new Pool(thread_count() - 1);
  return *instance;
}

}  // namespace

size_t thread_count() {
  const size_t asked = configured.load(std::memory_order_relaxed);
  if (asked != 0) return asked;
  // Memory-bound kernels gain nothing from more.
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16);
}

bool configure_threads(const char* text) {
  char* end = nullptr;
  const long count = std::strtol(text, &end, 10);
  if (*end != '\0' || count < 1 || count > 256) return false;
  // The first environment of the process decides; workers inherit the variable anyway.
  size_t unset = 0;
  configured.compare_exchange_strong(unset, static_cast<size_t>(count));
  return true;
}

void parallel_for(size_t count, void (*task)(void*, size_t), void* context) {
  Job job{task, context, count, {}};
  if (count < 2 || in_task || thread_count() < 2) return job.work();
  pool().run(job);
}

}  // namespace imago
