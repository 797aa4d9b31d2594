// See timer_wheel.hpp. A timer sits on the level of the highest group of 6 bits in which its tick
// differs from the current one: so the slots of a level lie ahead of the current slot, within one
// turn, and the lowest level that holds anything holds the earliest timer.
// Thread: its owner's.
#include "base/timer_wheel.hpp"

#include <algorithm>

namespace stmqtt {
namespace {

void make_empty(TimerNode& list) noexcept {
  list.previous = &list;
  list.next = &list;
}

void push_back(TimerNode& list, TimerNode& node) noexcept {
  node.previous = list.previous;
  node.next = &list;
  list.previous->next = &node;
  list.previous = &node;
}

}  // namespace

TimerWheel::TimerWheel(std::uint64_t now_ms) noexcept : current_(now_ms / kTickMs) {
  for (auto& level : slots_) {
    for (TimerNode& list : level) make_empty(list);
  }
  make_empty(firing_);
}

TimerWheel::~TimerWheel() {
  // Timers that are left must not point into a wheel that is gone.
  for (auto& level : slots_) {
    for (TimerNode& list : level) {
      while (list.next != &list) list.next->unlink();
    }
  }
  while (firing_.next != &firing_) firing_.next->unlink();
}

void TimerWheel::place(TimerNode& node) noexcept {
  const std::uint64_t differing = node.tick ^ current_;
  const unsigned level =
      differing == 0 ? 0 : (static_cast<unsigned>(std::bit_width(differing)) - 1) / kLevelBits;
  const auto slot = static_cast<unsigned>(node.tick >> (level * kLevelBits)) & (kSlots - 1);
  node.level = static_cast<std::uint8_t>(level);
  node.slot = static_cast<std::uint8_t>(slot);
  occupied_[level] |= std::uint64_t{1} << slot;
  push_back(slots_[level][slot], node);
}

void TimerWheel::schedule(TimerNode& node, std::uint64_t at_ms) noexcept {
  cancel(node);
  // Rounded up: never early. A wheel is no older than its clock, so current_ is far below kMaxTick.
  const std::uint64_t tick = at_ms / kTickMs + (at_ms % kTickMs != 0 ? 1 : 0);
  node.tick = std::min(std::max(tick, current_ + 1), kMaxTick);
  place(node);
}

void TimerWheel::cancel(TimerNode& node) noexcept {
  if (!node.scheduled()) return;
  node.unlink();
  if (node.level == kFiringLevel) return;
  const TimerNode& list = slots_[node.level][node.slot];
  if (list.next == &list) occupied_[node.level] &= ~(std::uint64_t{1} << node.slot);
}

std::uint64_t TimerWheel::next_tick() const noexcept {
  for (unsigned level = 0; level < kLevels; level++) {
    if (occupied_[level] == 0) continue;
    const unsigned shift = level * kLevelBits;
    const auto slot = static_cast<std::uint64_t>(std::countr_zero(occupied_[level]));
    const std::uint64_t turn = current_ >> (shift + kLevelBits) << kLevelBits;
    return (turn | slot) << shift;
  }
  return kNever;
}

std::uint64_t TimerWheel::next_due_ms() const noexcept {
  if (firing_.next != &firing_) return current_ * kTickMs;
  const std::uint64_t tick = next_tick();
  return tick == kNever ? kNever : tick * kTickMs;
}

bool TimerWheel::step(std::uint64_t now) noexcept {
  for (;;) {
    const std::uint64_t tick = next_tick();
    if (tick > now) {
      // Nothing lies between, so the levels keep their meaning when time jumps.
      if (now > current_) {
        current_ = std::min(now, kMaxTick - 1);
      }
      return false;
    }
    unsigned level = 0;
    while (occupied_[level] == 0) level++;
    const auto slot = static_cast<unsigned>(std::countr_zero(occupied_[level]));
    occupied_[level] &= ~(std::uint64_t{1} << slot);
    current_ = std::max(tick, current_);
    TimerNode& list = slots_[level][slot];
    while (list.next != &list) {
      TimerNode& node = *list.next;
      node.unlink();
      if (node.tick <= current_) {
        node.level = kFiringLevel;
        push_back(firing_, node);
      } else {
        place(node);
      }
    }
    if (firing_.next != &firing_) return true;
  }
}

}  // namespace stmqtt
