// One I/O thread of the engine: joins its IoThread (sockets) to its Shard (MQTT), and both to the
// other threads and to TypeScript. Owns its links. Everything runs on the I/O thread but for the
// methods under "any thread".
// Thread: its I/O thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/random.hpp"
#include "engine/event_buffer.hpp"
#include "engine/options.hpp"
#include "engine/outbox.hpp"
#include "io/io_thread.hpp"
#include "session/shard.hpp"

namespace stmqtt {

class Engine;
class SecureChannel;
struct ListenerEntry;

/// The connection under an in-process client: bytes go to TypeScript instead of a socket.
struct Link : Outlet {
  Link(FlushList& list, std::uint32_t link_id) noexcept
      : Outlet(list, Kind::link), id(link_id) {}
  const std::uint32_t id;
  std::uint32_t hop = 0;                ///< how often it has moved; see Worker::link_routes_
  Client* client = nullptr;             ///< null once the shard closed it
  std::uint32_t credit_bytes = 0;       ///< may still be sent before TypeScript consumes some
  std::uint32_t credit_limit = 0;
  std::string device_id;                ///< that it was opened for
  contract::Role role = contract::Role::unset;
  std::uint8_t flags = 0;               ///< contract::LinkFlag
  std::vector<std::uint8_t> unread;     ///< received and not consumed
  contract::CloseCause close_cause = contract::CloseCause::none;
  std::size_t shown = 0;                ///< bytes of the queue that a packet trace has seen
  bool closing = false;                 ///< flush, then tell link_closed
  bool rerun = false;                   ///< unread bytes are to be handled next turn
};

/// A connection on its way to this thread.
struct Arrival {
  DetachedConnection socket;
  std::unique_ptr<Link> link;         ///< instead of a socket
  ConnectState* connecting = nullptr; ///< owned; null = a new connection
  std::uint64_t connection_id = 0;
  const Limits* limits = nullptr;
  std::uint8_t counted = 0;           ///< CountedIn
};

/// Commands of TypeScript's for this thread, whole records one behind the other.
struct CommandBytes {
  std::vector<std::uint8_t> records;
  std::uint32_t hop = 0;  ///< through how many threads it came; not 0 only for links
};

/// A link that had moved has ended: nothing is to be sent after it any more.
struct LinkGone {
  std::uint32_t link_id;
  std::uint32_t hop;
};

/// A listener whose connections are to come to this thread, or no longer.
struct ListenerChange {
  ListenerEntry* entry;
  enum class Kind : std::uint8_t { add, remove } kind;
};

/// Options that hold from now on.
struct Settings {
  std::shared_ptr<const LiveOptions> live;
};

/// A packet trace begins; without a trace, that of the number ends.
struct TraceChange {
  TraceRef trace;
  std::uint32_t id;
};

/// Access rules for everybody from now on.
struct RulesChange {
  std::shared_ptr<const RuleSet> rules;
};

/// Hooks for what comes from now on.
struct HooksChange {
  std::shared_ptr<const HookSet> hooks;
};

/// There are new bans in the tables.
struct BansChanged {};

using InboxItem = std::variant<Arrival, CommandBytes, ListenerChange, LinkGone, Settings,
                               TraceChange, RulesChange, BansChanged, HooksChange>;

/// Of Worker::link_routes_.
[[nodiscard]] constexpr std::uint64_t route_key(std::uint32_t link_id, std::uint32_t hop) noexcept {
  return std::uint64_t{link_id} << 32 | hop;
}

class Worker final : private Handler, private Host {
 public:
  Worker(Engine& engine, ThreadIndex index, Store& store);
  ~Worker();

  [[nodiscard]] SystemError open() noexcept { return io_.open(); }
  [[nodiscard]] SystemError start() noexcept { return io_.start(); }
  void request_stop() noexcept { io_.request_stop(); }
  void join() noexcept { io_.join(); }

  // --- any thread
  void put(InboxItem&& item);
  /// put() for a connection that comes from another thread, or was accepted there.
  void put_arrival(Arrival&& arrival);
  void wake() noexcept { io_.wake(); }
  /// A listener of this thread that was held may be accepted from again.
  void readmit_soon() noexcept {
    readmit_.store(true, std::memory_order_release);
    io_.wake();
  }
  [[nodiscard]] EventBuffer& events() noexcept { return events_; }
  [[nodiscard]] const contract::Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] const LatencyHistogram& latency() const noexcept { return latency_; }
  [[nodiscard]] std::uint32_t open_connections() const noexcept {
    return open_connections_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] IoThread& io() noexcept { return io_; }
  /// The consumer of an outbox made room: this worker, if it has overflow, may go on.
  void consumed_by(ThreadIndex) noexcept {
    if (has_overflow_.load(std::memory_order_acquire)) io_.wake();
  }
  /// From this worker to `to`.
  [[nodiscard]] Outbox& outbox(ThreadIndex to) noexcept { return *outboxes_[to]; }

