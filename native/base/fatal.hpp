// The one way to give up: memory is gone or an invariant is broken, and to go on would corrupt.
// Thread: any.
#pragma once

namespace stmqtt {

/// Writes "st-mqttd: fatal: <text>" to standard error and aborts. Allocates nothing.
[[noreturn]] void fatal(const char* text) noexcept;

}  // namespace stmqtt
