// The logs of one I/O thread: by filter, by slot for listings, and in the order of their last
// writes, so that the one to go is found at once.
// Thread: its owner's.
#pragma once

#include <cstdint>
#include <vector>

#include "base/vec.hpp"
#include "route/topic_log.hpp"

namespace stmqtt {

class LogTable {
 public:
  LogTable() noexcept = default;
  ~LogTable();
  LogTable(const LogTable&) = delete;
  LogTable& operator=(const LogTable&) = delete;

  [[nodiscard]] TopicLog* find(Bytes filter, std::uint64_t hash) const noexcept;
  /// The filter has none yet.
  TopicLog& add(Bytes filter, std::uint64_t hash, const SegmentBounds& segments) noexcept;
  /// With its messages.
  void remove(TopicLog& log) noexcept;

  /// The log was written to: it goes last. Logs that were never written to are in no order.
  void touch(TopicLog& log, std::uint64_t sequence) noexcept;
  /// It is as if it had not been written to.
  void retire(TopicLog& log) noexcept { unlink(log); }
  /// Written to least recently; null if none holds anything.
  [[nodiscard]] TopicLog* oldest() const noexcept { return oldest_; }

  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  /// Slots to iterate over with at(); some are empty.
  [[nodiscard]] std::uint32_t slots() const noexcept {
    return static_cast<std::uint32_t>(slots_.size());
  }
  [[nodiscard]] TopicLog* at(std::uint32_t slot) const noexcept { return slots_[slot]; }

 private:
  [[nodiscard]] std::size_t bucket(std::uint64_t hash) const noexcept {
    return hash & (buckets_.size() - 1);
  }
  void grow() noexcept;
  void unlink(TopicLog& log) noexcept;

  std::vector<TopicLog*> buckets_;
  std::vector<TopicLog*> slots_;
  PoolVector<std::uint32_t> free_slots_;
  TopicLog* oldest_ = nullptr;
  TopicLog* newest_ = nullptr;
  std::uint32_t count_ = 0;
};

}  // namespace stmqtt
