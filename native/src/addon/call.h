// One call of a kernel from JavaScript: unpack, check, call.
#pragma once
#include <napi.h>

#include <exception>

#include "addon/arguments.h"

namespace imago {

/** Checks the arguments against the kernel's description and runs `function`; a refusal becomes a JavaScript exception. */
void call(Napi::Env env, const imago_kernel& kernel, imago_function function, napi_value buffers, napi_value scalars,
          const OnDevice* device = nullptr);

/** The same from the values of a call: scalars in a Float64Array, then every buffer. */
void call(Napi::Env env, const imago_kernel& kernel, imago_function function, const napi_value* values, size_t count);

/** Whatever C++ throws becomes a JavaScript exception; nothing else may cross the C frames of Node. */
template <Napi::Value (*function)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return function(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (const Interrupted&) {
    return Napi::Value();
  } catch (const std::exception& error) {
    throw Napi::Error::New(info.Env(), error.what());
  } catch (...) {
    throw Napi::Error::New(info.Env(), "a kernel threw something that is not an exception");
  }
}

}  // namespace imago
