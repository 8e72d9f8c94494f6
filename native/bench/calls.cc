// soft_target_loss called in a C++ loop, without Node: what a call through Node-API is compared with. A JSON line in, a JSON line
// out, as bench/harness/side.mjs speaks it; inputs and gradient are files of raw numbers.
#include <imago/kernel.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/thread_pool.h"
#include "registry/registry.h"

namespace {

/** What follows the first `"key":`; the lines are written by JSON.stringify. */
const char* field(const std::string& line, const std::string& key) {
  const size_t at = line.find("\"" + key + "\":");
  return at == std::string::npos ? nullptr : line.c_str() + at + key.size() + 3;
}

double number(const std::string& line, const std::string& key) {
  const char* text = field(line, key);
  return text == nullptr ? 0 : std::strtod(text, nullptr);
}

/** A string without escapes. */
std::string text(const std::string& line, const std::string& key) {
  const char* start = field(line, key);
  if (start == nullptr || *start != '"') return {};
  return std::string(start + 1, std::string(start + 1).find('"'));
}

template <class T>
std::vector<T> read(const std::string& path, size_t count) {
  std::vector<T> data(count);
  std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(count * sizeof(T)));
  return data;
}

struct Case {
  std::vector<float> student, teacher, gradient;
  std::vector<int32_t> labels;
  std::vector<double> scalars;
  std::vector<imago_buffer> buffers;
  double result[3] = {0, 0, 0};

  Case(const imago_kernel& kernel, const std::string& line) {
    const std::string folder = text(line, "folder");
    const double rows = number(line, "rows");
    const double classes = number(line, "classes");
    const size_t count = static_cast<size_t>(rows * classes);
    student = read<float>(folder + "/student.bin", count);
    teacher = read<float>(folder + "/teacher.bin", count);
    labels = read<int32_t>(folder + "/labels.bin", static_cast<size_t>(rows));
    gradient.resize(count);
    scalars = {rows, classes, number(line, "temperature"), number(line, "hardWeight"), -100, 0};
    buffers = arrange(kernel);
  }
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  /** By the names of the kernel's description; what has none here is left out. */
  std::vector<imago_buffer> arrange(const imago_kernel& kernel) {
    const std::pair<const char*, imago_buffer> all[] = {
        {"student", {student.data(), student.size(), IMAGO_F32}}, {"teacher", {teacher.data(), teacher.size(), IMAGO_F32}},
        {"labels", {labels.data(), labels.size(), IMAGO_I32}},    {"gradient", {gradient.data(), gradient.size(), IMAGO_F32}},
        {"result", {result, 3, IMAGO_F64}},
    };
    std::vector<imago_buffer> buffers(kernel.buffer_count, imago_buffer{nullptr, 0, 0});
    for (size_t i = 0; i < kernel.buffer_count; i++)
      for (const auto& [name, buffer] : all)
        if (std::string(kernel.buffers[i].name) == name) buffers[i] = buffer;
    return buffers;
  }

  /** The message of a refusal, or nothing. */
  std::string run(imago_function function, size_t iterations) {
    char message[512] = "";
    const imago_call call = {sizeof call, buffers.data(), scalars.data(), message, sizeof message, imago::parallel_for, nullptr};
    for (size_t i = 0; i < iterations; i++)
      if (function(&call) != 0) return message;
    return {};
  }
};

}  // namespace

int main() {
  const char* threads = std::getenv("IMAGO_NUM_THREADS");
  if (threads != nullptr) imago::configure_threads(threads);
  imago::Isa isa = imago::best_isa();
  const char* name = std::getenv("IMAGO_CPU_ISA");
  if (name != nullptr && *name != '\0') imago::parse_isa(name, isa);
  const imago::Entry& entry = *imago::find("soft_target_loss");
  const imago_function function = entry.cpu[static_cast<int>(isa)];

  std::optional<Case> current;
  for (std::string line; std::getline(std::cin, line);) {
    const std::string op = text(line, "op");
    std::string problem;
    double answer = 0;
    const char* key = "value";
    const char* tensors = "";
    if (op == "prepare") {
      current.emplace(*entry.description, line);
      problem = current->run(function, 1);
    } else if (op == "check" || op == "outcome") {
      problem = current->run(function, 1);
      answer = current->result[0];
      if (op == "check") {
        tensors = ",\"tensors\":[\"gradient\"]";
        const std::vector<float>& gradient = current->gradient;
        std::ofstream(text(line, "folder") + "/" + text(line, "prefix") + "-gradient.bin", std::ios::binary)
            .write(reinterpret_cast<const char*>(gradient.data()), static_cast<std::streamsize>(gradient.size() * sizeof(float)));
      }
    } else if (op == "time") {
      const size_t iterations = static_cast<size_t>(number(line, "iterations"));
      const auto start = std::chrono::steady_clock::now();
      problem = current->run(function, iterations);
      const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
      answer = taken.count() / static_cast<double>(iterations);
      key = "milliseconds";
    } else {
      problem = "no such op";
    }
    if (!problem.empty()) std::printf("{\"error\":\"%s\"}\n", problem.c_str());
    else std::printf("{\"%s\":%.17g%s}\n", key, answer, tensors);
    std::fflush(stdout);
  }
}
