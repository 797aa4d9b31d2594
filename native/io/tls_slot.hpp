// A counted reference to a TLS context, and the place where a listener has its current one.
// Thread: TlsContextRef: its owner's; TlsSlot: any.
#pragma once

#include <mutex>
#include <utility>

#include "io/tls_context.hpp"

namespace stmqtt {

class TlsContextRef {
 public:
  TlsContextRef() noexcept = default;
  /// Takes over the reference that make() gave.
  explicit TlsContextRef(TlsContext* owned) noexcept : context_(owned) {}
  TlsContextRef(const TlsContextRef& other) noexcept : context_(other.context_) {
    if (context_ != nullptr) context_->retain();
  }
  TlsContextRef(TlsContextRef&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  TlsContextRef& operator=(TlsContextRef other) noexcept {
    std::swap(context_, other.context_);
    return *this;
  }
  ~TlsContextRef() {
    if (context_ != nullptr) context_->release();
  }
  [[nodiscard]] TlsContext* get() const noexcept { return context_; }
  explicit operator bool() const noexcept { return context_ != nullptr; }

 private:
  TlsContext* context_ = nullptr;
};

/// Read once per accepted connection, by one thread; written at a reload.
class TlsSlot {
 public:
  explicit TlsSlot(TlsContextRef context) noexcept : context_(std::move(context)) {}
  [[nodiscard]] TlsContextRef get() noexcept {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  void set(TlsContextRef context) noexcept {
    const std::lock_guard lock(mutex_);
    std::swap(context_, context);
  }

 private:
  std::mutex mutex_;
  TlsContextRef context_;  ///< guarded by mutex_
};

}  // namespace stmqtt
