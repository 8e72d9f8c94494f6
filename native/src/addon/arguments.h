// From JavaScript values to the plain data of the C ABI.
#pragma once
#include <imago/kernel.h>
#include <napi.h>

#include "registry/registry.h"

namespace imago {

/** Thrown to return to JavaScript at once: an exception is pending there, or the environment is ending. */
struct Interrupted {};

struct Arguments {
  imago_buffer buffers[IMAGO_MAX_BUFFERS];
  double scalars[IMAGO_MAX_SCALARS];
};

/**
 * Reads every argument once, before anything is computed: a getter or a proxy cannot change them under the kernel.
 * Throws a JavaScript exception where there are too few or too many, or a buffer is detached or shared.
 */
const Entry& unpack(Napi::Env env, napi_value name, napi_value buffers, napi_value scalars, Arguments& arguments);

}  // namespace imago
