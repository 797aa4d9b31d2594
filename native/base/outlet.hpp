// What a session writes to: an outbound queue and its place on its thread's list of outlets that
// have something to flush at the end of the loop turn. io/ makes it a socket, engine/ a link.
// No virtual functions: the flusher looks at the kind. Thread: its owner's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/outbound_queue.hpp"

namespace stmqtt {

class FlushList;

/// Membership in a circular list.
struct FlushLink {
  FlushLink* previous = nullptr;  ///< null = on no list
  FlushLink* next = nullptr;
};

class Outlet : private FlushLink {
 public:
  enum class Kind : std::uint8_t { socket, link };

  Outlet(FlushList& list, Kind kind) noexcept : list_(&list), kind_(kind) {}
  ~Outlet() { unmark(); }
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  OutboundQueue queue;

  /// To be called after writing to the queue: it is flushed at the end of this turn, once.
  inline void mark() noexcept;
  inline void unmark() noexcept;
  [[nodiscard]] bool marked() const noexcept { return previous != nullptr; }
  /// More bytes wait than the high watermark allows: what may be dropped or held back, should be.
  [[nodiscard]] inline bool above_high() const noexcept;
  [[nodiscard]] inline bool below_low() const noexcept;
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  friend class FlushList;
  FlushList* list_;
  Kind kind_;
};

/// The outlets of one thread that have something to send, in the order in which they were marked.
/// Also holds the watermarks, which are the same for all outlets of a thread.
class FlushList {
 public:
  FlushList(std::size_t high_watermark_bytes, std::size_t low_watermark_bytes) noexcept
      : high_bytes_(high_watermark_bytes), low_bytes_(low_watermark_bytes) {
    ends_.previous = &ends_;
    ends_.next = &ends_;
  }
  ~FlushList() {
    while (take() != nullptr) {
    }
  }
  FlushList(const FlushList&) = delete;
  FlushList& operator=(const FlushList&) = delete;

  [[nodiscard]] bool empty() const noexcept { return ends_.next == &ends_; }
  /// Takes the first off the list; null if there is none.
  [[nodiscard]] Outlet* take() noexcept {
    if (empty()) return nullptr;
    auto* outlet = static_cast<Outlet*>(ends_.next);
    outlet->unmark();
    return outlet;
  }
  /// Moves everything from here behind what `to` has, so that what is marked from now on is not
  /// part of the batch at hand.
  void move_to(FlushList& to) noexcept {
    if (empty()) return;
    FlushLink* first = ends_.next;
    FlushLink* last = ends_.previous;
    first->previous = to.ends_.previous;
    to.ends_.previous->next = first;
    last->next = &to.ends_;
    to.ends_.previous = last;
    ends_.previous = &ends_;
    ends_.next = &ends_;
  }
  /// For all outlets of the list, from now on.
  void set_watermarks(std::size_t high_bytes, std::size_t low_bytes) noexcept {
    high_bytes_ = high_bytes;
    low_bytes_ = low_bytes;
  }
  [[nodiscard]] std::size_t high_bytes() const noexcept { return high_bytes_; }
  [[nodiscard]] std::size_t low_bytes() const noexcept { return low_bytes_; }

 private:
  friend class Outlet;
  FlushLink ends_;
  std::size_t high_bytes_;
  std::size_t low_bytes_;
};

void Outlet::mark() noexcept {
  if (previous != nullptr) return;
  FlushLink& ends = list_->ends_;
  previous = ends.previous;
  next = &ends;
  ends.previous->next = this;
  ends.previous = this;
}

void Outlet::unmark() noexcept {
  if (previous == nullptr) return;
  previous->next = next;
  next->previous = previous;
  previous = nullptr;
  next = nullptr;
}

bool Outlet::above_high() const noexcept { return queue.bytes() > list_->high_bytes_; }
bool Outlet::below_low() const noexcept { return queue.bytes() <= list_->low_bytes_; }

}  // namespace stmqtt
