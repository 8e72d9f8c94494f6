// Streams and what belongs to one: the word in which kernels report rows, and scratch memory. Graphs take both over from the stream that
// captured them, since the addresses are in their nodes.
#include <algorithm>
#include <cstring>
#include <memory>
#include <unordered_map>

#include "cuda/runtime.h"

namespace imago::cuda {
namespace {

/** Device memory of a stream or a graph; freed in close(). */
struct Belongings {
  int device = 0;
  unsigned long long* word = nullptr;  // word[0] is reported to, word[1] is where it is taken to
  void* scratch = nullptr;
  size_t scratch_bytes = 0;
  std::vector<void*> outgrown;  // scratch that a graph still names

  void close() {
    imago_error ignored;
    for (void* const pointer : outgrown) release(device, pointer, &ignored);
    if (scratch != nullptr) release(device, scratch, &ignored);
    if (word != nullptr) release(device, word, &ignored);
    *this = {};
  }
};

struct Stream {
  Belongings own;
  unsigned long long calls = 0;  // since the word was taken
  bool is_capturing = false;
};

struct Graph {
  cudaGraphExec_t executable;
  Belongings own;
};

struct Wait {
  int device;
  cudaEvent_t event;
  unsigned char* staging;  // the word, then at data_offset what was asked for
  size_t bytes;
};
constexpr size_t data_offset = 64;
constexpr unsigned long long most_calls = (1ull << (64 - status_call_shift)) - 1;

struct Streams {
  std::mutex lock;
  std::unordered_map<cudaStream_t, std::unique_ptr<Stream>> all;
};
Streams& streams() {
  static Streams* const instance = new Streams;  // leaked: threads may outlive static destructors
  return *instance;
}

/** What belongs to a stream; made on first sight for one that somebody else created. Null: no memory. */
Stream* find(int device, cudaStream_t handle) {
  Stream* stream;
  {
    const std::lock_guard guard(streams().lock);
    std::unique_ptr<Stream>& one = streams().all[handle];
    if (one == nullptr) {
      one = std::make_unique<Stream>();
      one->own.device = device;
    }
    stream = one.get();
  }
  if (stream->own.word == nullptr) {
    imago_error ignored;
    void* memory = nullptr;
    if (allocate(device, 2 * sizeof(unsigned long long), &memory, &ignored) != 0) return nullptr;
    if (cudaMemsetAsync(memory, 0xff, 2 * sizeof(unsigned long long), handle) != cudaSuccess) return nullptr;
    stream->own.word = static_cast<unsigned long long*>(memory);
  }
  return stream;
}

unsigned long long next_call(Stream& stream) {
  const unsigned long long number = std::min(stream.calls++, most_calls);
  return number << status_call_shift;
}

Stream* stream_of(const imago_call* call) {
  int current = 0;
  return cudaGetDevice(&current) == cudaSuccess ? find(current, stream(call)) : nullptr;
}

cudaStream_t cast(void* stream) { return static_cast<cudaStream_t>(stream); }

}  // namespace

Status status_of(const imago_call* call, const char* kernel) {
  Stream* const stream = stream_of(call);
  if (stream == nullptr) return {nullptr, 0};
  return {stream->own.word, next_call(*stream) | number_of(kernel)};
}

void* scratch(const imago_call* call, size_t bytes) {
  Stream* const stream = stream_of(call);
  if (stream == nullptr) return nullptr;
  Belongings& own = stream->own;
  if (bytes > own.scratch_bytes || own.scratch == nullptr) {
    imago_error ignored;
    void* more = nullptr;
    const size_t size = std::max(bytes, own.scratch_bytes + own.scratch_bytes / 2);
    if (allocate(own.device, size, &more, &ignored) != 0) return nullptr;
    if (own.scratch != nullptr) {
      if (stream->is_capturing)
        own.outgrown.push_back(own.scratch);
      else
        release(own.device, own.scratch, &ignored);
    }
    own.scratch = more;
    own.scratch_bytes = size;
  }
  return own.scratch;
}

std::vector<cudaStream_t> streams_of(int device) {
  std::vector<cudaStream_t> found;
  const std::lock_guard guard(streams().lock);
  for (const auto& [handle, stream] : streams().all)
    if (stream->own.device == device && !stream->is_capturing) found.push_back(handle);
  return found;
}

int stream_create(int device, void** stream, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  cudaStream_t handle;
  if (const cudaError_t code = cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking)) return answer(error, code);
  if (find(device, handle) == nullptr) {
    imago_error ignored;
    stream_destroy(device, handle, &ignored);
    return answer(error, cudaErrorMemoryAllocation);
  }
  *stream = handle;
  return 0;
}

