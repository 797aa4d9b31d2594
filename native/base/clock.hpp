// The monotonic clock; its zero is the system's. Thread: any.
#pragma once

#include <chrono>
#include <cstdint>

namespace stmqtt {

[[nodiscard]] inline std::uint64_t now_ns() noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}
[[nodiscard]] inline std::uint64_t now_ms() noexcept { return now_ns() / 1'000'000; }

}  // namespace stmqtt
