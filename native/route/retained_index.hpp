// Retained messages, one index for the broker, in the byte order of their Topic Names. A retained
// publish takes its sequence number while it changes the index, and matches afterwards; a
// subscriber inserts its filter, reads sequence(), and scans what is not newer. Every message is
// then either in the scan or matched live with a greater number, never both and never neither.
// Lock: one reader-writer lock inside; scan() and expire() hold it for a bounded number of entries.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/message.hpp"
#include "route/writer_first_mutex.hpp"

namespace stmqtt {

class RetainedTable;

struct RetainedLimits {
  std::uint64_t max_messages = 0;  ///< 0 = no bound
  std::uint64_t max_bytes = 0;     ///< logical bytes (topic, properties, payload); 0 = no bound
};

struct RetainedChange {
  std::uint64_t sequence = 0;
  bool existed = false;  ///< there was a retained message for this topic before
  bool stored = false;   ///< the message is retained now; false if a limit was in the way
};

/// Where a scan goes on. Start with a default-constructed one; keep the filter the same.
struct RetainedCursor {
  std::string next_topic;  ///< the least topic not looked at yet
  bool done = false;
};

class RetainedIndex {
 public:
  explicit RetainedIndex(RetainedLimits limits = {}) noexcept;
  ~RetainedIndex();
  RetainedIndex(const RetainedIndex&) = delete;
  RetainedIndex& operator=(const RetainedIndex&) = delete;

  /// Gives the message its sequence number and retains it in place of its topic's last one
  /// [MQTT-3.3.1-5]. The message must not be shared yet, and its payload not be empty. A limit
  /// refuses new topics and growth; the sequence is given all the same.
  [[nodiscard]] RetainedChange put(MessageRef message) noexcept;
  /// put() for who needs only the number.
  std::uint64_t set(MessageRef message) noexcept { return put(std::move(message)).sequence; }

  /// A retained publish with an empty payload [MQTT-3.3.1-6], [MQTT-3.3.1-7]. The caller gives the
  /// sequence to the message, if that is to be delivered.
  RetainedChange clear(Bytes topic) noexcept;

  /// The last number given. Takes the lock: so a publish that is not counted in it will match the
  /// filters that were inserted before this call.
  [[nodiscard]] std::uint64_t sequence() const noexcept;

  /// Appends to `out` at most `max_count` messages that match `filter` (valid, without $share/;
  /// empty = all, also those whose topics begin with '$'), have a sequence of at most `since` and are not expired, in the byte order of their topics.
  /// Looks at a bounded number of entries, so it may append fewer, or none, and not be done.
  void scan(Bytes filter, std::uint64_t since, std::uint64_t now_ms, std::size_t max_count,
            RetainedCursor& cursor, std::vector<MessageRef>& out) const;

  /// The message retained for one topic, expired or not; null if there is none.
  [[nodiscard]] MessageRef get(Bytes topic) const noexcept;

  /// Looks at the next `max` entries in turn and removes the expired. Returns how many.
  std::size_t expire(std::uint64_t now_ms, std::size_t max) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept;
  [[nodiscard]] std::uint64_t bytes() const noexcept;  ///< logical

 private:
  mutable WriterFirstMutex mutex_;
  const RetainedLimits limits_;
  std::uint64_t sequence_ = 0;            ///< guarded by mutex_
  std::string sweep_at_;                  ///< guarded by mutex_; where expire() goes on
  std::unique_ptr<RetainedTable> table_;  ///< guarded by mutex_
};

}  // namespace stmqtt
