#include "session/limits.hpp"
#include "session/topic_logs.hpp"

#include <algorithm>
#include <utility>

#include "route/topic_trie.hpp"

namespace stmqtt {

using contract::AlertKind;
using contract::Counter;

namespace {

Counter evicted_counter(std::size_t cause) noexcept {
  return static_cast<Counter>(static_cast<std::size_t>(Counter::logs_evicted_filters) + cause);
}
bool has_wildcard(Bytes filter) noexcept {
  return std::ranges::any_of(filter, [](std::uint8_t c) { return c == '+' || c == '#'; });
}
Counter dropped_counter(std::size_t cause) noexcept {
  return static_cast<Counter>(static_cast<std::size_t>(Counter::dropped_log_filters) + cause);
}

}  // namespace

TopicLogs::TopicLogs(LogTotals& totals, Host& host, contract::Counters& counters, Clock clock,
                     ThreadIndex thread, unsigned threads) noexcept
    : totals_(totals),
      host_(host),
      counters_(counters),
      clock_(clock),
      options_(std::make_shared<const LogOptions>()),
      threads_(threads),
      thread_(thread) {}

TopicLogs::~TopicLogs() = default;

ThreadIndex TopicLogs::home_of(Bytes filter) const noexcept {
  return static_cast<ThreadIndex>((TopicTrie::hash(filter) >> 32) % threads_);
}

void TopicLogs::set_options(std::shared_ptr<const LogOptions> options) noexcept {
  options_ = std::move(options);
  for (std::uint32_t slot = 0; slot < table_.slots(); ++slot) {
    TopicLog* log = table_.at(slot);
    if (log == nullptr) continue;
    log->set_segments(options_->segments_of(log->filter()));
    if (log->origin == TopicLog::Origin::dynamic) continue;
    // It is like those that publishes made from here on, unless it is found below.
    log->origin = TopicLog::Origin::dynamic;
    totals_.filters.fetch_add(1, std::memory_order_relaxed);
  }
  for (const std::string& filter : options_->initialized) {
    if (home_of(as_bytes(filter)) != thread_) continue;
    TopicLog& log = log_for(as_bytes(filter));
    log.origin = TopicLog::Origin::initialized;
    totals_.filters.fetch_sub(1, std::memory_order_relaxed);
  }
  // An empty one that is not initialized any more.
  for (std::uint32_t slot = 0; slot < table_.slots(); ++slot) {
    TopicLog* log = table_.at(slot);
    if (log != nullptr && log->empty() && log->origin == TopicLog::Origin::dynamic) {
      static_cast<void>(remove(*log));
    }
  }
  keep_bounds(nullptr);
}

Bytes TopicLogs::name_for(Bytes topic) const noexcept {
  const std::string* initialized =
      options_->initialized.empty() ? nullptr : options_->initialized_for(topic);
  return initialized == nullptr ? topic : as_bytes(*initialized);
}

Unmatched TopicLogs::fate_of(Bytes topic, DynamicFilters filters) const noexcept {
  const bool has_log = (filters == DynamicFilters::on && topic[0] != '$') ||
                       (!options_->initialized.empty() &&
                        options_->initialized_for(topic) != nullptr);
  if (!has_log) return Unmatched::dropped;
  return options_->replay == LogReplay::tail ? Unmatched::logged : Unmatched::for_later;
}

Unmatched TopicLogs::keep(Publication& publication, DynamicFilters filters) noexcept {
  const Bytes topic = publication.parts().topic;
  const Unmatched fate = fate_of(topic, filters);
  if (fate == Unmatched::dropped) {
    counters_.add(Counter::publish_unmatched);
    return fate;
  }
  counters_.add(Counter::publish_logged);
  const std::uint64_t sequence = totals_.sequence.fetch_add(1, std::memory_order_relaxed) + 1;
  const ThreadIndex home = home_of(name_for(topic));
  MessageRef message = MessageRef::share(&publication.block());
  if (home == thread_) {
    append(std::move(message), sequence);
    return fate;
  }
  CrossItem item;
  item.kind = CrossItem::Kind::log;
  item.set_number(sequence);
  item.message = std::move(message);
  counters_.add(Counter::messages_crossed);
  host_.post(home, std::move(item));
  return fate;
}

TopicLog& TopicLogs::log_for(Bytes name) noexcept {
  const std::uint64_t hash = TopicTrie::hash(name);
  if (TopicLog* log = table_.find(name, hash)) return *log;
  TopicLog& log = table_.add(name, hash, options_->segments_of(name));
  log.created_s = static_cast<std::uint32_t>(clock_.now_ms / 1000);
  totals_.filters.fetch_add(1, std::memory_order_relaxed);
  add_cost(static_cast<std::int64_t>(log.own_cost()));
  if (has_wildcard(name)) ++wide_;
  counters_.add(Counter::logs_created);
  counters_.add(Counter::logs);
  return log;
}

void TopicLogs::append(MessageRef message, std::uint64_t sequence) noexcept {
  TopicLog& log = log_for(name_for(message->topic()));
  counters_.add(Counter::log_messages);
  counters_.add(Counter::log_bytes, static_cast<std::int64_t>(log_size(*message)));
  add_cost(static_cast<std::int64_t>(log_cost(*message)));
  const LogLoss overrun = log.append({message.detach(), sequence});
  if (overrun.messages > 0) [[unlikely]] {
    log.lost += overrun.messages;
    count_out(overrun);
    counters_.add(Counter::dropped_log_overrun, static_cast<std::int64_t>(overrun.messages));
    lost(log.filter(), overrun.messages);
  }
  log.written_s = static_cast<std::uint32_t>(clock_.now_ms / 1000);
  table_.touch(log, sequence);
  keep_bounds(&log);
}

// --- bounds

bool TopicLogs::is_over(Cause cause, std::uint64_t slack) const noexcept {
  if (cause == Cause::filters) {
    const std::uint64_t max = options_->max_filters;
    return totals_.filters.load(std::memory_order_relaxed) > max + max / 8 * slack;
  }
  const std::uint64_t max = options_->max_bytes;
  return totals_.cost.load(std::memory_order_relaxed) > max + max / 8 * slack;
}

/// What goes is what was written to least recently, on whatever thread. Where that is another one it
/// is asked, and until it comes to it the bound may be overshot, by an eighth.
bool TopicLogs::goes_next(Cause cause) noexcept {
  if (threads_ == 1 || is_over(cause, 1)) return true;
  ThreadIndex next = thread_;
  std::uint64_t oldest = table_.oldest() == nullptr ? LogTotals::kNone : table_.oldest()->written;
  for (unsigned thread = 0; thread < threads_; ++thread) {
    if (thread == thread_) continue;
    const std::uint64_t other = totals_.parts[thread].oldest.load(std::memory_order_relaxed);
    if (other >= oldest) continue;
    oldest = other;
    next = static_cast<ThreadIndex>(thread);
  }
  if (next == thread_) return true;
  ask(next);
  return false;
}

void TopicLogs::keep_bounds(TopicLog* written) noexcept {
  for (const Cause cause : {Cause::filters, Cause::bytes}) {
    while (is_over(cause, 0) && goes_next(cause) && evict(cause, written)) {
    }
  }
  publish_oldest();
}

void TopicLogs::make_room() noexcept {
  totals_.parts[thread_].asked.store(false, std::memory_order_release);
  keep_bounds(nullptr);
}

void TopicLogs::ask(ThreadIndex thread) noexcept {
  if (totals_.parts[thread].asked.exchange(true, std::memory_order_acq_rel)) return;
  CrossItem item;
  item.kind = CrossItem::Kind::log_room;
  host_.post(thread, std::move(item));
}

bool TopicLogs::evict(Cause cause, TopicLog* written) noexcept {
  TopicLog* log = table_.oldest();
  // Those that the configuration has made are no dynamic filters.
  while (cause == Cause::filters && log != nullptr &&
         log->origin == TopicLog::Origin::initialized) {
    log = log->newer;
  }
  if (log == nullptr) return false;
  const auto index = static_cast<std::size_t>(cause);
  LogLoss loss;
  if (log == written && cause == Cause::bytes && log->messages() > 1) {
    // There is no other. It keeps what it can, at least what has just come.
    loss = log->segments() > 1 ? log->drop_oldest_segment() : log->drop_to_last();
    count_out(loss);
  } else {
    loss = remove(*log);
    counters_.add(evicted_counter(index));
  }
  counters_.add(dropped_counter(index), static_cast<std::int64_t>(loss.messages));
  evicted_[index] += loss.messages;
  schedule_telling();
  return true;
}

void TopicLogs::shed(std::uint64_t excess) noexcept {
  const std::uint64_t all = totals_.cost.load(std::memory_order_relaxed);
  LogTotals::Part& own = totals_.parts[thread_];
  const std::uint64_t had = own.cost.load(std::memory_order_relaxed);
  if (all != 0 && had != 0) {
    const auto share = static_cast<std::uint64_t>(static_cast<double>(excess) *
                                                  static_cast<double>(had) /
                                                  static_cast<double>(all));
    const std::uint64_t keep = had - std::min(had, share + 1);
    while (own.cost.load(std::memory_order_relaxed) > keep && evict(Cause::memory, nullptr)) {
    }
    publish_oldest();
  }
  // The others look at the budget when they wake.
  for (unsigned thread = 0; thread < threads_; ++thread) {
    if (thread != thread_ &&
        totals_.parts[thread].oldest.load(std::memory_order_relaxed) != LogTotals::kNone) {
      ask(static_cast<ThreadIndex>(thread));
    }
  }
}

LogLoss TopicLogs::remove(TopicLog& log) noexcept {
  const LogLoss loss = log.clear();
  count_out(loss);
  if (log.origin == TopicLog::Origin::initialized) {
    table_.retire(log);
    return loss;
  }
  add_cost(-static_cast<std::int64_t>(log.own_cost()));
  totals_.filters.fetch_sub(1, std::memory_order_relaxed);
  if (has_wildcard(log.filter())) --wide_;
  counters_.add(Counter::logs, -1);
  table_.remove(log);
  return loss;
}

void TopicLogs::after_taking(TopicLog& log, const LogLoss& taken) noexcept {
  counters_.add(Counter::log_messages, -static_cast<std::int64_t>(taken.messages));
  counters_.add(Counter::log_bytes, -static_cast<std::int64_t>(taken.bytes));
  // It stays in the sum of all until somebody has got it: see let_go().
  totals_.parts[thread_].cost.fetch_sub(taken.cost, std::memory_order_relaxed);
  if (log.empty()) static_cast<void>(remove(log));
  publish_oldest();
}

void TopicLogs::count_out(const LogLoss& loss) noexcept {
  counters_.add(Counter::log_messages, -static_cast<std::int64_t>(loss.messages));
  counters_.add(Counter::log_bytes, -static_cast<std::int64_t>(loss.bytes));
  add_cost(-static_cast<std::int64_t>(loss.cost));
}

void TopicLogs::add_cost(std::int64_t cost) noexcept {
  // Negative ones wrap around to what they mean.
  totals_.cost.fetch_add(static_cast<std::uint64_t>(cost), std::memory_order_relaxed);
  totals_.parts[thread_].cost.fetch_add(static_cast<std::uint64_t>(cost),
                                        std::memory_order_relaxed);
}

void TopicLogs::publish_oldest() noexcept {
  const TopicLog* oldest = table_.oldest();
  const std::uint64_t written = oldest == nullptr ? LogTotals::kNone : oldest->written;
  std::atomic<std::uint64_t>& told = totals_.parts[thread_].oldest;
  if (told.load(std::memory_order_relaxed) != written) {
    told.store(written, std::memory_order_relaxed);
  }
}

// --- losses

void TopicLogs::lost(Bytes filter, std::uint64_t messages) noexcept {
  std::string name(as_text(filter));
  if (overruns_.size() >= kToldFilters && !overruns_.contains(name)) name.clear();
  overruns_[std::move(name)] += messages;
  schedule_telling();
}

/// At most once a second for each filter, and never less than all of it.
void TopicLogs::schedule_telling() noexcept {
  if (clock_.timer.scheduled()) return;
  clock_.wheel.schedule(clock_.timer, std::max(clock_.now_ms, told_ms_ + kAlertMs));
}

void TopicLogs::tell_losses() noexcept {
  told_ms_ = clock_.now_ms;
  unsigned told = 0;
  for (auto at = overruns_.begin(); at != overruns_.end() && told < kAlertsAtOnce; ++told) {
    if (!tell(AlertKind::log_overrun, 0, as_bytes(at->first), at->second)) break;
    at = overruns_.erase(at);
  }
  bool left = !overruns_.empty();
  for (std::size_t cause = 0; cause < kCauses; ++cause) {
    if (evicted_[cause] == 0) continue;
    if (tell(AlertKind::logs_budget, static_cast<std::uint16_t>(cause + 1), {}, evicted_[cause])) {
      evicted_[cause] = 0;
    }
    left = left || evicted_[cause] != 0;
  }
  if (left) schedule_telling();
}

bool TopicLogs::tell(AlertKind kind, std::uint16_t cause, Bytes filter,
                     std::uint64_t count) noexcept {
  contract::Alert event{};
  event.alert = static_cast<std::uint16_t>(kind);
  event.cause = cause;
  event.count = count;
  event.filter_bytes = static_cast<std::uint32_t>(filter.size());
  return host_.event(contract::EventKind::alert, event.header, sizeof event, {Bytes{}, filter});
}

// --- queries

void TopicLogs::write_row(const TopicLog& log, const PageBounds& bounds,
                          JsonWriter& row) const noexcept {
  const auto time = [&](std::uint32_t seconds) {
    return static_cast<std::int64_t>(seconds) * 1000 + bounds.wall_offset_ms;
  };
  const auto number = [&](std::string_view name, std::uint64_t value) {
    row.field(name, static_cast<std::int64_t>(value));
  };
  row.begin_object();
  row.field("filter", log.filter());
  number("initialized", log.origin == TopicLog::Origin::initialized ? 1 : 0);
  number("messages", log.messages());
  number("bytes", log.bytes());
  number("segments", log.segments());
  number("appended", log.appended);
  number("appendedBytes", log.appended_bytes);
  number("lost", log.lost);
  row.field("created", time(log.created_s));
  if (log.appended > 0) row.field("written", time(log.written_s));
  row.end_object();
}

std::uint32_t TopicLogs::list(std::uint32_t slot, const PageBounds& bounds,
                              JsonWriter& rows) const noexcept {
  std::uint32_t count = 0;
  std::uint32_t looked_at = 0;
  for (; slot < table_.slots(); ++slot) {
    if (count >= bounds.rows || rows.size() >= PageBounds::kBytes ||
        looked_at++ == PageBounds::kSlots) {
      return slot;
    }
    const TopicLog* log = table_.at(slot);
    if (log == nullptr) continue;
    write_row(*log, bounds, rows);
    ++count;
  }
  return kListed;
}

bool TopicLogs::describe(Bytes filter, const PageBounds& bounds, JsonWriter& row) const noexcept {
  const TopicLog* log = table_.find(filter, TopicTrie::hash(filter));
  if (log == nullptr) return false;
  write_row(*log, bounds, row);
  return true;
}

bool TopicLogs::erase(Bytes filter) noexcept {
  TopicLog* log = table_.find(filter, TopicTrie::hash(filter));
  if (log == nullptr) return false;
  const LogLoss loss = remove(*log);
  counters_.add(Counter::dropped_log_deleted, static_cast<std::int64_t>(loss.messages));
  publish_oldest();
  return true;
}

}  // namespace stmqtt
