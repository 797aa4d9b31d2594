// Messages from one I/O thread to another: a bounded ring, and behind it the producer's overflow,
// so that posting never blocks. One FIFO for each ordered pair of threads.
// Thread: post() and flush() on the producer; consume() on the consumer.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/ring_queue.hpp"
#include "base/spsc_queue.hpp"
#include "session/host.hpp"

namespace stmqtt {

class Outbox {
 public:
  /// Above these logical bytes in overflow, publishers of the producing thread pause.
  static constexpr std::size_t kHighBytes = std::size_t{8} << 20;
  static constexpr std::size_t kLowBytes = std::size_t{2} << 20;

  Outbox() : ring_(kRing) {}

  void post(CrossItem&& item) noexcept {
    posted_ = true;
    if (overflow_.empty() && ring_.stage(std::move(item))) return;
    overflow_bytes_ += weight(item);
    overflow_.push_back(std::move(item));
  }
  /// Shows the consumer what was posted, as far as there is room; true if it should be woken.
  [[nodiscard]] bool flush() noexcept {
    while (!overflow_.empty()) {
      const std::size_t bytes = weight(overflow_.front());
      if (!ring_.stage(std::move(overflow_.front()))) break;
      posted_ = true;
      overflow_.pop_front();
      overflow_bytes_ -= bytes;
    }
    if (!posted_) return false;
    posted_ = false;
    ring_.publish();
    return true;
  }
  [[nodiscard]] std::size_t overflow_bytes() const noexcept { return overflow_bytes_; }
  [[nodiscard]] bool has_overflow() const noexcept { return !overflow_.empty(); }

  /// Producer: items posted, and items that their receiver is done with, since the beginning.
  [[nodiscard]] std::size_t posted() const noexcept { return ring_.staged() + overflow_.size(); }
  [[nodiscard]] std::size_t taken() const noexcept { return ring_.taken(); }
  void mark() noexcept { mark_ = posted(); }
  [[nodiscard]] bool passed_mark() const noexcept { return taken() >= mark_; }

  /// Calls `take(CrossItem&&)` for at most `max` items; returns how many there were.
  template <class F>
  std::size_t consume(F&& take, std::size_t max) noexcept {
    return ring_.consume(std::forward<F>(take), max);
  }

 private:
  static constexpr std::size_t kRing = 4096;
  [[nodiscard]] static std::size_t weight(const CrossItem& item) noexcept {
    return sizeof(CrossItem) + (item.message ? item.message->logical_bytes() : 0);
  }

  SpscQueue<CrossItem> ring_;
  RingQueue<CrossItem> overflow_;
  std::size_t overflow_bytes_ = 0;
  std::size_t mark_ = 0;
  bool posted_ = false;  ///< since the last flush
};

}  // namespace stmqtt
