#include "addon/arguments.h"

#include <cstring>
#include <string>

#include "addon/device.h"

namespace imago {
namespace {

/**
 * Gives up where an N-API call failed. Either a getter threw, and its exception is pending already; or the worker thread is being
 * terminated, and no exception can be made any more.
 */
void must(Napi::Env env, napi_status status) {
  if (status == napi_ok) return;
  if (status == napi_pending_exception) throw Interrupted{};
  throw Napi::Error::New(env);
}

uint32_t type_of(napi_typedarray_type type) {
  switch (type) {
    case napi_float32_array: return IMAGO_F32;
    case napi_float64_array: return IMAGO_F64;
    case napi_int32_array: return IMAGO_I32;
    case napi_uint32_array: return IMAGO_U32;
    case napi_uint16_array: return IMAGO_U16;
    case napi_uint8_array: return IMAGO_U8;
    case napi_bigint64_array: return IMAGO_I64;
    default: return 0;
  }
}

[[noreturn]] void refuse(Napi::Env env, const imago_kernel& kernel, const std::string& what) {
  throw Napi::TypeError::New(env, std::string(kernel.name) + ": " + what);
}

/** Device memory, or nothing where the buffer is left out. */
imago_buffer unpack_device(Napi::Env env, const imago_kernel& kernel, const imago_buffer_spec& spec, napi_value value,
                           const OnDevice& device) {
  napi_valuetype type;
  must(env, napi_typeof(env, value, &type));
  if (type == napi_null || type == napi_undefined) return {nullptr, 0, 0};
  const DeviceMemory* const memory = device_memory(env, value);
  if (memory == nullptr) refuse(env, kernel, std::string(spec.name) + " must be device memory or null");
  if (memory->allocation == nullptr) refuse(env, kernel, std::string(spec.name) + " was disposed");
  device.take(*memory);
  return {memory->data(), memory->length, memory->type};
}

imago_buffer unpack_buffer(Napi::Env env, const imago_kernel& kernel, const imago_buffer_spec& spec, napi_value value) {
  // One question for what most are: each takes longer than a small row.
  napi_typedarray_type type;
  imago_buffer buffer;
  napi_value owner;
  const napi_status status = napi_get_typedarray_info(env, value, &type, &buffer.length, &buffer.data, &owner, nullptr);
  if (status == napi_invalid_arg) {
    napi_valuetype kind;
    must(env, napi_typeof(env, value, &kind));
    if (kind == napi_null || kind == napi_undefined) return {nullptr, 0, 0};
    if (device_memory(env, value) != nullptr)
      refuse(env, kernel, std::string(spec.name) + " is device memory, and this is a call on the CPU");
    refuse(env, kernel, std::string(spec.name) + " must be a typed array or null");
  }
  must(env, status);
  buffer.type = type_of(type);
  if (buffer.type == 0) refuse(env, kernel, std::string(spec.name) + " is a typed array of a kind that no kernel takes");

  bool is_array_buffer = false;
  must(env, napi_is_arraybuffer(env, owner, &is_array_buffer));
  if (!is_array_buffer)
    refuse(env, kernel, std::string(spec.name) + " is backed by a SharedArrayBuffer, which another thread may write; copy it");
  // Only a buffer without elements can be detached: length and data come from the view, which then has none.
  if (buffer.length == 0) {
    bool is_detached = false;
    must(env, napi_is_detached_arraybuffer(env, owner, &is_detached));
    if (is_detached) refuse(env, kernel, std::string(spec.name) + " is detached (its memory was transferred)");
  }
  return buffer;
}

uint32_t length_of(Napi::Env env, const imago_kernel& kernel, napi_value array, const char* what) {
  bool is_array = false;
  must(env, napi_is_array(env, array, &is_array));
  if (!is_array) refuse(env, kernel, std::string(what) + " must be an array");
  uint32_t length = 0;
  must(env, napi_get_array_length(env, array, &length));
  return length;
}

void expect_count(Napi::Env env, const imago_kernel& kernel, const char* what, size_t expected, size_t got) {
  if (got != expected)
    refuse(env, kernel, std::string("takes ") + std::to_string(expected) + " " + what + ", got " + std::to_string(got));
}

/** Numbers in one piece of memory: one question to the engine instead of two for each. False where `scalars` is something else. */
bool unpack_numbers(Napi::Env env, const imago_kernel& kernel, napi_value scalars, double* out) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  const napi_status status = napi_get_typedarray_info(env, scalars, &type, &length, &data, nullptr, nullptr);
  if (status == napi_invalid_arg) return false;
  must(env, status);
  if (type != napi_float64_array) return false;
  expect_count(env, kernel, "scalars", kernel.scalar_count, length);
  if (length > 0) std::memcpy(out, data, length * sizeof *out);
  return true;
}

void unpack_scalars(Napi::Env env, const imago_kernel& kernel, napi_value scalars, double* out) {
  if (unpack_numbers(env, kernel, scalars, out)) return;
  expect_count(env, kernel, "scalars", kernel.scalar_count, length_of(env, kernel, scalars, "scalars"));
  for (uint32_t i = 0; i < kernel.scalar_count; i++) {
    napi_value value;
    must(env, napi_get_element(env, scalars, i, &value));
    if (napi_get_value_double(env, value, &out[i]) != napi_ok)
      refuse(env, kernel, std::string(kernel.scalars[i].name) + " must be a number");
  }
}

}  // namespace

const Entry& find_kernel(Napi::Env env, napi_value name) {
  char text[64];
  size_t length = 0;
  if (napi_get_value_string_utf8(env, name, text, sizeof text, &length) != napi_ok)
    throw Napi::TypeError::New(env, "call: the first argument is the name of a kernel");
  const Entry* entry = find({text, length});
  if (entry == nullptr) throw Napi::Error::New(env, "call: there is no kernel named '" + std::string(text, length) + "'");
  return *entry;
}

void unpack(Napi::Env env, const imago_kernel& kernel, napi_value buffers, napi_value scalars, Arguments& arguments,
            const OnDevice* device) {
  expect_count(env, kernel, "buffers", kernel.buffer_count, length_of(env, kernel, buffers, "buffers"));
  // Scalars first: reading an element may run JavaScript (a getter), which could detach a buffer seen before.
  unpack_scalars(env, kernel, scalars, arguments.scalars);
  napi_value values[IMAGO_MAX_BUFFERS];
  for (uint32_t i = 0; i < kernel.buffer_count; i++) must(env, napi_get_element(env, buffers, i, &values[i]));
  for (uint32_t i = 0; i < kernel.buffer_count; i++)
    arguments.buffers[i] = device == nullptr ? unpack_buffer(env, kernel, kernel.buffers[i], values[i])
                                             : unpack_device(env, kernel, kernel.buffers[i], values[i], *device);
}

void unpack(Napi::Env env, const imago_kernel& kernel, const napi_value* values, size_t count, Arguments& arguments) {
  expect_count(env, kernel, "buffers", kernel.buffer_count, count == 0 ? 0 : count - 1);
  if (!unpack_numbers(env, kernel, values[0], arguments.scalars)) refuse(env, kernel, "scalars must be a Float64Array");
  for (uint32_t i = 0; i < kernel.buffer_count; i++)
    arguments.buffers[i] = unpack_buffer(env, kernel, kernel.buffers[i], values[1 + i]);
}

}  // namespace imago
