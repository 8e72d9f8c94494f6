// How kernels refuse: a sentence into the call's message.
#pragma once
#include <imago/kernel.h>

namespace imago {

/** Writes a printf-formatted sentence into call->message; returns 1, for `return refuse(…)`. */
int refuse(const imago_call* call, const char* format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

}  // namespace imago
