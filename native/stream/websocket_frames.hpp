// WebSocket frames (RFC 6455, 5): from a client, masked, into the bytes they carry; to a client, a
// head in front of bytes. Inbound payload is never kept here: it is unmasked where it lies, and moved
// together over the heads between, so that what MQTT sees has no seams. Behind TLS and the upgrade.
// Thread: any (values); a decoder belongs to one connection.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace stmqtt::stream {

enum class Opcode : std::uint8_t {
  continuation = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
};

/// Status codes of Close frames (RFC 6455, 7.4.1) that this side sends.
enum class CloseStatus : std::uint16_t {
  normal = 1000,
  protocol_error = 1002,
  unsupported_data = 1003,
  none_received = 1005,  ///< never sent: the peer's Close had none
  invalid_payload = 1007,
  too_big = 1009,
};

/// 5.5: "All control frames MUST have a payload length of 125 bytes or less".
inline constexpr std::size_t kMaxControlBytes = 125;
/// The largest Control Packet (2.1.4 of MQTT 5.0: 268,435,455 behind a head of 5). A frame is never
/// kept, so this is no bound of memory; what it carries is bounded as MQTT.
inline constexpr std::uint64_t kMaxFrameBytes = 268'435'460;
/// Longest head of a server's frame, which is not masked.
inline constexpr std::size_t kMaxFrameHeadBytes = 10;

/// Head of an unmasked, unfragmented frame in its shortest form; how many bytes.
[[nodiscard]] std::size_t write_frame_head(Opcode opcode, std::uint64_t payload_bytes,
                                           std::uint8_t* out) noexcept;
/// A whole Close frame; how many bytes. none_received: without a status.
inline constexpr std::size_t kMaxCloseFrameBytes = 4;
[[nodiscard]] std::size_t write_close_frame(std::uint16_t status,
                                            std::uint8_t (&out)[kMaxCloseFrameBytes]) noexcept;

/// `to[i] = from[i] ^ mask[(phase + i) % 4]`; `to` may be `from` or lie before it.
void unmask(std::uint8_t* to, const std::uint8_t* from, std::size_t bytes, std::uint32_t mask,
            unsigned phase) noexcept;

class FrameDecoder {
 public:
  FrameDecoder() noexcept = default;
  ~FrameDecoder() { drop_control(); }
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;

  enum class Event : std::uint8_t {
    none,    ///< all that was given is consumed
    ping,    ///< control() is to be sent back
    close,   ///< the peer's Close: close_status() is to be sent back; nothing may follow
    failed,  ///< close_status() is to be sent, and fault() told; nothing may follow
  };
  struct Decoded {
    std::size_t consumed = 0;  ///< bytes of the input
    std::size_t produced = 0;  ///< bytes written to the output
    Event event = Event::none;
  };
  /// Takes frames up to the first event; call again with what is left. `out` has room for `bytes`,
  /// and may be `in` or lie before it.
  [[nodiscard]] Decoded decode(const std::uint8_t* in, std::size_t bytes,
                               std::uint8_t* out) noexcept;

  /// After Event::ping, until the next decode().
  [[nodiscard]] Bytes control() const noexcept;
  [[nodiscard]] std::uint16_t close_status() const noexcept { return close_status_; }
  [[nodiscard]] const char* fault() const noexcept { return fault_; }

 private:
  static constexpr std::size_t kMaxHeadBytes = 14;
  struct Control;

  /// Null: the head is good as far as it is there.
  [[nodiscard]] const char* check_head(std::size_t there) noexcept;
  [[nodiscard]] std::size_t head_bytes_wanted() const noexcept;
  void begin_payload() noexcept;
  [[nodiscard]] Event end_control() noexcept;
  [[nodiscard]] Event fail(CloseStatus status, const char* fault) noexcept;
  void drop_control() noexcept;

  std::uint64_t left_ = 0;           // payload bytes of the frame at hand that are still to come
  const char* fault_ = "";
  Control* control_ = nullptr;       // while one comes in or is looked at
  std::uint32_t mask_ = 0;           // as its four bytes lie in memory
  std::uint16_t close_status_ = 0;
  std::uint8_t head_[kMaxHeadBytes] = {};  // of the frame that begins, as far as it came
  std::uint8_t head_bytes_ = 0;
  std::uint8_t phase_ = 0;           // index into the mask of the next payload byte
  Opcode opcode_ = Opcode::continuation;
  bool in_payload_ = false;
  bool in_message_ = false;          // a binary message whose last fragment has not begun
  bool ended_ = false;
};

}  // namespace stmqtt::stream
