// From JavaScript values to the plain data of the C ABI.
#pragma once
#include <imago/kernel.h>
#include <napi.h>

#include <functional>

#include "registry/registry.h"

namespace imago {

/** Thrown to return to JavaScript at once: an exception is pending there, or the environment is ending. */
struct Interrupted {};

struct DeviceMemory;

/** Where a CUDA function runs; `take` hears of every buffer of the call, and may refuse one. */
struct OnDevice {
  void* stream;
  std::function<void(const DeviceMemory&)> take;
};

struct Arguments {
  imago_buffer buffers[IMAGO_MAX_BUFFERS];
  double scalars[IMAGO_MAX_SCALARS];
};

/** The built-in kernel of this name; throws a JavaScript exception where there is none. */
const Entry& find_kernel(Napi::Env env, napi_value name);

/**
 * Reads every argument once, before anything is computed: a getter or a proxy cannot change them under the kernel.
 * Throws a JavaScript exception where there are too few or too many, or a buffer is detached or shared. Buffers are typed arrays, or, where
 * `device` is not null, device memory: never both.
 */
void unpack(Napi::Env env, const imago_kernel& kernel, napi_value buffers, napi_value scalars, Arguments& arguments,
            const OnDevice* device = nullptr);

/** The same from the values of a call: scalars in a Float64Array, then every buffer. */
void unpack(Napi::Env env, const imago_kernel& kernel, const napi_value* values, size_t count, Arguments& arguments);

}  // namespace imago
