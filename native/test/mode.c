/* An addon that does what others have been seen to do: it changes the floating-point mode of the thread. */
#include <node_api.h>
#include <xmmintrin.h>

/* Round up, flush to zero, denormals are zero; everything without the flags of what has happened. */
#define SPOILT (0x1f80u | 0x4000u | 0x8040u)
#define FLAGS 0x3fu

static napi_value number(napi_env env, unsigned value) {
  napi_value result;
  napi_create_uint32(env, value, &result);
  return result;
}

static napi_value spoil(napi_env env, napi_callback_info info) {
  (void)info;
  const napi_value result = number(env, SPOILT);
  _mm_setcsr(SPOILT);
  return result;
}

/* Gives the mode that it finds. */
static napi_value restore(napi_env env, napi_callback_info info) {
  (void)info;
  const unsigned found = _mm_getcsr() & ~FLAGS;
  _mm_setcsr(0x1f80);
  return number(env, found);
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "spoil", NAPI_AUTO_LENGTH, spoil, NULL, &function);
  napi_set_named_property(env, exports, "spoil", function);
  napi_create_function(env, "restore", NAPI_AUTO_LENGTH, restore, NULL, &function);
  napi_set_named_property(env, exports, "restore", function);
  return exports;
}
