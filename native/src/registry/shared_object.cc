#include "registry/shared_object.h"

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace imago {

#if defined(_WIN32)

namespace {

std::string last_error() {
  const DWORD code = GetLastError();
  char text[512] = "";
  const DWORD length = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK,
                                      nullptr, code, 0, text, sizeof text, nullptr);
  return length == 0 ? "error " + std::to_string(code) : std::string(text, length);
}

}  // namespace

void* open_symbol(const std::string& path, const char* symbol, std::string& reason) {
  std::wstring wide(path.size() + 1, L'\0');
  if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path.c_str(), -1, wide.data(), static_cast<int>(wide.size())) == 0) {
    reason = last_error();
    return nullptr;
  }
  // Its own folder first, so that a library can bring others with it.
  const HMODULE module =
      LoadLibraryExW(wide.c_str(), nullptr, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
  if (module == nullptr) {
    reason = last_error();
    return nullptr;
  }
  void* const address = reinterpret_cast<void*>(GetProcAddress(module, symbol));
  if (address == nullptr) reason = std::string("it exports no symbol ") + symbol;
  return address;
}

std::string beside_this(const char* name) {
  HMODULE module = nullptr;
  GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                     reinterpret_cast<LPCSTR>(&beside_this), &module);
  std::wstring wide(32768, L'\0');
  const DWORD length = GetModuleFileNameW(module, wide.data(), static_cast<DWORD>(wide.size()));
  std::string path(4 * static_cast<size_t>(length) + 1, '\0');
  const int bytes = WideCharToMultiByte(CP_UTF8, 0, wide.data(), static_cast<int>(length), path.data(), static_cast<int>(path.size()),
                                        nullptr, nullptr);
  path.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  const size_t folder = path.find_last_of("\\/");
  return folder == std::string::npos ? "" : path.substr(0, folder + 1) + name;
}

#else

std::string beside_this(const char* name) {
  Dl_info here;
  if (dladdr(reinterpret_cast<void*>(&beside_this), &here) == 0 || here.dli_fname == nullptr) return "";
  const std::string path = here.dli_fname;
  const size_t folder = path.find_last_of('/');
  return folder == std::string::npos ? "" : path.substr(0, folder + 1) + name;
}

void* open_symbol(const std::string& path, const char* symbol, std::string& reason) {
  // Everything is bound now: a symbol that is missing is an error here and not the end of the process in the middle of a call.
  void* const object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) {
    const char* const error = dlerror();
    reason = error == nullptr ? "dlopen failed" : error;
    return nullptr;
  }
  void* const address = dlsym(object, symbol);
  if (address == nullptr) reason = std::string("it exports no symbol ") + symbol;
  return address;
}

#endif

}  // namespace imago
