// Connections with channels between socket and handler: bytes up through the stack, bytes down, the
// end in a channel's own terms. See channel.hpp. Layout of the shared read buffer here: what is left
// of the last read, then plaintext, growing towards the raw bytes, which lie kMaxHeldBytes further on.
// Thread: the I/O thread.
#include "io/channel.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/io_thread.hpp"

namespace stmqtt {
namespace {

// Raw bytes of one recv, so that they and the plaintext stay in the processor's cache.
constexpr std::size_t kMaxRawBytes = std::size_t{128} << 10;
// What a stack makes at once for the socket: enough to fill it, little enough that a slow reader
// holds no more than this encrypted.
constexpr std::size_t kBatchBytes = std::size_t{64} << 10;
// Batches of one connection in one turn, if the socket takes them.
constexpr unsigned kBatchesPerTurn = 64;

// Top down: each takes from the one above, the highest from the connection's queue.
void pull(Channel& channel, OutboundQueue& queue) noexcept {
  Channel* above = channel.above();
  if (above != nullptr) pull(*above, queue);
  OutboundQueue& from = above == nullptr ? queue : above->out;
  if (from.empty() || !channel.is_open() || channel.out.bytes() >= kBatchBytes) return;
  channel.send(from, kBatchBytes - channel.out.bytes());
}

void say_last_words(Channel& channel) noexcept {
  Channel* above = channel.above();
  if (above != nullptr) {
    say_last_words(*above);
    if (!above->out.empty() && channel.is_open()) channel.send(above->out, kBatchBytes);
  }
  channel.finish();
}

}  // namespace

void destroy_channels(Channel* lowest) noexcept {
  while (lowest != nullptr) std::exchange(lowest, lowest->above())->destroy();
}

Channel* find_channel(Channel* lowest, ChannelKind kind) noexcept {
  while (lowest != nullptr && lowest->kind() != kind) lowest = lowest->above();
  return lowest;
}

bool all_open(const Channel* lowest) noexcept {
  for (; lowest != nullptr; lowest = lowest->above()) {
    if (!lowest->is_open()) return false;
  }
  return true;
}

std::size_t channel_bytes(const Channel* lowest) noexcept {
  std::size_t bytes = 0;
  for (; lowest != nullptr; lowest = lowest->above()) bytes += lowest->out.bytes();
  return bytes;
}

// ---- in ----

// Of a stack that is all gone (a PROXY header alone) nobody asks any more.
bool IoThread::open_told(const Connection& connection) noexcept {
  return connection.channel_ != nullptr && connection.channel_->open_told_;
}

void IoThread::receive_through(Connection& connection) noexcept {
  const std::size_t left = connection.pending_bytes();
  const bool large = connection.pending_ != nullptr &&
                     (connection.wanted_ > kMaxJoinedFrameBytes || left > kMaxJoinedFrameBytes);
  std::uint8_t* room = read_buffer_ + (large ? 0 : left);
  std::uint8_t* raw = read_buffer_ + kMaxJoinedFrameBytes + Channel::kMaxHeldBytes;
  const ssize_t got = ::recv(connection.fd_, raw,
                             std::min(options_.read_buffer_bytes, kMaxRawBytes), MSG_DONTWAIT);
  if (got <= 0) [[unlikely]] {
    receive_failed(connection, got == 0 ? 0 : errno);
    return;
  }
  counters_.add(contract::Counter::bytes_received, got);
  std::span<std::uint8_t> bytes(raw, static_cast<std::size_t>(got));
  for (Channel** at = &connection.channel_; *at != nullptr && !bytes.empty();) {
    Channel& channel = **at;
    const ChannelOutput output = channel.receive({bytes, room, connection.peer_, counters_});
    bytes = output.bytes;
    if (output.state == ChannelOutput::State::finished) {
      *at = std::exchange(channel.above_, nullptr);
      channel.destroy();
      continue;
    }
    channel.state_ = output.state;
    at = &channel.above_;
  }
  if (!open_told(connection) && all_open(connection.channel_)) {
    if (connection.channel_ != nullptr) connection.channel_->open_told_ = true;
    forget_deadline(connection);
    handler_.on_open(connection);
    if (connection.state_ != Connection::State::open || connection.has(Connection::kEnded)) return;
  }
  if (!connection.queue.empty() || channel_bytes(connection.channel_) > 0) connection.mark();
  if (!bytes.empty()) {
    if (large) {
      keep_large(connection, bytes);
    } else {
      PendingBytes* block = std::exchange(connection.pending_, nullptr);
      if (block != nullptr) {
        if (bytes.data() != room) std::memmove(room, bytes.data(), bytes.size());
        std::memcpy(read_buffer_, block->bytes().data(), left);
        bytes = {read_buffer_, left + bytes.size()};
      }
      hand_over(connection, bytes, block);
    }
  }
  end_by_channel(connection);
}

// Plaintext of a frame that is too large to be joined in the shared buffer.
void IoThread::keep_large(Connection& connection, Bytes bytes) noexcept {
  const std::size_t wanted = connection.wanted_;
  const std::size_t size = connection.pending_->size();
  const std::size_t room = std::max(size + bytes.size(), std::min(wanted, size * 2));
  PendingBytes* block = PendingBytes::grow(connection.pending_, room);
  connection.pending_ = block;
  std::memcpy(block->data() + block->end, bytes.data(), bytes.size());
  block->end += static_cast<std::uint32_t>(bytes.size());
  if (block->size() < wanted) return;
  connection.pending_ = nullptr;
  hand_over(connection, block->bytes(), block);
}

// The stream ended inside a channel. What came before the end goes first, a DISCONNECT for example:
// where the handler stopped in it, the end waits until it went on.
void IoThread::end_by_channel(Connection& connection) noexcept {
  if (connection.state_ != Connection::State::open || connection.has(Connection::kEnded) ||
      connection.paused() || connection.has(Connection::kInRerun)) {
    return;
  }
  for (const Channel* channel = connection.channel_; channel != nullptr; channel = channel->above_) {
    switch (channel->state_) {
      case ChannelOutput::State::more:
      case ChannelOutput::State::finished:
        break;
      case ChannelOutput::State::ended:
        end(connection, {EndKind::peer_closed});
        return;
      case ChannelOutput::State::failed:
        end(connection, {EndKind::channel_failed, 0, channel->kind_, channel->failure()});
        return;
    }
  }
}

bool IoThread::ended_in_channel(const Connection& connection) noexcept {
  for (const Channel* channel = connection.channel_; channel != nullptr; channel = channel->above_) {
    if (channel->state_ == ChannelOutput::State::ended ||
        channel->state_ == ChannelOutput::State::failed) {
      return true;
    }
  }
  return false;
}

// The deadline for handshakes and upgrades.
EndReason IoThread::not_open_in_time(const Connection& connection) noexcept {
  const Channel* channel = connection.channel_;
  while (channel->above_ != nullptr && channel->is_open()) channel = channel->above_;
  return {EndKind::channel_failed, 0, channel->kind_, channel->failure()};
}

// ---- out ----

void IoThread::send_through(Connection& connection) noexcept {
  Channel& lowest = *connection.channel_;
  for (unsigned batch = 0; batch < kBatchesPerTurn; batch++) {
    pull(lowest, connection.queue);
    if (lowest.out.empty()) {
      // Nobody writes before the channels are open: one of them has broken. The reading side ends it.
      if (connection.queue.empty() || connection.state_ != Connection::State::open) return;
      connection.set(Connection::kSendFailed);
      ::shutdown(connection.fd_, SHUT_RDWR);
      return;
    }
    send_queue(connection, lowest.out);
    if (connection.has(Connection::kBlocked) || connection.has(Connection::kSendFailed)) return;
  }
  connection.mark();  // the others first
}

// While closing: whether nothing is left to send, last words included.
bool IoThread::all_said(Connection& connection) noexcept {
  Channel* lowest = connection.channel_;
  if (lowest == nullptr) return connection.queue.empty();
  // What cannot be sent any more, because reading has ended before the handshake.
  if (!all_open(lowest)) connection.queue.clear();
  if (!connection.queue.empty() || channel_bytes(lowest) > 0) return false;
  if (lowest->finish_called_) return true;
  lowest->finish_called_ = true;
  say_last_words(*lowest);
  if (!lowest->out.empty() && !connection.has(Connection::kBlocked)) {
    send_queue(connection, lowest->out);
  }
  return lowest->out.empty();
}

// Where the connection ends without a flush: an alert, a close_notify, the answer to a Close go out
// if the socket takes them now. Whether any did.
bool IoThread::send_last_words(Connection& connection) noexcept {
  Channel* lowest = connection.channel_;
  if (lowest == nullptr || connection.has(Connection::kBlocked) ||
      connection.has(Connection::kSendFailed)) {
    return false;
  }
  if (!lowest->finish_called_) {
    lowest->finish_called_ = true;
    say_last_words(*lowest);
  }
  if (lowest->out.empty()) return false;
  Slice slice;
  static_cast<void>(lowest->out.gather(&slice, 1));
  const ssize_t sent = ::send(connection.fd_, slice.data, slice.bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent <= 0) return false;
  counters_.add(contract::Counter::bytes_sent, sent);
  return true;
}

void IoThread::drop_channels(Connection& connection) noexcept {
  if (connection.channel_ == nullptr) return;
  counters_.add(contract::Counter::outbound_bytes,
                -static_cast<std::int64_t>(connection.channel_->counted_bytes_));
  destroy_channels(std::exchange(connection.channel_, nullptr));
}

void IoThread::count_channel_bytes(Connection& connection) noexcept {
  Channel& lowest = *connection.channel_;
  const auto bytes =
      static_cast<std::uint32_t>(std::min<std::size_t>(channel_bytes(&lowest), UINT32_MAX));
  if (bytes == lowest.counted_bytes_) return;
  counters_.add(contract::Counter::outbound_bytes,
                static_cast<std::int64_t>(bytes) - lowest.counted_bytes_);
  lowest.counted_bytes_ = bytes;
}

}  // namespace stmqtt
