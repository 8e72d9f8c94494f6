#include "addon/device.h"

#include <string>
#include <utility>

#include "addon/call.h"
#include "registry/cuda.h"
#include "registry/registry.h"

namespace imago {
namespace {

struct StreamHandle {
  int device;
  void* stream;  // null once it is disposed
  bool is_capturing;
  std::vector<std::shared_ptr<Allocation>> captured;

  ~StreamHandle() { close(); }
  void close() {
    imago_error ignored;
    if (stream != nullptr) cuda().devices->stream_destroy(device, stream, &ignored);
    stream = nullptr;
  }
  void keep(const DeviceMemory& memory) {
    if (is_capturing) captured.push_back(memory.allocation);
  }
};

struct EventHandle {
  int device;
  void* event;

  ~EventHandle() { close(); }
  void close() {
    imago_error ignored;
    if (event != nullptr) cuda().devices->event_destroy(event, &ignored);
    event = nullptr;
  }
};

struct GraphHandle {
  int device;
  void* graph;
  std::vector<std::shared_ptr<Allocation>> captured;

  ~GraphHandle() { close(); }
  void close() {
    imago_error ignored;
    if (graph != nullptr) cuda().devices->graph_destroy(graph, &ignored);
    graph = nullptr;
    captured.clear();
  }
};

/** What a handle is of: an object with a tag that no other addon has, around a C++ object. */
template <class T>
struct Tag;
template <>
struct Tag<DeviceMemory> {
  static constexpr napi_type_tag value = {0x696d61676f000001, 0x8c1f5a3e9b2d4701};
  static constexpr const char* name = "device memory";
};
template <>
struct Tag<StreamHandle> {
  static constexpr napi_type_tag value = {0x696d61676f000002, 0x8c1f5a3e9b2d4702};
  static constexpr const char* name = "a stream";
};
template <>
struct Tag<EventHandle> {
  static constexpr napi_type_tag value = {0x696d61676f000003, 0x8c1f5a3e9b2d4703};
  static constexpr const char* name = "an event";
};
template <>
struct Tag<GraphHandle> {
  static constexpr napi_type_tag value = {0x696d61676f000004, 0x8c1f5a3e9b2d4704};
  static constexpr const char* name = "a graph";
};

void must(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

/** An error of CUDA as an exception. */
void must(Napi::Env env, int failed, const imago_error& error) {
  if (failed != 0) throw Napi::Error::New(env, std::string("CUDA: ") + error.text);
}

const imago_device_table& devices(Napi::Env env) {
  if (cuda().devices == nullptr) throw Napi::Error::New(env, cuda().reason);
  return *cuda().devices;
}

template <class T>
Napi::Value wrap(Napi::Env env, T* value) {
  std::unique_ptr<T> owned(value);
  napi_value object;
  must(env, napi_create_object(env, &object));
  must(env, napi_type_tag_object(env, object, &Tag<T>::value));
  must(env, napi_wrap(env, object, owned.get(), [](napi_env, void* data, void*) { delete static_cast<T*>(data); }, nullptr, nullptr));
  owned.release();
  return Napi::Value(env, object);
}

template <class T>
T* peek(Napi::Env env, napi_value value) {
  napi_valuetype type;
  must(env, napi_typeof(env, value, &type));
  if (type != napi_object) return nullptr;
  bool is_tagged = false;
  must(env, napi_check_object_type_tag(env, value, &Tag<T>::value, &is_tagged));
  if (!is_tagged) return nullptr;
  void* data = nullptr;
  must(env, napi_unwrap(env, value, &data));
  return static_cast<T*>(data);
}

bool is_open(const DeviceMemory& memory) { return memory.allocation != nullptr; }
bool is_open(const StreamHandle& stream) { return stream.stream != nullptr; }
bool is_open(const EventHandle& event) { return event.event != nullptr; }
bool is_open(const GraphHandle& graph) { return graph.graph != nullptr; }

template <class T>
T& argument(const Napi::CallbackInfo& info, size_t i) {
  T* const value = peek<T>(info.Env(), info[i]);
  if (value == nullptr)
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(i) + " must be " + Tag<T>::name);
  if (!is_open(*value)) throw Napi::Error::New(info.Env(), std::string(Tag<T>::name) + " was disposed");
  return *value;
}

size_t whole(const Napi::CallbackInfo& info, size_t i) {
  const double value = info[i].IsNumber() ? info[i].As<Napi::Number>().DoubleValue() : -1;
  if (!(value >= 0 && value <= 0x1p53 && value == static_cast<double>(static_cast<uint64_t>(value))))
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(i) + " must be a whole number >= 0");
  return static_cast<size_t>(value);
}

int device_index(const Napi::CallbackInfo& info, size_t i) {
  devices(info.Env());
  const size_t index = whole(info, i);
  if (index >= static_cast<size_t>(cuda().count)) throw Napi::RangeError::New(info.Env(), "there is no device " + std::to_string(index));
  return static_cast<int>(index);
}

uint32_t element_type(const Napi::CallbackInfo& info, size_t i) {
  const std::string name = info[i].IsString() ? info[i].As<Napi::String>().Utf8Value() : "";
  for (uint32_t bit = 1; bit <= IMAGO_I64; bit <<= 1)
    if (name == name_of_type(bit)) return bit;
  throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(i) + " must name a typed array that kernels take");
}

