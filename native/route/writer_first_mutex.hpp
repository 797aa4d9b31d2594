// A reader-writer lock in which a waiting writer holds back new readers. std::shared_mutex may let
// readers in for ever while others read; a broker whose every publish is a new Topic Name would
// then never get to subscribe anybody.
// Thread: any. Meets the requirements of std::unique_lock and std::shared_lock.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "base/schedule_point.hpp"

namespace stmqtt {

class WriterFirstMutex {
 public:
  void lock() noexcept {
    schedule_point();
    writers_waiting_.fetch_add(1, std::memory_order_relaxed);
    gate_.lock();
    mutex_.lock();
    writers_waiting_.fetch_sub(1, std::memory_order_relaxed);
    gate_.unlock();
  }
  void unlock() noexcept { mutex_.unlock(); }

  void lock_shared() noexcept {
    schedule_point();
#ifndef STMQTT_MUTANT_READERS_PASS_WRITERS
    // Only a hint: a reader that does not see the writer yet just comes in before it.
    if (writers_waiting_.load(std::memory_order_relaxed) != 0) {
      const std::lock_guard behind_the_writer(gate_);
    }
#endif
    mutex_.lock_shared();
  }
  void unlock_shared() noexcept { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
  std::mutex gate_;
  std::atomic<unsigned> writers_waiting_{0};
};

}  // namespace stmqtt
