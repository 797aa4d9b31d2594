// How long publishes take, from the turn in which a PUBLISH was read to the flush of the turn in
// which its copy was handed to the socket: with hops between threads and waiting in queues. Nothing
// is added per message that is delivered in the turn it came in: those are counted by subtraction.
// Thread: the shard's; any reads the histogram.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "base/vec.hpp"
#include "contract/latency.hpp"

namespace stmqtt {

/// Time of a turn's beginning, in units of 2^14 ns; wraps after 19 hours. 0 = not measured.
using TurnStamp = std::uint32_t;
[[nodiscard]] constexpr TurnStamp stamp_of(std::uint64_t ns) noexcept {
  const auto stamp = static_cast<TurnStamp>(ns >> 14);
  return stamp == 0 ? 1 : stamp;
}
/// From the stamp to `now_ns`; what is longer than the stamps' range is taken for less.
[[nodiscard]] constexpr std::uint64_t since_stamp_ns(TurnStamp stamp,
                                                     std::uint64_t now_ns) noexcept {
  return std::uint64_t{static_cast<TurnStamp>(now_ns >> 14) - stamp} << 14;
}

class LatencyHistogram {
 public:
  void add(std::uint64_t ns, std::int64_t deliveries) noexcept;
  /// Adds its numbers to those in `into`, as many as there is room for.
  void add_to(std::span<std::int64_t> into) const noexcept;

 private:
  void bump(std::size_t index, std::int64_t by) noexcept {
    auto& value = values_[index];
    value.store(value.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::array<std::atomic<std::int64_t>, contract::kLatencyNumbers> values_{};
};

/// What a turn sent. Told of each PUBLISH that is written.
class TurnDeliveries {
 public:
  void begin(TurnStamp stamp) noexcept { turn_ = stamp; }
  [[nodiscard]] TurnStamp stamp() const noexcept { return turn_; }
  /// A copy of what was published in the turn of that stamp is written.
  void sent(TurnStamp published) noexcept {
    if (published != turn_) [[unlikely]] sent_late(published);
  }
  /// The turn is flushed: `sent_in_all` PUBLISH packets were written since the thread began.
  void measure(std::int64_t sent_in_all, std::uint64_t turn_ns, std::uint64_t now_ns,
               LatencyHistogram& into) noexcept;

 private:
  struct Run {
    TurnStamp published;
    std::uint32_t deliveries;
  };
  void sent_late(TurnStamp published) noexcept;

  TurnStamp turn_ = 1;
  std::uint32_t others_ = 0;  ///< of this turn: late, or not measured
  PoolVector<Run> late_;
  std::int64_t sent_before_ = 0;
};

}  // namespace stmqtt