size_t bytes_of(uint32_t type) {
  switch (type) {
    case IMAGO_U8: return 1;
    case IMAGO_U16: return 2;
    case IMAGO_F64:
    case IMAGO_I64: return 8;
    default: return 4;
  }
}
size_t bytes_of(const DeviceMemory& memory) { return memory.length * bytes_of(memory.type); }

void same_device(Napi::Env env, int a, int b) {
  if (a != b) throw Napi::Error::New(env, "device " + std::to_string(a) + " and device " + std::to_string(b) + " in one call");
}

struct Bytes {
  void* data;
  size_t length;
};
/** A typed array of exactly as many bytes, over memory that is not shared. */
Bytes host_bytes(const Napi::CallbackInfo& info, size_t i, size_t expected) {
  const Napi::Env env = info.Env();
  if (!info[i].IsTypedArray()) throw Napi::TypeError::New(env, "argument " + std::to_string(i) + " must be a typed array");
  napi_typedarray_type type;
  size_t length, offset;
  void* data;
  napi_value owner;
  must(env, napi_get_typedarray_info(env, info[i], &type, &length, &data, &owner, &offset));
  bool is_array_buffer = false;
  must(env, napi_is_arraybuffer(env, owner, &is_array_buffer));
  if (!is_array_buffer) throw Napi::TypeError::New(env, "argument " + std::to_string(i) + " is backed by a SharedArrayBuffer");
  const size_t bytes = info[i].As<Napi::TypedArray>().ByteLength();
  if (bytes != expected)
    throw Napi::RangeError::New(env, std::to_string(expected) + " bytes expected, got " + std::to_string(bytes));
  return {data, bytes};
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Cuda& library = cuda();
  Napi::Object result = Napi::Object::New(env);
  result["path"] = library.path;
  if (library.devices == nullptr) {
    result["reason"] = library.reason;
    return result;
  }
  Napi::Array list = Napi::Array::New(env);
  for (int i = 0; i < library.count; i++) {
    imago_device_properties p{};
    imago_error error{};
    must(env, library.devices->properties(i, &p, &error), error);
    Napi::Object device = Napi::Object::New(env);
    device["name"] = p.name;
    device["memory"] = Napi::Number::New(env, static_cast<double>(p.memory));
    device["capability"] = std::to_string(p.major) + "." + std::to_string(p.minor);
    device["multiprocessors"] = Napi::Number::New(env, p.multiprocessors);
    device["emulated"] = Napi::Boolean::New(env, p.emulated != 0);
    list[static_cast<uint32_t>(i)] = device;
  }
  Napi::Array kernels = Napi::Array::New(env);
  for (size_t i = 0; i < library.kernels->kernel_count; i++) kernels[static_cast<uint32_t>(i)] = library.kernels->kernels[i]->name;
  result["devices"] = list;
  result["kernels"] = kernels;
  return result;
}

Napi::Value allocate(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int device = device_index(info, 0);
  const uint32_t type = element_type(info, 1);
  const size_t length = whole(info, 2);
  auto allocation = std::make_shared<Allocation>(Allocation{device, nullptr, length * bytes_of(type)});
  imago_error error{};
  must(env, devices(env).allocate(device, allocation->bytes, &allocation->pointer, &error), error);
  return wrap(env, new DeviceMemory{std::move(allocation), 0, length, type});
}

