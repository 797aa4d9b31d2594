// A growable first-in-first-out ring of movable elements: 16 bytes and no memory when empty, pool
// memory otherwise. Thread: its owner's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "base/fatal.hpp"
#include "base/pool.hpp"

namespace stmqtt {

template <class T>
class RingQueue {
  static_assert(alignof(T) <= alignof(std::max_align_t));

 public:
  RingQueue() noexcept = default;
  RingQueue(RingQueue&& other) noexcept { swap(other); }
  RingQueue& operator=(RingQueue&& other) noexcept {
    if (this != &other) {
      clear();
      swap(other);
    }
    return *this;
  }
  RingQueue(const RingQueue&) = delete;
  RingQueue& operator=(const RingQueue&) = delete;
  ~RingQueue() { clear(); }

  void swap(RingQueue& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(head_, other.head_);
    const std::uint32_t size = size_;
    const std::uint32_t log2 = log2_;
    size_ = other.size_;
    log2_ = other.log2_;
    other.size_ = size & kSizeMask;
    other.log2_ = log2 & 31;
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// `index` counts from the front.
  [[nodiscard]] T& operator[](std::size_t index) noexcept { return *slot(index); }
  [[nodiscard]] const T& operator[](std::size_t index) const noexcept { return *slot(index); }
  [[nodiscard]] T& front() noexcept { return *slot(0); }
  [[nodiscard]] const T& front() const noexcept { return *slot(0); }
  [[nodiscard]] T& back() noexcept { return *slot(size_ - 1U); }
  [[nodiscard]] const T& back() const noexcept { return *slot(size_ - 1U); }

  T& push_back(T value) noexcept {
    if (slots_ == nullptr || size_ == capacity()) grow();
    T* at = ::new (static_cast<void*>(slot(size_))) T(std::move(value));
    size_ = (size_ + 1) & kSizeMask;
    return *at;
  }
  /// In front of the element at `index`, at the cost of moving those before it.
  T& insert(std::size_t index, T value) noexcept {
    if (index == 0 && size_ == 0) return push_back(std::move(value));
    if (size_ == capacity()) grow();
    head_ = (head_ - 1) & (capacity() - 1);
    size_ = (size_ + 1) & kSizeMask;
    if (index == 0) return *::new (static_cast<void*>(slot(0))) T(std::move(value));
    ::new (static_cast<void*>(slot(0))) T(std::move(*slot(1)));
    for (std::size_t at = 1; at < index; ++at) *slot(at) = std::move(*slot(at + 1));
    *slot(index) = std::move(value);
    return *slot(index);
  }
  void pop_front() noexcept {
    slot(0)->~T();
    head_ = (head_ + 1) & (capacity() - 1);
    size_ = (size_ - 1) & kSizeMask;
    if (size_ == 0) release();
  }
  [[nodiscard]] T take_front() noexcept {
    T value = std::move(*slot(0));
    pop_front();
    return value;
  }
  void pop_back() noexcept {
    slot(size_ - 1U)->~T();
    size_ = (size_ - 1) & kSizeMask;
    if (size_ == 0) release();
  }

  /// Calls `predicate` once per element from the front; those it names go, the others keep their
  /// order. Returns how many went.
  template <class Predicate>
  std::uint32_t erase_if(Predicate&& predicate) noexcept {
    const std::uint32_t before = size_;
    std::uint32_t kept = 0;
    for (std::uint32_t index = 0; index < before; index++) {
      T& element = *slot(index);
      if (predicate(element)) continue;
      if (kept != index) *slot(kept) = std::move(element);
      kept++;
    }
    for (std::uint32_t index = kept; index < before; index++) slot(index)->~T();
    size_ = kept & kSizeMask;
    if (size_ == 0) release();
    return before - kept;
  }

  void clear() noexcept {
    for (std::uint32_t index = 0; index < size_; index++) slot(index)->~T();
    size_ = 0;
    release();
  }

 private:
  static constexpr std::uint32_t kSizeBits = 27;
  static constexpr std::uint32_t kSizeMask = (1U << kSizeBits) - 1;
  /// Four elements, or what fits into a cache line.
  static constexpr std::uint32_t first_log2() noexcept {
    std::uint32_t log2 = 2;
    while (log2 < 4 && (sizeof(T) << (log2 + 1)) <= 64) log2++;
    return log2;
  }

  [[nodiscard]] std::uint32_t capacity() const noexcept { return 1U << log2_; }
  [[nodiscard]] T* slot(std::size_t index) const noexcept {
    return slots_ + ((head_ + index) & (capacity() - 1));
  }
  void grow() noexcept {
    const std::uint32_t log2 = slots_ == nullptr ? first_log2() : log2_ + 1U;
    if (log2 >= kSizeBits) fatal("RingQueue: more than 2^26 elements");
    T* fresh = static_cast<T*>(pool_allocate(sizeof(T) << log2));
    for (std::uint32_t index = 0; index < size_; index++) {
      T* from = slot(index);
      ::new (static_cast<void*>(fresh + index)) T(std::move(*from));
      from->~T();
    }
    if (slots_ != nullptr) pool_free(slots_, sizeof(T) << log2_);
    slots_ = fresh;
    head_ = 0;
    log2_ = log2 & 31;
  }
  void release() noexcept {
    if (slots_ == nullptr) return;
    pool_free(slots_, sizeof(T) << log2_);
    slots_ = nullptr;
    head_ = 0;
    log2_ = 0;
  }

  T* slots_ = nullptr;  // 2^log2_ of them; null when empty
  std::uint32_t head_ = 0;
  std::uint32_t size_ : kSizeBits = 0;
  std::uint32_t log2_ : 32 - kSizeBits = 0;
};

}  // namespace stmqtt
