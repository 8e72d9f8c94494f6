// Streams, events, graphs and memory of the emulated device.
#include <cuda_runtime.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

using Work = std::function<void()>;

struct emulated_graph {
  std::shared_ptr<std::vector<Work>> nodes;
};

namespace {

/** A queue and how far it has been run. Shared with the events that were recorded on it, which may outlive the stream. */
struct Queue {
  std::mutex lock;  // of what follows
  std::deque<Work> waiting;
  uint64_t enqueued = 0, finished = 0;
  std::recursive_mutex running;  // held by who runs the queue

  uint64_t end() {
    const std::lock_guard guard(lock);
    return enqueued;
  }
  bool is_finished(uint64_t position) {
    const std::lock_guard guard(lock);
    return finished >= position;
  }
  bool step() {
    Work work;
    {
      const std::lock_guard guard(lock);
      if (waiting.empty()) return false;
      work = std::move(waiting.front());
      waiting.pop_front();
    }
    work();
    const std::lock_guard guard(lock);
    finished++;
    return true;
  }
  void run(uint64_t position) {
    const std::lock_guard guard(running);
    while (!is_finished(position) && step()) {}
  }
};

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

struct State {
  std::mutex lock;
  std::set<cudaStream_t> streams;
  std::unordered_map<void*, size_t> memory;
  size_t used = 0;
  /** A kernel that went wrong spoils the device, as it does on a real one. */
  cudaError_t broken = cudaSuccess;
};
State& state() {
  static State* const instance = new State;  // leaked: threads may outlive static destructors
  return *instance;
}

constexpr int devices = 1;
constexpr size_t total_memory = size_t{8} << 30, guard_bytes = 256;

cudaError_t report(cudaError_t error) {
  if (error == cudaSuccess) error = state().broken;
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

}  // namespace

struct emulated_stream {
  std::shared_ptr<Queue> queue = std::make_shared<Queue>();
  std::shared_ptr<std::vector<Work>> captured;
};

struct emulated_event {
  std::shared_ptr<Queue> queue;
  uint64_t position = 0;
  std::shared_ptr<double> time = std::make_shared<double>(0);  // ms
};

namespace {

emulated_stream& real(cudaStream_t stream) {
  static emulated_stream* const legacy = new emulated_stream;
  return stream == nullptr ? *legacy : *stream;
}

void run_everything() {
  std::vector<std::shared_ptr<Queue>> queues;
  {
    const std::lock_guard guard(state().lock);
    for (cudaStream_t stream : state().streams) queues.push_back(stream->queue);
  }
  queues.push_back(real(nullptr).queue);
  for (const auto& queue : queues) queue->run(queue->end());
}

bool is_alive(cudaStream_t stream) {
  const std::lock_guard guard(state().lock);
  return stream == nullptr || state().streams.count(stream) > 0;
}

void fail(const char* problem) {
  std::fprintf(stderr, "emulated GPU: %s\n", problem);
  state().broken = cudaErrorLaunchFailure;
}

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

namespace emulation {

cudaError_t enqueue(cudaStream_t stream, Work work) {
  if (!is_alive(stream)) return report(cudaErrorInvalidValue);
  emulated_stream& s = real(stream);
  if (s.captured != nullptr) {
    s.captured->push_back(std::move(work));
    return cudaSuccess;
  }
  const std::lock_guard guard(s.queue->lock);
  s.queue->waiting.push_back(std::move(work));
  s.queue->enqueued++;
  return report(cudaSuccess);
}

cudaError_t enqueue_grid(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, std::function<void()> thread) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  const bool fits = threads >= 1 && threads <= 1024 && block.z <= 64 && grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 &&
                    grid.y <= 65535 && grid.z >= 1 && grid.z <= 65535 && shared_bytes <= 227 * 1024;
  if (!fits) return report(cudaErrorInvalidValue);
  return enqueue(stream, [=, thread = std::move(thread)] {
    if (state().broken != cudaSuccess) return;
    const char* const problem = run_grid(
        grid, block, shared_bytes, [](void* f) { (*static_cast<const std::function<void()>*>(f))(); },
        const_cast<std::function<void()>*>(&thread));
    if (problem != nullptr) fail(problem);
  });
}

}  // namespace emulation

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
  }
  return "unknown error";
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = state().broken;
  return error;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
  // IMAGO_EMULATION_DEVICES=0 is a machine with a driver and no device.
  const char* const asked = std::getenv("IMAGO_EMULATION_DEVICES");
  *count = asked == nullptr ? devices : std::atoi(asked);
  return *count > 0 ? cudaSuccess : report(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count)) return error;
  if (device < 0 || device >= count) return report(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated (no GPU)", total_memory, 0, 0, 4, 4 << 20, 227 * 1024};
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 0;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard guard(state().lock);
  *total = total_memory;
  *free = total_memory - state().used;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  run_everything();
  return report(cudaSuccess);
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  {
    const std::lock_guard guard(state().lock);
    if (bytes > total_memory - state().used) return report(cudaErrorMemoryAllocation);
  }
  // NaN, whatever it is read as: device memory is not zeroed. The guards tell who wrote beside it.
  const size_t whole = (bytes + 2 * guard_bytes + 255) & ~size_t{255};
  auto* const base = static_cast<unsigned char*>(std::aligned_alloc(256, whole));
  if (base == nullptr) return report(cudaErrorMemoryAllocation);
  std::memset(base, 0xff, whole);
  std::memset(base, 0x5a, guard_bytes);
  std::memset(base + guard_bytes + bytes, 0x5a, whole - guard_bytes - bytes);
  *pointer = base + guard_bytes;
  const std::lock_guard guard(state().lock);
  state().memory.emplace(*pointer, bytes);
  state().used += bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  run_everything();
  size_t bytes;
  {
    const std::lock_guard guard(state().lock);
    const auto found = state().memory.find(pointer);
    if (found == state().memory.end()) return report(cudaErrorInvalidValue);
    bytes = found->second;
    state().memory.erase(found);
    state().used -= bytes;
  }
  auto* const base = static_cast<unsigned char*>(pointer) - guard_bytes;
  const size_t whole = (bytes + 2 * guard_bytes + 255) & ~size_t{255};
  for (size_t i = 0; i < whole; i++)
    if ((i < guard_bytes || i >= guard_bytes + bytes) && base[i] != 0x5a) {
      fail("something wrote outside of an allocation");
      break;
    }
  std::free(base);
  return report(cudaSuccess);
}
cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  *pointer = std::malloc(bytes == 0 ? 1 : bytes);
  return *pointer == nullptr ? report(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaFreeHost(void* pointer) {
  run_everything();
  std::free(pointer);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  return emulation::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  return emulation::enqueue(stream, [=] { std::memset(to, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new emulated_stream;
  const std::lock_guard guard(state().lock);
  state().streams.insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!is_alive(stream)) return report(cudaErrorInvalidValue);
  stream->queue->run(stream->queue->end());
  {
    const std::lock_guard guard(state().lock);
    state().streams.erase(stream);
  }
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!is_alive(stream)) return report(cudaErrorInvalidValue);
  emulated_stream& s = real(stream);
  if (s.captured != nullptr) return report(cudaErrorStreamCaptureUnsupported);
  s.queue->run(s.queue->end());
  return report(cudaSuccess);
}
/** Asking moves the work on by one step, so that who polls gets there. */
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (!is_alive(stream)) return report(cudaErrorInvalidValue);
  Queue& queue = *real(stream).queue;
  const uint64_t end = queue.end();
  if (queue.is_finished(end)) return report(cudaSuccess);
  const std::lock_guard guard(queue.running);
  queue.step();
  return cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->queue == nullptr) return cudaSuccess;
  return emulation::enqueue(stream, [queue = event->queue, position = event->position] { queue->run(position); });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new emulated_event;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!is_alive(stream)) return report(cudaErrorInvalidValue);
  emulated_stream& s = real(stream);
  if (s.captured != nullptr) return report(cudaErrorStreamCaptureUnsupported);
  event->time = std::make_shared<double>(0);
  const cudaError_t error = emulation::enqueue(stream, [time = event->time] { *time = now(); });
  event->queue = s.queue;
  event->position = s.queue->end();
  return error;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->queue != nullptr) event->queue->run(event->position);
  return report(cudaSuccess);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event->queue == nullptr || event->queue->is_finished(event->position)) return report(cudaSuccess);
  const std::lock_guard guard(event->queue->running);
  event->queue->step();
  return cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  for (const cudaEvent_t event : {from, to}) {
    if (event->queue == nullptr) return report(cudaErrorInvalidValue);
    if (!event->queue->is_finished(event->position)) return report(cudaErrorNotReady);
  }
  *milliseconds = static_cast<float>(*to->time - *from->time);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!is_alive(stream) || stream == nullptr || stream->captured != nullptr) return report(cudaErrorStreamCaptureUnsupported);
  stream->captured = std::make_shared<std::vector<Work>>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!is_alive(stream) || stream == nullptr || stream->captured == nullptr) return report(cudaErrorInvalidValue);
  *graph = new emulated_graph{std::move(stream->captured)};
  stream->captured = nullptr;
  return report(cudaSuccess);
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = stream != nullptr && stream->captured != nullptr ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new emulated_graph{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return emulation::enqueue(stream, [nodes = executable->nodes] {
    for (const Work& work : *nodes) work();
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

namespace imago::cuda {

float from_float16(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float sign = bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  return sign * (exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24) : std::ldexp(1024.0f + static_cast<float>(fraction), exponent - 25));
}

uint16_t to_float16(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const float magnitude = std::fabs(x);
  if (x != x) return 0x7fff;
  if (magnitude == 0) return sign;
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const int step = std::max(exponent - 11, -24);  // the last place
  const auto units = static_cast<unsigned>(std::nearbyint(std::ldexp(magnitude, -step)));
  // Units of a denormal count from 0; those of a normal number from 1024, and 2048 carries into the exponent by itself.
  return static_cast<uint16_t>(sign | (step == -24 ? units : units + (static_cast<unsigned>(step + 24) << 10)));
}

}  // namespace imago::cuda
