// From the logs to their first subscriber, without a gap, a duplicate or another order. A new
// subscription is in the trie first, and what is published from there on waits in its session's
// queue. Then a barrier goes through every thread: each, once it has it, matches the subscription,
// and has posted what nobody matched before; that it says to every thread that has logs, behind what
// it posted. A thread that has heard it from all takes what matches out of its logs and sends it to
// the session. Barriers have numbers and are taken in their order, so that whoever subscribed first
// gets the logs.
// Thread: its shard's.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/ring_queue.hpp"
#include "session/log_batch.hpp"
#include "session/topic_logs.hpp"

namespace stmqtt {

/// What one subscription is to get out of the logs. Behind its RetainedScan; from the pool.
class LogHandover {
 public:
  explicit LogHandover(unsigned threads) noexcept : awaited_(threads) {}
  ~LogHandover();
  LogHandover(const LogHandover&) = delete;
  LogHandover& operator=(const LogHandover&) = delete;

  [[nodiscard]] std::uint64_t barrier() const noexcept { return barrier_; }
  /// All threads have said what they have.
  [[nodiscard]] bool complete() const noexcept { return awaited_ == 0; }
  /// What one thread has. True: it was the last.
  [[nodiscard]] bool add(LogBatch& batch) noexcept;
  /// The scan of retained messages leaves this one out, if it comes out of a log as well.
  [[nodiscard]] bool takes_over(std::uint64_t retain_sequence) noexcept;

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  /// The next one in the order of publication.
  [[nodiscard]] Message& next() noexcept { return *entries_.front().message; }
  /// The scan would have sent it.
  [[nodiscard]] bool next_is_retained() noexcept;
  /// Takes it out; its count is the caller's.
  [[nodiscard]] LogEntry take() noexcept;
  /// All that is left, in no order; the caller's.
  [[nodiscard]] PoolVector<LogEntry> take_rest() noexcept { return std::move(entries_); }

 private:
  friend class LogHandovers;
  struct Retained {
    std::uint64_t retain_sequence;
    bool taken_over;
  };
  [[nodiscard]] static bool later(const LogEntry& a, const LogEntry& b) noexcept {
    return a.sequence > b.sequence;
  }
  [[nodiscard]] Retained* find(std::uint64_t retain_sequence) noexcept;

  std::uint64_t barrier_ = 0;
  unsigned awaited_;
  PoolVector<LogEntry> entries_;   ///< a heap once complete: a sort of many would hold the thread up
  PoolVector<Retained> retained_;  ///< sorted
};

class LogHandovers {
 public:
  LogHandovers(LogTotals& totals, TopicLogs& logs, Host& host, TopicLogs::Clock clock,
               ThreadIndex thread, unsigned threads) noexcept
      : totals_(totals), logs_(logs), host_(host), clock_(clock), threads_(threads),
        thread_(thread) {}
  LogHandovers(const LogHandovers&) = delete;
  LogHandovers& operator=(const LogHandovers&) = delete;

  // --- the session's thread
  [[nodiscard]] unsigned threads() const noexcept { return threads_; }
  /// The subscription is in the trie, and its scan among its session's.
  void begin(LogHandover& handover, const SessionRef& session, Bytes filter) noexcept;
  /// What nobody got goes back to where it was.
  void give_back(PoolVector<LogEntry>&& entries) noexcept;
  void give_back(LogHandover& handover) noexcept { give_back(handover.take_rest()); }
  /// Batches of this thread's own logs for its own sessions; to be asked at the end of a turn.
  [[nodiscard]] std::vector<LogBatchRef> take_ready() noexcept {
    return std::exchange(ready_, {});
  }

  // --- every thread, with logs or without
  void on_barrier(const CrossItem& item) noexcept { say_sealed(item.session, item.message); }
  void on_seal(const CrossItem& item) noexcept { note_seal(item.session, item.message); }
  void on_return(LogBatch& batch) noexcept;
  /// The timer: goes on taking out of logs.
  void step() noexcept;

 private:
  /// Logs looked at in one go.
  static constexpr std::uint32_t kSlotsAtOnce = 4096;
  struct Pending {
    SessionRef session;
    MessageRef carrier;  ///< its topic is the filter
    LogBatchRef batch;
    unsigned sealed = 0;  ///< by so many threads
    std::uint32_t slot = 0;
  };
  void say_sealed(const SessionRef& session, const MessageRef& carrier) noexcept;
  void note_seal(const SessionRef& session, const MessageRef& carrier) noexcept;
  [[nodiscard]] bool collect(Pending& pending) noexcept;
  void take_out_of(TopicLog& log, Bytes filter, LogBatch& batch) noexcept;

  LogTotals& totals_;
  TopicLogs& logs_;
  Host& host_;
  TopicLogs::Clock clock_;
  RingQueue<Pending> pending_;  ///< the first has the number next_
  std::uint64_t next_ = 1;
  std::vector<LogBatchRef> ready_;
  const unsigned threads_;
  const ThreadIndex thread_;
};

}  // namespace stmqtt
