// Kernels by name, and the instruction sets they are compiled for.
#pragma once
#include <imago/kernel.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace imago {

/** In the order of preference, the last is the best. */
enum class Isa : int { portable, avx2, avx512 };
inline constexpr size_t isa_count = 3;

struct Entry {
  const imago_kernel* description;
  imago_function cpu[isa_count];  // by Isa; null where this build has none
};

/** Every built-in kernel, in the order of the table. */
std::span<const Entry> entries();

/** The kernel of this name, or null. */
const Entry* find(std::string_view name);

const char* name_of(Isa isa);

/** True where this build and this processor can run it. */
bool is_available(Isa isa);

/** The best that is available. */
Isa best_isa();

/** True and `isa` where `name` names an available instruction set. */
bool parse_isa(std::string_view name, Isa& isa);

/** The names of those that are available, separated by `separator`. */
std::string available_isas(const char* separator);

/** What is wrong with a call against the kernel's description, or an empty string. */
std::string check(const imago_kernel& kernel, const imago_buffer* buffers, const double* scalars);

const char* name_of_type(uint32_t type);

}  // namespace imago
