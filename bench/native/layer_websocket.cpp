// WebSocket for the generator (RFC 6455): one masked binary frame for what is sent at once.
// Thread: the generator's only one.
#include <cstring>
#include <string>
#include <string_view>

#include "connections.hpp"
#include "layer.hpp"

namespace stmqtt::bench {

namespace {

constexpr std::string_view kRequest =
    "GET /mqtt HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
constexpr std::uint8_t kMask[4] = {0x37, 0xfa, 0x21, 0x3d};
constexpr std::uint8_t kFinalBinary = 0x82;
constexpr std::uint8_t kPong = 0x8A;

class WebsocketLayer final : public Layer {
 public:
  void open(Bytes& wire) override { wire.insert(wire.end(), kRequest.begin(), kRequest.end()); }

  void receive(std::span<const std::uint8_t> bytes, Bytes& packets, Bytes& wire) override {
    rest_.insert(rest_.end(), bytes.begin(), bytes.end());
    std::size_t at = 0;
    if (!is_open_) {
      const std::string_view head(reinterpret_cast<const char*>(rest_.data()), rest_.size());
      const std::size_t end = head.find("\r\n\r\n");
      if (end == std::string_view::npos) return;
      if (!head.starts_with("HTTP/1.1 101")) fail("upgrading to WebSocket: " + std::string(head.substr(0, end)));
      at = end + 4;
      is_open_ = true;
    }
    while (take_frame(at, packets, wire)) {
    }
    rest_.erase(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void send(Bytes& packets, Bytes& wire) override {
    if (!is_open_ || packets.empty()) return;
    put_frame(kFinalBinary, packets, wire);
    packets.clear();
  }

 private:
  // False: the rest is not a whole frame.
  bool take_frame(std::size_t& at, Bytes& packets, Bytes& wire) {
    const std::size_t have = rest_.size() - at;
    if (have < 2) return false;
    const std::uint8_t* const head = rest_.data() + at;
    std::size_t head_bytes = 2;
    std::uint64_t bytes = head[1] & 0x7F;
    if (bytes == 126) {
      if (have < 4) return false;
      head_bytes = 4;
      bytes = static_cast<std::uint64_t>(head[2]) << 8 | head[3];
    } else if (bytes == 127) {
      if (have < 10) return false;
      head_bytes = 10;
      bytes = 0;
      for (int i = 2; i < 10; ++i) bytes = bytes << 8 | head[i];
    }
    if (have - head_bytes < bytes) return false;
    const std::uint8_t* const data = head + head_bytes;
    switch (head[0] & 0x0F) {
      case 0:
      case 2:
        packets.insert(packets.end(), data, data + bytes);
        break;
      case 9:
        put_frame(kPong, {data, bytes}, wire);
        break;
      case 10:
        break;
      default:
        fail("reading WebSocket frames: the broker sent opcode " + std::to_string(head[0] & 0x0F));
    }
    at += head_bytes + bytes;
    return true;
  }

  static void put_frame(std::uint8_t first, std::span<const std::uint8_t> data, Bytes& wire) {
    const std::size_t bytes = data.size();
    wire.push_back(first);
    if (bytes < 126) {
      wire.push_back(static_cast<std::uint8_t>(0x80 | bytes));
    } else if (bytes < 65536) {
      wire.push_back(0x80 | 126);
      put_u16(wire, static_cast<std::uint32_t>(bytes));
    } else {
      wire.push_back(0x80 | 127);
      put_u16(wire, 0);
      put_u16(wire, 0);
      put_u16(wire, static_cast<std::uint32_t>(bytes >> 16));
      put_u16(wire, static_cast<std::uint32_t>(bytes & 0xFFFF));
    }
    wire.insert(wire.end(), kMask, kMask + 4);
    std::size_t at = wire.size();
    wire.insert(wire.end(), data.begin(), data.end());
    std::uint8_t twice[8];
    std::memcpy(twice, kMask, 4);
    std::memcpy(twice + 4, kMask, 4);
    std::uint64_t mask = 0;
    std::memcpy(&mask, twice, 8);
    for (; wire.size() - at >= 8; at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, wire.data() + at, 8);
      word ^= mask;
      std::memcpy(wire.data() + at, &word, 8);
    }
    for (std::size_t i = 0; at < wire.size(); ++i, ++at) wire[at] ^= kMask[i & 3];
  }

  Bytes rest_;  // a frame, or an answer to the upgrade, whose tail was not read yet
};

}  // namespace

std::unique_ptr<Layer> make_websocket_layer() { return std::make_unique<WebsocketLayer>(); }

}  // namespace stmqtt::bench
