// See openssl.hpp. Thread: any; the table is filled once.
#include "io/openssl.hpp"

#include <dlfcn.h>

#include <atomic>

namespace stmqtt::openssl {
namespace {

constexpr const char* kSystemLibrary = "libssl.so.3";

std::atomic<bool> system_wanted{false};
std::atomic<bool> table_made{false};

// What the library refers to must be its own, though the runtime may export functions of the same
// names (a BoringSSL). Where that cannot be had, only a process that exports none is safe.
void* open_system_library() noexcept {
#if defined(RTLD_DEEPBIND) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr int kOwn = RTLD_DEEPBIND;
#else
  constexpr int kOwn = 0;
  if (::dlsym(RTLD_DEFAULT, "CRYPTO_malloc") != nullptr) return nullptr;
#endif
  return ::dlopen(kSystemLibrary, RTLD_NOW | RTLD_LOCAL | kOwn);
}

/// Null: all are there.
const char* find_all(void* where, Functions& functions) noexcept {
  const char* missing = nullptr;
#define STMQTT_OPENSSL_FIND(result, name, parameters)                              \
  functions.name = reinterpret_cast<result(*) parameters>(::dlsym(where, #name)); \
  if (functions.name == nullptr && missing == nullptr) missing = #name;
  STMQTT_OPENSSL_FUNCTIONS(STMQTT_OPENSSL_FIND)
#undef STMQTT_OPENSSL_FIND
  if (missing == nullptr && functions.OPENSSL_version_major() != 3) {
    missing = "OPENSSL_version_major of 3";
  }
  return missing;
}

struct Table {
  Functions functions;
  const char* missing = nullptr;   // in the process
  const char* version = nullptr;   // of the system's library, where it is used
  bool usable = false;

  Table() noexcept {
    table_made.store(true);
    missing = system_wanted.load() ? "one that was asked for" : find_all(RTLD_DEFAULT, functions);
    usable = missing == nullptr;
    if (usable) return;
    void* const library = open_system_library();  // stays for the life of the process
    if (library == nullptr || find_all(library, functions) != nullptr) return;
    usable = true;
    const auto version_text =
        reinterpret_cast<const char* (*)(int)>(::dlsym(library, "OpenSSL_version"));
    version = version_text == nullptr ? "OpenSSL 3" : version_text(0);
  }
};

const Table& table() noexcept {
  static const Table the_table;
  return the_table;
}

}  // namespace

const Functions* functions() noexcept { return table().usable ? &table().functions : nullptr; }

const char* missing_function() noexcept { return table().missing; }

const char* system_version() noexcept { return table().version; }

bool want_system() noexcept {
  if (table_made.load()) return table().version != nullptr;
  system_wanted.store(true);
  return table().version != nullptr;
}

}  // namespace stmqtt::openssl
