// Libraries of kernels that others have built: opened, and checked before anything in them is called.
#pragma once
#include <imago/kernel.h>

#include <string>
#include <vector>

namespace imago {

/** Why a library is not taken: the field of its table, what it must be and what it is. `field` is empty for the file itself. */
struct Refusal {
  std::string field;
  std::string expected;
  std::string got;
};

/** A library's table in the terms of this build: what an older library does not know is 0, what a newer one adds is left out. */
struct UserLibrary {
  const imago_library* source; /* tells libraries apart; read no further */
  imago_library table;
  std::vector<imago_kernel> kernels;
};

/**
 * Opens the shared object at an absolute path and checks its table: version, struct sizes, names, counts, descriptions, functions.
 * @throws Refusal
 */
UserLibrary open_library(const std::string& path);

/** The same for a table in memory. */
UserLibrary read_library(const imago_library* source);

}  // namespace imago
