// See fatal.hpp. Thread: any.
#include "base/fatal.hpp"

#include <cstdio>
#include <cstdlib>

namespace stmqtt {

void fatal(const char* text) noexcept {
  std::fprintf(stderr, "st-mqttd: fatal: %s\n", text);
  std::fflush(stderr);
  std::abort();
}

}  // namespace stmqtt
