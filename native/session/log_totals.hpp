// What the threads' logs have in common: the order of their messages, and what they take together.
// Thread: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/ids.hpp"

namespace stmqtt {

struct LogTotals {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  /// Of one thread's logs. Its owner writes `oldest`.
  struct alignas(64) Part {
    std::atomic<std::uint64_t> oldest{kNone};  ///< sequence of the log written to least recently
    std::atomic<std::uint64_t> cost{0};
    std::atomic<bool> asked{false};            ///< somebody has asked it to make room
  };

  std::atomic<std::uint64_t> sequence{0};  ///< of the message logged last
  std::atomic<std::uint64_t> barriers{0};  ///< number of the hand-over begun last
  std::atomic<std::uint64_t> cost{0};      ///< memory of all logs, with what is being handed over
  std::atomic<std::uint32_t> filters{0};   ///< logs that publishes made
  Part parts[kMaxIoThreads];
};

}  // namespace stmqtt
