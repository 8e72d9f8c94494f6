// N-API glue: unpack, check, call, pack. No arithmetic here. The face is packages/kernels/src/binding.ts.
#include <napi.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "addon/call.h"
#include "addon/device.h"
#include "addon/libraries.h"
#include "common/thread_pool.h"
#include "registry/registry.h"

namespace imago {
namespace {

/** What one environment (the main thread or a worker) has of its own. */
struct Instance {
  Isa isa = best_isa();
  Libraries libraries;
};

Instance& instance(Napi::Env env) { return *env.GetInstanceData<Instance>(); }

Napi::Value call_builtin(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 3) throw Napi::TypeError::New(env, "call(kernel, buffers, scalars) takes three arguments");
  const Entry& entry = find_kernel(env, info[0]);
  call(env, *entry.description, entry.cpu[static_cast<int>(instance(env).isa)], info[1], info[2]);
  return env.Undefined();
}

/**
 * A kernel as a function of its own, (scalars, ...buffers): no name to look up, no arrays to take apart. Not by Napi::CallbackInfo, which
 * allocates for more than six arguments.
 */
napi_value call_entry(napi_env env, napi_callback_info info) {
  napi_value values[1 + IMAGO_MAX_BUFFERS];
  size_t count = 1 + IMAGO_MAX_BUFFERS;
  void* entry = nullptr;
  if (napi_get_cb_info(env, info, &count, values, nullptr, &entry) != napi_ok) return nullptr;
  try {
    const Entry& kernel = *static_cast<const Entry*>(entry);
    call(env, *kernel.description, kernel.cpu[static_cast<int>(instance(env).isa)], values, count);
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (const Interrupted&) {
    // An exception is pending, or the environment ends.
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  } catch (...) {
    napi_throw_error(env, nullptr, "a kernel threw something that is not an exception");
  }
  return nullptr;
}

Napi::Object functions(Napi::Env env) {
  Napi::Object all = Napi::Object::New(env);
  for (const Entry& entry : entries()) {
    napi_value function;
    const char* const name = entry.description->name;
    // An entry is never written through, and outlives every environment.
    void* const data = const_cast<void*>(static_cast<const void*>(&entry));
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, call_entry, data, &function) != napi_ok) throw Napi::Error::New(env);
    all[name] = Napi::Value(env, function);
  }
  return all;
}

Napi::Value kernels(const Napi::CallbackInfo& info) {
  const auto all = entries();
  Napi::Array names = Napi::Array::New(info.Env(), all.size());
  for (uint32_t i = 0; i < all.size(); i++) names[i] = all[i].description->name;
  return names;
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array available = Napi::Array::New(env);
  for (size_t i = 0; i < isa_count; i++)
    if (is_available(static_cast<Isa>(i))) available[available.Length()] = name_of(static_cast<Isa>(i));
  Napi::Object result = Napi::Object::New(env);
  result["isa"] = name_of(instance(env).isa);
  result["available"] = available;
  result["threads"] = Napi::Number::New(env, static_cast<double>(thread_count()));
  return result;
}

void choose_isa(Napi::Env env, const std::string& name, const char* who) {
  if (!parse_isa(name, instance(env).isa))
    throw Napi::Error::New(env, std::string(who) + ": '" + name + "' is not available here; choose one of " +
                                    available_isas(", "));
}

Napi::Value set_isa(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsString())
    throw Napi::TypeError::New(info.Env(), "setIsa(isa) takes the name of an instruction set");
  choose_isa(info.Env(), info[0].As<Napi::String>(), "setIsa");
  return info.Env().Undefined();
}

Napi::Value load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 1 || !info[0].IsString())
    throw Napi::TypeError::New(env, "loadLibrary(path) takes the absolute path of a library");
  return load_library(env, instance(env).libraries, info[0].As<Napi::String>());
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance);
  // Read here and once: a process chooses before it loads the addon.
  const char* isa = std::getenv("IMAGO_CPU_ISA");
  if (isa != nullptr && *isa != '\0') choose_isa(env, isa, "IMAGO_CPU_ISA");
  const char* threads = std::getenv("IMAGO_NUM_THREADS");
  if (threads != nullptr && *threads != '\0' && !configure_threads(threads))
    throw Napi::Error::New(env, std::string("IMAGO_NUM_THREADS must be a whole number in [1, 256], got '") + threads + "'");

  exports["abiVersion"] = Napi::Number::New(env, IMAGO_ABI_VERSION);
  exports["kernels"] = Napi::Function::New<guarded<kernels>>(env, "kernels");
  exports["info"] = Napi::Function::New<guarded<describe>>(env, "info");
  exports["setIsa"] = Napi::Function::New<guarded<set_isa>>(env, "setIsa");
  exports["call"] = Napi::Function::New<guarded<call_builtin>>(env, "call");
  exports["functions"] = functions(env);
  exports["cuda"] = cuda_binding(env);
  exports["loadLibrary"] = Napi::Function::New<guarded<load>>(env, "loadLibrary");
  return exports;
}

}  // namespace
}  // namespace imago

Napi::Object init_imago(Napi::Env env, Napi::Object exports) { return imago::init(env, exports); }
NODE_API_MODULE(imago_native, init_imago)
