// What the functions over devices share: the handles that JavaScript holds, how they are wrapped, and how arguments are read.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/device.h"
#include "registry/cuda.h"
#include "registry/registry.h"

namespace imago {

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

/** Throws what Node-API has to say. */
inline void must(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

/** An error of CUDA as an exception. */
inline void must(Napi::Env env, int failed, const imago_error& error) {
  if (failed != 0) throw Napi::Error::New(env, std::string("CUDA: ") + error.text);
}

inline const imago_device_table& devices(Napi::Env env) {
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

inline bool is_open(const DeviceMemory& memory) { return memory.allocation != nullptr; }
inline bool is_open(const StreamHandle& stream) { return stream.stream != nullptr; }
inline bool is_open(const EventHandle& event) { return event.event != nullptr; }
inline bool is_open(const GraphHandle& graph) { return graph.graph != nullptr; }

template <class T>
T& argument(const Napi::CallbackInfo& info, size_t i) {
  T* const value = peek<T>(info.Env(), info[i]);
  if (value == nullptr)
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(i) + " must be " + Tag<T>::name);
  if (!is_open(*value)) throw Napi::Error::New(info.Env(), std::string(Tag<T>::name) + " was disposed");
  return *value;
}

inline size_t whole(const Napi::CallbackInfo& info, size_t i) {
  const double value = info[i].IsNumber() ? info[i].As<Napi::Number>().DoubleValue() : -1;
  if (!(value >= 0 && value <= 0x1p53 && value == static_cast<double>(static_cast<uint64_t>(value))))
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(i) + " must be a whole number >= 0");
  return static_cast<size_t>(value);
}

inline int device_index(const Napi::CallbackInfo& info, size_t i) {
  devices(info.Env());
  const size_t index = whole(info, i);
  if (index >= static_cast<size_t>(cuda().count)) throw Napi::RangeError::New(info.Env(), "there is no device " + std::to_string(index));
  return static_cast<int>(index);
}

inline void same_device(Napi::Env env, int a, int b) {
  if (a != b) throw Napi::Error::New(env, "device " + std::to_string(a) + " and device " + std::to_string(b) + " in one call");
}

/** Adds functions to the binding, each guarded (call.h). */
struct Functions {
  Napi::Env env;
  Napi::Object binding;
  template <Napi::Value (*function)(const Napi::CallbackInfo&)>
  void add(const char* name) {
    binding[name] = Napi::Function::New<guarded<function>>(env, name);
  }
};

/** Memory: allocate, view, reinterpret, write, copy, zero, read, pinned, freeMemory, trim. */
void add_memory_functions(Functions functions);
/** Streams, events and graphs: stream, event, record, wait, elapsed, finished, begin, end, launch. */
void add_stream_functions(Functions functions);

}  // namespace imago
