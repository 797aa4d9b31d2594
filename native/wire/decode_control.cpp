// Acknowledgements of publications, pings, DISCONNECT and AUTH to views (MQTT 5.0, 3.4 to 3.7 and
// 3.12 to 3.15), and which side may send what. Thread: any (pure).
#include "wire/decode.hpp"
#include "wire/reader.hpp"

namespace stmqtt::wire {

namespace {

/// Reason Code and properties of DISCONNECT and AUTH, each of which may be left out (3.14.2.1).
template <typename View>
ReasonCode decode_reason(Reader& reader, PacketType type, Direction direction,
                         View& out) noexcept {
  std::uint8_t reason = 0;
  const bool omitted = !reader.u8(reason);
  out.reason = static_cast<ReasonCode>(reason);
  if (!reason_allowed(out.reason, type, direction)) {
    return protocol_error(out, "not a Reason Code that this side may send "
                               "[MQTT-3.14.2-1] [MQTT-3.15.2-1]");
  }
  if (omitted || reader.empty()) return ReasonCode::success;
  Bytes properties;
  if (!reader.properties(properties)) {
    return malformed(out, "packet ends before its properties do");
  }
  const ReasonCode code = decode_properties(properties, type, out.properties);
  if (code != ReasonCode::success) return refuse(out, code, out.properties.fault);
  if (!reader.empty()) return malformed(out, "bytes behind the end of the packet");
  return ReasonCode::success;
}

}  // namespace

ReasonCode decode_ack_slow(std::uint8_t first_byte, Bytes body, Version version,
                           AckView& out) noexcept {
  const PacketType type = packet_type(first_byte);
  out.reason = ReasonCode::success;
  out.reason_string = {};
  out.properties = {};
  out.fault = nullptr;
  if (!flags_valid(first_byte, version)) return malformed(out, kFlagsFault);  // [MQTT-3.6.1-1]
  Reader reader(body);
  if (!reader.u16(out.packet_id)) return malformed(out, "packet ends before its identifier does");
  if (out.packet_id == 0) return protocol_error(out, "Packet Identifier 0");
  if (version != Version::v5) {
    if (!reader.empty()) return malformed(out, "bytes behind the end of the packet");
    return ReasonCode::success;
  }
  std::uint8_t reason = 0;
  if (!reader.u8(reason)) return ReasonCode::success;  // "value of 0x00 is used" (3.4.2.1)
  out.reason = static_cast<ReasonCode>(reason);
  if (!reason_allowed(out.reason, type)) {
    return protocol_error(out, "not a Reason Code of this packet [MQTT-3.4.2-1] [MQTT-3.5.2-1] "
                               "[MQTT-3.6.2-1] [MQTT-3.7.2-1]");
  }
  if (reader.empty()) return ReasonCode::success;  // no Property Length: none (3.4.2.2.1)
  if (!reader.properties(out.properties)) {
    return malformed(out, "packet ends before its properties do");
  }
  Properties properties;
  const ReasonCode code = decode_properties(out.properties, type, properties);
  if (code != ReasonCode::success) return refuse(out, code, properties.fault);
  if (!reader.empty()) return malformed(out, "bytes behind the end of the packet");
  out.reason_string = properties.view(PropertyId::reason_string);
  return ReasonCode::success;
}

ReasonCode decode_ping(std::uint8_t first_byte, Bytes body, Version version) noexcept {
  // "no Variable Header" and "no Payload" (3.12.2, 3.12.3).
  const bool valid = flags_valid(first_byte, version) && body.empty();
  return valid ? ReasonCode::success : ReasonCode::malformed_packet;
}

ReasonCode decode_disconnect(std::uint8_t first_byte, Bytes body, Version version,
                             Direction direction, DisconnectView& out) noexcept {
  out.reason = ReasonCode::normal_disconnection;
  out.properties.reset();
  out.fault = nullptr;
  if (!flags_valid(first_byte, version)) return malformed(out, kFlagsFault);  // [MQTT-3.14.1-1]
  if (version != Version::v5) {
    if (!body.empty()) return malformed(out, "DISCONNECT of 3.x with a body");
    if (direction == Direction::from_server) {
      return protocol_error(out, "DISCONNECT of 3.x from a server");
    }
    return ReasonCode::success;
  }
  Reader reader(body);
  const ReasonCode code = decode_reason(reader, PacketType::disconnect, direction, out);
  if (code != ReasonCode::success) return code;
  if (direction == Direction::from_server) {
    if (out.properties.has(PropertyId::session_expiry_interval)) {
      return protocol_error(out, "Session Expiry Interval from a server [MQTT-3.14.2-2]");
    }
  } else if (out.properties.has(PropertyId::server_reference)) {
    return protocol_error(out, "Server Reference from a client (3.14.2.2.5)");
  }
  return ReasonCode::success;
}

ReasonCode decode_auth(std::uint8_t first_byte, Bytes body, Version version, Direction direction,
                       AuthView& out) noexcept {
  out.reason = ReasonCode::success;
  out.properties.reset();
  out.fault = nullptr;
  if (version != Version::v5) return protocol_error(out, "AUTH does not exist before 5.0");
  if (!flags_valid(first_byte, version)) return malformed(out, kFlagsFault);  // [MQTT-3.15.1-1]
  Reader reader(body);
  const ReasonCode code = decode_reason(reader, PacketType::auth, direction, out);
  if (code != ReasonCode::success) return code;
  // "It is a Protocol Error to omit the Authentication Method" (3.15.2.2.2), except where Success
  // stands without any properties (3.15.2.1).
  if (!out.properties.has(PropertyId::authentication_method) &&
      (out.reason != ReasonCode::success || !out.properties.empty())) {
    return protocol_error(out, "AUTH without an Authentication Method (3.15.2.2.2)");
  }
  return ReasonCode::success;
}

ReasonCode check_packet_type(PacketType type, Version version, Direction direction) noexcept {
  const bool client = direction == Direction::from_client;
  switch (type) {
    case PacketType::publish:
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp: return ReasonCode::success;
    case PacketType::connect:
    case PacketType::subscribe:
    case PacketType::unsubscribe:
    case PacketType::pingreq:
      return client ? ReasonCode::success : ReasonCode::protocol_error;
    case PacketType::connack:
    case PacketType::suback:
    case PacketType::unsuback:
    case PacketType::pingresp:
      return client ? ReasonCode::protocol_error : ReasonCode::success;
    case PacketType::disconnect:
      return client || version == Version::v5 ? ReasonCode::success : ReasonCode::protocol_error;
    case PacketType::auth:
      return version == Version::v5 ? ReasonCode::success : ReasonCode::malformed_packet;
  }
  return ReasonCode::malformed_packet;  // type 0 is "Forbidden, Reserved" (2.1.2)
}

}  // namespace stmqtt::wire
