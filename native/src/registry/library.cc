#include "registry/library.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "registry/registry.h"
#include "registry/shared_object.h"

namespace imago {
namespace {

constexpr size_t max_name = 63;
constexpr size_t max_kernels = 1024;
constexpr uint32_t known_types = IMAGO_F32 | IMAGO_F64 | IMAGO_I32 | IMAGO_U32 | IMAGO_U16 | IMAGO_U8 | IMAGO_I64;

/** The size of a struct up to and with a member. */
#define IMAGO_REACHES(type, member) (offsetof(type, member) + sizeof(type::member))

std::string text(size_t number) { return std::to_string(number); }
std::string quoted(std::string_view name) { return '"' + std::string(name.substr(0, max_name)) + '"'; }
std::string at(const std::string& field, const char* array, size_t i) {
  return (field.empty() ? "" : field + ".") + array + "[" + text(i) + "]";
}

void expect(bool holds, const std::string& field, const std::string& expected, const std::string& got) {
  if (!holds) throw Refusal{field, expected, got};
}

void expect_between(size_t value, size_t from, size_t to, const std::string& field) {
  expect(value >= from && value <= to, field, "in [" + text(from) + ", " + text(to) + "]", text(value));
}

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_snake(char c) { return is_lower(c) || is_digit(c) || c == '_'; }
bool is_word(char c) { return is_letter(c) || is_digit(c) || c == '_'; }
bool is_printable(char c) { return c >= ' ' && c <= '~'; }

/** A string whose first character and whose others are of a kind, at most max_name long. */
void expect_name(const char* name, bool (*first)(char), bool (*others)(char), const char* kind, const std::string& field) {
  const std::string expected = std::string(kind) + ", at most " + text(max_name) + " characters";
  expect(name != nullptr, field, expected, "NULL");
  const std::string_view all(name, strnlen(name, max_name + 1));
  const bool holds = !all.empty() && all.size() <= max_name && first(all[0]) && std::all_of(all.begin(), all.end(), others);
  expect(holds, field, expected, quoted(all));
}

/** A struct that begins with its size: as much of it as both sides know, the rest 0. */
template <class T>
T read_sized(const T* source, size_t struct_size, size_t least, const std::string& field) {
  expect(struct_size >= least, field, "at least " + text(least), text(struct_size));
  T value{};
  std::memcpy(&value, source, std::min(struct_size, sizeof(T)));
  return value;
}

void check_factors(const imago_kernel& kernel, const imago_buffer_spec& spec, const std::string& field) {
  expect(spec.count >= 1, field + ".count", "at least 1", text(spec.count));
  for (size_t i = 0; i < IMAGO_MAX_FACTORS; i++) {
    const int factor = spec.factors[i];
    if (factor == -1) return;
    const bool holds = factor >= 0 && static_cast<size_t>(factor) < kernel.scalar_count &&
                       kernel.scalars[factor].kind == IMAGO_SIZE;
    expect(holds, at(field, "factors", i), "the position of a scalar of kind IMAGO_SIZE, or -1", std::to_string(factor));
  }
}

void check_names_differ(const imago_kernel& kernel, const std::string& field) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < kernel.scalar_count; i++) names.push_back(kernel.scalars[i].name);
  for (size_t i = 0; i < kernel.buffer_count; i++) names.push_back(kernel.buffers[i].name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw Refusal{field, "described with a name of its own for every buffer and scalar", quoted(*twice) + " twice"};
}

void check_kernel(const imago_kernel& kernel, const std::string& field) {
  expect_name(kernel.name, is_lower, is_snake, "lower_snake_case", field + ".name");
  expect(find(kernel.name) == nullptr, field + ".name", "other than those of the built-in kernels", quoted(kernel.name));
  expect_between(kernel.scalar_count, 0, IMAGO_MAX_SCALARS, field + ".scalar_count");
  expect_between(kernel.buffer_count, 1, IMAGO_MAX_BUFFERS, field + ".buffer_count");
  expect(kernel.scalars != nullptr || kernel.scalar_count == 0, field + ".scalars", "an array", "NULL");
  expect(kernel.buffers != nullptr, field + ".buffers", "an array", "NULL");
  for (size_t i = 0; i < kernel.scalar_count; i++) {
    const imago_scalar_spec& spec = kernel.scalars[i];
    expect_name(spec.name, is_letter, is_word, "a word of letters, digits and _", at(field, "scalars", i) + ".name");
    // A number that the enumeration does not have may not even be looked at as one.
    static_assert(sizeof spec.kind == sizeof(int32_t));
    int32_t kind;
    std::memcpy(&kind, &spec.kind, sizeof kind);
    expect(kind == IMAGO_SIZE || kind == IMAGO_REAL, at(field, "scalars", i) + ".kind", "IMAGO_SIZE or IMAGO_REAL",
           std::to_string(kind));
  }
  for (size_t i = 0; i < kernel.buffer_count; i++) {
    const imago_buffer_spec& spec = kernel.buffers[i];
    const std::string here = at(field, "buffers", i);
    expect_name(spec.name, is_letter, is_word, "a word of letters, digits and _", here + ".name");
    expect(spec.types != 0 && (spec.types & ~known_types) == 0, here + ".types", "bits of the known element types, at least one",
           text(spec.types));
    check_factors(kernel, spec, here);
  }
  check_names_differ(kernel, field);
  expect(kernel.cpu != nullptr || kernel.cuda != nullptr, field, "a kernel with a cpu or a cuda function", "neither");
}

}  // namespace

UserLibrary read_library(const imago_library* source) {
  expect(source != nullptr, "imago_kernels()", "a table", "NULL: the library says that it cannot work here");
  expect(source->abi_version == IMAGO_ABI_VERSION, "abi_version",
         text(IMAGO_ABI_VERSION) + " (build the library with the header of this version)", text(source->abi_version));
  UserLibrary library{source, read_sized(source, source->struct_size, IMAGO_REACHES(imago_library, kernels), "struct_size"), {}};
  const imago_library& table = library.table;
  expect_name(table.name, is_printable, is_printable, "printable ASCII", "name");
  expect_name(table.version, is_printable, is_printable, "printable ASCII", "version");
  expect_between(table.kernel_count, 1, max_kernels, "kernel_count");
  expect(table.kernels != nullptr, "kernels", "an array", "NULL");
  for (size_t i = 0; i < table.kernel_count; i++) {
    const std::string field = at("", "kernels", i);
    const imago_kernel* const row = table.kernels[i];
    expect(row != nullptr, field, "a kernel", "NULL");
    const imago_kernel kernel =
        read_sized(row, row->struct_size, IMAGO_REACHES(imago_kernel, scalars), field + ".struct_size");
    check_kernel(kernel, field);
    for (const imago_kernel& other : library.kernels)
      expect(std::strcmp(other.name, kernel.name) != 0, field + ".name", "unlike the names before it", quoted(kernel.name));
    library.kernels.push_back(kernel);
  }
  return library;
}

UserLibrary open_library(const std::string& path) {
  std::string reason;
  void* const symbol = open_symbol(path, "imago_kernels", reason);
  expect(symbol != nullptr, "", "a library of kernels of this platform", reason);
  return read_library(reinterpret_cast<const imago_library* (*)()>(symbol)());
}

}  // namespace imago
