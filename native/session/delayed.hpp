// Messages that wait for their time ("$delayed/…"), one heap for each thread, in memory; what they take
// together is bounded for the whole broker. Off: on() is all that a PUBLISH pays.
// Thread: the shard's.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/message.hpp"
#include "base/timer_wheel.hpp"
#include "contract/counters.hpp"

namespace stmqtt {

enum class DelayFull : std::uint8_t { refuse, publish };  ///< at once, undelayed
enum class DelayEnd : std::uint8_t { publish, drop };

struct DelayOptions {
  bool on = false;
  std::uint32_t max_delay_s = 0;
  std::uint64_t max_messages = 0;
  std::uint64_t max_bytes = 0;  ///< topics, properties and payloads
  DelayFull when_full = DelayFull::refuse;
  DelayEnd at_end = DelayEnd::publish;  ///< what becomes of those that wait where it is off
};

/// Of all threads. Thread: any.
struct DelayTotals {
  std::atomic<std::uint64_t> messages{0};
  std::atomic<std::uint64_t> bytes{0};
};

class DelayedMessages {
 public:
  struct Timer {
    TimerWheel& wheel;
    TimerNode& node;
    const std::uint64_t& now_ms;
  };

  DelayedMessages(DelayTotals& totals, contract::Counters& counters, Timer timer) noexcept
      : totals_(totals), counters_(counters), timer_(timer) {}
  DelayedMessages(const DelayedMessages&) = delete;
  DelayedMessages& operator=(const DelayedMessages&) = delete;

  [[nodiscard]] bool on() const noexcept { return options_.on; }
  [[nodiscard]] const DelayOptions& options() const noexcept { return options_; }
  /// Bounds hold for what comes from now on.
  void set_options(const DelayOptions& options) noexcept;

  /// False: there is no room.
  [[nodiscard]] bool add(MessageRef&& message, std::uint32_t seconds) noexcept;
  /// Empty: none is due. The one that is due first, and of equal ones the one that came first.
  [[nodiscard]] MessageRef take_due() noexcept;
  /// Those that wait, in no order.
  template <class F>
  void each(F&& visit) const noexcept {
    for (const Entry& entry : heap_) visit(*entry.message);
  }
  /// Fires when the next one is due.
  void schedule() noexcept;

  /// Seconds by which the PUBLISH in hand is delayed.
  std::uint32_t in_hand = 0;

 private:
  struct Entry {
    std::uint64_t due_ms;
    std::uint64_t number;
    MessageRef message;
  };
  [[nodiscard]] static bool later(const Entry& a, const Entry& b) noexcept {
    return a.due_ms != b.due_ms ? a.due_ms > b.due_ms : a.number > b.number;
  }
  void forget(const Message& message) noexcept;

  DelayTotals& totals_;
  contract::Counters& counters_;
  Timer timer_;
  DelayOptions options_;
  std::vector<Entry> heap_;
  std::uint64_t numbers_ = 0;
};

}  // namespace stmqtt
