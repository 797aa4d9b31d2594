// Logs of messages that no subscriber matched: a thread's share of them. A log lives on the thread
// that its filter's hash says, however many threads write to it.
// In the path: match -> nobody -> [here], and on when somebody subscribes: log_handovers.hpp.
// Thread: its shard's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/json_writer.hpp"
#include "base/timer_wheel.hpp"
#include "contract/counters.hpp"
#include "route/log_table.hpp"
#include "session/host.hpp"
#include "session/listing.hpp"
#include "session/log_totals.hpp"
#include "session/publication.hpp"

namespace stmqtt {

/// Whether topics that nobody has subscribed to get a log of their own.
enum class DynamicFilters : std::uint8_t { off, on };

/// What becomes of a message that nobody has subscribed to.
enum class Unmatched : std::uint8_t {
  dropped,
  logged,     ///< for whoever looks at the log
  for_later,  ///< for the first subscriber
};

class TopicLogs {
 public:
  /// Where a thread's time comes from, and its turn to tell what was lost.
  struct Clock {
    TimerWheel& wheel;
    TimerNode& timer;
    const std::uint64_t& now_ms;
  };
  TopicLogs(LogTotals& totals, Host& host, contract::Counters& counters, Clock clock,
            ThreadIndex thread, unsigned threads) noexcept;
  ~TopicLogs();
  TopicLogs(const TopicLogs&) = delete;
  TopicLogs& operator=(const TopicLogs&) = delete;

  /// Never null. Makes the logs of its initialized filters that live here.
  void set_options(std::shared_ptr<const LogOptions> options) noexcept;
  [[nodiscard]] const LogOptions& options() const noexcept { return *options_; }

  // --- the publisher's thread
  [[nodiscard]] Unmatched fate_of(Bytes topic, DynamicFilters filters) const noexcept;
  /// Logs it, if there is a log for it: here, or on its way to the log's thread.
  Unmatched keep(Publication& publication, DynamicFilters filters) noexcept;

  // --- the log's thread
  void append(MessageRef message, std::uint64_t sequence) noexcept;
  /// Another thread finds that this one has what is to go.
  void make_room() noexcept;
  /// The broker is over its memory budget by so many bytes: this thread's share of them goes.
  void shed(std::uint64_t excess) noexcept;
  [[nodiscard]] bool any() const noexcept {
    return totals_.cost.load(std::memory_order_relaxed) != 0;
  }
  /// The timer: what was lost since is told.
  void tell_losses() noexcept;

  // --- queries
  [[nodiscard]] ThreadIndex home_of(Bytes filter) const noexcept;
  [[nodiscard]] ThreadIndex home_of_topic(Bytes topic) const noexcept {
    return home_of(name_for(topic));
  }
  /// A log here is of more than one topic.
  [[nodiscard]] bool any_wide() const noexcept { return wide_ > 0; }
  /// Rows from `slot` on. Returns where to go on, or kListed.
  [[nodiscard]] std::uint32_t list(std::uint32_t slot, const PageBounds& bounds,
                                   JsonWriter& rows) const noexcept;
  [[nodiscard]] bool describe(Bytes filter, const PageBounds& bounds,
                              JsonWriter& row) const noexcept;
  /// Its messages are dropped, counted. An initialized one stays, empty. False: there is none.
  [[nodiscard]] bool erase(Bytes filter) noexcept;

  [[nodiscard]] LogTable& table() noexcept { return table_; }
  /// Messages of a log went to somebody: it goes where nothing is left of it.
  void after_taking(TopicLog& log, const LogLoss& taken) noexcept;
  /// What was handed over takes no memory any more.
  void let_go(std::uint64_t cost) noexcept {
    totals_.cost.fetch_sub(cost, std::memory_order_relaxed);
  }

 private:
  /// Why a log goes that nobody asked for to go.
  enum class Cause : std::uint8_t { filters, bytes, memory };
  static constexpr std::size_t kCauses = 3;
  static constexpr std::uint64_t kAlertMs = 1'000;
  /// Filters whose losses are told each by itself; of more together.
  static constexpr std::size_t kToldFilters = 1'000;
  static constexpr unsigned kAlertsAtOnce = 100;

  [[nodiscard]] Bytes name_for(Bytes topic) const noexcept;
  TopicLog& log_for(Bytes topic) noexcept;
  void keep_bounds(TopicLog* written) noexcept;
  [[nodiscard]] bool is_over(Cause cause, std::uint64_t slack) const noexcept;
  [[nodiscard]] bool goes_next(Cause cause) noexcept;
  /// False: there is nothing here to go.
  bool evict(Cause cause, TopicLog* written) noexcept;
  void ask(ThreadIndex thread) noexcept;
  /// Loses all messages; an initialized log stays.
  LogLoss remove(TopicLog& log) noexcept;
  void count_out(const LogLoss& loss) noexcept;
  void add_cost(std::int64_t cost) noexcept;
  void publish_oldest() noexcept;
  void lost(Bytes filter, std::uint64_t messages) noexcept;
  void schedule_telling() noexcept;
  [[nodiscard]] bool tell(contract::AlertKind kind, std::uint16_t cause, Bytes filter,
                          std::uint64_t count) noexcept;
  void write_row(const TopicLog& log, const PageBounds& bounds, JsonWriter& row) const noexcept;

  LogTotals& totals_;
  Host& host_;
  contract::Counters& counters_;
  Clock clock_;
  std::shared_ptr<const LogOptions> options_;
  LogTable table_;
  std::unordered_map<std::string, std::uint64_t> overruns_;  ///< lost and not told yet, by filter
  std::uint64_t evicted_[kCauses] = {};                      ///< messages, likewise
  std::uint64_t told_ms_ = 0;
  std::uint32_t wide_ = 0;  ///< logs whose filters have wildcards
  const unsigned threads_;
  const ThreadIndex thread_;
};

}  // namespace stmqtt
