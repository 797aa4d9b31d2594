// Says which thread owns an object and, in debug and sanitizer builds, aborts when another one
// touches it. Nothing in a release build. Thread: see check().
#pragma once

#if defined(STMQTT_DEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STMQTT_THREAD_CHECKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STMQTT_THREAD_CHECKS 1
#endif
#endif

#if defined(STMQTT_THREAD_CHECKS)
#include <atomic>

#include "base/fatal.hpp"
#endif

namespace stmqtt {

#if defined(STMQTT_THREAD_CHECKS)

class ThreadOwner {
 public:
  /// The first thread that checks becomes the owner; any other aborts.
  void check() noexcept {
    const void* here = this_thread();
    const void* owner = nullptr;
    if (owner_.compare_exchange_strong(owner, here, std::memory_order_relaxed)) return;
    if (owner != here) fatal("an object was touched by a thread that does not own it");
  }
  /// The next thread that checks becomes the owner: to be called at a handover, by the old owner
  /// or once it has ended.
  void release() noexcept { owner_.store(nullptr, std::memory_order_relaxed); }

 private:
  static const void* this_thread() noexcept {
    static thread_local char mark = 0;
    return &mark;
  }
  std::atomic<const void*> owner_{nullptr};
};

#else

class ThreadOwner {
 public:
  void check() const noexcept {}
  void release() const noexcept {}
};

#endif

}  // namespace stmqtt