/** view(memory, firstElement, length): part of the same memory. */
Napi::Value view(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DeviceMemory& memory = argument<DeviceMemory>(info, 0);
  const size_t first = whole(info, 1), length = whole(info, 2);
  if (first > memory.length || length > memory.length - first)
    throw Napi::RangeError::New(env, "elements " + std::to_string(first) + " to " + std::to_string(first + length) + " of " +
                                         std::to_string(memory.length));
  return wrap(env, new DeviceMemory{memory.allocation, memory.offset + first * bytes_of(memory.type), length, memory.type});
}

/** reinterpret(memory, byteOffset, type, length): elements of another type in the same memory. */
Napi::Value reinterpret(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DeviceMemory& memory = argument<DeviceMemory>(info, 0);
  const size_t offset = whole(info, 1), length = whole(info, 3), bytes = bytes_of(memory);
  const uint32_t type = element_type(info, 2);
  const size_t size = bytes_of(type);
  if (offset > bytes || length > (bytes - offset) / size || (memory.offset + offset) % size != 0)
    throw Napi::RangeError::New(env, "elements at byte " + std::to_string(offset) + " of " + std::to_string(bytes));
  return wrap(env, new DeviceMemory{memory.allocation, memory.offset + offset, length, type});
}

/** write(memory, stream, array, pinned) */
Napi::Value write(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DeviceMemory& memory = argument<DeviceMemory>(info, 0);
  StreamHandle& stream = argument<StreamHandle>(info, 1);
  same_device(env, memory.allocation->device, stream.device);
  const Bytes from = host_bytes(info, 2, bytes_of(memory));
  imago_error error{};
  const auto upload = info[3].ToBoolean() ? devices(env).upload_pinned : devices(env).upload;
  must(env, upload(stream.device, stream.stream, memory.data(), from.data, from.length, &error), error);
  stream.keep(memory);
  return env.Undefined();
}

/** copy(to, stream, from) */
Napi::Value copy(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DeviceMemory& to = argument<DeviceMemory>(info, 0);
  StreamHandle& stream = argument<StreamHandle>(info, 1);
  const DeviceMemory& from = argument<DeviceMemory>(info, 2);
  same_device(env, to.allocation->device, stream.device);
  same_device(env, from.allocation->device, stream.device);
  if (bytes_of(to) != bytes_of(from)) throw Napi::RangeError::New(env, "a copy is of as many bytes as its source");
  imago_error error{};
  must(env, devices(env).copy(stream.device, stream.stream, to.data(), from.data(), bytes_of(from), &error), error);
  stream.keep(to);
  stream.keep(from);
  return env.Undefined();
}

/** zero(memory, stream) */
Napi::Value zero(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const DeviceMemory& memory = argument<DeviceMemory>(info, 0);
  StreamHandle& stream = argument<StreamHandle>(info, 1);
  same_device(env, memory.allocation->device, stream.device);
  imago_error error{};
  must(env, devices(env).fill(stream.device, stream.stream, memory.data(), 0, bytes_of(memory), &error), error);
  stream.keep(memory);
  return env.Undefined();
}

/** Waits on a thread of the pool and brings what was asked for; resolves to the sentence of a refusal, or null. */
class Waiting : public Napi::AsyncWorker {
 public:
  Waiting(Napi::Env env, void* wait, void* to) : Napi::AsyncWorker(env, "imago:wait"), deferred(env), wait(wait), to(to) {}
  ~Waiting() override {
    if (wait != nullptr) end();  // never run: the environment ends
  }
  /** Keeps a value until the wait is over. */
  void hold(Napi::Value value) {
    if (value.IsObject()) held.push_back(Napi::Persistent(value.As<Napi::Object>()));
  }
  Napi::Promise promise() const { return deferred.Promise(); }

  void Execute() override {
    if (end() != 0) SetError(std::string("CUDA: ") + error.text);
  }
  void OnOK() override {
    const Napi::Env env = Env();
    deferred.Resolve(result.refused != 0 ? Napi::Value(Napi::String::New(env, result.message)) : env.Null());
  }
  void OnError(const Napi::Error& e) override { deferred.Reject(e.Value()); }

 private:
  int end() { return cuda().devices->wait_end(std::exchange(wait, nullptr), to, &result, &error); }

  Napi::Promise::Deferred deferred;
  void* wait;
  void* to;
  imago_wait_result result{};
  imago_error error{};
  std::vector<Napi::ObjectReference> held;
};

