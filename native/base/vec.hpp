// A growable array of 16 bytes for trivially copyable elements, in pool memory; none when it never
// held anything or after clear(). Thread: its owner's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/fatal.hpp"
#include "base/pool.hpp"

namespace stmqtt {

template <class T>
class PoolVector {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  PoolVector() noexcept = default;
  PoolVector(PoolVector&& other) noexcept { swap(other); }
  PoolVector& operator=(PoolVector&& other) noexcept {
    if (this != &other) {
      clear();
      swap(other);
    }
    return *this;
  }
  PoolVector(const PoolVector&) = delete;
  PoolVector& operator=(const PoolVector&) = delete;
  ~PoolVector() { clear(); }

  void swap(PoolVector& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] const T* data() const noexcept { return data_; }
  [[nodiscard]] T* begin() noexcept { return data_; }
  [[nodiscard]] T* end() noexcept { return data_ + size_; }
  [[nodiscard]] const T* begin() const noexcept { return data_; }
  [[nodiscard]] const T* end() const noexcept { return data_ + size_; }
  [[nodiscard]] T& operator[](std::size_t index) noexcept { return data_[index]; }
  [[nodiscard]] const T& operator[](std::size_t index) const noexcept { return data_[index]; }
  [[nodiscard]] T& front() noexcept { return data_[0]; }
  [[nodiscard]] T& back() noexcept { return data_[size_ - 1]; }
  [[nodiscard]] const T& back() const noexcept { return data_[size_ - 1]; }

  /// By value: the argument may be an element of this vector.
  void push_back(T value) noexcept {
    if (size_ == capacity_) grow(size_ + std::size_t{1});
    data_[size_++] = value;
  }
  void pop_back() noexcept { size_--; }
  void append(const T* from, std::size_t count) noexcept {
    if (count == 0) return;
    reserve(size_ + count);
    std::memcpy(static_cast<void*>(data_ + size_), from, count * sizeof(T));
    size_ += static_cast<std::uint32_t>(count);
  }
  void insert_at(std::size_t index, T value) noexcept {
    if (size_ == capacity_) grow(size_ + std::size_t{1});
    std::memmove(static_cast<void*>(data_ + index + 1), data_ + index,
                 (size_ - index) * sizeof(T));
    data_[index] = value;
    size_++;
  }
  /// Keeps the order of the others.
  void erase_at(std::size_t index) noexcept {
    std::memmove(static_cast<void*>(data_ + index), data_ + index + 1,
                 (size_ - index - 1) * sizeof(T));
    size_--;
  }
  /// The last element takes the place of the erased one.
  void erase_unordered(std::size_t index) noexcept {
    size_--;
    if (index != size_) data_[index] = data_[size_];
  }
  /// Keeps order; returns how many went.
  template <class Predicate>
  std::uint32_t erase_if(Predicate&& predicate) noexcept {
    std::uint32_t kept = 0;
    for (std::uint32_t index = 0; index < size_; index++) {
      if (predicate(data_[index])) continue;
      if (kept != index) data_[kept] = data_[index];
      kept++;
    }
    const std::uint32_t erased = size_ - kept;
    size_ = kept;
    return erased;
  }

  void reserve(std::size_t count) noexcept {
    if (count > capacity_) grow(count);
  }
  /// New elements are value-initialised.
  void resize(std::size_t count) noexcept {
    reserve(count);
    for (std::size_t index = size_; index < count; index++) data_[index] = T{};
    size_ = static_cast<std::uint32_t>(count);
  }
  /// Forgets the elements and keeps the memory, for a vector that is filled again at once.
  void clear_keep() noexcept { size_ = 0; }
  /// Gives the memory back.
  void clear() noexcept {
    pool_free(data_, capacity_ * sizeof(T));
    data_ = nullptr;
    size_ = 0;
    capacity_ = 0;
  }
  /// Gives back what lies unused where that is at least half.
  void shrink() noexcept {
    if (size_ == 0) {
      clear();
    } else if (size_ <= capacity_ / 2) {
      set_capacity(size_);
    }
  }

 private:
  void grow(std::size_t wanted) noexcept {
    std::size_t target = capacity_ + capacity_ / 2;
    if (target < wanted) target = wanted;
    if (target * sizeof(T) < 16) target = 16 / sizeof(T);
    set_capacity(target);
  }
  void set_capacity(std::size_t count) noexcept {
    // Whatever the size class has beyond `count` is used too.
    count = pool_round_up(count * sizeof(T)) / sizeof(T);
    if (count > UINT32_MAX) fatal("PoolVector: more than 2^32 elements");
    if (count == capacity_) return;
    data_ = static_cast<T*>(pool_reallocate(data_, capacity_ * sizeof(T), count * sizeof(T),
                                            size_ * sizeof(T)));
    capacity_ = static_cast<std::uint32_t>(count);
  }

  T* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace stmqtt
