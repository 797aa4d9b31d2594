// See openssl.hpp. Thread: any; the table is filled once.
#include "io/openssl.hpp"

#include <dlfcn.h>

namespace stmqtt::openssl {
namespace {

struct Table {
  Functions functions;
  const char* missing = nullptr;

  Table() noexcept {
#define STMQTT_OPENSSL_FIND(result, name, parameters)                                          \
  functions.name = reinterpret_cast<result(*) parameters>(::dlsym(RTLD_DEFAULT, #name)); \
  if (functions.name == nullptr && missing == nullptr) missing = #name;
    STMQTT_OPENSSL_FUNCTIONS(STMQTT_OPENSSL_FIND)
#undef STMQTT_OPENSSL_FIND
    if (missing == nullptr && functions.OPENSSL_version_major() != 3) {
      missing = "OPENSSL_version_major of 3";
    }
  }
};

const Table& table() noexcept {
  static const Table the_table;
  return the_table;
}

}  // namespace

const Functions* functions() noexcept {
  return table().missing == nullptr ? &table().functions : nullptr;
}

const char* missing_function() noexcept { return table().missing; }

}  // namespace stmqtt::openssl
