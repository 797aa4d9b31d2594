// Channels for the io_channel*.cpp tests, simple enough to be checked by eye, one of each sort: a
// head that leaves the stack (PROXY), records that are held back until whole (TLS), and frames that
// are unpacked in place (WebSocket). Thread: the I/O thread that has them.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/pool.hpp"
#include "io/channel.hpp"
#include "io_fixture.hpp"

namespace stmqtt::test {

/// "<port>\n" in front; gives the peer that port.
class HeadChannel final : public Channel {
 public:
  HeadChannel() noexcept : Channel(ChannelKind::proxy) {}
  ChannelOutput receive(const ChannelInput& input) noexcept override {
    for (std::size_t at = 0; at < input.bytes.size(); at++) {
      const std::uint8_t byte = input.bytes[at];
      if (byte == '\n') {
        input.peer.port = port_;
        return {input.bytes.subspan(at + 1), ChannelOutput::State::finished};
      }
      if (byte < '0' || byte > '9') return {{}, ChannelOutput::State::failed};
      port_ = static_cast<std::uint16_t>(port_ * 10 + (byte - '0'));
    }
    return {};
  }
  void send(OutboundQueue&, std::size_t) noexcept override { CHECK(false); }
  bool is_open() const noexcept override { return false; }
  std::string_view failure() const noexcept override { return "not a head"; }
  void destroy() noexcept override { pool_delete(this); }

 private:
  std::uint16_t port_ = 0;
};

/// Records: a type, two bytes of length, the payload with every bit turned. The peer begins with a
/// hello record and is answered with one. Like TLS, a payload comes out only when the record is whole.
class RecordChannel final : public Channel {
 public:
  static constexpr std::uint8_t kHello = 'H', kData = 'D', kEnd = 'E';
  static constexpr std::size_t kMaxPayload = 16384;

  RecordChannel() noexcept : Channel(ChannelKind::tls) { live++; }
  ~RecordChannel() { live--; }
  static inline std::atomic<int> live{0};

  ChannelOutput receive(const ChannelInput& input) noexcept override {
    std::size_t given = 0;
    auto state = ChannelOutput::State::more;
    for (const std::uint8_t byte : input.bytes) {
      held_[held_bytes_++] = byte;
      if (held_bytes_ < 3) continue;
      const std::size_t length = load_u16(held_ + 1);
      if (length > kMaxPayload) {
        state = ChannelOutput::State::failed;
        break;
      }
      if (held_bytes_ < 3 + length) continue;
      held_bytes_ = 0;
      if (held_[0] == kData && open_) {
        for (std::size_t i = 0; i < length; i++) input.room[given++] = held_[3 + i] ^ 0xFFU;
      } else if (held_[0] == kHello && !open_) {
        open_ = true;
        append(kHello, {});
      } else {
        state = held_[0] == kEnd ? ChannelOutput::State::ended : ChannelOutput::State::failed;
        break;
      }
    }
    return {{input.room, given}, state};
  }
  void send(OutboundQueue& from, std::size_t max_bytes) noexcept override {
    for (std::size_t taken = 0; taken < max_bytes && !from.empty();) {
      Slice slice;
      static_cast<void>(from.gather(&slice, 1));
      const std::size_t n = std::min({slice.bytes, kMaxPayload, max_bytes - taken});
      append(kData, {slice.data, n});
      from.consume(n);
      taken += n;
    }
    most_out = std::max(most_out.load(), out.bytes());
  }
  void finish() noexcept override {
    if (open_) append(kEnd, {});
  }
  bool is_open() const noexcept override { return open_; }
  std::string_view failure() const noexcept override {
    return open_ ? "not a record" : "no hello in time";
  }
  void destroy() noexcept override { pool_delete(this); }
  static inline std::atomic<std::size_t> most_out{0};

 private:
  void append(std::uint8_t type, Bytes payload) noexcept {
    std::uint8_t* to = out.reserve(3 + payload.size());
    to[0] = type;
    store_u16(to + 1, static_cast<std::uint16_t>(payload.size()));
    for (std::size_t i = 0; i < payload.size(); i++) to[3 + i] = payload[i] ^ 0xFFU;
    out.commit(3 + payload.size());
  }
  bool open_ = false;
  std::size_t held_bytes_ = 0;
  std::uint8_t held_[3 + kMaxPayload];
};

/// Frames of a length byte (1 to 255) and so many bytes; 0 ends the stream.
class FrameChannel final : public Channel {
 public:
  FrameChannel() noexcept : Channel(ChannelKind::websocket) {}
  ChannelOutput receive(const ChannelInput& input) noexcept override {
    std::uint8_t* to = input.bytes.data();
    for (const std::uint8_t byte : input.bytes) {
      if (left_ > 0) {
        *to++ = byte;
        left_--;
      } else if (byte == 0) {
        return {{input.bytes.data(), to}, ChannelOutput::State::ended};
      } else {
        left_ = byte;
      }
    }
    return {{input.bytes.data(), to}};
  }
  void send(OutboundQueue& from, std::size_t max_bytes) noexcept override {
    for (std::size_t taken = 0; taken < max_bytes && !from.empty();) {
      Slice slice;
      static_cast<void>(from.gather(&slice, 1));
      const std::size_t n = std::min<std::size_t>(slice.bytes, 255);
      const auto head = static_cast<std::uint8_t>(n);
      out.append({&head, 1});
      out.append({slice.data, n});
      from.consume(n);
      taken += n;
    }
  }
  void finish() noexcept override {
    const std::uint8_t zero = 0;
    out.append({&zero, 1});
  }
  bool is_open() const noexcept override { return true; }
  std::string_view failure() const noexcept override { return "not a frame"; }
  void destroy() noexcept override { pool_delete(this); }

 private:
  std::size_t left_ = 0;
};

// ---- the peer's side of records ----

inline std::string record(std::uint8_t type, std::string_view payload = {}) {
  std::string text{static_cast<char>(type), static_cast<char>(payload.size() >> 8),
                   static_cast<char>(payload.size())};
  for (const char c : payload) text += static_cast<char>(~c);
  return text;
}
/// Records of at most `each` bytes.
inline std::string records(std::string_view text, std::size_t each = RecordChannel::kMaxPayload) {
  std::string all;
  for (std::size_t at = 0; at < text.size(); at += each) {
    all += record(RecordChannel::kData, text.substr(at, each));
  }
  return all;
}
/// The type and the payload of the next record; type 0 at the end of the stream.
inline std::pair<std::uint8_t, std::string> read_record(Client& client) {
  const std::string head = client.read(3);
  if (head.size() < 3) return {0, ""};
  std::string payload = client.read(load_u16(reinterpret_cast<const std::uint8_t*>(head.data()) + 1));
  for (char& c : payload) c = static_cast<char>(~c);
  return {static_cast<std::uint8_t>(head[0]), payload};
}
/// Plaintext of data records until there are `count` bytes, or another record comes.
inline std::string read_data(Client& client, std::size_t count) {
  std::string text;
  while (text.size() < count) {
    const auto [type, payload] = read_record(client);
    if (type != RecordChannel::kData) break;
    text += payload;
  }
  return text;
}
inline bool greet(Client& client) {
  return client.send(record(RecordChannel::kHello)) &&
         read_record(client).first == RecordChannel::kHello;
}

}  // namespace stmqtt::test
