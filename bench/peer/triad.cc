// The machine's limit beside a kernel that reads two arrays and writes a third: c = a + s * b and nothing else, in huge pages.
// A JSON line in, a JSON line out, as bench/harness/side.mjs speaks it; `nt` as the argument: stores past the caches.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

typedef float Sixteen __attribute__((vector_size(64), aligned(64)));
constexpr size_t page = size_t{2} << 20;

float* zeros(size_t elements) {
  const size_t bytes = (elements * sizeof(float) + page - 1) / page * page;
  void* memory = std::aligned_alloc(page, bytes);
  if (memory == nullptr) return nullptr;
#if defined(__linux__)
  madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return static_cast<float*>(std::memset(memory, 0, bytes));
}

#if defined(__x86_64__)
#define IMAGO_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define IMAGO_CLONES
#endif

IMAGO_CLONES void triad(const float* a, const float* b, float* c, size_t elements) {
  for (size_t i = 0; i < elements; i += 16)
    *reinterpret_cast<Sixteen*>(c + i) =
        *reinterpret_cast<const Sixteen*>(a + i) + 0.5f * *reinterpret_cast<const Sixteen*>(b + i);
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void triad_past_caches(const float* a, const float* b, float* c, size_t elements) {
  const __m512 s = _mm512_set1_ps(0.5f);
  for (size_t i = 0; i < elements; i += 16)
    _mm512_stream_ps(c + i, _mm512_fmadd_ps(s, _mm512_load_ps(b + i), _mm512_load_ps(a + i)));
  _mm_sfence();
}
__attribute__((target("avx2,fma"))) void triad_past_caches_avx2(const float* a, const float* b, float* c, size_t elements) {
  const __m256 s = _mm256_set1_ps(0.5f);
  for (size_t i = 0; i < elements; i += 8)
    _mm256_stream_ps(c + i, _mm256_fmadd_ps(s, _mm256_load_ps(b + i), _mm256_load_ps(a + i)));
  _mm_sfence();
}
#endif

using Triad = void (*)(const float*, const float*, float*, size_t);

Triad choose(bool past_caches) {
  if (!past_caches) return triad;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return triad_past_caches;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return triad_past_caches_avx2;
#endif
  return nullptr;
}

/** The number after the first `"key":`; the lines are written by JSON.stringify. */
double number(const std::string& line, const std::string& key) {
  const size_t at = line.find("\"" + key + "\":");
  return at == std::string::npos ? 0 : std::strtod(line.c_str() + at + key.size() + 3, nullptr);
}

bool asks(const std::string& line, const char* op) { return line.find(std::string("\"op\":\"") + op + "\"") != std::string::npos; }

}  // namespace

int main(int count, char** arguments) {
  const Triad run = choose(count > 1 && std::strcmp(arguments[1], "nt") == 0);
  float* arrays[3] = {nullptr, nullptr, nullptr};
  size_t elements = 0;
  for (std::string line; std::getline(std::cin, line);) {
    if (run == nullptr) {
      std::puts("{\"error\":\"no non-temporal stores on this processor\"}");
    } else if (asks(line, "prepare")) {
      elements = static_cast<size_t>(number(line, "rows") * number(line, "classes"));
      for (float*& array : arrays) {
        std::free(array);
        array = zeros((elements + 15) / 16 * 16);
      }
      std::puts(arrays[0] && arrays[1] && arrays[2] ? "{}" : "{\"error\":\"not enough memory\"}");
    } else if (asks(line, "time")) {
      const size_t iterations = static_cast<size_t>(number(line, "iterations"));
      const auto start = std::chrono::steady_clock::now();
      for (size_t i = 0; i < iterations; i++) {
        run(arrays[0], arrays[1], arrays[2], elements);
        asm volatile("" ::"r"(arrays[2]) : "memory");
      }
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
      std::printf("{\"milliseconds\":%.9g}\n", taken.count() / static_cast<double>(iterations));
    } else if (asks(line, "outcome")) {
      std::printf("{\"value\":%g}\n", elements > 0 ? arrays[2][0] : 0.0f);
    } else {
      std::puts("{\"error\":\"no such op\"}");
    }
    std::fflush(stdout);
  }
}
