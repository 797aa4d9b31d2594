// The broker's native half as one object: threads, tables, listeners, the way to and from
// TypeScript. Built, started and stopped from one thread, JavaScript's.
// Thread: JavaScript's, except for what workers call (marked).
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/address_table.hpp"
#include "engine/options.hpp"
#include "engine/worker.hpp"
#include "io/outside_tls.hpp"
#include "io/tls_slot.hpp"
#include "session/rate_bucket.hpp"
#include "session/tables.hpp"
#include "store/store.hpp"

namespace stmqtt {

/// What a connection is counted in besides; bits of Connection::counted.
enum CountedIn : std::uint8_t {
  kCountedAddress = 1,    ///< AddressTable
  kCountedHandshake = 2,  ///< ListenerEntry::handshakes
  kAddressOpen = 4,       ///< its address is not known before its channels are open
};

/// One listening socket and what is allowed on it. Lives as long as the engine, because its
/// connections count in it.
struct ListenerEntry {
  ListenerEntry(ListenerId id, const Limits* with, const EngineListenSpec& spec)
      : socket(id),
        name(spec.name),
        pacing(spec.pacing),
        addresses(spec.addresses),
        max_handshakes(spec.max_handshakes),
        has_tls(spec.tls != 0),
        tls_outside(spec.tls_outside),
        handshake_timeout_ms(spec.handshake_timeout_ms),
        limits(with),
        max_connections(spec.max_connections) {}
  Listener socket;
  const std::string name;
  const AcceptPacing pacing;
  const AddressBounds addresses;
  const std::uint32_t max_handshakes;          ///< 0 = no bound
  std::unique_ptr<SharedRates> together;       ///< null = no bound
  const bool has_tls;                          ///< in the I/O threads
  const bool tls_outside;                      ///< in JavaScript
  std::atomic<std::uint32_t> handshake_timeout_ms;
  /// Of those who come; Engine::kept_channels_ owns.
  std::atomic<const ChannelSettings*> channels{nullptr};
  TlsSlot tls{TlsContextRef()};  ///< of those who come; set wherever has_tls
  std::atomic<const Limits*> limits;           ///< of those who come; Engine::kept_limits_ owns
  std::atomic<std::uint32_t> max_connections;  ///< 0 = no bound
  std::atomic<std::uint32_t> connections{0};
  std::atomic<std::uint32_t> handshakes{0};    ///< accepted, and no CONNACK yet
  std::atomic<bool> held{false};  ///< not accepted from, because there are max_handshakes
  ThreadIndex thread = 0;
  std::atomic<Admission> admission{Admission::judged};
  std::atomic<bool> removed{false};  ///< unlisten() was called
  bool closed = false;               ///< guarded by Engine::closing_mutex_
};

struct ListenResult {
  ListenerId id = 0;
  std::string address;
  std::uint16_t port = 0;
  SystemError error;
};

/// Called from I/O threads when events wait; must not block.
struct JavascriptWake {
  void (*call)(void* context) = nullptr;
  void* context = nullptr;
};

class Engine {
 public:
  Engine(EngineOptions options, const Limits& link_limits, JavascriptWake wake);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Pollers and wake-ups; before everything else.
  [[nodiscard]] SystemError open();
  /// What was bound and submitted before is served from now on.
  [[nodiscard]] SystemError start();
  [[nodiscard]] ListenResult listen(const EngineListenSpec& spec);
  /// Closes the socket; its address is free when this returns. Connections stay. Waits for the
  /// listener's thread to end its turn.
  void unlisten(ListenerId id);
  /// For connections of this listener that come from now on; 0 = for links. Those that are there
  /// keep what they have. False: there is no such listener.
  bool set_limits(ListenerId id, const Limits& limits, std::uint32_t max_connections);
  /// For connections of this listener that come from now on. False: there is no such listener, or it
  /// would begin or cease to be one of WebSocket.
  bool set_channels(ListenerId id, const ChannelSettings& channels);
  /// 0, and `failure` says why; else a number for EngineListenSpec::tls and set_tls().
  [[nodiscard]] std::uint32_t make_tls(const TlsOptions& options, TlsFailure& failure);
  /// For connections of this listener that come from now on. False: there is no such listener or
  /// context, or the listener has no TLS.
  bool set_tls(ListenerId id, std::uint32_t tls);
  /// Likewise. False: there is no such listener.
  bool set_handshake_timeout(ListenerId id, std::uint32_t timeout_ms);
  /// Listeners and connections that have it keep it.
  void release_tls(std::uint32_t tls) { tls_contexts_.erase(tls); }
  /// For CONNECTs that come from now on, on connections that are there too. False: no such listener.
  bool set_admission(ListenerId id, Admission admission) noexcept;
  /// Sockets of listeners with tls_outside that were accepted and wait for JavaScript. Whoever puts
  /// the first one there wakes it.
  [[nodiscard]] std::vector<OutsideSocket> take_outside();
  /// Null: there is no such listener.
  [[nodiscard]] const Limits* limits_of(ListenerId id) noexcept;
  /// Whether somebody may be subscribed to Topic Names that begin with these levels.
  [[nodiscard]] bool reaches(Bytes levels) const noexcept { return tables_.trie.reaches(levels); }
  /// What the tables hold: subscriptions, shared ones among them, trie nodes, retained messages and
  /// their bytes. As many as there is room for.
  static constexpr std::size_t kTableCounts = 6;
  void table_counts(std::span<std::int64_t> into) const noexcept;
  /// What was connected, queued or measured before stays as it is; bounds hold from now on.
  void configure(const LiveOptions& live);
  /// Access rules for everybody, those who are connected too; each thread takes them in its turn.
  void set_rules(std::shared_ptr<const RuleSet> rules);
  /// Hooks for what comes from now on; each thread takes them in its turn. Null = none.
  void set_hooks(std::shared_ptr<const HookSet> hooks);
  [[nodiscard]] const LiveOptions& live() const noexcept { return live_; }
  static constexpr std::size_t kMaxTraces = 8;
  /// Packets are shown as trace events until it ends by itself or is told to. False: there are
  /// kMaxTraces, or one of this number.
  [[nodiscard]] bool trace(const TraceSpec& spec);
  /// From now on; connected clients that it concerns are disconnected, soon.
  [[nodiscard]] BanTable::Added ban(Ban ban);
  [[nodiscard]] bool unban(BanKind kind, std::string_view value);
  [[nodiscard]] const BanTable& bans() const noexcept { return tables_.bans; }
  /// Answered by trace_end, if there is such a trace.
  void untrace(std::uint32_t id);
  /// Whole command records. False: a record's lengths do not fit, or it opens a link that is open
  /// already; nothing from it on was taken.
  [[nodiscard]] bool submit(std::span<const std::uint8_t> commands);
  /// Whole event records; see EventBuffer::read().
  [[nodiscard]] std::int64_t drain_events(std::uint8_t* into, std::size_t room);
  void counters(std::span<std::int64_t> into) const;
  /// Of one I/O thread; false if there is none of this index.
  [[nodiscard]] bool thread_counters(std::size_t index, std::span<std::int64_t> into) const;
  /// From a PUBLISH read to its copies flushed, over all threads; see contract/latency.hpp.
  void latency(std::span<std::int64_t> into) const;
  [[nodiscard]] std::size_t io_threads() const noexcept { return workers_.size(); }
  /// Joins all threads. Idempotent. What they wrote until then can still be drained.
  void stop();
  /// After stop(): moves what is not drained yet to `into`, which outlives the engine.
  void take_events(EventBuffer& into);

