#include <cstdio>
#include <cstring>
#include <iterator>

#include "cuda/runtime.h"
#include "registry/builtin.h"

namespace imago::cuda {
namespace {

constexpr const char* sentences[] = {
    "NaN in row %llu",
    "Infinity in row %llu",
    "-Infinity in row %llu",
    "only -Infinity in row %llu",
    "something in row %llu is not a class",
    "something in row %llu is not a finite number >= 0",
    "a negative number in row %llu",
    "something else than 1 as the sum in row %llu",
    "0 for every class of row %llu",
    "logits beyond float32 in row %llu",
    "something in row %llu is there twice",
    "more than 1 as the sum of the probabilities in row %llu",
    "something in row %llu is not <= 0",
    "nothing is said of the others in row %llu",
};

const Description* description_of(unsigned long long number) {
  for (const Family& family : families) {
    if (number < family.count) return &family.rows[number];
    number -= family.count;
  }
  return nullptr;
}

}  // namespace

unsigned long long number_of(const char* kernel) {
  unsigned long long number = 0;
  for (const Family& family : families)
    for (size_t i = 0; i < family.count; i++, number++)
      if (std::strcmp(family.rows[i].name, kernel) == 0) return number;
  return 1023;
}

void explain(unsigned long long word, char* text, size_t size) {
  const unsigned problem = word >> status_problem_shift & 15, buffer = word >> status_buffer_shift & 15;
  const unsigned long long row = word >> status_row_shift & 0xffffffffull;
  const Description* const kernel = description_of(word & 1023);
  const char* const name = kernel == nullptr || kernel->buffers[buffer].name == nullptr ? "a buffer" : kernel->buffers[buffer].name;
  int length = std::snprintf(text, size, "%s: %s: ", kernel == nullptr ? "kernel" : kernel->name, name);
  if (length < 0 || static_cast<size_t>(length) >= size) return;
  std::snprintf(text + length, size - static_cast<size_t>(length), problem < std::size(sentences) ? sentences[problem] : "a problem in row %llu", row);
}

}  // namespace imago::cuda
