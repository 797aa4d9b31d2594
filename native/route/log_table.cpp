#include "route/log_table.hpp"

#include <algorithm>
#include <utility>

namespace stmqtt {

LogTable::~LogTable() {
  for (TopicLog* log : slots_) {
    if (log != nullptr) TopicLog::destroy(log);
  }
}

TopicLog* LogTable::find(Bytes filter, std::uint64_t hash) const noexcept {
  if (buckets_.empty()) return nullptr;
  TopicLog* log = buckets_[bucket(hash)];
  while (log != nullptr && (log->hash() != hash || !std::ranges::equal(log->filter(), filter))) {
    log = log->next_in_bucket;
  }
  return log;
}

TopicLog& LogTable::add(Bytes filter, std::uint64_t hash, const SegmentBounds& segments) noexcept {
  if (count_ == buckets_.size()) grow();
  TopicLog* log = TopicLog::make(filter, hash, segments);
  log->next_in_bucket = std::exchange(buckets_[bucket(hash)], log);
  if (free_slots_.empty()) {
    log->slot = slots();
    slots_.push_back(log);
  } else {
    log->slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[log->slot] = log;
  }
  ++count_;
  return *log;
}

void LogTable::remove(TopicLog& log) noexcept {
  unlink(log);
  TopicLog** at = &buckets_[bucket(log.hash())];
  while (*at != &log) at = &(*at)->next_in_bucket;
  *at = log.next_in_bucket;
  slots_[log.slot] = nullptr;
  free_slots_.push_back(log.slot);
  --count_;
  TopicLog::destroy(&log);
}

void LogTable::touch(TopicLog& log, std::uint64_t sequence) noexcept {
  unlink(log);
  log.written = sequence;
  log.older = newest_;
  (newest_ == nullptr ? oldest_ : newest_->newer) = &log;
  newest_ = &log;
}

void LogTable::unlink(TopicLog& log) noexcept {
  if (log.older == nullptr && oldest_ != &log) return;  // it is in no order
  (log.older == nullptr ? oldest_ : log.older->newer) = log.newer;
  (log.newer == nullptr ? newest_ : log.newer->older) = log.older;
  log.older = log.newer = nullptr;
}

void LogTable::grow() noexcept {
  std::vector<TopicLog*> logs(std::max<std::size_t>(64, buckets_.size() * 2));
  logs.swap(buckets_);
  for (TopicLog* log : logs) {
    while (log != nullptr) {
      TopicLog* next = log->next_in_bucket;
      log->next_in_bucket = std::exchange(buckets_[bucket(log->hash())], log);
      log = next;
    }
  }
}

}  // namespace stmqtt