/** read(stream, memory | null, array | null, pinned): a promise of null, or of the sentence with which a kernel refused a row. */
Napi::Value read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const StreamHandle& stream = argument<StreamHandle>(info, 0);
  const void* from = nullptr;
  Bytes to = {nullptr, 0};
  if (!info[1].IsNull()) {
    const DeviceMemory& memory = argument<DeviceMemory>(info, 1);
    same_device(env, memory.allocation->device, stream.device);
    to = host_bytes(info, 2, bytes_of(memory));
    from = memory.data();
  }
  imago_error error{};
  void* wait = nullptr;
  void* const pinned = info[3].ToBoolean() ? to.data : nullptr;
  must(env, devices(env).wait_begin(stream.device, stream.stream, from, to.length, pinned, &wait, &error), error);
  auto* const worker = new Waiting(env, wait, to.data);
  worker->hold(info[0]);
  worker->hold(info[1]);
  worker->hold(info[2]);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Value stream(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int device = device_index(info, 0);
  imago_error error{};
  void* made = nullptr;
  must(env, devices(env).stream_create(device, &made, &error), error);
  return wrap(env, new StreamHandle{device, made, false, {}});
}

Napi::Value event(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int device = device_index(info, 0);
  imago_error error{};
  void* made = nullptr;
  must(env, devices(env).event_create(device, &made, &error), error);
  return wrap(env, new EventHandle{device, made});
}

/** record(event, stream) */
Napi::Value record(const Napi::CallbackInfo& info) {
  const EventHandle& event = argument<EventHandle>(info, 0);
  const StreamHandle& stream = argument<StreamHandle>(info, 1);
  imago_error error{};
  same_device(info.Env(), event.device, stream.device);
  must(info.Env(), devices(info.Env()).event_record(stream.device, event.event, stream.stream, &error), error);
  return info.Env().Undefined();
}

/** wait(stream, event) */
Napi::Value wait(const Napi::CallbackInfo& info) {
  const StreamHandle& stream = argument<StreamHandle>(info, 0);
  const EventHandle& event = argument<EventHandle>(info, 1);
  imago_error error{};
  must(info.Env(), devices(info.Env()).stream_wait(stream.device, stream.stream, event.event, &error), error);
  return info.Env().Undefined();
}

/** elapsed(from, to): milliseconds; both have come. */
Napi::Value elapsed(const Napi::CallbackInfo& info) {
  const EventHandle& from = argument<EventHandle>(info, 0);
  const EventHandle& to = argument<EventHandle>(info, 1);
  imago_error error{};
  float milliseconds = 0;
  must(info.Env(), devices(info.Env()).event_elapsed(from.event, to.event, &milliseconds, &error), error);
  return Napi::Number::New(info.Env(), milliseconds);
}

/** finished(stream or event) */
Napi::Value finished(const Napi::CallbackInfo& info) {
  imago_error error{};
  int is_finished = 0;
  if (peek<EventHandle>(info.Env(), info[0]) != nullptr) {
    must(info.Env(), devices(info.Env()).event_query(argument<EventHandle>(info, 0).event, &is_finished, &error), error);
  } else {
    const StreamHandle& stream = argument<StreamHandle>(info, 0);
    must(info.Env(), devices(info.Env()).stream_query(stream.device, stream.stream, &is_finished, &error), error);
  }
  return Napi::Boolean::New(info.Env(), is_finished != 0);
}

/** begin(stream): what it is given from here on becomes a graph. */
Napi::Value begin(const Napi::CallbackInfo& info) {
  StreamHandle& stream = argument<StreamHandle>(info, 0);
  imago_error error{};
  must(info.Env(), devices(info.Env()).capture_begin(stream.device, stream.stream, &error), error);
  stream.is_capturing = true;
  return info.Env().Undefined();
}

/** end(stream): the graph. */
Napi::Value end(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  StreamHandle& stream = argument<StreamHandle>(info, 0);
  stream.is_capturing = false;
  std::vector<std::shared_ptr<Allocation>> captured = std::move(stream.captured);
  stream.captured.clear();
  imago_error error{};
  void* graph = nullptr;
  must(env, devices(env).capture_end(stream.device, stream.stream, &graph, &error), error);
  return wrap(env, new GraphHandle{stream.device, graph, std::move(captured)});
}

/** launch(graph, stream) */
Napi::Value launch(const Napi::CallbackInfo& info) {
  const GraphHandle& graph = argument<GraphHandle>(info, 0);
  const StreamHandle& stream = argument<StreamHandle>(info, 1);
  imago_error error{};
  same_device(info.Env(), graph.device, stream.device);
  must(info.Env(), devices(info.Env()).graph_launch(stream.device, graph.graph, stream.stream, &error), error);
  return info.Env().Undefined();
}

