// Bytes in and out: one recv per readiness into the thread's shared buffer, frames that are not
// complete kept per connection, one send per connection and turn. See io_thread.hpp.
// Thread: the I/O thread.
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/fatal.hpp"
#include "base/pool.hpp"
#include "io/io_thread.hpp"

namespace stmqtt {
namespace {

// Slices per send; the kernel's limit is 1024, and 64 of the largest blocks are 4 MiB.
constexpr std::size_t kMaxSlices = 64;
// A frame's length is the peer's claim; memory follows what really came.
constexpr std::size_t kFirstLargeBytes = 65536;

static_assert(sizeof(Slice) == sizeof(iovec) && offsetof(Slice, data) == offsetof(iovec, iov_base) &&
              offsetof(Slice, bytes) == offsetof(iovec, iov_len));

bool is_transient(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

// ---- pending bytes ----

PendingBytes* PendingBytes::make(std::size_t capacity) noexcept {
  const std::size_t block_bytes = pool_round_up(sizeof(PendingBytes) + capacity);
  if (block_bytes > UINT32_MAX) fatal("a frame of more than 4 GiB");
  auto* block = static_cast<PendingBytes*>(pool_allocate(block_bytes));
  block->begin = 0;
  block->end = 0;
  block->capacity = static_cast<std::uint32_t>(block_bytes - sizeof(PendingBytes));
  return block;
}

void PendingBytes::destroy(PendingBytes* block) noexcept {
  if (block != nullptr) pool_free(block, sizeof(PendingBytes) + block->capacity);
}

PendingBytes* PendingBytes::grow(PendingBytes* block, std::size_t capacity) noexcept {
  if (block->begin > 0) {
    std::memmove(block->data(), block->data() + block->begin, block->size());
    block->end -= block->begin;
    block->begin = 0;
  }
  if (block->capacity >= capacity) return block;
  const std::size_t bytes = pool_round_up(sizeof(PendingBytes) + capacity);
  if (bytes > UINT32_MAX) fatal("a frame of more than 4 GiB");
  block = static_cast<PendingBytes*>(
      pool_reallocate(block, sizeof(PendingBytes) + block->capacity, bytes,
                      sizeof(PendingBytes) + block->end));
  block->capacity = static_cast<std::uint32_t>(bytes - sizeof(PendingBytes));
  return block;
}

// ---- in ----

// What is left of the last read is put in front of the new bytes, so that the handler sees whole
// frames in one piece; a frame too large for that goes straight into the connection's own block.
void IoThread::receive(Connection& connection) noexcept {
  if (connection.channel_ != nullptr) [[unlikely]] {
    receive_through(connection);
    return;
  }
  std::size_t left = 0;
  if (connection.pending_ != nullptr) {
    left = connection.pending_->size();
    if (connection.wanted_ > kMaxJoinedFrameBytes || left > kMaxJoinedFrameBytes) {
      receive_large(connection);
      return;
    }
    std::memcpy(read_buffer_, connection.pending_->bytes().data(), left);
  }
  const ssize_t got =
      ::recv(connection.fd_, read_buffer_ + left, options_.read_buffer_bytes, MSG_DONTWAIT);
  if (got <= 0) [[unlikely]] {
    receive_failed(connection, got == 0 ? 0 : errno);
    return;
  }
  counters_.add(contract::Counter::bytes_received, got);
  hand_over(connection, {read_buffer_, left + static_cast<std::size_t>(got)},
            std::exchange(connection.pending_, nullptr));
}

void IoThread::receive_large(Connection& connection) noexcept {
  const std::size_t wanted = connection.wanted_;
  const std::size_t room =
      std::min(wanted, std::max<std::size_t>(kFirstLargeBytes, connection.pending_->size() * 2UL));
  PendingBytes* block = PendingBytes::grow(connection.pending_, room);
  connection.pending_ = block;
  const ssize_t got =
      ::recv(connection.fd_, block->data() + block->end, block->capacity - block->end, MSG_DONTWAIT);
  if (got <= 0) [[unlikely]] {
    receive_failed(connection, got == 0 ? 0 : errno);
    return;
  }
  counters_.add(contract::Counter::bytes_received, got);
  block->end += static_cast<std::uint32_t>(got);
  if (block->size() < wanted) return;
  connection.pending_ = nullptr;
  hand_over(connection, block->bytes(), block);
}

void IoThread::receive_failed(Connection& connection, int error) noexcept {
  if (error == 0) {
    end(connection, connection.has(Connection::kSendFailed)
                        ? EndReason{EndKind::socket_error, EPIPE}
                        : EndReason{EndKind::peer_closed});
  } else if (!is_transient(error)) {
    end(connection, {EndKind::socket_error, error});
  }
}

// `block` is the connection's pending block, taken from it: the home of `bytes`, or spare memory.
void IoThread::hand_over(Connection& connection, Bytes bytes, PendingBytes* block) noexcept {
  connection.wanted_ = 0;
  const std::size_t consumed = handler_.on_bytes(connection, bytes);
  if (connection.state_ != Connection::State::open || connection.has(Connection::kEnded)) {
    PendingBytes::destroy(block);
    return;
  }
  if (consumed >= bytes.size()) [[likely]] {
    PendingBytes::destroy(block);
    return;
  }
  keep(connection, bytes.subspan(consumed), block);
}

void IoThread::keep(Connection& connection, Bytes rest, PendingBytes* block) noexcept {
  const std::size_t wanted =
      connection.wanted_ == 0 ? rest.size() + 1 : std::size_t{connection.wanted_};
  connection.wanted_ = static_cast<std::uint32_t>(wanted);
  const bool at_home = block != nullptr && rest.data() >= block->data() &&
                       rest.data() < block->data() + block->capacity;
  // A block stays where it serves: bytes that lie in it are not moved unless they would hold much
  // more memory than they need.
  if (at_home && rest.size() * 4 >= block->capacity) {
    block->begin = static_cast<std::uint32_t>(rest.data() - block->data());
  } else {
    PendingBytes* home = block;
    if (at_home || block == nullptr || block->capacity < rest.size() ||
        block->capacity / 4 > rest.size()) {
      home = PendingBytes::make(rest.size());
    }
    std::memcpy(home->data(), rest.data(), rest.size());
    home->begin = 0;
    home->end = static_cast<std::uint32_t>(rest.size());
    if (home != block) PendingBytes::destroy(block);
    block = home;
  }
  connection.pending_ = block;
  // The handler stopped although it has what it wants: it goes on in the next turn.
  if (rest.size() >= wanted && !connection.paused()) schedule_rerun(connection);
}

void IoThread::schedule_rerun(Connection& connection) noexcept {
  if (connection.has(Connection::kInRerun)) return;
  connection.set(Connection::kInRerun);
  rerun_.push_back(&connection);
}

void IoThread::rerun_all() noexcept {
  if (rerun_.empty()) return;
  rerunning_.swap(rerun_);
  for (std::uint32_t index = 0; index < rerunning_.size(); index++) {
    Connection* connection = rerunning_[index];
    if (connection == nullptr) continue;
    connection->unset(Connection::kInRerun);
    if (connection->state_ != Connection::State::open || connection->paused()) continue;
    if (!set_interest(*connection)) {
      end(*connection, {EndKind::socket_error, errno});
      continue;
    }
    if (connection->pending_ != nullptr) {
      PendingBytes* block = std::exchange(connection->pending_, nullptr);
      hand_over(*connection, block->bytes(), block);
    }
    if (connection->channel_ != nullptr) [[unlikely]] end_by_channel(*connection);
  }
  rerunning_.clear();
}

// Both directions are closed, or the peer reset. What it sent before may still be there to read, a
// DISCONNECT for example, whose loss would publish a Will: then the end comes after resume().
void IoThread::hang_up_while_paused(Connection& connection) noexcept {
  int unread = 0;
  if (connection.pending_ == nullptr &&
      (::ioctl(connection.fd_, FIONREAD, &unread) != 0 || unread == 0)) {
    int error = 0;
    socklen_t error_bytes = sizeof error;
    ::getsockopt(connection.fd_, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
    end(connection, error == 0 ? EndReason{EndKind::peer_closed}
                               : EndReason{EndKind::socket_error, error});
    return;
  }
  unwatch(connection);
}

void IoThread::discard_input(Connection& connection) noexcept {
  // Not the shared buffer: the handler may release this one while it reads there.
  std::uint8_t buffer[16384];
  const ssize_t got = ::recv(connection.fd_, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && !is_transient(errno))) destroy(connection);
}

// ---- out ----

void IoThread::flush_all() noexcept {
  // What is marked from now on belongs to the next turn: otherwise a handler that refills in
  // on_writable could keep this one from ending.
  flush_list_.move_to(flushing_);
  while (Outlet* outlet = flushing_.take()) {
    switch (outlet->kind()) {
      case Outlet::Kind::socket:
        flush(*static_cast<Connection*>(outlet));
        break;
      case Outlet::Kind::link:
        turn_again_ = true;
        handler_.flush_link(*outlet);
        break;
    }
  }
}

void IoThread::flush(Connection& connection) noexcept {
  if (connection.has(Connection::kEnded)) {
    connection.queue.clear();
    return;
  }
  if (tap_ == Tap::on && connection.queue.bytes() > connection.outbound_counted_) [[unlikely]] {
    handler_.on_flush(connection, connection.outbound_counted_);
  }
  if (connection.above_high()) connection.set(Connection::kWasHigh);
  if (!connection.has(Connection::kBlocked)) {
    if (connection.channel_ != nullptr) [[unlikely]] {
      send_through(connection);
    } else if (!connection.queue.empty()) {
      send_queue(connection, connection.queue);
    }
  }
  if (connection.has(Connection::kSendFailed)) connection.queue.clear();
  count_outbound(connection);
  if (connection.state_ == Connection::State::closing) {
    if (connection.has(Connection::kSendFailed)) {
      end(connection, {EndKind::socket_error, EPIPE});
    } else if (all_said(connection)) {
      end(connection, {EndKind::flushed});
    }
    return;
  }
  if (connection.has(Connection::kWasHigh) && connection.below_low()) {
    connection.unset(Connection::kWasHigh);
    turn_again_ = true;
    handler_.on_writable(connection);
  }
}

// `queue`: the connection's, or that of its lowest channel.
void IoThread::send_queue(Connection& connection, OutboundQueue& queue) noexcept {
  Slice slices[kMaxSlices];
  const std::size_t count = queue.gather(slices, kMaxSlices);
  std::size_t offered = 0;
  ssize_t sent = 0;
  if (count == 1) [[likely]] {
    offered = slices[0].bytes;
    sent = ::send(connection.fd_, slices[0].data, offered, MSG_NOSIGNAL | MSG_DONTWAIT);
  } else {
    for (std::size_t index = 0; index < count; index++) offered += slices[index].bytes;
    msghdr message = {};
    message.msg_iov = reinterpret_cast<iovec*>(slices);
    message.msg_iovlen = count;
    sent = ::sendmsg(connection.fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  if (sent < 0) [[unlikely]] {
    if (errno == EINTR) {
      connection.mark();
      return;
    }
    if (!is_transient(errno)) {
      // The peer is gone, but what it sent before may still be unread, a DISCONNECT for example:
      // the reading side ends it. The shutdown sees to it that reading does come to an end.
      connection.set(Connection::kSendFailed);
      ::shutdown(connection.fd_, SHUT_RDWR);
      return;
    }
    sent = 0;
  }
  counters_.add(contract::Counter::bytes_sent, sent);
  queue.consume(static_cast<std::size_t>(sent));
  if (static_cast<std::size_t>(sent) < offered) {
    connection.set(Connection::kBlocked);
  } else if (!queue.empty()) {
    connection.mark();  // more slices than one send takes: the next turn's
  }
  if (!connection.has(Connection::kUnwatched)) set_interest(connection);
}

void IoThread::count_outbound(Connection& connection) noexcept {
  if (connection.channel_ != nullptr) [[unlikely]] count_channel_bytes(connection);
  const auto bytes =
      static_cast<std::uint32_t>(std::min<std::size_t>(connection.queue.bytes(), UINT32_MAX));
  if (bytes == connection.outbound_counted_) return;
  counters_.add(contract::Counter::outbound_bytes,
                static_cast<std::int64_t>(bytes) - connection.outbound_counted_);
  connection.outbound_counted_ = bytes;
}

}  // namespace stmqtt
