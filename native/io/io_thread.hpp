// One I/O thread: its poller, its connections, its loop. A turn is: wake-ups from other threads,
// connections with bytes left over, ready sockets (one recv each), timers, the handler's turn end,
// then one send per connection that has something to send. Who is not established, or hung up, is
// served behind that, in a short turn of its own: io_thread_order.cpp.
// Counts connections_accepted, connections_closed, bytes_received, bytes_sent, outbound_bytes,
// paused_* (once per pause and cause), loop_turns, wakeups, busy_ns; nobody else adds to those.
// Thread: its own, except for what says otherwise.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"
#include "base/outlet.hpp"
#include "base/ring_queue.hpp"
#include "base/thread_check.hpp"
#include "base/vec.hpp"
#include "contract/counters.hpp"
#include "io/channel.hpp"
#include "io/connection.hpp"
#include "io/handler.hpp"
#include "io/listener.hpp"
#include "io/poller.hpp"
#include "io/system_error.hpp"

namespace stmqtt {

struct IoThreadOptions {
  std::size_t outbound_high_watermark_bytes = std::size_t{1} << 20;
  std::size_t outbound_low_watermark_bytes = std::size_t{256} << 10;
  std::size_t read_buffer_bytes = std::size_t{256} << 10;
  unsigned accepts_per_turn = 64;
  /// So many ends are seen to at once in a turn, and not put off.
  unsigned ends_per_turn = 4;
  /// How long a turn accepts, shakes hands and buries at least; see io_thread_order.cpp.
  std::uint64_t second_ns = 250'000;
  /// For tests.
  std::uint64_t (*clock_ns)() = &now_ns;
};

/// A socket to be adopted; also a connection on its way from one thread to another, with what was
/// received and not consumed, and what was queued and not sent. Owns all of it.
struct DetachedConnection {
  DetachedConnection() noexcept = default;
  DetachedConnection(int socket, std::uint64_t connection_id, ListenerId from,
                     const PeerAddress& address) noexcept
      : fd(socket), id(connection_id), listener(from), peer(address) {}
  DetachedConnection(DetachedConnection&& other) noexcept;
  DetachedConnection& operator=(DetachedConnection&& other) noexcept;
  ~DetachedConnection();  ///< closes the descriptor if nobody adopted it

  int fd = -1;
  std::uint64_t id = 0;
  ListenerId listener = 0;
  PeerAddress peer;
  PendingBytes* unread = nullptr;
  OutboundQueue unsent;
  Channel* channel = nullptr;   ///< owned; the lowest of a stack
  std::uint64_t open_by_ms = 0; ///< when its channels must be open, on the clock of now_ms(); 0 = any time
};

class IoThread {
 public:
  IoThread(unsigned index, Handler& handler, contract::Counters& counters,
           const IoThreadOptions& options) noexcept;
  /// After join(). Closes the wake-up descriptor: no other thread may call wake() any more, so join
  /// all I/O threads before destroying the first.
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // ---- from the thread that builds the broker ----
  /// Creates the poller and the wake-up descriptor. Before start(), run() or wake().
  [[nodiscard]] SystemError open() noexcept;
  /// Runs the loop on a thread of its own, named "st-mqttd/<index>", with all signals blocked.
  [[nodiscard]] SystemError start() noexcept;
  void join() noexcept;

  // ---- from any thread ----
  /// on_wake() will be called, and sees what the caller wrote before. Costs a system call only if
  /// the thread sleeps in its poller.
  void wake() noexcept;
  /// The loop ends with the current turn. Idempotent.
  void request_stop() noexcept;

  // ---- on this I/O thread (or before it runs) ----
  /// The loop itself; start() calls it. Tests may call it on a thread of their own.
  void run() noexcept;

  /// The listener's connections come to this thread's handler. Borrowed: remove it before it dies.
  [[nodiscard]] SystemError add_listener(Listener& listener,
                                         const AcceptPacing& pacing = {}) noexcept;
  void remove_listener(Listener& listener) noexcept;
  /// A listener that Handler::may_accept() left out is watched again.
  void readmit(const Listener& listener) noexcept;
  void set_accepts_per_turn(unsigned accepts) noexcept { options_.accepts_per_turn = accepts; }

  /// The connection takes over everything in `from`; unread bytes are handed to on_bytes on the next
  /// turn, unsent ones are sent. It is not paused, whatever it was before. Null if the poller refuses
  /// (out of memory or watches; the descriptor is closed then).
  [[nodiscard]] Connection* adopt(DetachedConnection&& from, void* user,
                                  Standing standing = Standing::established) noexcept;
  /// How long it has been waiting in line for us to read it, since that was last asked; not 0 there,
  /// and 0 where it is not in line. What is asked here, Handler::on_waited() does not tell.
  [[nodiscard]] std::uint64_t take_wait_ms(Connection& connection) noexcept;
  /// Within on_bytes: the peer has taken its leave. True: nothing more is read from it, and what its
  /// end costs comes behind those who stay, with Handler::on_put_off(), unless the connection ends
  /// before that. False: few ends have come in this turn, or it is their time; end it now.
  [[nodiscard]] bool put_off_end(Connection& connection) noexcept;
  /// It is a newcomer no more.
  void establish(Connection& connection) noexcept { connection.newcomer_ = 0; }
  /// Closes the connection: nothing more is sent. The object lives to the end of the turn, with
  /// fd() -1, so that the caller may finish with it. After on_end with EndKind::flushed the
  /// descriptor stays open a little, without further calls, until the peer has read the end.
  void release(Connection& connection) noexcept;
  /// Gives the socket away with what is unread and unsent; otherwise like release(). Within on_bytes
  /// for this connection, `rest` is what lies behind the consumed bytes; else it is empty and the
  /// connection's own pending bytes go.
  [[nodiscard]] DetachedConnection detach(Connection& connection, Bytes rest) noexcept;

