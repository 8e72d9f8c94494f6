// Device memory: made, cut, filled, copied and read.
#include <utility>

#include "addon/device_handles.h"

namespace imago {
namespace {

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

}  // namespace

void add_memory_functions(Functions functions) {
  functions.add<allocate>("allocate");
  functions.add<view>("view");
  functions.add<reinterpret>("reinterpret");
  functions.add<write>("write");
  functions.add<copy>("copy");
  functions.add<zero>("zero");
  functions.add<read>("read");
  functions.add<pinned>("pinned");
  functions.add<free_memory>("freeMemory");
  functions.add<trim>("trim");
}

}  // namespace imago