 private:
  // Handler: worker_io.cpp
  void on_accepted(int fd, ListenerId listener, const PeerAddress& peer) noexcept override;
  [[nodiscard]] std::uint32_t may_accept(ListenerId listener) noexcept override;
  void on_accept_failed(ListenerId listener, int error, unsigned shed) noexcept override;
  [[nodiscard]] std::size_t on_bytes(Connection& connection, Bytes bytes) noexcept override;
  void on_writable(Connection& connection) noexcept override;
  void on_open(Connection& connection) noexcept override;
  void on_end(Connection& connection, EndReason reason) noexcept override;
  void on_put_off(Connection& connection) noexcept override;
  void on_wake() noexcept override;
  void on_timers(std::uint64_t now_ms) noexcept override;
  [[nodiscard]] std::uint64_t next_timer_ms() noexcept override;
  void on_turn_end() noexcept override;
  void on_flush(Connection& connection, std::size_t from) noexcept override;
  void on_flushed(std::uint64_t turn_ns, std::uint64_t now_ns) noexcept override;
  void on_waited(Connection& connection, std::uint64_t waited_ms) noexcept override;
  void flush_link(Outlet& outlet) noexcept override;
  void on_stop() noexcept override;

  // Host: worker_host.cpp
  void post(ThreadIndex to, CrossItem&& item) noexcept override;
  [[nodiscard]] bool crossing() const noexcept override;
  void mark_crossing() noexcept override;
  [[nodiscard]] bool passed_mark() const noexcept override;
  [[nodiscard]] bool congested() const noexcept override;
  bool event(contract::EventKind kind, contract::RecordHeader& fixed, std::size_t fixed_bytes,
             std::initializer_list<Bytes> strings) noexcept override;
  void move_client(Client& client, ThreadIndex to) noexcept override;
  void close_client(Client& client, CloseMode mode,
                    contract::CloseCause cause) noexcept override;
  void show_written(Client& client) noexcept override;
  void tap_changed() noexcept override;
  void answer(std::uint64_t query_id, wire::ReasonCode code) noexcept override;
  void written(contract::Written& event) noexcept override;
  void pause(Client& client, PauseCause cause) noexcept override;
  void resume(Client& client, PauseCause cause) noexcept override;
  [[nodiscard]] Bytes address(const Client& client, char* buffer) const noexcept override;
  [[nodiscard]] contract::Transport transport(const Client& client) const noexcept override;
  [[nodiscard]] Bytes certificate(const Client& client) const noexcept override;
  [[nodiscard]] LinkSelf link_self(const Client& client) const noexcept override;
  [[nodiscard]] IpAddress ip_address(const Client& client) const noexcept override;
  [[nodiscard]] Bytes listener_name(std::uint32_t id) const noexcept override;
  [[nodiscard]] Admission admission(std::uint32_t id) const noexcept override;
  void admitted(Client& client) noexcept override;
  [[nodiscard]] std::uint64_t take_wait_ms(Client& client) noexcept override;
  [[nodiscard]] bool put_off_end(Client& client) noexcept override;
  [[nodiscard]] std::uint64_t random() noexcept override { return random_.next(); }
  void make_uuid(char out[36]) noexcept override;
  /// event() without the mask and without leaving out.
  void event_now(contract::EventKind kind, contract::RecordHeader& fixed, std::size_t fixed_bytes,
                 std::initializer_list<Bytes> strings) noexcept;

  // worker_admission.cpp
  [[nodiscard]] contract::CloseCause admit(ListenerEntry& entry, const PeerAddress& peer,
                                           std::uint8_t& counted) noexcept;
  [[nodiscard]] bool admit_late(Connection& connection) noexcept;
  [[nodiscard]] bool hand_out(ListenerEntry& entry, DetachedConnection& socket,
                              std::uint8_t counted) noexcept;
  void turn_away(int fd, contract::CloseCause cause, const PeerAddress& peer) noexcept;
  void handshake_over(Connection& connection) noexcept;
  void readmit_listeners() noexcept;

  // worker_commands.cpp
  void take_inbox() noexcept;
  void take_arrival(Arrival& arrival) noexcept;
  [[nodiscard]] bool take_items(std::uint32_t& share) noexcept;
  [[nodiscard]] bool take_commands(const CommandBytes& commands, std::uint32_t& share) noexcept;
  void take_item(InboxItem& item) noexcept;
  void take_command(const std::uint8_t* record, contract::CommandKind kind,
                    std::uint32_t hop) noexcept;
  void take_listener(const ListenerChange& change) noexcept;
  void take_settings(const LiveOptions& live) noexcept;
  void take_trace(TraceChange& change) noexcept;
  void drain(std::uint32_t deadline_ms) noexcept;
  void step_drain() noexcept;
  void check_drained() noexcept;
  void log(contract::LogLevel level, contract::CloseCause cause, Bytes text) noexcept;
  [[nodiscard]] bool admit_log(contract::Log& record, Bytes client_id) noexcept;
  void release(Connection& connection) noexcept;
  void take_crossed() noexcept;