  // --- workers' threads
  [[nodiscard]] const EngineOptions& options() const noexcept { return options_; }
  [[nodiscard]] BrokerTables& tables() noexcept { return tables_; }
  [[nodiscard]] Worker& worker(ThreadIndex index) noexcept { return *workers_[index]; }
  /// Of links that were opened with these contract::LinkFlag bits.
  [[nodiscard]] const Limits& link_limits(std::uint8_t flags = 0) const noexcept {
    return *link_limits_[flags & contract::kLinkFlags].load(std::memory_order_acquire);
  }
  [[nodiscard]] ListenerEntry* listener(ListenerId id) noexcept;
  template <class F>
  void for_each_listener(F&& visit) noexcept {
    const ListenerId end = next_listener_.load(std::memory_order_acquire);
    for (ListenerId id = 1; id < end; ++id) {
      if (ListenerEntry* entry = listener(id)) visit(*entry);
    }
  }
  /// The listener's socket is closed.
  void listener_closed(ListenerEntry& entry);
  /// Counts it in if the bounds allow.
  [[nodiscard]] bool admit_connection(ListenerEntry& entry) noexcept;
  /// `counted`: bits of CountedIn, besides the bounds of admit_connection().
  void connection_closed(ListenerId id, const PeerAddress& peer, std::uint8_t counted) noexcept;
  [[nodiscard]] AddressTable& addresses() noexcept { return addresses_; }
  /// How many more may be accepted; 0 = the listener is held until there is room.
  [[nodiscard]] std::uint32_t room_for_handshakes(ListenerEntry& entry) noexcept;
  void handshake_begins(ListenerEntry& entry) noexcept {
    entry.handshakes.fetch_add(1, std::memory_order_seq_cst);
  }
  void handshake_over(ListenerId id) noexcept;
  [[nodiscard]] ThreadIndex choose_thread() noexcept;
  /// A link has ended that had moved so often.
  void forget_link(std::uint32_t link_id, std::uint32_t hop);
  void wake_javascript() noexcept;
  void put_outside(OutsideSocket&& socket);
  /// A connection leaves a thread, and has come to the one where it goes. It belongs to neither in
  /// between, and still it is there.
  void connection_leaves() noexcept { moving_.fetch_add(1, std::memory_order_seq_cst); }
  void connection_came() noexcept { moving_.fetch_sub(1, std::memory_order_seq_cst); }
  /// While draining: a thread takes no more messages, and showed the others all that it posted. The
  /// last one wakes them all.
  void thread_quiet() noexcept;
  [[nodiscard]] bool all_quiet() const noexcept {
    return quiet_threads_.load(std::memory_order_seq_cst) == workers_.size();
  }
  /// A thread has nothing left.
  void thread_drained() noexcept { drained_threads_.fetch_add(1, std::memory_order_seq_cst); }
  /// True once, when nothing is left anywhere. Whoever makes it true asks afterwards.
  [[nodiscard]] bool tell_drained() noexcept {
    return drained_threads_.load(std::memory_order_seq_cst) == workers_.size() &&
           moving_.load(std::memory_order_seq_cst) == 0 &&
           !drained_told_.exchange(true, std::memory_order_seq_cst);
  }
  void count_unflushed() noexcept { unflushed_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t unflushed() const noexcept {
    return unflushed_.load(std::memory_order_relaxed);
  }

 private:
  /// False: there is one of this number.
  [[nodiscard]] bool add_link(std::uint32_t link_id, ThreadIndex thread);

  /// Never moves and never dies before the engine. Equal ones are the same one, so that a
  /// configuration read again and again does not add up.
  [[nodiscard]] const ChannelSettings* keep_channels(const ChannelSettings& channels);
  [[nodiscard]] const Limits* keep_limits(const Limits& limits);
  [[nodiscard]] ThreadIndex home_of(Bytes client_id) const noexcept;
  void set_link_limits(Limits limits);
  static void add_up(const Worker& worker, std::span<std::int64_t> into);

  /// Over the engine's life: identifiers are not used again.
  static constexpr std::size_t kListenerChunk = 256;
  static constexpr std::size_t kMaxListeners = 256 * kListenerChunk;
  using ListenerChunk = std::array<std::atomic<ListenerEntry*>, kListenerChunk>;
  enum class State : std::uint8_t { idle, running, stopped };

  const EngineOptions options_;
  LiveOptions live_;  ///< JavaScript's thread
  std::vector<TraceRef> traces_;  ///< JavaScript's thread; the ended ones too, for a while
  std::vector<std::unique_ptr<const Limits>> kept_limits_;  ///< JavaScript's thread
  /// JavaScript's thread. Connections point to them: one more for each change of a listener.
  std::vector<std::unique_ptr<const ChannelSettings>> kept_channels_;
  std::unordered_map<std::uint32_t, TlsContextRef> tls_contexts_;  ///< JavaScript's thread
  std::uint32_t next_tls_ = 1;
  std::atomic<const Limits*> link_limits_[contract::kLinkFlags + 1];  ///< by flags
  std::atomic<std::uint32_t> max_connections_;
  const JavascriptWake wake_;
  BrokerTables tables_;
  AddressTable addresses_;
  std::unique_ptr<Store> store_;
  std::array<std::atomic<ListenerChunk*>, kMaxListeners / kListenerChunk> listeners_{};
  std::vector<std::unique_ptr<ListenerChunk>> listener_chunks_;
  std::vector<std::unique_ptr<ListenerEntry>> listener_entries_;  ///< outlive the workers
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<ListenerId> next_listener_{1};
  std::size_t next_reader_ = 0;  ///< which worker's events are read first
  State state_ = State::idle;

  std::mutex closing_mutex_;
  std::condition_variable closing_;  ///< a listener's socket was closed

  std::mutex outside_mutex_;
  std::vector<OutsideSocket> outside_;  ///< guarded by outside_mutex_

  mutable std::mutex links_mutex_;
  std::unordered_map<std::uint32_t, ThreadIndex> link_threads_;  ///< where each was
                                                                 ///< opened; guarded by links_mutex_

  std::atomic<std::uint32_t> connections_{0};
  std::atomic<std::uint32_t> next_thread_{0};
  std::atomic<std::uint32_t> quiet_threads_{0};
  std::atomic<std::uint32_t> drained_threads_{0};
  std::atomic<std::uint32_t> moving_{0};
  std::atomic<bool> drained_told_{false};
  std::atomic<std::uint32_t> unflushed_{0};
  std::atomic<bool> wake_pending_{false};
};

}  // namespace stmqtt