int stream_destroy(int device, void* stream, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  // Waits: its own memory goes back without an event on it.
  const cudaError_t waited = cudaStreamSynchronize(cast(stream));
  std::unique_ptr<Stream> gone;
  {
    const std::lock_guard guard(streams().lock);
    const auto found = streams().all.find(cast(stream));
    if (found != streams().all.end()) {
      gone = std::move(found->second);
      streams().all.erase(found);
    }
  }
  if (gone != nullptr) gone->own.close();
  const cudaError_t destroyed = cudaStreamDestroy(cast(stream));
  return answer(error, waited == cudaSuccess ? destroyed : waited);
}

int capture_begin(int device, void* stream, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  Stream* const own = find(device, cast(stream));
  if (own == nullptr) return answer(error, cudaErrorMemoryAllocation);
  // Relaxed: memory may be allocated meanwhile, which is not part of the graph.
  if (const cudaError_t code = cudaStreamBeginCapture(cast(stream), cudaStreamCaptureModeRelaxed)) return answer(error, code);
  own->is_capturing = true;
  return 0;
}

int capture_end(int device, void* stream, void** graph, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  Stream* const own = find(device, cast(stream));
  cudaGraph_t nodes = nullptr;
  cudaError_t code = cudaStreamEndCapture(cast(stream), &nodes);
  if (own != nullptr) own->is_capturing = false;
  if (code != cudaSuccess) return answer(error, code);
  if (own == nullptr) return answer(error, cudaErrorInvalidValue);
  cudaGraphExec_t executable;
  code = cudaGraphInstantiate(&executable, nodes, 0);
  cudaGraphDestroy(nodes);
  if (code != cudaSuccess) return answer(error, code);
  *graph = new Graph{executable, own->own};
  own->own = {};
  own->own.device = device;
  own->calls = 0;
  return 0;
}

int graph_launch(int device, void* graph, void* stream, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  Stream* const own = find(device, cast(stream));
  if (own == nullptr) return answer(error, cudaErrorMemoryAllocation);
  const Graph& launched = *static_cast<Graph*>(graph);
  if (const cudaError_t code = cudaGraphLaunch(launched.executable, cast(stream))) return answer(error, code);
  return answer(error, merge_status(launched.own.word, own->own.word, next_call(*own), cast(stream)));
}

int graph_destroy(void* graph, imago_error* error) {
  Graph* const gone = static_cast<Graph*>(graph);
  const int device = gone->own.device;
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  const int failed = answer(error, cudaGraphExecDestroy(gone->executable));
  gone->own.close();
  delete gone;
  return failed;
}

int wait_begin(int device, void* stream, const void* from, size_t bytes, void* pinned, void** wait, imago_error* error) {
  if (const cudaError_t code = cudaSetDevice(device)) return answer(error, code);
  Stream* const own = find(device, cast(stream));
  if (own == nullptr) return answer(error, cudaErrorMemoryAllocation);
  auto begun = std::make_unique<Wait>();
  begun->device = device;
  begun->bytes = pinned == nullptr ? bytes : 0;
  void* staging = nullptr;
  if (const cudaError_t code = take_staging(data_offset + begun->bytes, &staging)) return answer(error, code);
  begun->staging = static_cast<unsigned char*>(staging);
  cudaError_t code = cudaEventCreateWithFlags(&begun->event, cudaEventBlockingSync | cudaEventDisableTiming);
  if (code != cudaSuccess) {
    give_staging(staging);
    return answer(error, code);
  }
  unsigned long long* const word = own->own.word;
  code = take_status(word, word + 1, cast(stream));
  if (code == cudaSuccess) code = cudaMemcpyAsync(staging, word + 1, sizeof *word, cudaMemcpyDeviceToHost, cast(stream));
  if (code == cudaSuccess && bytes > 0)
    code = cudaMemcpyAsync(pinned == nullptr ? begun->staging + data_offset : pinned, from, bytes, cudaMemcpyDeviceToHost, cast(stream));
  if (code == cudaSuccess) code = cudaEventRecord(begun->event, cast(stream));
  if (code != cudaSuccess) {
    cudaEventDestroy(begun->event);
    cudaFreeHost(staging);  // waits for what may still write there
    return answer(error, code);
  }
  own->calls = 0;
  *wait = begun.release();
  return 0;
}

int wait_end(void* wait, void* to, imago_wait_result* result, imago_error* error) {
  const std::unique_ptr<Wait> done(static_cast<Wait*>(wait));
  cudaError_t code = cudaSetDevice(done->device);
  if (code == cudaSuccess) code = cudaEventSynchronize(done->event);
  cudaEventDestroy(done->event);
  result->refused = 0;
  if (code == cudaSuccess) {
    unsigned long long word;
    std::memcpy(&word, done->staging, sizeof word);
    if (word != no_status) {
      result->refused = 1;
      explain(word, result->message, sizeof result->message);
    }
    if (to != nullptr && done->bytes > 0) std::memcpy(to, done->staging + data_offset, done->bytes);
  }
  give_staging(done->staging);
  return answer(error, code);
}

}  // namespace imago::cuda
