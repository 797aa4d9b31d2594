// The log of one filter: messages that no subscriber matched, in segments, of which the oldest goes
// when there are too many. Counts as rumqttd does: 4 bytes, Topic Name and payload for each.
// Thread: its owner's.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/message.hpp"
#include "base/ring_queue.hpp"
#include "base/vec.hpp"
#include "route/log_options.hpp"

namespace stmqtt {

/// One message of a log. Owns a count, by hand: who takes it out releases it.
struct LogEntry {
  Message* message = nullptr;
  std::uint64_t sequence = 0;  ///< its place among all logged messages of the broker
};

/// What the message counts for in a segment.
[[nodiscard]] inline std::uint64_t log_size(const Message& message) noexcept {
  return 4 + message.topic().size() + message.payload().size();
}
/// The memory that it takes in a log.
[[nodiscard]] inline std::uint64_t log_cost(const Message& message) noexcept {
  return sizeof(Message) + message.logical_bytes() + sizeof(LogEntry) + 8;
}

/// Messages that went without anybody having got them.
struct LogLoss {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;  ///< sizes
  std::uint64_t cost = 0;
};

class TopicLog {
 public:
  enum class Origin : std::uint8_t { dynamic, initialized };

  [[nodiscard]] static TopicLog* make(Bytes filter, std::uint64_t hash,
                                      const SegmentBounds& segments) noexcept;
  static void destroy(TopicLog* log) noexcept;
  TopicLog(const TopicLog&) = delete;
  TopicLog& operator=(const TopicLog&) = delete;

  /// Takes over the entry's count. Returns what had to go for it.
  [[nodiscard]] LogLoss append(const LogEntry& entry) noexcept;
  [[nodiscard]] LogLoss drop_oldest_segment() noexcept;
  /// All but the message that came last.
  [[nodiscard]] LogLoss drop_to_last() noexcept;
  [[nodiscard]] LogLoss clear() noexcept;
  /// Moves those that `wanted(const Message&)` names to `out`, in order.
  template <class F>
  LogLoss take_if(F&& wanted, PoolVector<LogEntry>& out) noexcept;

  [[nodiscard]] Bytes filter() const noexcept {
    return {reinterpret_cast<const std::uint8_t*>(this + 1), filter_bytes_};
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::uint32_t segments() const noexcept { return full_.size() + 1; }
  [[nodiscard]] bool empty() const noexcept { return messages_ == 0; }
  /// Memory of the log itself, its messages apart.
  [[nodiscard]] std::uint64_t own_cost() const noexcept {
    return sizeof(TopicLog) + filter_bytes_ + kTables;
  }
  void set_segments(const SegmentBounds& segments) noexcept { bounds_ = segments; }

  // Of LogTable and TopicLogs, which read and write them.
  TopicLog* next_in_bucket = nullptr;
  TopicLog* newer = nullptr;  ///< by the last write
  TopicLog* older = nullptr;
  std::uint32_t slot = 0;
  Origin origin = Origin::dynamic;
  std::uint32_t created_s = 0;     ///< of the monotonic clock, for queries
  std::uint32_t written_s = 0;
  std::uint64_t written = 0;       ///< sequence of the last write
  std::uint64_t appended = 0;      ///< in all
  std::uint64_t appended_bytes = 0;
  std::uint64_t lost = 0;          ///< in all, by overrun

 private:
  /// Shares of the tables' slots, and what allocations round up.
  static constexpr std::uint64_t kTables = 64;

  struct Segment {
    PoolVector<LogEntry> entries;
    std::uint64_t bytes = 0;
  };

  TopicLog(std::uint32_t filter_bytes, std::uint64_t hash, const SegmentBounds& segments) noexcept
      : hash_(hash), bounds_(segments), filter_bytes_(filter_bytes) {}
  ~TopicLog() { static_cast<void>(clear()); }
  LogLoss drop(Segment& segment) noexcept;
  LogLoss count_out(LogLoss loss) noexcept;
  template <class F>
  LogLoss take_from(Segment& segment, F& wanted, PoolVector<LogEntry>& out) noexcept;

  std::uint64_t hash_;
  SegmentBounds bounds_;
  Segment active_;
  RingQueue<Segment> full_;  ///< oldest first
  std::uint64_t messages_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint32_t filter_bytes_;
};

template <class F>
LogLoss TopicLog::take_from(Segment& segment, F& wanted, PoolVector<LogEntry>& out) noexcept {
  LogLoss taken;
  segment.entries.erase_if([&](const LogEntry& entry) {
    if (!wanted(*entry.message)) return false;
    ++taken.messages;
    taken.bytes += log_size(*entry.message);
    taken.cost += log_cost(*entry.message);
    out.push_back(entry);
    return true;
  });
  segment.bytes -= taken.bytes;
  return taken;
}

template <class F>
LogLoss TopicLog::take_if(F&& wanted, PoolVector<LogEntry>& out) noexcept {
  LogLoss taken;
  const auto add = [&](const LogLoss& part) {
    taken.messages += part.messages;
    taken.bytes += part.bytes;
    taken.cost += part.cost;
  };
  full_.erase_if([&](Segment& segment) {
    add(take_from(segment, wanted, out));
    return segment.entries.empty();
  });
  add(take_from(active_, wanted, out));
  if (active_.entries.empty()) active_.entries.clear();
  return count_out(taken);
}

}  // namespace stmqtt
