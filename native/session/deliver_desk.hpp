// Which deliveries of one thread hooks were asked about. The deliveries themselves stay where they are,
// in their sessions' queues, whose pump stops at one that waits; here is how long it may wait, and
// who stands in line because as many are asked as may be. Where no hook looks at deliveries awake() is
// false, and that test is all that a publication pays.
// Thread: the shard's.
#pragma once

#include <cstdint>

#include "base/ring_queue.hpp"
#include "base/timer_wheel.hpp"
#include "contract/counters.hpp"
#include "contract/records.hpp"
#include "session/hook_desk.hpp"
#include "session/slot_table.hpp"

namespace stmqtt {

class Host;
class Session;
struct Delivery;

/// One that hooks were asked about and have not answered.
struct DeliveryAsk : TimerNode {
  static constexpr std::uint8_t kTimer = 14;  ///< its kind, among the shard's
  SessionRef session;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::size_t bytes = 0;    ///< of its message
  bool drops_late = false;  ///< without a verdict in time it is dropped
};

class DeliverDesk {
 public:
  /// Bounds of what is asked at the same time; one message always fits. What is beyond them waits
  /// where it is, so that the bounds of queues hold for it.
  static constexpr std::uint32_t kMaxOfReceiver = 64;
  static constexpr std::uint32_t kMaxAsked = 4096;
  static constexpr std::size_t kMaxBytes = std::size_t{8} << 20;
  /// Name of no ask.
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  /// What is not asked by now: hooks have no time left.
  enum class Late : std::uint8_t { no, passes, drops };

  DeliverDesk(HookDesk& hooks, Host& host, contract::Counters& counters, TimerWheel& wheel,
              TimerNode& line_timer, ThreadIndex thread) noexcept
      : hooks_(hooks),
        host_(host),
        counters_(counters),
        wheel_(wheel),
        line_timer_(line_timer),
        thread_(thread) {}
  ~DeliverDesk();
  DeliverDesk(const DeliverDesk&) = delete;
  DeliverDesk& operator=(const DeliverDesk&) = delete;

  /// A hook looks at deliveries, of whatever topic.
  [[nodiscard]] bool awake() const noexcept { return hooks_.wants(kHookDeliver); }
  /// One looks at those of this topic.
  [[nodiscard]] bool wants(Bytes topic) const noexcept;
  /// What becomes of those of this topic that are not asked about yet.
  [[nodiscard]] Late late(Bytes topic) const noexcept;

  /// Asks hooks. The name of the ask; kNone: there is no room, and the session stands in line.
  [[nodiscard]] std::uint32_t ask(Session& session, const Delivery& delivery,
                                  std::uint64_t now_ms) noexcept;
  /// Its delivery has gone, or has its verdict: one that comes later finds nothing.
  void forget(std::uint32_t slot) noexcept;
  /// By the number in a verdict. Null: it is late.
  [[nodiscard]] DeliveryAsk* find(std::uint64_t hook_id) const noexcept;
  /// All of them, from `slot` on; null = there are no more.
  [[nodiscard]] DeliveryAsk* next(std::uint32_t slot) const noexcept;
  [[nodiscard]] std::uint32_t asked() const noexcept { return asks_.count(); }

  /// Sessions wait for room, and there is some.
  [[nodiscard]] bool may_call() const noexcept {
    return !line_.empty() && !crowded_ && asks_.count() <= kMaxAsked / 2 && bytes_ <= kMaxBytes / 2;
  }
  [[nodiscard]] std::uint32_t in_line() const noexcept { return line_.size(); }
  /// The next one in line.
  [[nodiscard]] SessionRef call() noexcept { return line_.take_front(); }
  /// There may be room for events again.
  void look_again() noexcept { crowded_ = false; }
  /// From here on nobody is asked: what hooks say where the time is over holds.
  void end() noexcept { ended_ = true; }

 private:
  [[nodiscard]] bool tell(const Session& session, const Delivery& delivery,
                          const DeliveryAsk& ask, std::uint64_t now_ms) noexcept;
  void stand_in_line(Session& session, std::uint64_t now_ms) noexcept;

  HookDesk& hooks_;
  Host& host_;
  contract::Counters& counters_;
  TimerWheel& wheel_;
  TimerNode& line_timer_;
  SlotTable<DeliveryAsk> asks_;
  std::size_t bytes_ = 0;  ///< of the messages of asks_
  RingQueue<SessionRef> line_;
  const ThreadIndex thread_;
  bool crowded_ = false;   ///< there was no room for events
  bool ended_ = false;
};

}  // namespace stmqtt
