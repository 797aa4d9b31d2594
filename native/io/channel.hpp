// What may lie between a socket and its connection's bytes: a PROXY header, TLS, WebSocket. A plain
// TCP connection has none. Channels are stacked, the lowest next to the socket: PROXY, TLS, WebSocket,
// each optional. IoThread drives the stack (io_thread_channel.cpp); a channel never sees the socket,
// never blocks, and calls nothing of the thread's. Contract: at each method.
// Thread: the I/O thread that has the connection; a stack moves to another thread with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "base/outbound_queue.hpp"
#include "contract/counters.hpp"
#include "io/peer_address.hpp"

namespace stmqtt {

enum class ChannelKind : std::uint8_t { proxy, tls, websocket };

/// Bytes for one channel, from the one below it (or the socket).
struct ChannelInput {
  std::span<std::uint8_t> bytes;  ///< never empty; may be written to, up to their end
  /// Where a channel writes that cannot work in place, TLS: bytes.size() + kMaxHeldBytes are free
  /// from here on, but they may overlap `bytes`: what is written must never be more than
  /// kMaxHeldBytes ahead of what was taken in.
  std::uint8_t* room;
  PeerAddress& peer;  ///< the connection's: who knows better may change it
  contract::Counters& counters;  ///< the thread's
};

struct ChannelOutput {
  enum class State : std::uint8_t {
    more,      ///< goes on
    finished,  ///< its work is done (PROXY header): it is destroyed and leaves the stack
    ended,     ///< the peer ended the stream in the channel's own terms (close_notify, Close)
    failed,    ///< see Channel::failure()
  };
  /// For the one above; may be empty. Within the input, or from `room` on; valid until the next call.
  std::span<std::uint8_t> bytes;
  State state = State::more;
};

class Channel {
 public:
  /// Most that a channel may give out beyond the bytes at hand, because it held them back before: one
  /// TLS record. A channel that works in place never gives out more than it got; only the lowest one
  /// that changes bytes may hold plaintext back.
  static constexpr std::size_t kMaxHeldBytes = 20480;

  explicit Channel(ChannelKind kind) noexcept : kind_(kind) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Takes in all of input.bytes; what is not complete yet (a header, a record) it keeps itself, in
  /// bounded memory. Answers of its own (handshake, upgrade response, pong) go to `out`. After ended
  /// or failed it is not called again; the bytes of that call are still handed up before the end.
  [[nodiscard]] virtual ChannelOutput receive(const ChannelInput& input) noexcept = 0;
  /// Takes about `max_bytes` (at least one, more by at most what it frames at once) from the front of
  /// `from`, which is not empty, and appends to `out` what the one below is to carry. Called only
  /// while is_open().
  virtual void send(OutboundQueue& from, std::size_t max_bytes) noexcept = 0;
  /// Last words into `out`: close_notify, a Close frame, an HTTP refusal. Called at most once, open or
  /// not, when the connection is closed from our side and everything before is sent.
  virtual void finish() noexcept {}
  /// The handshake or upgrade is done: bytes of the one above can be sent.
  [[nodiscard]] virtual bool is_open() const noexcept = 0;
  /// After `failed`, and where the deadline passes before is_open(): what went wrong, for the log, in
  /// words that help the operator. Valid as long as the channel; without secrets.
  [[nodiscard]] virtual std::string_view failure() const noexcept = 0;
  /// DER of the client's verified certificate; empty = none. Valid until drop_certificate().
  [[nodiscard]] virtual Bytes certificate() noexcept { return {}; }
  virtual void drop_certificate() noexcept {}
  /// Ends the object, in whatever state, and gives its memory back.
  virtual void destroy() noexcept = 0;

  [[nodiscard]] ChannelKind kind() const noexcept { return kind_; }
  [[nodiscard]] Channel* above() const noexcept { return above_; }
  /// While the stack is built, from the lowest up.
  void set_above(Channel* above) noexcept { above_ = above; }

  /// What this channel gives to the one below, or the lowest to the socket.
  OutboundQueue out;

 protected:
  ~Channel() = default;

 private:
  friend class IoThread;
  friend struct DetachedConnection;

  Channel* above_ = nullptr;  // owned
  ChannelKind kind_;
  ChannelOutput::State state_ = ChannelOutput::State::more;
  bool finish_called_ = false;     // of the lowest: for the whole stack
  bool open_told_ = false;         // likewise
  std::uint32_t counted_bytes_ = 0;  // of the lowest: bytes of all `out` that the gauge holds
};

/// The channel and those above it.
void destroy_channels(Channel* lowest) noexcept;
/// Null if the stack has none of this kind.
[[nodiscard]] Channel* find_channel(Channel* lowest, ChannelKind kind) noexcept;
[[nodiscard]] inline const Channel* find_channel(const Channel* lowest, ChannelKind kind) noexcept {
  return find_channel(const_cast<Channel*>(lowest), kind);
}
[[nodiscard]] bool all_open(const Channel* lowest) noexcept;
/// Bytes that channels made and the socket has not taken.
[[nodiscard]] std::size_t channel_bytes(const Channel* lowest) noexcept;

}  // namespace stmqtt
