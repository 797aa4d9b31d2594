// Messages on their way from logs to a subscriber, or back. Thread: one at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "base/ids.hpp"
#include "base/vec.hpp"
#include "route/topic_log.hpp"

namespace stmqtt {

struct LogBatch {
  std::uint64_t barrier = 0;  ///< number of the hand-over; 0 = they go back
  SessionRef session;
  PoolVector<LogEntry> entries;

  LogBatch() noexcept = default;
  ~LogBatch() { release(entries); }
  LogBatch(const LogBatch&) = delete;
  LogBatch& operator=(const LogBatch&) = delete;

  static void release(PoolVector<LogEntry>& entries) noexcept {
    for (const LogEntry& entry : entries) entry.message->release();
    entries.clear();
  }
};

}  // namespace stmqtt
