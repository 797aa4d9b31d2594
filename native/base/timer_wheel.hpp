// A hierarchical timer wheel: schedule and cancel cost a few instructions however many timers there
// are. Ticks of 8 ms; a timer never fires early and at most one tick late. Pure: takes the time.
// Thread: its owner's.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace stmqtt {

/// Embedded in what the timer is for. Its owner cancels it before it dies; a destructor that finds
/// it still scheduled takes it off its list.
struct TimerNode {
  TimerNode* previous = nullptr;  ///< null = not scheduled
  TimerNode* next = nullptr;
  std::uint64_t tick = 0;  ///< fires in this tick of the wheel
  std::uint8_t kind = 0;   ///< the owner's: what the timer is for
  std::uint8_t level = 0;  ///< the wheel's
  std::uint8_t slot = 0;   ///< the wheel's

  TimerNode() noexcept = default;
  ~TimerNode() { unlink(); }
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;

  [[nodiscard]] bool scheduled() const noexcept { return previous != nullptr; }
  void unlink() noexcept {
    if (previous == nullptr) return;
    previous->next = next;
    next->previous = previous;
    previous = nullptr;
    next = nullptr;
  }
};

class TimerWheel {
 public:
  static constexpr std::uint64_t kTickMs = 8;
  static constexpr std::uint64_t kNever = UINT64_MAX;

  explicit TimerWheel(std::uint64_t now_ms) noexcept;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel();

  /// Fires at `at_ms` or up to a tick later; a time that is past fires in the next tick. A node that
  /// is scheduled already is moved.
  void schedule(TimerNode& node, std::uint64_t at_ms) noexcept;
  void cancel(TimerNode& node) noexcept;
  /// When advance() should be called next, in ms: never later than the earliest timer is due; may be
  /// earlier. kNever if there is none.
  [[nodiscard]] std::uint64_t next_due_ms() const noexcept;

  /// Calls `fn(TimerNode&)` for each timer that is due, oldest tick first; the node is not scheduled
  /// any more when it is called. `fn` may schedule and cancel any node.
  template <class Fn>
  void advance(std::uint64_t now_ms, Fn&& fn) noexcept {
    while (!advance_some(now_ms, UINT32_MAX, fn)) {
    }
  }
  /// At most `most` of them; false: more are due, and next_due_ms() says so.
  template <class Fn>
  bool advance_some(std::uint64_t now_ms, std::uint32_t most, Fn&& fn) noexcept {
    const std::uint64_t now = now_ms / kTickMs;
    do {
      while (firing_.next != &firing_) {
        if (most-- == 0) return false;
        TimerNode& node = *firing_.next;
        node.unlink();
        fn(node);
      }
    } while (step(now));
    return true;
  }

 private:
  // 7 levels of 64 slots are 2^42 ticks, more than a thousand years.
  static constexpr unsigned kLevels = 7;
  static constexpr unsigned kLevelBits = 6;
  static constexpr unsigned kSlots = 1U << kLevelBits;
  static constexpr std::uint64_t kMaxTick = (std::uint64_t{1} << (kLevels * kLevelBits)) - 1;
  static constexpr std::uint8_t kFiringLevel = 0xFF;

  [[nodiscard]] std::uint64_t next_tick() const noexcept;
  void place(TimerNode& node) noexcept;
  // Moves to the next tick with something in it, at most `now`; its timers are then in firing_.
  [[nodiscard]] bool step(std::uint64_t now) noexcept;

  TimerNode slots_[kLevels][kSlots];
  TimerNode firing_;
  std::uint64_t occupied_[kLevels] = {};  // bit per slot; may be set for an empty one
  std::uint64_t current_;                 // tick that was processed last
};

}  // namespace stmqtt
