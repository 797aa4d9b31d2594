// Owns one count of an object that has acquire() and release(), or nothing.
// Thread: a reference is one thread's; the object may be shared by many.
#pragma once

#include <utility>

namespace stmqtt {

template <class T>
class CountedRef {
 public:
  CountedRef() noexcept = default;
  /// Takes over a count that the caller already has.
  [[nodiscard]] static CountedRef adopt(T* object) noexcept {
    CountedRef ref;
    ref.object_ = object;
    return ref;
  }
  /// Takes a count of its own.
  [[nodiscard]] static CountedRef share(T* object) noexcept {
    if (object != nullptr) object->acquire();
    return adopt(object);
  }
  CountedRef(const CountedRef& other) noexcept : object_(other.object_) {
    if (object_ != nullptr) object_->acquire();
  }
  CountedRef(CountedRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  CountedRef& operator=(CountedRef other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~CountedRef() {
    if (object_ != nullptr) object_->release();
  }

  [[nodiscard]] T* get() const noexcept { return object_; }
  [[nodiscard]] T* operator->() const noexcept { return object_; }
  [[nodiscard]] T& operator*() const noexcept { return *object_; }
  [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }
  /// Gives the count away: the caller must release() it.
  [[nodiscard]] T* detach() noexcept { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

}  // namespace stmqtt
