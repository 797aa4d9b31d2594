#include "engine/event_buffer.hpp"

#include <cstring>

namespace stmqtt {

void EventBuffer::write(contract::EventKind kind, contract::RecordHeader& fixed,
                        std::size_t fixed_bytes, std::initializer_list<Bytes> strings) {
  std::size_t bytes = fixed_bytes;
  for (const Bytes text : strings) bytes += text.size();
  const std::size_t padded = (bytes + 7) & ~std::size_t{7};
  fixed.record_bytes = static_cast<std::uint32_t>(padded);
  fixed.kind = static_cast<std::uint16_t>(kind);
  fixed.reserved = 0;
  const std::size_t start = turn_.size();
  turn_.resize(start + padded);
  std::uint8_t* at = turn_.data() + start;
  std::memcpy(at, &fixed, fixed_bytes);  // the header is the record's first member
  at += fixed_bytes;
  for (const Bytes text : strings) at = store_bytes(at, text);
}

bool EventBuffer::publish() {
  if (turn_.empty()) return false;
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) {
    ready_.swap(turn_);
  } else {
    ready_.insert(ready_.end(), turn_.begin(), turn_.end());
    turn_.clear();
  }
  unread_.store(ready_.size() - read_at_, std::memory_order_relaxed);
  return true;
}

void EventBuffer::take_over(EventBuffer& from) {
  const std::scoped_lock lock(mutex_, from.mutex_);
  ready_.insert(ready_.end(), from.ready_.begin() + static_cast<std::ptrdiff_t>(from.read_at_),
                from.ready_.end());
  from.ready_.clear();
  from.read_at_ = 0;
}

std::int64_t EventBuffer::read(std::uint8_t* into, std::size_t room) {
  const std::lock_guard lock(mutex_);
  std::size_t moved = 0;
  while (read_at_ < ready_.size()) {
    contract::RecordHeader header;
    std::memcpy(&header, ready_.data() + read_at_, sizeof header);
    if (moved + header.record_bytes > room) {
      if (moved == 0) return -static_cast<std::int64_t>(header.record_bytes);
      break;
    }
    std::memcpy(into + moved, ready_.data() + read_at_, header.record_bytes);
    moved += header.record_bytes;
    read_at_ += header.record_bytes;
  }
  if (read_at_ == ready_.size()) {
    // A flood's memory is not kept.
    if (ready_.capacity() > (std::size_t{1} << 20)) std::vector<std::uint8_t>().swap(ready_);
    ready_.clear();
    read_at_ = 0;
  }
  unread_.store(ready_.size() - read_at_, std::memory_order_relaxed);
  return static_cast<std::int64_t>(moved);
}

}  // namespace stmqtt
