#include "registry/registry.h"

#include <cmath>
#include <unordered_map>

#include "registry/builtin.h"

IMAGO_LIBRARY(portable, IMAGO_KERNELS, IMAGO_CPU)
#if IMAGO_X86
IMAGO_LIBRARY(avx2, IMAGO_KERNELS, IMAGO_CPU)
IMAGO_LIBRARY(avx512, IMAGO_KERNELS, IMAGO_CPU)
#endif

namespace imago {
namespace {

/** The libraries that this build has, by Isa. */
#if IMAGO_X86
constexpr const imago_library* libraries[isa_count] = {&portable::table, &avx2::table, &avx512::table};
#else
constexpr const imago_library* libraries[isa_count] = {&portable::table, nullptr, nullptr};
#endif
constexpr size_t kernel_count = portable::table.kernel_count;

constexpr size_t described() {
  size_t count = 0;
  for (const Family& family : families) count += family.count;
  return count;
}
static_assert(described() == kernel_count, "each family lists its kernels once as a line and once as a row");

struct Table {
  Entry entries[kernel_count];
  std::unordered_map<std::string_view, const Entry*> by_name;
  Table() {
    for (size_t i = 0; i < kernel_count; i++) {
      Entry& entry = entries[i];
      entry.description = portable::table.kernels[i];
      for (size_t isa = 0; isa < isa_count; isa++)
        entry.cpu[isa] = libraries[isa] == nullptr ? nullptr : libraries[isa]->kernels[i]->cpu;
      by_name.emplace(entry.description->name, &entry);
    }
  }
};

/** Built on first use and never changed; leaked, since worker threads may outlive static destructors. */
const Table& table() {
  static const Table* const instance = new Table;
  return *instance;
}

std::string length_rule(const imago_kernel& kernel, const imago_buffer_spec& spec, size_t expected) {
  std::string rule;
  for (int factor : spec.factors) {
    if (factor < 0) break;
    rule += std::string(rule.empty() ? "" : " x ") + kernel.scalars[factor].name;
  }
  return rule.empty() ? std::to_string(expected) : rule + " = " + std::to_string(expected);
}

}  // namespace

std::span<const Entry> entries() { return table().entries; }

const Entry* find(std::string_view name) {
  const auto found = table().by_name.find(name);
  return found == table().by_name.end() ? nullptr : found->second;
}

const char* name_of(Isa isa) {
  constexpr const char* names[] = {"portable", "avx2", "avx512"};
  return names[static_cast<int>(isa)];
}

bool is_available(Isa isa) {
#if IMAGO_X86
  __builtin_cpu_init();
  if (isa == Isa::avx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (isa == Isa::avx512)
    return is_available(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#endif
  return isa == Isa::portable;
}

Isa best_isa() {
  for (int i = isa_count; i-- > 1;)
    if (is_available(static_cast<Isa>(i))) return static_cast<Isa>(i);
  return Isa::portable;
}

bool parse_isa(std::string_view name, Isa& isa) {
  for (size_t i = 0; i < isa_count; i++) {
    const Isa candidate = static_cast<Isa>(i);
    if (name == name_of(candidate) && is_available(candidate)) {
      isa = candidate;
      return true;
    }
  }
  return false;
}

std::string available_isas(const char* separator) {
  std::string list;
  for (size_t i = 0; i < isa_count; i++)
    if (is_available(static_cast<Isa>(i)))
      list += std::string(list.empty() ? "" : separator) + name_of(static_cast<Isa>(i));
  return list;
}

const char* name_of_type(uint32_t type) {
  switch (type) {
    case IMAGO_F32: return "Float32Array";
    case IMAGO_F64: return "Float64Array";
    case IMAGO_I32: return "Int32Array";
    case IMAGO_U32: return "Uint32Array";
    case IMAGO_U16: return "Uint16Array";
    case IMAGO_U8: return "Uint8Array";
    case IMAGO_I64: return "BigInt64Array";
    default: return "typed array";
  }
}

std::string check(const imago_kernel& kernel, const imago_buffer* buffers, const double* scalars) {
  const auto prefix = [&] { return std::string(kernel.name) + ": "; };
  for (size_t i = 0; i < kernel.scalar_count; i++) {
    const double value = scalars[i];
    if (kernel.scalars[i].kind == IMAGO_SIZE && !(value >= 0 && value <= 0x1p53 && value == std::floor(value)))
      return prefix() + kernel.scalars[i].name + " must be a whole number in [0, 2^53], got " + std::to_string(value);
  }
  for (size_t i = 0; i < kernel.buffer_count; i++) {
    const imago_buffer_spec& spec = kernel.buffers[i];
    const imago_buffer& buffer = buffers[i];
    if (buffer.type == 0) {
      if (spec.optional) continue;
      return prefix() + spec.name + " is missing";
    }
    if ((buffer.type & spec.types) == 0) {
      std::string expected;
      for (uint32_t bit = 1; bit <= IMAGO_I64; bit <<= 1)
        if (spec.types & bit) expected += std::string(expected.empty() ? "" : " or ") + name_of_type(bit);
      return prefix() + spec.name + " must be a " + expected + ", got a " + name_of_type(buffer.type);
    }
    // A product that overflows cannot be the length of anything.
    size_t expected = spec.count;
    bool overflow = false;
    for (int factor : spec.factors) {
      if (factor < 0) break;
      const double next = static_cast<double>(expected) * scalars[factor];
      overflow = overflow || next > 0x1p53;
      expected = overflow ? 0 : static_cast<size_t>(next);
    }
    if (overflow || buffer.length != expected)
      return prefix() + spec.name + " must have " + (overflow ? "fewer" : length_rule(kernel, spec, expected)) +
             " elements, got " + std::to_string(buffer.length);
  }
  return {};
}

}  // namespace imago
