#include "addon/call.h"

#include <string>

#include "common/floating_point.h"
#include "common/guarded_parallel_for.h"

namespace imago {

namespace {

void run(Napi::Env env, const imago_kernel& kernel, imago_function function, const Arguments& arguments, void* stream) {
  const std::string problem = check(kernel, arguments.buffers, arguments.scalars);
  if (!problem.empty()) throw Napi::Error::New(env, problem);

  char message[512];
  message[0] = '\0';
  const imago_call kernel_call = {sizeof kernel_call, arguments.buffers,    arguments.scalars, message,
                                  sizeof message,     guarded_parallel_for, stream};
  int status;
  {
    const DefaultFloatingPoint environment;
    status = function(&kernel_call);
  }
  if (status == 0) return;
  message[sizeof message - 1] = '\0';
  if (message[0] != '\0') throw Napi::Error::New(env, message);
  throw Napi::Error::New(env, std::string(kernel.name) + ": status " + std::to_string(status) + " without a message");
}

}  // namespace

void call(Napi::Env env, const imago_kernel& kernel, imago_function function, napi_value buffers, napi_value scalars,
          const OnDevice* device) {
  Arguments arguments;
  unpack(env, kernel, buffers, scalars, arguments, device);
  run(env, kernel, function, arguments, device == nullptr ? nullptr : device->stream);
}

void call(Napi::Env env, const imago_kernel& kernel, imago_function function, const napi_value* values, size_t count) {
  Arguments arguments;
  unpack(env, kernel, values, count, arguments);
  run(env, kernel, function, arguments, nullptr);
}

}  // namespace imago
