// One accepted socket: an Outlet with a descriptor, the unread part of a frame that is not complete
// yet, and the causes for which reading is paused. Small, because most connections are idle; what
// an idle one does not need lies behind a pointer. Only IoThread changes it, except for the fields
// that say they are the engine's.
// Thread: the I/O thread that adopted it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/outlet.hpp"
#include "base/pause_cause.hpp"
#include "base/timer_wheel.hpp"
#include "io/peer_address.hpp"

namespace stmqtt {

using ListenerId = std::uint32_t;
class Channel;

/// In what order a turn serves connections: the established first, all of them; newcomers, and
/// whoever hung up, behind them and for a bounded time.
enum class Standing : std::uint8_t { established, newcomer };

/// Bytes received and not consumed yet, in one pool block.
struct PendingBytes {
  std::uint32_t begin;     ///< offset of the first byte that is left
  std::uint32_t end;       ///< offset behind the last
  std::uint32_t capacity;  ///< bytes behind this head

  [[nodiscard]] std::uint8_t* data() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
  [[nodiscard]] Bytes bytes() noexcept { return {data() + begin, end - begin}; }
  [[nodiscard]] std::uint32_t size() const noexcept { return end - begin; }

  /// Room for at least `capacity` bytes; holds none.
  [[nodiscard]] static PendingBytes* make(std::size_t capacity) noexcept;
  static void destroy(PendingBytes* block) noexcept;
  /// Room for at least `capacity` bytes from `begin`, which becomes 0; the block may move.
  [[nodiscard]] static PendingBytes* grow(PendingBytes* block, std::size_t capacity) noexcept;
};

class Connection final : public Outlet {
  static constexpr std::uint32_t kNoPlace = 0x7FFFFFFF;
  static constexpr std::uint32_t kLastPlace = 0x3FFFFFFF;

  enum class State : std::uint8_t {
    open,
    left,       // put_off_end(): reads nothing; on_put_off() comes in the second line
    closing,    // close_after_flush(): sends what is queued, reads nothing
    flushed,    // on_end(flushed) was called; release() makes it lingering
    lingering,  // no calls any more; reads and discards until the peer's end, so that close() does
                // not reset the connection and take our last bytes from the peer
    leaving,    // released, and waits for the descriptor to be closed: no calls any more
    released,   // the descriptor is closed or given away; the memory goes at the end of the turn
  };

  // First, because they fit into what the Outlet leaves of its last eight bytes.
  std::uint8_t pauses_ = 0;
  State state_ = State::open;
  std::uint8_t flags_ = 0;
  int fd_;

 public:
  // The engine's own: its state for this client, and a timer in its wheel. The engine cancels the
  // timer before it releases or detaches the connection.
  void* user = nullptr;
  [[no_unique_address]] TimerNode timer;
  std::uint8_t counted = 0;  ///< engine's CountedIn: what it is counted in

 private:
  // In what the alignment of the next would leave empty.
  std::uint32_t place_ : 31 = kNoPlace;  // where in the thread's line of those that are put off
  std::uint32_t newcomer_ : 1 = 0;       // see Standing

 public:
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  [[nodiscard]] ListenerId listener() const noexcept { return listener_; }
  [[nodiscard]] const PeerAddress& peer() const noexcept { return peer_; }
  /// The lowest of those between socket and bytes; null = none.
  [[nodiscard]] Channel* channel() const noexcept { return channel_; }
  /// -1 once released.
  [[nodiscard]] int fd() const noexcept { return state_ == State::leaving ? -1 : fd_; }

  /// Within on_bytes: how many bytes the next frame takes in all, counted from the first byte that
  /// is left unconsumed. Until that many are there, on_bytes is not called again; if they are there
  /// already, it is called in the next turn. Not told = one more than there are.
  void want(std::uint32_t total_bytes) noexcept { wanted_ = total_bytes; }

  [[nodiscard]] bool paused() const noexcept { return pauses_ != 0; }
  [[nodiscard]] bool paused_for(PauseCause cause) const noexcept {
    return (pauses_ & static_cast<std::uint8_t>(cause)) != 0;
  }
  /// Being closed: no more on_bytes.
  [[nodiscard]] bool closing() const noexcept { return state_ != State::open; }
  [[nodiscard]] Standing standing() const noexcept {
    return newcomer_ != 0 ? Standing::newcomer : Standing::established;
  }
  /// Bytes received and not consumed; within on_bytes without those handed over.
  [[nodiscard]] std::uint32_t pending_bytes() const noexcept {
    return pending_ == nullptr ? 0 : pending_->size();
  }

 private:
  friend class IoThread;

  enum Flag : std::uint8_t {
    kRead = 1,         // the poller watches for bytes
    kWrite = 2,        // the poller watches for room
    kUnwatched = 4,    // the poller does not know the descriptor
    kBlocked = 8,      // the last send was not taken whole: wait for room
    kInRerun = 16,     // on the list of connections to process without new bytes
    kWasHigh = 32,     // on_writable is owed
    kSendFailed = 64,  // nothing can be sent any more; what the peer sent is still read
    kEnded = 128,      // on_end was called
  };

  static constexpr std::uint32_t kNoDeadline = UINT32_MAX;

  Connection(FlushList& list, int fd, std::uint64_t id, ListenerId listener,
             const PeerAddress& peer) noexcept
      : Outlet(list, Kind::socket), fd_(fd), id_(id), listener_(listener), peer_(peer) {}

  ~Connection() = default;

  [[nodiscard]] bool has(Flag flag) const noexcept { return (flags_ & flag) != 0; }
  void set(Flag flag) noexcept { flags_ = static_cast<std::uint8_t>(flags_ | flag); }
  void unset(Flag flag) noexcept { flags_ = static_cast<std::uint8_t>(flags_ & ~flag); }

  std::uint64_t id_;
  PendingBytes* pending_ = nullptr;
  Channel* channel_ = nullptr;  // owned
  std::uint32_t wanted_ = 0;
  ListenerId listener_;
  PeerAddress peer_;
  std::uint32_t index_ = 0;          // in the thread's table of connections
  std::uint32_t deadline_index_ = kNoDeadline;  // in its table of deadlines
  std::uint32_t outbound_counted_ = 0;  // bytes of the queue that the gauge holds
};

static_assert(sizeof(void*) != 8 || sizeof(Connection) <= 160);

}  // namespace stmqtt
