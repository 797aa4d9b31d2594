#include "session/delayed.hpp"

#include <algorithm>
#include <utility>

namespace stmqtt {

using contract::Counter;

void DelayedMessages::set_options(const DelayOptions& options) noexcept {
  options_ = options;
  if (options_.on) return;
  in_hand = 0;
  if (options_.at_end == DelayEnd::drop) {
    for (const Entry& entry : heap_) forget(*entry.message);
    counters_.add(Counter::delayed_dropped_end, static_cast<std::int64_t>(heap_.size()));
    heap_ = {};
  }
  schedule();
}

bool DelayedMessages::add(MessageRef&& message, std::uint32_t seconds) noexcept {
  const std::uint64_t bytes = message->logical_bytes();
  if (totals_.messages.fetch_add(1, std::memory_order_relaxed) >= options_.max_messages) {
    totals_.messages.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  if (totals_.bytes.fetch_add(bytes, std::memory_order_relaxed) + bytes > options_.max_bytes) {
    totals_.bytes.fetch_sub(bytes, std::memory_order_relaxed);
    totals_.messages.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  counters_.add(Counter::delayed_taken);
  counters_.add(Counter::delayed_messages);
  counters_.add(Counter::delayed_bytes, static_cast<std::int64_t>(bytes));
  heap_.push_back({timer_.now_ms + seconds * std::uint64_t{1000}, numbers_++, std::move(message)});
  std::push_heap(heap_.begin(), heap_.end(), later);
  if (heap_.front().number + 1 == numbers_) schedule();
  return true;
}

MessageRef DelayedMessages::take_due() noexcept {
  if (heap_.empty() || (options_.on && heap_.front().due_ms > timer_.now_ms)) return {};
  std::pop_heap(heap_.begin(), heap_.end(), later);
  MessageRef message = std::move(heap_.back().message);
  heap_.pop_back();
  if (heap_.empty()) heap_ = {};
  forget(*message);
  return message;
}

void DelayedMessages::schedule() noexcept {
  if (heap_.empty()) return timer_.wheel.cancel(timer_.node);
  timer_.wheel.schedule(timer_.node, options_.on ? heap_.front().due_ms : timer_.now_ms);
}

void DelayedMessages::forget(const Message& message) noexcept {
  const std::uint64_t bytes = message.logical_bytes();
  totals_.messages.fetch_sub(1, std::memory_order_relaxed);
  totals_.bytes.fetch_sub(bytes, std::memory_order_relaxed);
  counters_.add(Counter::delayed_messages, -1);
  counters_.add(Counter::delayed_bytes, -static_cast<std::int64_t>(bytes));
}

}  // namespace stmqtt
