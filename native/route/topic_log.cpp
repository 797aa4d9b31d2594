#include "route/topic_log.hpp"

#include <new>
#include <utility>

#include "base/pool.hpp"

namespace stmqtt {

TopicLog* TopicLog::make(Bytes filter, std::uint64_t hash,
                         const SegmentBounds& segments) noexcept {
  auto* log = ::new (pool_allocate(sizeof(TopicLog) + filter.size()))
      TopicLog(static_cast<std::uint32_t>(filter.size()), hash, segments);
  store_bytes(reinterpret_cast<std::uint8_t*>(log + 1), filter);
  return log;
}

void TopicLog::destroy(TopicLog* log) noexcept {
  const std::size_t bytes = sizeof(TopicLog) + log->filter_bytes_;
  log->~TopicLog();
  pool_free(log, bytes);
}

LogLoss TopicLog::append(const LogEntry& entry) noexcept {
  LogLoss loss;
  if (active_.bytes >= bounds_.bytes) {
    full_.push_back(std::exchange(active_, Segment{}));
#ifndef STMQTT_MUTANT_LOG_KEEPS_ONE_MORE_SEGMENT
    while (full_.size() >= bounds_.count) {
#else
    while (full_.size() > bounds_.count) {
#endif
      const LogLoss oldest = drop_oldest_segment();
      loss.messages += oldest.messages;
      loss.bytes += oldest.bytes;
      loss.cost += oldest.cost;
    }
  }
  const std::uint64_t size = log_size(*entry.message);
  active_.entries.push_back(entry);
  active_.bytes += size;
  bytes_ += size;
  ++messages_;
  ++appended;
  appended_bytes += size;
  return loss;
}

LogLoss TopicLog::drop(Segment& segment) noexcept {
  LogLoss loss;
  loss.bytes = segment.bytes;
  for (const LogEntry& entry : segment.entries) {
    ++loss.messages;
    loss.cost += log_cost(*entry.message);
    entry.message->release();
  }
  segment.entries.clear();
  segment.bytes = 0;
  return count_out(loss);
}

LogLoss TopicLog::count_out(LogLoss loss) noexcept {
  messages_ -= loss.messages;
  bytes_ -= loss.bytes;
  return loss;
}

LogLoss TopicLog::drop_oldest_segment() noexcept {
  if (full_.empty()) return drop(active_);
  const LogLoss loss = drop(full_.front());
  full_.pop_front();
  return loss;
}

LogLoss TopicLog::drop_to_last() noexcept {
  if (active_.entries.empty()) return clear();
  const LogEntry last = active_.entries.back();
  active_.entries.pop_back();
  const std::uint64_t size = log_size(*last.message);
  active_.bytes -= size;
  --messages_;
  bytes_ -= size;
  const LogLoss loss = clear();
  active_.entries.push_back(last);
  active_.bytes = bytes_ = size;
  messages_ = 1;
  return loss;
}

LogLoss TopicLog::clear() noexcept {
  LogLoss loss = drop(active_);
  while (!full_.empty()) {
    const LogLoss part = drop_oldest_segment();
    loss.messages += part.messages;
    loss.bytes += part.bytes;
    loss.cost += part.cost;
  }
  return loss;
}

}  // namespace stmqtt
