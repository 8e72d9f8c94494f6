#include "addon/device.h"

#include "addon/device_handles.h"

namespace imago {
namespace {

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
  Functions functions{env, binding};
  functions.add<describe>("describe");
  functions.add<dispose>("dispose");
  functions.add<call_cuda>("call");
  add_memory_functions(functions);
  add_stream_functions(functions);
  return binding;
}

}  // namespace imago
