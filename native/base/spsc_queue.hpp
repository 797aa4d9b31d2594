// A bounded, wait-free queue from exactly one thread to exactly one other. Each end keeps a copy of
// the other's index, so that the shared lines move between the cores once per batch and not once
// per element.
// Thread: one producer calls stage, publish, try_push; one consumer calls the rest.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "base/fatal.hpp"

namespace stmqtt {

template <class T>
class SpscQueue {
 public:
  /// `capacity` must be a power of two.
  explicit SpscQueue(std::size_t capacity) noexcept : mask_(capacity - 1) {
    if (capacity == 0 || (capacity & mask_) != 0) fatal("SpscQueue: capacity is no power of two");
    static_assert(alignof(T) <= alignof(std::max_align_t));
    slots_ = static_cast<T*>(std::malloc(capacity * sizeof(T)));
    if (slots_ == nullptr) fatal("out of memory");
  }
  ~SpscQueue() {
    // Both ends have stopped. What was staged and never published is here too.
    for (std::size_t at = head_.load(std::memory_order_acquire); at != staged_; at++) {
      slots_[at & mask_].~T();
    }
    std::free(slots_);
  }
  SpscQueue(const SpscQueue&) = delete;
  SpscQueue& operator=(const SpscQueue&) = delete;

  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

  /// Producer: puts an element in without showing it yet. False = full, `value` is untouched.
  [[nodiscard]] bool stage(T&& value) noexcept {
    if (staged_ - seen_head_ > mask_) {
      seen_head_ = head_.load(std::memory_order_acquire);
      if (staged_ - seen_head_ > mask_) return false;
    }
    ::new (static_cast<void*>(slots_ + (staged_ & mask_))) T(std::move(value));
    staged_++;
    return true;
  }
  /// Producer: elements staged so far, since the beginning.
  [[nodiscard]] std::size_t staged() const noexcept { return staged_; }
  /// Producer: elements taken so far; their consumer is done with them.
  [[nodiscard]] std::size_t taken() const noexcept { return head_.load(std::memory_order_acquire); }
  /// Producer: shows everything staged to the consumer.
  void publish() noexcept { tail_.store(staged_, std::memory_order_release); }
  [[nodiscard]] bool try_push(T&& value) noexcept {
    if (!stage(std::move(value))) return false;
    publish();
    return true;
  }

  /// Consumer: hands up to `max` elements to `fn(T&&)`, oldest first; returns how many. The room is
  /// given back after the last one.
  template <class Fn>
  std::size_t consume(Fn&& fn, std::size_t max = SIZE_MAX) noexcept {
    std::size_t at = head_.load(std::memory_order_relaxed);
    if (seen_tail_ == at) {
      seen_tail_ = tail_.load(std::memory_order_acquire);
      if (seen_tail_ == at) return 0;
    }
    std::size_t count = seen_tail_ - at;
    if (count > max) count = max;
    for (const std::size_t end = at + count; at != end; at++) {
      T& slot = slots_[at & mask_];
      fn(std::move(slot));
      slot.~T();
    }
    head_.store(at, std::memory_order_release);
    return count;
  }
  /// Consumer: moves up to `max` elements into `out`; returns how many.
  [[nodiscard]] std::size_t try_pop_batch(T* out, std::size_t max) noexcept {
    return consume([&out](T&& value) { *out++ = std::move(value); }, max);
  }

 private:
  static constexpr std::size_t kLine = 64;

  // Read by both, written by none.
  T* slots_;
  std::size_t mask_;
  // The producer's.
  alignas(kLine) std::atomic<std::size_t> tail_{0};
  std::size_t staged_ = 0;
  std::size_t seen_head_ = 0;
  // The consumer's.
  alignas(kLine) std::atomic<std::size_t> head_{0};
  std::size_t seen_tail_ = 0;
  [[maybe_unused]] char pad_[kLine - sizeof(std::atomic<std::size_t>) - sizeof(std::size_t)];
};

}  // namespace stmqtt