  /// For a descriptor from on_accepted that nobody adopts: closes it and counts it as closed.
  void reject(int fd) noexcept;

  /// Reading stops, after what on_bytes has at hand. Bytes already received are kept.
  void pause(Connection& connection, PauseCause cause) noexcept;
  /// When the last cause is gone, bytes kept are handed over on the next turn, then reading goes on.
  void resume(Connection& connection, PauseCause cause) noexcept;
  /// Reads no more, sends what is queued, then calls on_end with EndKind::flushed, or, at
  /// `deadline_ms` on the clock of now_ms(), with EndKind::deadline_passed. Never within this call.
  void close_after_flush(Connection& connection, std::uint64_t deadline_ms) noexcept;
  /// Whether Handler::on_flush() is called.
  enum class Tap : std::uint8_t { off, on };
  void set_tap(Tap tap) noexcept { tap_ = tap; }
  /// How many bytes the queue had when it was last counted: at the flush before, or by the next.
  [[nodiscard]] static std::size_t counted(const Connection& connection) noexcept {
    return connection.outbound_counted_;
  }
  /// Brings the gauge outbound_bytes up to date for this connection.
  void count_outbound(Connection& connection) noexcept;
  /// For all connections, from now on.
  void set_watermarks(std::size_t high_bytes, std::size_t low_bytes) noexcept;
  /// For connections that are being closed already: their deadline is `deadline_ms` at the latest.
  void limit_deadlines(std::uint64_t deadline_ms) noexcept;

  [[nodiscard]] unsigned index() const noexcept { return index_; }
  /// For outlets of Kind::link that belong to this thread.
  [[nodiscard]] FlushList& flush_list() noexcept { return flush_list_; }
  /// When this turn began, on the clock of now_ms(). Saves asking the clock per packet.
  [[nodiscard]] std::uint64_t turn_ms() const noexcept { return turn_ns_ / 1'000'000; }
  [[nodiscard]] std::uint64_t turn_ns() const noexcept { return turn_ns_; }
  [[nodiscard]] std::uint32_t connection_count() const noexcept { return connections_.size(); }
  /// All connections of this thread, also those that linger (their `user` is null). A release puts
  /// the last one in the place of the released one: go backwards to release while going.
  [[nodiscard]] Connection* connection_at(std::uint32_t index) noexcept {
    return connections_[index];
  }
  [[nodiscard]] contract::Counters& counters() noexcept { return counters_; }

 private:
  // What another thread's wake() finds: the loop runs; it runs and was told; it sleeps.
  enum class Wake : std::uint8_t { running, signalled, sleeping };
  struct Deadline {
    Connection* connection;
    std::uint64_t at_ms;
    std::uint64_t latest_ms;  // whatever it waits for us
  };
  struct Place {
    Connection* connection;  // null = was released meanwhile
    std::uint64_t since_ms;  // the wait from then on was not asked for yet
  };
  struct Listening {
    Listener* listener;
    std::uint64_t paused_until_ms;  // 0 = not paused
    std::uint32_t accepts;          // how many to accept in the next turn
    AcceptPacing pacing;
    std::uint64_t credit_ns;        // of max_per_s: what may be used at once, at most a second
    std::uint64_t credited_at_ns;   // up to when time was turned into credit
    std::uint64_t next_ms;          // of delay_ms: when the next one may be accepted
    bool ready = false;             // somebody waits: to be accepted from in this turn
  };

  /// Frames up to this size that arrive in pieces are joined in the shared read buffer; larger
  /// ones are received into a block of their connection.
  static constexpr std::size_t kMaxJoinedFrameBytes = 32768;

  static void* thread_main(void* self) noexcept;

  // io_thread.cpp: the turn
  [[nodiscard]] int timeout_ms(std::uint64_t now_ms) noexcept;
  [[nodiscard]] std::size_t sleep() noexcept;
  void turn(std::size_t events) noexcept;
  void dispatch(const PollEvent& event) noexcept;
  void on_ready(Connection& connection, const PollEvent& event) noexcept;
  void end_turn() noexcept;
  void finish() noexcept;

  // io_thread_order.cpp: who is served first
  [[nodiscard]] static bool comes_second(const Connection& connection,
                                         const PollEvent& event) noexcept;
  void line_up(Connection& connection) noexcept;
  void leave_line(Connection& connection) noexcept;
  void serve_second(std::size_t events) noexcept;
  void serve(Connection& connection) noexcept;
  void give_back(Connection& connection, std::uint64_t waited_ms) noexcept;
  [[nodiscard]] bool spent() const noexcept { return options_.clock_ns() >= second_until_ns_; }

