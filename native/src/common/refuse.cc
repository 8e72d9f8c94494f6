#include "common/refuse.h"

#include <cstdarg>
#include <cstdio>

namespace imago {

int refuse(const imago_call* call, const char* format, ...) {
  va_list values;
  va_start(values, format);
  std::vsnprintf(call->message, call->message_size, format, values);
  va_end(values);
  return 1;
}

}  // namespace imago
