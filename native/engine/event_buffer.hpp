// Event records on their way to TypeScript, from one I/O thread. A turn's records are collected
// without a lock and handed over at once; the reader takes whole records.
// Thread: write() and publish() on the I/O thread; read() on the JavaScript thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <vector>

#include "base/bytes.hpp"
#include "contract/records.hpp"

namespace stmqtt {

class EventBuffer {
 public:
  /// Above this many unread bytes, events that may be left out are.
  static constexpr std::size_t kBoundBytes = std::size_t{8} << 20;

  /// Fills in the header and appends the record.
  void write(contract::EventKind kind, contract::RecordHeader& fixed, std::size_t fixed_bytes,
             std::initializer_list<Bytes> strings);
  [[nodiscard]] bool crowded() const noexcept {
    return unread_.load(std::memory_order_relaxed) + turn_.size() > kBoundBytes;
  }
  /// Hands over what was written since; true if there was something.
  [[nodiscard]] bool publish();
  /// Moves whole records to `into`. Returns the bytes moved; 0 = nothing waits; negative = the
  /// next record needs that many.
  [[nodiscard]] std::int64_t read(std::uint8_t* into, std::size_t room);
  /// Appends what `from` still has to be read. Thread: the reader's, and nobody writes any more.
  void take_over(EventBuffer& from);

 private:
  std::vector<std::uint8_t> turn_;
  std::atomic<std::size_t> unread_{0};
  std::mutex mutex_;
  std::vector<std::uint8_t> ready_;  ///< guarded by mutex_
  std::size_t read_at_ = 0;          ///< guarded by mutex_
};

}  // namespace stmqtt
