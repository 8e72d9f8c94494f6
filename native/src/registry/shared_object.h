// Shared objects of the operating system, and what stands in them.
#pragma once
#include <string>

namespace imago {

/**
 * Opens a shared object (path: UTF-8, absolute) and gives the address of a symbol, or null and why in `reason`. It is never closed:
 * threads of the pool may stand in its code, other environments may hold its tables, and C++ in it may have left destructors with
 * its threads. A second opening gives the same address.
 */
void* open_symbol(const std::string& path, const char* symbol, std::string& reason);

/** The path of a file of this name in the folder of the shared object that this code is in; empty where that is not known. */
std::string beside_this(const char* name);

}  // namespace imago
