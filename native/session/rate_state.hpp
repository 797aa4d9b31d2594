// What a client whose rate is bounded has besides: its buckets, those that it shares, and the timer
// of its pause. Made when the client is admitted, from the pool; others have none.
// Thread: the I/O thread of its connection.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/timer_wheel.hpp"
#include "session/limits.hpp"
#include "session/rate_bucket.hpp"

namespace stmqtt {

class Client;

struct RateState : TimerNode {
  RateState(Client& of, std::uint32_t messages_per_s_, std::uint32_t bytes_per_s_,
            SharedRates* of_listener, SharedRates* of_tenant) noexcept
      : client(of),
        messages_per_s(messages_per_s_),
        bytes_per_s(bytes_per_s_),
        listener(of_listener),
        tenant(of_tenant) {}

  Client& client;
  std::uint32_t messages_per_s;        ///< 0 = no bound of its own
  std::uint32_t bytes_per_s;
  SharedRates* const listener;         ///< borrowed, or null; outlives the client
  SharedRates* const tenant;           ///< likewise
  bool paid = false;                   ///< the packet that waits was taken out of the buckets

  enum class Charge : std::uint8_t { bytes, bytes_and_message };

  /// Takes a packet out of all buckets. Returns how long it has to wait, in ns.
  [[nodiscard]] std::uint64_t take(Charge charge, std::uint64_t packet_bytes,
                                   std::uint64_t now_ns) noexcept {
    std::uint64_t wait = 0;
    if (bytes_per_s != 0) wait = bytes_.take(bytes_per_s, packet_bytes, now_ns);
    if (charge == Charge::bytes_and_message && messages_per_s != 0) {
      wait = std::max(wait, messages_.take(messages_per_s, 1, now_ns));
    }
    for (SharedRates* shared : {listener, tenant}) {
      if (shared == nullptr) continue;
      wait = std::max(wait, shared->bytes.take(packet_bytes, now_ns));
      if (charge == Charge::bytes_and_message) {
        wait = std::max(wait, shared->messages.take(1, now_ns));
      }
    }
    return wait;
  }
  /// Its own bound of messages is reached.
  [[nodiscard]] bool messages_used_up(std::uint64_t now_ns) const noexcept {
    return messages_per_s != 0 && messages_.wait_ns(messages_per_s, 1, now_ns) > 0;
  }

 private:
  RateBucket messages_;
  RateBucket bytes_;
};

}  // namespace stmqtt
