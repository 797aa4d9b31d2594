// A growing array for one call: the first elements lie in the object itself, so that the usual
// match allocates nothing. Elements are trivially copyable and never shrink one by one.
// Thread: one.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include "base/pool.hpp"

namespace stmqtt {

template <class T, std::size_t kInline>
class ScratchVec {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  ScratchVec() noexcept = default;
  ~ScratchVec() {
    if (data_ != inline_at()) pool_free(data_, capacity_ * sizeof(T));
  }
  ScratchVec(const ScratchVec&) = delete;
  ScratchVec& operator=(const ScratchVec&) = delete;

  void push_back(const T& value) noexcept {
    if (size_ == capacity_) grow(size_ + 1);
    data_[size_++] = value;
  }
  void pop_back() noexcept { --size_; }
  /// Room for `more` further elements without another growth.
  void reserve_more(std::size_t more) noexcept {
    if (size_ + more > capacity_) grow(size_ + more);
  }

  [[nodiscard]] T& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] T& back() noexcept { return data_[size_ - 1]; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] T* begin() noexcept { return data_; }
  [[nodiscard]] T* end() noexcept { return data_ + size_; }
  [[nodiscard]] const T* begin() const noexcept { return data_; }
  [[nodiscard]] const T* end() const noexcept { return data_ + size_; }

 private:
  void grow(std::size_t least) noexcept {
    std::size_t capacity = capacity_ * 2;
    while (capacity < least) capacity *= 2;
    T* data = static_cast<T*>(pool_allocate(capacity * sizeof(T)));
    std::memcpy(static_cast<void*>(data), data_, size_ * sizeof(T));
    if (data_ != inline_at()) pool_free(data_, capacity_ * sizeof(T));
    data_ = data;
    capacity_ = capacity;
  }
  [[nodiscard]] T* inline_at() noexcept { return reinterpret_cast<T*>(inline_); }

  T* data_ = inline_at();
  std::size_t size_ = 0;
  std::size_t capacity_ = kInline;
  alignas(T) std::byte inline_[kInline * sizeof(T)];
};

}  // namespace stmqtt
