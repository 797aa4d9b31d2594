#include "session/log_handovers.hpp"

#include <algorithm>

#include "route/topic_trie.hpp"
#include "wire/topic.hpp"

namespace stmqtt {
namespace {

/// The number of the barrier, as the payload of the message that carries its filter.
std::uint64_t number_of(const Message& carrier) noexcept {
  const Bytes payload = carrier.payload();
  return std::uint64_t{load_u32(payload.data())} << 32 | load_u32(payload.data() + 4);
}

bool has_wildcard(Bytes filter) noexcept {
  return std::ranges::any_of(filter, [](std::uint8_t c) { return c == '+' || c == '#'; });
}

}  // namespace

void LogBatchDeleter::operator()(LogBatch* batch) const noexcept { delete batch; }

// --- one subscription's

LogHandover::~LogHandover() { LogBatch::release(entries_); }

bool LogHandover::add(LogBatch& batch) noexcept {
  entries_.append(batch.entries.data(), batch.entries.size());
  batch.entries.clear();
  if (--awaited_ > 0) return false;
  std::make_heap(entries_.begin(), entries_.end(), later);
  for (const LogEntry& entry : entries_) {
    const std::uint64_t sequence = entry.message->retain_sequence();
    if (sequence != 0) retained_.push_back({sequence, false});
  }
  std::sort(retained_.begin(), retained_.end(), [](const Retained& a, const Retained& b) {
    return a.retain_sequence < b.retain_sequence;
  });
  return true;
}

LogHandover::Retained* LogHandover::find(std::uint64_t retain_sequence) noexcept {
  Retained* at = std::lower_bound(
      retained_.begin(), retained_.end(), retain_sequence,
      [](const Retained& a, std::uint64_t sequence) { return a.retain_sequence < sequence; });
  return at != retained_.end() && at->retain_sequence == retain_sequence ? at : nullptr;
}

bool LogHandover::takes_over(std::uint64_t retain_sequence) noexcept {
#ifdef STMQTT_MUTANT_LOG_DOUBLES_RETAINED
  return false;
#endif
  Retained* retained = find(retain_sequence);
  if (retained != nullptr) retained->taken_over = true;
  return retained != nullptr;
}

bool LogHandover::next_is_retained() noexcept {
  const std::uint64_t sequence = entries_.data()->message->retain_sequence();
  if (sequence == 0) return false;
  const Retained* retained = find(sequence);
  return retained != nullptr && retained->taken_over;
}

LogEntry LogHandover::take() noexcept {
  std::pop_heap(entries_.begin(), entries_.end(), later);
  const LogEntry entry = entries_.back();
  entries_.pop_back();
  return entry;
}

// --- the thread's

void LogHandovers::begin(LogHandover& handover, const SessionRef& session, Bytes filter) noexcept {
  // Behind the trie: whoever subscribes after this one's SUBACK has a later number.
  handover.barrier_ = totals_.barriers.fetch_add(1, std::memory_order_acq_rel) + 1;
  std::uint8_t number[8];
  store_u32(number, static_cast<std::uint32_t>(handover.barrier_ >> 32));
  store_u32(number + 4, static_cast<std::uint32_t>(handover.barrier_));
  MessageParts parts;
  parts.topic = filter;
  parts.payload = number;
  const MessageRef carrier = MessageRef::adopt(Message::make(parts));
  for (unsigned thread = 0; thread < threads_; ++thread) {
    if (thread == thread_) continue;
    CrossItem item;
    item.kind = CrossItem::Kind::log_barrier;
    item.session = session;
    item.message = carrier;
    host_.post(static_cast<ThreadIndex>(thread), std::move(item));
  }
  say_sealed(session, carrier);
}

/// This thread matches the subscription from here on, and has posted what it did not match before.
void LogHandovers::say_sealed(const SessionRef& session, const MessageRef& carrier) noexcept {
  for (unsigned thread = 0; thread < threads_; ++thread) {
    if (thread == thread_) continue;
    CrossItem item;
    item.kind = CrossItem::Kind::log_seal;
    item.session = session;
    item.message = carrier;
    host_.post(static_cast<ThreadIndex>(thread), std::move(item));
  }
  note_seal(session, carrier);
}

void LogHandovers::note_seal(const SessionRef& session, const MessageRef& carrier) noexcept {
  const std::uint64_t number = number_of(*carrier);
#ifdef STMQTT_MUTANT_LOG_SEALS_TOO_EARLY
  if (number < next_) return;
#endif
  while (pending_.size() <= number - next_) pending_.push_back({});
  Pending& pending = pending_[number - next_];
  pending.session = session;
  pending.carrier = carrier;
  ++pending.sealed;
  step();
}

void LogHandovers::step() noexcept {
#ifdef STMQTT_MUTANT_LOG_SEALS_TOO_EARLY
  const unsigned wanted = 1;
#else
  const unsigned wanted = threads_;
#endif
  while (!pending_.empty() && pending_.front().sealed >= wanted) {
    Pending& pending = pending_.front();
    if (pending.batch == nullptr) {
      pending.batch.reset(new LogBatch());
      pending.batch->barrier = next_;
      pending.batch->session = pending.session;
    }
    if (!collect(pending)) {
      // No message that matches comes to these logs any more, so they can wait.
      if (!clock_.timer.scheduled()) clock_.wheel.schedule(clock_.timer, clock_.now_ms);
      return;
    }
    LogBatchRef batch = std::move(pending.batch);
    const ThreadIndex to = pending.session.thread;
    pending_.pop_front();
    ++next_;
    if (to == thread_) {
      ready_.push_back(std::move(batch));
      continue;
    }
    CrossItem item;
    item.kind = CrossItem::Kind::log_batch;
    item.batch = std::move(batch);
    host_.post(to, std::move(item));
  }
}

bool LogHandovers::collect(Pending& pending) noexcept {
  LogTable& table = logs_.table();
  const Bytes filter = pending.carrier->topic();
  if (!has_wildcard(filter) && !logs_.any_wide()) {
    if (TopicLog* log = table.find(filter, TopicTrie::hash(filter))) {
      take_out_of(*log, filter, *pending.batch);
    }
    return true;
  }
  for (std::uint32_t looked_at = 0; pending.slot < table.slots(); ++pending.slot, ++looked_at) {
    if (looked_at == kSlotsAtOnce) return false;
    TopicLog* log = table.at(pending.slot);
    if (log != nullptr && !log->empty()) take_out_of(*log, filter, *pending.batch);
  }
  return true;
}

void LogHandovers::take_out_of(TopicLog& log, Bytes filter, LogBatch& batch) noexcept {
  LogLoss taken;
  if (has_wildcard(log.filter())) {
    taken = log.take_if(
        [&](const Message& message) { return wire::topic_matches(filter, message.topic()); },
        batch.entries);
  } else if (wire::topic_matches(filter, log.filter())) {
    taken = log.take_if([](const Message&) { return true; }, batch.entries);
  }
  if (taken.messages > 0) logs_.after_taking(log, taken);
}

void LogHandovers::give_back(PoolVector<LogEntry>&& entries) noexcept {
  if (entries.empty()) return;
  std::vector<LogBatchRef> batches(threads_);
  for (const LogEntry& entry : entries) {
    LogBatchRef& batch = batches[logs_.home_of_topic(entry.message->topic())];
    if (batch == nullptr) batch.reset(new LogBatch());
    batch->entries.push_back(entry);
  }
  entries.clear();
  for (unsigned thread = 0; thread < threads_; ++thread) {
    if (batches[thread] == nullptr) continue;
    if (thread == thread_) {
      on_return(*batches[thread]);
      continue;
    }
    CrossItem item;
    item.kind = CrossItem::Kind::log_return;
    item.batch = std::move(batches[thread]);
    host_.post(static_cast<ThreadIndex>(thread), std::move(item));
  }
}

void LogHandovers::on_return(LogBatch& batch) noexcept {
  std::sort(batch.entries.begin(), batch.entries.end(),
            [](const LogEntry& a, const LogEntry& b) { return a.sequence < b.sequence; });
  for (LogEntry& entry : batch.entries) {
    logs_.let_go(log_cost(*entry.message));
    logs_.append(MessageRef::adopt(entry.message), entry.sequence);
  }
  batch.entries.clear();
}

}  // namespace stmqtt