  // io_thread_connections.cpp: what happens to a connection from adopt() to its end
  /// False: the poller has no memory to watch it again.
  bool set_interest(Connection& connection) noexcept;
  void unwatch(Connection& connection) noexcept;
  void end(Connection& connection, EndReason reason) noexcept;
  void leave(Connection& connection) noexcept;
  void linger(Connection& connection) noexcept;
  void destroy(Connection& connection) noexcept;
  void forget(Connection& connection) noexcept;
  void free_released() noexcept;
  void set_deadline(Connection& connection, std::uint64_t at_ms) noexcept {
    set_deadline(connection, at_ms, at_ms);
  }
  void set_deadline(Connection& connection, std::uint64_t at_ms,
                    std::uint64_t latest_ms) noexcept;
  [[nodiscard]] bool put_off(Deadline& deadline, std::uint64_t now_ms) noexcept;
  void forget_deadline(Connection& connection) noexcept;
  void close_expired(std::uint64_t now_ms) noexcept;

  // io_thread_bytes.cpp: bytes in, bytes out
  void receive(Connection& connection) noexcept;
  void receive_large(Connection& connection) noexcept;
  void receive_failed(Connection& connection, int error) noexcept;
  void hand_over(Connection& connection, Bytes bytes, PendingBytes* block) noexcept;
  void keep(Connection& connection, Bytes rest, PendingBytes* block) noexcept;
  void schedule_rerun(Connection& connection) noexcept;
  void rerun_all() noexcept;
  void hang_up_while_paused(Connection& connection) noexcept;
  void discard_input(Connection& connection) noexcept;
  void flush_all() noexcept;
  void flush(Connection& connection) noexcept;
  void send_queue(Connection& connection, OutboundQueue& queue) noexcept;

  // io_thread_channel.cpp: connections with channels
  void receive_through(Connection& connection) noexcept;
  [[nodiscard]] static bool open_told(const Connection& connection) noexcept;
  void keep_large(Connection& connection, Bytes bytes) noexcept;
  void end_by_channel(Connection& connection) noexcept;
  [[nodiscard]] static bool ended_in_channel(const Connection& connection) noexcept;
  [[nodiscard]] static EndReason not_open_in_time(const Connection& connection) noexcept;
  void send_through(Connection& connection) noexcept;
  [[nodiscard]] bool all_said(Connection& connection) noexcept;
  bool send_last_words(Connection& connection) noexcept;
  void drop_channels(Connection& connection) noexcept;
  void count_channel_bytes(Connection& connection) noexcept;

  // io_thread_accept.cpp
  void accept_ready() noexcept;
  void accept_from(Listener& listener) noexcept;
  void shed(Listening& listening, int error) noexcept;
  void pause_listener(Listening& listening, std::uint64_t until_ms) noexcept;
  [[nodiscard]] std::uint32_t paced(Listening& listening, std::uint32_t wanted) noexcept;
  void spend(Listening& listening, std::uint32_t accepted) noexcept;
  void resume_listeners(std::uint64_t now_ms) noexcept;
  [[nodiscard]] Listening* find(const Listener& listener) noexcept;

  Handler& handler_;
  contract::Counters& counters_;
  FlushList flush_list_;
  FlushList flushing_;
  Poller poller_;
  PoolVector<Connection*> connections_;
  PoolVector<Connection*> rerun_;      // null = was released meanwhile
  PoolVector<Connection*> rerunning_;  // likewise
  PoolVector<Connection*> released_;
  RingQueue<Place> line_;  // place_ counts from line_base_
  PoolVector<Deadline> deadlines_;
  PoolVector<Listening> listeners_;
  std::uint8_t* read_buffer_ = nullptr;
  IoThreadOptions options_;
  std::uint64_t turn_ns_ = 0;
  std::uint64_t next_deadline_ms_ = UINT64_MAX;        // not after the earliest
  std::uint64_t next_listener_ms_ = UINT64_MAX;        // when a paused one is due
  std::uint64_t second_until_ns_ = UINT64_MAX;         // when the second line's time is spent
  std::uint32_t line_base_ = 0;  // place_ of the first in line_
  std::uint32_t line_watched_ = 0;  // so many at its end are new: the poller still watches them
  unsigned index_;
  int reserve_fd_ = -1;  // given up for a moment where no descriptor is left
  bool turn_again_ = false;  // a call came after on_turn_end: do not sleep
  bool listener_ready_ = false;
  unsigned ends_ = 0;       // of this turn, that were not put off
  bool burying_ = false;  // the second line is served: what ends is ended at once
  Tap tap_ = Tap::off;
  bool signalled_ = false;
  bool started_ = false;
  pthread_t thread_{};
  [[no_unique_address]] ThreadOwner owner_;

  // Written by other threads; on a line of its own.
  alignas(64) std::atomic<Wake> wake_{Wake::running};
  std::atomic<bool> stop_{false};
};

}  // namespace stmqtt
