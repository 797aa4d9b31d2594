// Reads the fields of a Control Packet's body in order and never beyond its end. For decode only.
// Thread: any (pure).
#pragma once

#include "base/bytes.hpp"
#include "wire/reason_code.hpp"
#include "wire/utf8.hpp"
#include "wire/varint.hpp"

namespace stmqtt::wire {

/// Notes why in the view (static text) and gives the code back.
template <typename View>
[[nodiscard]] ReasonCode refuse(View& view, ReasonCode code, const char* fault) noexcept {
  view.fault = fault;
  return code;
}
template <typename View>
[[nodiscard]] ReasonCode malformed(View& view, const char* fault) noexcept {
  return refuse(view, ReasonCode::malformed_packet, fault);
}
template <typename View>
[[nodiscard]] ReasonCode protocol_error(View& view, const char* fault) noexcept {
  return refuse(view, ReasonCode::protocol_error, fault);
}

/// Every read is false, and reads nothing, when the body ends before the field does.
class Reader {
 public:
  explicit Reader(Bytes bytes) noexcept : at_(bytes.data()), end_(at_ + bytes.size()) {}

  [[nodiscard]] bool empty() const noexcept { return at_ == end_; }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] Bytes rest() const noexcept { return {at_, left()}; }

  [[nodiscard]] bool u8(std::uint8_t& out) noexcept {
    if (left() < 1) return false;
    out = *at_++;
    return true;
  }
  [[nodiscard]] bool u16(std::uint16_t& out) noexcept {
    if (left() < 2) return false;
    out = load_u16(at_);
    at_ += 2;
    return true;
  }
  [[nodiscard]] bool u32(std::uint32_t& out) noexcept {
    if (left() < 4) return false;
    out = load_u32(at_);
    at_ += 4;
    return true;
  }
  [[nodiscard]] bool varint(std::uint32_t& out) noexcept {
    const Varint read = load_varint(at_, end_);
    if (read.bytes == 0) return false;
    out = read.value;
    at_ += read.bytes;
    return true;
  }
  [[nodiscard]] bool take(std::size_t bytes, Bytes& out) noexcept {
    if (left() < bytes) return false;
    out = {at_, bytes};
    at_ += bytes;
    return true;
  }
  /// Binary Data, or the bytes of a UTF-8 Encoded String: a length of two bytes before them.
  [[nodiscard]] bool binary(Bytes& out) noexcept {
    if (left() < 2) return false;
    const std::size_t bytes = load_u16(at_);
    if (left() - 2 < bytes) return false;
    out = {at_ + 2, bytes};
    at_ += 2 + bytes;
    return true;
  }
  /// A UTF-8 Encoded String; also false if it is not one (a Malformed Packet as well, 1.5.4).
  [[nodiscard]] bool text(Bytes& out) noexcept { return binary(out) && valid_utf8(out); }
  /// Properties: their length as a Variable Byte Integer, then that many bytes (2.2.2.1). A length
  /// of zero says that there are none, and may not be left out [MQTT-2.2.2-1].
  [[nodiscard]] bool properties(Bytes& out) noexcept {
    std::uint32_t bytes = 0;
    return varint(bytes) && take(bytes, out);
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

/// Are the low four bits those that the type demands [MQTT-2.1.3-1], 0010 for [MQTT-3.6.1-1]
/// [MQTT-3.8.1-1] [MQTT-3.10.1-1] and 0000 for the others, [MQTT-3.14.1-1] [MQTT-3.15.1-1] among
/// them [MQTT-2.2.2-1 of 3.1.1] [MQTT-2.2.2-2 of 3.1.1]? Not for PUBLISH. MQTT 3.1 calls them "not
/// used", and lets DUP be set on PUBREL, SUBSCRIBE and UNSUBSCRIBE, whose QoS bits say 1.
[[nodiscard]] constexpr bool flags_valid(std::uint8_t first_byte, Version version) noexcept {
  const PacketType type = packet_type(first_byte);
  const unsigned flags = first_byte & 0x0F;
  const bool qos_1 = type == PacketType::pubrel || type == PacketType::subscribe ||
                     type == PacketType::unsubscribe;
  if (version == Version::v31) return !qos_1 || (flags & 0x06) == 0x02;
  return flags == (qos_1 ? 0x02u : 0x00u);
}
inline constexpr const char* kFlagsFault = "fixed header flags not as the type demands [MQTT-2.1.3-1]";

}  // namespace stmqtt::wire
