// A system call that failed: what the operator needs to be told. Thread: any (values).
#pragma once

namespace stmqtt {

struct SystemError {
  int code = 0;            ///< errno; 0 = no error
  const char* call = "";   ///< "bind", "listen", "getaddrinfo", ...; a literal

  [[nodiscard]] explicit operator bool() const noexcept { return code != 0; }
};

}  // namespace stmqtt
