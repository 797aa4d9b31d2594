// What an I/O thread tells the engine. One handler per I/O thread; calls come in batches, per
// readiness or per loop turn, never per message. Within any call the handler may use every method
// of the IoThread, on any connection of that thread.
// Thread: all calls come on the I/O thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "io/channel.hpp"
#include "io/connection.hpp"

namespace stmqtt {

/// How a connection's socket ended.
enum class EndKind : std::uint8_t {
  peer_closed,      ///< end of stream
  socket_error,     ///< reset, timed out, ...; see EndReason::error
  flushed,          ///< close_after_flush(): all that was queued is with the kernel
  deadline_passed,  ///< close_after_flush(): bytes were left at the deadline
  channel_failed,   ///< its TLS, WebSocket or PROXY header; or that took too long
};
struct EndReason {
  EndKind kind;
  int error = 0;  ///< errno of a socket_error, else 0
  ChannelKind channel = ChannelKind::tls;  ///< of channel_failed
  std::string_view text = {};  ///< of channel_failed: what went wrong; valid until release()
};

class Handler {
 public:
  /// On the listening thread. The descriptor (non-blocking, options set) now belongs to the
  /// handler, which gives it to some thread's IoThread::adopt() or closes it.
  virtual void on_accepted(int fd, ListenerId listener, const PeerAddress& peer) noexcept = 0;
  /// How many more connections may be accepted from the listener now; 0 = it is left out of the
  /// poller until IoThread::readmit(). What comes meanwhile waits in the backlog.
  [[nodiscard]] virtual std::uint32_t may_accept(ListenerId /*listener*/) noexcept {
    return UINT32_MAX;
  }
  /// A connection could not be accepted: `error` is an errno such as EMFILE. At most once per turn
  /// and listener. `shed` connections were closed at once, because no descriptor was left for them.
  virtual void on_accept_failed(ListenerId listener, int error, unsigned shed) noexcept = 0;

  /// Bytes in order, beginning with those left unconsumed by the last call; valid until it returns.
  /// Returns how many were consumed; the rest is kept and comes again once Connection::want() is
  /// met, or on the next turn where it is met already, or after resume() where it is paused. After
  /// release() or detach() of this connection the result is ignored.
  [[nodiscard]] virtual std::size_t on_bytes(Connection& connection, Bytes bytes) noexcept = 0;
  /// All channels are open: the handshake and the upgrade are done. Called once, before the first
  /// on_bytes, for a connection that was adopted with channels.
  virtual void on_open(Connection& /*connection*/) noexcept {}
  /// So long it was us whom a newcomer waited for: what it sent was there, and is read now. Where a
  /// time runs for it, this does not belong to it.
  virtual void on_waited(Connection& /*connection*/, std::uint64_t /*waited_ms*/) noexcept {}
  /// The outbound queue was above the high watermark and now is at or below the low one.
  virtual void on_writable(Connection& connection) noexcept = 0;
  /// What IoThread::put_off_end() put off, now. The handler closes or releases the connection.
  virtual void on_put_off(Connection& /*connection*/) noexcept {}
  /// The socket ended; called once, unless release() or detach() came first. The handler answers
  /// with release(), now or later; until then nothing is received or sent.
  virtual void on_end(Connection& connection, EndReason reason) noexcept = 0;

  /// Another thread called wake(), at least once since the last on_wake. Comes first in a turn.
  virtual void on_wake() noexcept = 0;
  /// A timer is due: next_timer_ms() is not after `now_ms`.
  virtual void on_timers(std::uint64_t now_ms) noexcept = 0;
  /// When on_timers should be called, on the clock of now_ms(); UINT64_MAX = not at all.
  [[nodiscard]] virtual std::uint64_t next_timer_ms() noexcept = 0;
  /// Once per turn, after all input and before the flush. Another turn, and so another turn end,
  /// follows at once if the flush called the handler (on_writable, on_end, flush_link).
  virtual void on_turn_end() noexcept = 0;
  /// Where IoThread::set_tap() asked for it: the connection's queue is about to be flushed, and
  /// holds more than the `from` bytes that it had when it was last counted.
  virtual void on_flush(Connection& /*connection*/, std::size_t /*from*/) noexcept {}
  /// The turn that began at `turn_ns` is flushed.
  virtual void on_flushed(std::uint64_t /*turn_ns*/, std::uint64_t /*now_ns*/) noexcept {}
  /// Flush of a marked outlet of Kind::link.
  virtual void flush_link(Outlet& outlet) noexcept = 0;

  /// The thread is about to leave its loop after request_stop(); its connections are still there.
  /// Those not released in it are closed afterwards without further calls.
  virtual void on_stop() noexcept = 0;

 protected:
  ~Handler() = default;
};

}  // namespace stmqtt
