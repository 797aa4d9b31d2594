// Words for what OpenSSL reports. Thread: any; OpenSSL keeps its errors by thread.
#pragma once

#include <string>

#include "io/openssl.hpp"

namespace stmqtt {

/// Of the first error that this thread has; the queue is empty afterwards.
[[nodiscard]] inline std::string openssl_error() {
  const unsigned long error = openssl::functions()->ERR_peek_error();
  const char* text =
      error == 0 ? nullptr : openssl::functions()->ERR_reason_error_string(error);
  openssl::functions()->ERR_clear_error();
  return text == nullptr ? "OpenSSL does not say why" : text;
}

}  // namespace stmqtt