  // worker_channels.cpp
  void add_channels(ListenerEntry& entry, DetachedConnection& to) noexcept;
  [[nodiscard]] static contract::CloseCause cause_of(const EndReason& reason) noexcept;
  void count_tls(SecureChannel& tls) noexcept;
  void count_channel_end(const Connection& connection) noexcept;

  // worker_queries.cpp
  struct Asked;
  struct Answer;
  void take_query(const std::uint8_t* record) noexcept;
  void take_write(const std::uint8_t* record) noexcept;
  [[nodiscard]] bool answer_by_slot(const Asked& asked, const PageBounds& bounds,
                                    Answer& answer) noexcept;
  [[nodiscard]] bool answer_about_session(const Asked& asked, const PageBounds& bounds,
                                          Answer& answer) noexcept;
  [[nodiscard]] bool answer_subscriptions(const Asked& asked, const PageBounds& bounds,
                                          Answer& answer) noexcept;
  [[nodiscard]] bool answer_log(const Asked& asked, const PageBounds& bounds,
                                Answer& answer) noexcept;
  void answer_routes(const Asked& asked, const PageBounds& bounds, Answer& answer) noexcept;
  void answer_retained(const Asked& asked, const PageBounds& bounds, Answer& answer) noexcept;
  void answer_names(const Asked& asked, Answer& answer) noexcept;
  [[nodiscard]] bool change_subscription(const Asked& asked, const SessionRef& session) noexcept;
  [[nodiscard]] bool pass_on(const Asked& asked, ThreadIndex to) noexcept;
  void reply(std::uint64_t query_id, const Answer& answer) noexcept;
  [[nodiscard]] std::int64_t wall_offset_ms() noexcept;

  // worker_links.cpp
  void open_link(const contract::LinkOpen& command, Bytes device_id) noexcept;
  void refuse_link(Link& link) noexcept;
  void take_link(Arrival& arrival) noexcept;
  void take_link_command(const std::uint8_t* record, contract::CommandKind kind,
                         std::uint32_t hop) noexcept;
  void forward(std::span<const std::uint8_t> record, ThreadIndex to, std::uint32_t hop) noexcept;
  void forward_bytes(std::uint32_t link_id, std::uint32_t hop, Bytes bytes) noexcept;
  void forget_routes(const LinkGone& gone) noexcept;
  void feed_link(Link& link) noexcept;
  void end_link(Link& link) noexcept;

  Engine& engine_;
  const ThreadIndex index_;
  LiveOptions live_;
  contract::Counters counters_;
  LatencyHistogram latency_;
  EventBuffer events_;
  IoThread io_;
  Gate& gate_;
  Shard shard_;
  Xoshiro random_;
  std::vector<std::unique_ptr<Outbox>> outboxes_;
  std::unordered_map<std::uint32_t, std::unique_ptr<Link>> links_;
  /// Commands for a link go the way that the link went, from the thread where it was opened: so
  /// none is lost and none overtakes another, however they meet with the moves. By link and hop:
  /// it may come by twice.
  std::unordered_map<std::uint64_t, ThreadIndex> link_routes_;
  std::vector<std::uint32_t> rerun_links_;

  std::mutex inbox_mutex_;
  std::vector<InboxItem> inbox_;      ///< guarded by inbox_mutex_
  std::vector<InboxItem> taken_;      ///< from taken_at_ on: still to be seen to
  std::size_t taken_at_ = 0;
  std::size_t record_at_ = 0;         ///< byte in that one, where it is of commands

  const Connection* in_bytes_ = nullptr;  ///< whose on_bytes runs
  Connection* moving_ = nullptr;          ///< move it when on_bytes returns
  std::unique_ptr<Arrival> move_;         ///< what goes with it
  ThreadIndex move_to_ = 0;

  std::atomic<std::uint32_t> open_connections_{0};
  std::atomic<bool> has_overflow_{false};
  std::atomic<bool> readmit_{false};
  enum class DrainStep : std::uint8_t {
    none,
    quieting,  ///< publishes are not taken any more; what was posted is being shown to the others
    quiet,     ///< waits for the other threads to be so
    closing,   ///< closes clients as they have got everything
    closed,
  };
  std::uint64_t drain_deadline_ms_ = 0;   ///< 0 = not draining
  std::uint64_t drain_close_ms_ = 0;      ///< whoever is left by then has its queue cut
  std::uint64_t drain_look_ms_ = ~std::uint64_t{0};  ///< when to look again who is finished
  DrainStep drain_step_ = DrainStep::none;
  bool drain_reported_ = false;
  bool was_congested_ = false;
  mutable PoolVector<std::uint8_t> certificate_;  ///< as certificate() gave it last
  std::uint64_t last_log_ms_ = 0;
  std::int64_t wall_offset_ms_ = 0;       ///< as told last
  std::uint32_t suppressed_logs_ = 0;
  std::uint64_t fine_log_second_ = 0;     ///< of debug and trace records
  std::uint32_t fine_logs_ = 0;           ///< in that second
  std::uint32_t suppressed_fine_logs_ = 0;
};

}  // namespace stmqtt
