// A packet trace: whose packets are to be shown, how many, and for how long. One object for all
// threads; each of them lets go of it by itself, and the last one says that it has ended.
// Thread: any; what changes is atomic.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>


namespace stmqtt {

/// All that is given must fit: the Client Identifier, the beginning of the peer's address, and for
/// PUBLISH packets, which then are the only ones, the Topic Name.
struct TraceSpec {
  std::uint32_t id = 0;
  std::string client_id;
  std::string address;
  std::string topic_filter;
  std::uint32_t max_per_s = 100;      ///< over all threads
  std::uint32_t seconds = 60;
  std::uint32_t payload_bytes = 256;  ///< of a PUBLISH; of any packet at most kMaxPacketBytes

  static constexpr std::uint32_t kMaxPacketBytes = 4096;
};

class Trace {
 public:
  Trace(TraceSpec what, std::uint64_t end_ms, std::uint32_t threads)
      : spec(std::move(what)), ends_at_ms(end_ms), threads_(threads) {}

  const TraceSpec spec;
  const std::uint64_t ends_at_ms;

  /// False: there were enough in this second.
  [[nodiscard]] bool admit(std::uint64_t now_ms) noexcept {
    const std::uint64_t second = now_ms / 1000 << 32;
    std::uint64_t seen = window_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint64_t count = seen >> 32 == second >> 32 ? (seen & 0xFFFFFFFF) : 0;
      if (count >= spec.max_per_s) break;
      if (window_.compare_exchange_weak(seen, second | (count + 1), std::memory_order_relaxed)) {
        return true;
      }
    }
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  /// How many were left out since this was asked last.
  [[nodiscard]] std::uint32_t take_suppressed() noexcept {
    return suppressed_.exchange(0, std::memory_order_relaxed);
  }
  /// A thread has let go of it; true for the last one.
  [[nodiscard]] bool leave() noexcept {
    return threads_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  [[nodiscard]] bool ended() const noexcept {
    return threads_.load(std::memory_order_acquire) == 0;
  }

 private:
  std::atomic<std::uint64_t> window_{0};  ///< the second, and how many there were in it
  std::atomic<std::uint32_t> suppressed_{0};
  std::atomic<std::uint32_t> threads_;
};

using TraceRef = std::shared_ptr<Trace>;

}  // namespace stmqtt