/** pinned(bytes): an ArrayBuffer in memory that a device reads and writes by itself. */
Napi::Value pinned(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const size_t bytes = whole(info, 0);
  imago_error error{};
  void* memory = nullptr;
  must(env, devices(env).allocate_pinned(bytes, &memory, &error), error);
  const auto release = [](napi_env, void* data, void*) {
    imago_error ignored;
    cuda().devices->release_pinned(data, &ignored);
  };
  napi_value buffer;
  const napi_status status = napi_create_external_arraybuffer(env, memory, bytes, release, nullptr, &buffer);
  if (status != napi_ok) {
    imago_error ignored;
    devices(env).release_pinned(memory, &ignored);
    throw Napi::Error::New(env, "this Node has no array buffers over memory of others (napi_create_external_arraybuffer)");
  }
  return Napi::Value(env, buffer);
}

Napi::Value free_memory(const Napi::CallbackInfo& info) {
  const int device = device_index(info, 0);
  imago_error error{};
  uint64_t bytes = 0;
  must(info.Env(), devices(info.Env()).free_memory(device, &bytes, &error), error);
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}

Napi::Value trim(const Napi::CallbackInfo& info) {
  const int device = device_index(info, 0);
  imago_error error{};
  must(info.Env(), devices(info.Env()).trim(device, &error), error);
  return info.Env().Undefined();
}

/** dispose(handle): again and again is once. */
Napi::Value dispose(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (DeviceMemory* const memory = peek<DeviceMemory>(env, info[0]))
    memory->allocation = nullptr;
  else if (StreamHandle* const stream = peek<StreamHandle>(env, info[0]))
    stream->close();
  else if (EventHandle* const event = peek<EventHandle>(env, info[0]))
    event->close();
  else if (GraphHandle* const graph = peek<GraphHandle>(env, info[0]))
    graph->close();
  else
    throw Napi::TypeError::New(env, "dispose(handle) takes what this binding has made");
  return env.Undefined();
}

/** call(kernel, buffers, scalars, stream) */
Napi::Value call_cuda(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  devices(env);
  const Entry& entry = find_kernel(env, info[0]);
  const imago_kernel* const kernel = find_cuda(entry.description->name);
  if (kernel == nullptr) throw Napi::Error::New(env, std::string(entry.description->name) + ": there is no CUDA kernel of this name in " + cuda().path);
  call_on_device(info, *kernel, 1);
  return env.Undefined();
}

}  // namespace

Allocation::~Allocation() {
  imago_error ignored;
  if (pointer != nullptr) cuda().devices->release(device, pointer, &ignored);
}

void call_on_device(const Napi::CallbackInfo& info, const imago_kernel& kernel, size_t first) {
  const Napi::Env env = info.Env();
  StreamHandle& stream = argument<StreamHandle>(info, first + 2);
  imago_error error{};
  must(env, devices(env).use(stream.device, &error), error);
  const OnDevice on = {stream.stream, [&](const DeviceMemory& memory) {
                         same_device(env, memory.allocation->device, stream.device);
                         stream.keep(memory);
                       }};
  call(env, kernel, kernel.cuda, info[first], info[first + 1], &on);
}

DeviceMemory* device_memory(Napi::Env env, napi_value value) { return peek<DeviceMemory>(env, value); }

Napi::Object cuda_binding(Napi::Env env) {
  Napi::Object binding = Napi::Object::New(env);
  const auto add = [&]<Napi::Value (*function)(const Napi::CallbackInfo&)>(const char* name) {
    binding[name] = Napi::Function::New<guarded<function>>(env, name);
  };
  add.operator()<describe>("describe");
  add.operator()<allocate>("allocate");
  add.operator()<view>("view");
  add.operator()<reinterpret>("reinterpret");
  add.operator()<write>("write");
  add.operator()<copy>("copy");
  add.operator()<zero>("zero");
  add.operator()<read>("read");
  add.operator()<stream>("stream");
  add.operator()<event>("event");
  add.operator()<record>("record");
  add.operator()<wait>("wait");
  add.operator()<elapsed>("elapsed");
  add.operator()<finished>("finished");
  add.operator()<begin>("begin");
  add.operator()<end>("end");
  add.operator()<launch>("launch");
  add.operator()<pinned>("pinned");
  add.operator()<free_memory>("freeMemory");
  add.operator()<trim>("trim");
  add.operator()<dispose>("dispose");
  add.operator()<call_cuda>("call");
  return binding;
}

}  // namespace imago
