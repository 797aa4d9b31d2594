// See websocket_channel.hpp. Thread: the I/O thread.
#include "io/websocket_channel.hpp"

#include <algorithm>
#include <utility>

#include "base/pool.hpp"
#include "base/vec.hpp"
#include "io/proxy_channel.hpp"
#include "stream/websocket_frames.hpp"

namespace stmqtt {
namespace {

using contract::Counter;
using stream::FrameDecoder;
using stream::Opcode;
using stream::Upgrade;
using stream::UpgradeRefusal;

/// Up to this size payload is copied behind its head: that is cheaper than a second slice.
constexpr std::size_t kCopiedBytes = 400;
/// With more than this unsent, only the newest Ping is answered, and later (RFC 6455, 5.5.3): a peer
/// that sends Pings and reads nothing costs no memory.
constexpr std::size_t kManyPongBytes = 4096;

Counter counter_of(UpgradeRefusal refusal) noexcept {
  switch (refusal) {
    case UpgradeRefusal::none:
    case UpgradeRefusal::malformed:
      return Counter::websocket_refused_malformed;
    case UpgradeRefusal::too_large:
      return Counter::websocket_refused_too_large;
    case UpgradeRefusal::not_upgrade:
      return Counter::websocket_refused_not_upgrade;
    case UpgradeRefusal::version:
      return Counter::websocket_refused_version;
    case UpgradeRefusal::subprotocol:
      return Counter::websocket_refused_subprotocol;
    case UpgradeRefusal::path:
      return Counter::websocket_refused_path;
    case UpgradeRefusal::origin:
      return Counter::websocket_refused_origin;
  }
  return Counter::websocket_refused_malformed;
}

class WebSocketChannel final : public Channel {
 public:
  explicit WebSocketChannel(const WebSocketSettings& settings) noexcept
      : Channel(ChannelKind::websocket), settings_(settings) {}
  ~WebSocketChannel() {
    pool_delete(request_);
    pool_delete(late_pong_);
  }

  ChannelOutput receive(const ChannelInput& input) noexcept override;
  void send(OutboundQueue& from, std::size_t max_bytes) noexcept override;
  void finish() noexcept override;
  bool is_open() const noexcept override { return state_ == State::open; }
  std::string_view failure() const noexcept override { return failure_; }
  void destroy() noexcept override { pool_delete(this); }

 private:
  enum class State : std::uint8_t { upgrade, open, closed };
  struct Pong {
    std::uint8_t bytes;
    std::uint8_t payload[stream::kMaxControlBytes];
  };
  using Request = PoolVector<std::uint8_t>;

  /// Bytes of the input that belong to the request; all of them while it is not open.
  [[nodiscard]] std::size_t upgrade(const ChannelInput& input) noexcept;
  void append_control(Opcode opcode, Bytes payload) noexcept;
  void take_ping(Bytes payload) noexcept;
  void send_late_pong() noexcept;

