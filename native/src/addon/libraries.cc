#include "addon/libraries.h"

#include "addon/call.h"
#include "addon/device.h"
#include "common/floating_point.h"
#include "registry/registry.h"

namespace imago {
namespace {

Napi::Value call_kernel(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const imago_kernel& kernel = *static_cast<const imago_kernel*>(info.Data());
  if (info.Length() != 2) throw Napi::TypeError::New(env, "call(buffers, scalars) takes two arguments");
  call(env, kernel, kernel.cpu, info[0], info[1]);
  return env.Undefined();
}

Napi::Value call_kernel_on_device(const Napi::CallbackInfo& info) {
  if (info.Length() != 3) throw Napi::TypeError::New(info.Env(), "callOnDevice(buffers, scalars, stream) takes three arguments");
  call_on_device(info, *static_cast<const imago_kernel*>(info.Data()), 0);
  return info.Env().Undefined();
}

Napi::Array describe_buffers(Napi::Env env, const imago_kernel& kernel) {
  Napi::Array buffers = Napi::Array::New(env, kernel.buffer_count);
  for (uint32_t i = 0; i < kernel.buffer_count; i++) {
    const imago_buffer_spec& spec = kernel.buffers[i];
    Napi::Object buffer = Napi::Object::New(env);
    Napi::Array types = Napi::Array::New(env), factors = Napi::Array::New(env);
    for (uint32_t bit = 1; bit <= IMAGO_I64; bit <<= 1)
      if (spec.types & bit) types[types.Length()] = name_of_type(bit);
    for (size_t j = 0; j < IMAGO_MAX_FACTORS && spec.factors[j] >= 0; j++)
      factors[factors.Length()] = kernel.scalars[spec.factors[j]].name;
    buffer["name"] = spec.name;
    buffer["types"] = types;
    buffer["optional"] = Napi::Boolean::New(env, spec.optional != 0);
    buffer["count"] = Napi::Number::New(env, spec.count);
    buffer["factors"] = factors;
    buffers[i] = buffer;
  }
  return buffers;
}

Napi::Array describe_scalars(Napi::Env env, const imago_kernel& kernel) {
  Napi::Array scalars = Napi::Array::New(env, kernel.scalar_count);
  for (uint32_t i = 0; i < kernel.scalar_count; i++) {
    Napi::Object scalar = Napi::Object::New(env);
    scalar["name"] = kernel.scalars[i].name;
    scalar["kind"] = kernel.scalars[i].kind == IMAGO_SIZE ? "size" : "real";
    scalars[i] = scalar;
  }
  return scalars;
}

Napi::Object describe(Napi::Env env, const imago_kernel& kernel) {
  Napi::Object result = Napi::Object::New(env);
  Napi::Array backends = Napi::Array::New(env);
  if (kernel.cpu != nullptr) backends[backends.Length()] = "cpu";
  if (kernel.cuda != nullptr) backends[backends.Length()] = "cuda";
  result["name"] = kernel.name;
  result["buffers"] = describe_buffers(env, kernel);
  result["scalars"] = describe_scalars(env, kernel);
  result["backends"] = backends;
  if (kernel.cpu != nullptr)
    result["call"] = Napi::Function::New<guarded<call_kernel>>(env, kernel.name, const_cast<imago_kernel*>(&kernel));
  if (kernel.cuda != nullptr)
    result["callOnDevice"] = Napi::Function::New<guarded<call_kernel_on_device>>(env, kernel.name, const_cast<imago_kernel*>(&kernel));
  return result;
}

/** The library of the table, taken up where it is new to this environment. */
const UserLibrary& take(Libraries& libraries, UserLibrary&& opened) {
  for (const auto& library : libraries)
    if (library->source == opened.source) return *library;
  libraries.push_back(std::make_unique<const UserLibrary>(std::move(opened)));
  return *libraries.back();
}

}  // namespace

Napi::Object load_library(Napi::Env env, Libraries& libraries, const std::string& path) {
  try {
    // A library built with -ffast-math sets flush to zero when it is loaded, for whatever this thread computes from then on.
    const DefaultFloatingPoint environment;
    const UserLibrary& library = take(libraries, open_library(path));
    Napi::Object result = Napi::Object::New(env);
    Napi::Array kernels = Napi::Array::New(env, library.kernels.size());
    for (uint32_t i = 0; i < library.kernels.size(); i++) kernels[i] = describe(env, library.kernels[i]);
    result["name"] = library.table.name;
    result["version"] = library.table.version;
    result["kernels"] = kernels;
    return result;
  } catch (const Refusal& refusal) {
    Napi::Error error = Napi::Error::New(env, path + ": " + refusal.field + (refusal.field.empty() ? "" : " ") + "must be " +
                                                  refusal.expected + ", got " + refusal.got);
    error.Set("field", refusal.field);
    error.Set("expected", refusal.expected);
    error.Set("got", refusal.got);
    throw error;
  }
}

}  // namespace imago
