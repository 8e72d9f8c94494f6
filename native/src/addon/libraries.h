// Libraries of kernels as JavaScript sees them.
#pragma once
#include <napi.h>

#include <memory>
#include <vector>

#include "registry/library.h"

namespace imago {

/** The libraries that one environment has loaded. */
typedef std::vector<std::unique_ptr<const UserLibrary>> Libraries;

/**
 * Opens the library at `path` and describes it: { name, version, kernels: [{ name, buffers, scalars, backends, call }] }. `call(buffers,
 * scalars)` takes them by position and checks them against the descriptions. A refusal is an Error with `field`, `expected`, `got`.
 */
Napi::Object load_library(Napi::Env env, Libraries& libraries, const std::string& path);

}  // namespace imago
