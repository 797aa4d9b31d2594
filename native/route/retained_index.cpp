#include "route/retained_index.hpp"

#include <mutex>
#include <shared_mutex>
#include <utility>

#include "route/retained_table.hpp"
#include "route/topic_seek.hpp"

namespace stmqtt {
namespace {

bool expired(const Message& message, std::uint64_t now_ms) noexcept {
  return message.expires_at_ms() != 0 && message.expires_at_ms() <= now_ms;
}

}  // namespace

RetainedIndex::RetainedIndex(RetainedLimits limits) noexcept
    : limits_(limits), table_(std::make_unique<RetainedTable>()) {}
RetainedIndex::~RetainedIndex() = default;

RetainedChange RetainedIndex::put(MessageRef message) noexcept {
  MessageRef old;  // let go of after the lock
  RetainedChange change;
  const std::lock_guard lock(mutex_);
  change.sequence = ++sequence_;
  message->set_retain_sequence(change.sequence);
  const Message* before = table_->find(message->topic());
  change.existed = before != nullptr;
  const std::uint64_t grown = table_->bytes() + message->logical_bytes() -
                              (before == nullptr ? 0 : before->logical_bytes());
  const bool too_many = limits_.max_messages != 0 && !change.existed &&
                        table_->size() >= limits_.max_messages;
  const bool too_large =
      limits_.max_bytes != 0 && grown > limits_.max_bytes && grown > table_->bytes();
  if (too_many || too_large) return change;
  old = table_->put(std::move(message));
  change.stored = true;
  return change;
}

RetainedChange RetainedIndex::clear(Bytes topic) noexcept {
  MessageRef old;  // let go of after the lock
  const std::lock_guard lock(mutex_);
  old = table_->erase(topic);
#ifndef STMQTT_MUTANT_RETAINED_CLEAR_TAKES_NO_NUMBER
  ++sequence_;
#endif
  return {sequence_, static_cast<bool>(old), false};
}

std::uint64_t RetainedIndex::sequence() const noexcept {
  const std::shared_lock lock(mutex_);
  return sequence_;
}

void RetainedIndex::scan(Bytes filter, std::uint64_t since, std::uint64_t now_ms,
                         std::size_t max_count, RetainedCursor& cursor,
                         std::vector<MessageRef>& out) const {
  if (cursor.done) return;
#ifdef STMQTT_MUTANT_RETAINED_IGNORES_SINCE
  since = ~std::uint64_t{0};
#endif
  TopicSeek seek(filter);
  if (cursor.next_topic < seek.start()) cursor.next_topic = seek.start();
  std::size_t found = 0;
  std::size_t looked_at = 0;
  const std::size_t max_looked_at = max_count * 4 + 64;
  const std::shared_lock lock(mutex_);
  auto place = table_->lower_bound(as_bytes(cursor.next_topic));
  while (Message* message = table_->at(place)) {
    if (found == max_count || ++looked_at > max_looked_at) {
      cursor.next_topic = as_text(message->topic());
      return;
    }
    switch (filter.empty() ? TopicSeek::Step::match : seek.step(message->topic())) {
      case TopicSeek::Step::match:
        if (message->retain_sequence() <= since && !expired(*message, now_ms)) {
          out.push_back(MessageRef::share(message));
          ++found;
        }
        place = table_->next(place);
        break;
      case TopicSeek::Step::next:
        place = table_->next(place);
        break;
      case TopicSeek::Step::seek:
        place = table_->seek(place, as_bytes(seek.target()));
        break;
      case TopicSeek::Step::done:
        cursor.done = true;
        return;
    }
  }
  cursor.done = true;
}

MessageRef RetainedIndex::get(Bytes topic) const noexcept {
  const std::shared_lock lock(mutex_);
  return MessageRef::share(table_->find(topic));
}

std::size_t RetainedIndex::expire(std::uint64_t now_ms, std::size_t max) noexcept {
  std::vector<MessageRef> gone;  // let go of after the lock
  const std::lock_guard lock(mutex_);
  if (table_->expiring() == 0) return 0;
  auto place = table_->lower_bound(as_bytes(sweep_at_));
  Message* message = table_->at(place);
  for (std::size_t looked_at = 0; looked_at < max && message != nullptr; ++looked_at) {
    if (expired(*message, now_ms)) gone.push_back(MessageRef::share(message));
    place = table_->next(place);
    message = table_->at(place);
  }
  // Behind the last topic the next sweep begins anew.
  sweep_at_ = message == nullptr ? std::string() : std::string(as_text(message->topic()));
  for (const MessageRef& each : gone) table_->erase(each->topic());
  return gone.size();
}

std::uint64_t RetainedIndex::count() const noexcept {
  const std::shared_lock lock(mutex_);
  return table_->size();
}

std::uint64_t RetainedIndex::bytes() const noexcept {
  const std::shared_lock lock(mutex_);
  return table_->bytes();
}

}  // namespace stmqtt