  const WebSocketSettings& settings_;
  const char* failure_ = "no WebSocket upgrade in time";
  Request* request_ = nullptr;   // of a request that came in parts; bounded by its longest form
  Pong* late_pong_ = nullptr;
  FrameDecoder frames_;
  State state_ = State::upgrade;
};

std::size_t WebSocketChannel::upgrade(const ChannelInput& input) noexcept {
  Bytes bytes = input.bytes;
  const std::size_t kept = request_ == nullptr ? 0 : request_->size();
  if (kept > 0) {
    request_->append(bytes.data(), std::min(bytes.size(), stream::kMaxUpgradeBytes - kept));
    bytes = {request_->data(), request_->size()};
  }
  const Upgrade found = stream::parse_upgrade(bytes, settings_.rules);
  if (found.status == Upgrade::Status::incomplete) {
    if (kept == 0) {
      request_ = pool_new<Request>();
      request_->append(bytes.data(), bytes.size());
    }
    return input.bytes.size();
  }
  std::uint8_t answer[stream::kMaxAnswerBytes];
  out.append({answer, stream::write_answer(found, answer)});
  if (found.status == Upgrade::Status::refused) {
    input.counters.add(counter_of(found.refusal));
    failure_ = found.fault;
    state_ = State::closed;
  } else {
    input.counters.add(Counter::websocket_upgrades);
    if (found.forwarded_count > 0 && trusts(settings_.trusted, input.peer)) {
      const stream::Forwarded from = stream::forwarded_for(found, settings_.trusted);
      if (from.address.known()) set_address(input.peer, from.address, from.port);
    }
    failure_ = "";
    state_ = State::open;
  }
  pool_delete(std::exchange(request_, nullptr));
  return state_ == State::open ? found.bytes - kept : input.bytes.size();
}

ChannelOutput WebSocketChannel::receive(const ChannelInput& input) noexcept {
  std::size_t done = 0;
  if (state_ == State::upgrade) done = upgrade(input);
  if (state_ == State::closed) return {{}, ChannelOutput::State::failed};
  if (late_pong_ != nullptr) send_late_pong();
  // Payload is moved down over the heads while it is unmasked: no second pass.
  std::uint8_t* const at = input.bytes.data();
  const std::size_t size = input.bytes.size();
  const std::size_t begin = done;
  std::size_t end = done;
  auto state = ChannelOutput::State::more;
  while (done < size && state == ChannelOutput::State::more) {
    const FrameDecoder::Decoded decoded = frames_.decode(at + done, size - done, at + end);
    done += decoded.consumed;
    end += decoded.produced;
    switch (decoded.event) {
      case FrameDecoder::Event::none:
        break;
      case FrameDecoder::Event::ping:
        take_ping(frames_.control());
        break;
      case FrameDecoder::Event::close:
      case FrameDecoder::Event::failed: {
        std::uint8_t frame[stream::kMaxCloseFrameBytes];
        out.append({frame, stream::write_close_frame(frames_.close_status(), frame)});
        failure_ = frames_.fault();
        state_ = State::closed;
        state = decoded.event == FrameDecoder::Event::close ? ChannelOutput::State::ended
                                                            : ChannelOutput::State::failed;
        break;
      }
    }
  }
  return {input.bytes.subspan(begin, end - begin), state};
}

void WebSocketChannel::send(OutboundQueue& from, std::size_t max_bytes) noexcept {
  const std::size_t bytes = from.front_bytes(max_bytes);
  std::uint8_t head[stream::kMaxFrameHeadBytes];
  const std::size_t head_bytes = stream::write_frame_head(Opcode::binary, bytes, head);
  if (bytes > kCopiedBytes) {
    out.append({head, head_bytes});
    out.append_front(from, bytes);
    return;
  }
  std::uint8_t* to = out.reserve(head_bytes + bytes);
  to = store_bytes(to, {head, head_bytes});
  std::size_t left = bytes;
  from.for_each_slice([&](const Slice& slice) {
    const std::size_t n = std::min(left, slice.bytes);
    to = store_bytes(to, {slice.data, n});
    left -= n;
  });
  out.commit(head_bytes + bytes);
  from.consume(bytes);
}

void WebSocketChannel::finish() noexcept {
  if (state_ != State::open) return;
  std::uint8_t frame[stream::kMaxCloseFrameBytes];
  out.append({frame, stream::write_close_frame(
                         static_cast<std::uint16_t>(stream::CloseStatus::normal), frame)});
  state_ = State::closed;
}

void WebSocketChannel::append_control(Opcode opcode, Bytes payload) noexcept {
  std::uint8_t* to = out.reserve(2 + payload.size());
  to += stream::write_frame_head(opcode, payload.size(), to);
  store_bytes(to, payload);
  out.commit(2 + payload.size());
}

void WebSocketChannel::take_ping(Bytes payload) noexcept {
  if (out.bytes() < kManyPongBytes) return append_control(Opcode::pong, payload);
  if (late_pong_ == nullptr) late_pong_ = pool_new<Pong>();
  late_pong_->bytes = static_cast<std::uint8_t>(payload.size());
  store_bytes(late_pong_->payload, payload);
}

void WebSocketChannel::send_late_pong() noexcept {
  if (out.bytes() >= kManyPongBytes) return;
  append_control(Opcode::pong, {late_pong_->payload, late_pong_->bytes});
  pool_delete(std::exchange(late_pong_, nullptr));
}

}  // namespace

Channel* make_websocket_channel(const WebSocketSettings& settings) noexcept {
  static_assert(sizeof(void*) != 8 || sizeof(WebSocketChannel) <= 160);
  return pool_new<WebSocketChannel>(settings);
}

}  // namespace stmqtt
