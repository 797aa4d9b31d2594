// CONNECT and CONNACK to views (MQTT 5.0, 3.1 and 3.2). Thread: any (pure).
#include "wire/decode.hpp"
#include "wire/reader.hpp"

namespace stmqtt::wire {

namespace {

// Bits of the Connect Flags (3.1.2.3).
constexpr unsigned kReserved = 0x01;
constexpr unsigned kCleanStart = 0x02;
constexpr unsigned kWill = 0x04;
constexpr unsigned kWillRetain = 0x20;
constexpr unsigned kPassword = 0x40;
constexpr unsigned kUsername = 0x80;
/// By this bit of the Protocol Level a bridge shows itself (mosquitto's convention).
constexpr unsigned kBridge = 0x80;

/// Which MQTT the peer speaks, or how to answer one that we do not.
ReasonCode decode_protocol(Reader& reader, ConnectView& out) noexcept {
  Bytes name;
  if (!reader.binary(name)) return malformed(out, "CONNECT ends before its Protocol Name does");
  const std::string_view text = as_text(name);
  if (text != "MQTT" && text != "MQIsdp") {
    // Not answered: whoever sends this need not understand a CONNACK [MQTT-3.1.2-1].
    return refuse(out, ReasonCode::unsupported_protocol_version,
                  "Protocol Name is neither MQTT nor MQIsdp [MQTT-3.1.2-1]");
  }
  if (!reader.u8(out.protocol_level)) {
    return malformed(out, "CONNECT ends before its Protocol Level");
  }
  out.answerable = true;
  out.bridge = (out.protocol_level & kBridge) != 0;
  const unsigned level = out.protocol_level & ~kBridge;
  if (text == "MQIsdp") {
    out.version = Version::v31;
    if (level == 3) return ReasonCode::success;
  } else {
    // Later versions than 5 are answered as 5.0 wants it (3.1.2.2), the rest as 3.1.1 does.
    out.version = level >= 5 ? Version::v5 : Version::v311;
    if (level == 4 || level == 5) return ReasonCode::success;
  }
  return refuse(out, ReasonCode::unsupported_protocol_version,
                "Protocol Level is none of 3 (MQIsdp), 4 and 5 (MQTT) [MQTT-3.1.2-2]");
}

ReasonCode decode_flags(std::uint8_t flags, ConnectView& out) noexcept {
  out.clean_start = (flags & kCleanStart) != 0;
  out.has_will = (flags & kWill) != 0;
  out.has_username = (flags & kUsername) != 0;
  out.has_password = (flags & kPassword) != 0;
  out.will_qos = flags >> 3 & 3;
  out.will_retain = (flags & kWillRetain) != 0;
  if (out.will_qos == 3) return malformed(out, "Will QoS 3 [MQTT-3.1.2-12]");
  if (out.version != Version::v31) {
    if ((flags & kReserved) != 0) return malformed(out, "reserved Connect Flag [MQTT-3.1.2-3]");
    if (!out.has_will && (out.will_qos != 0 || out.will_retain)) {
      return malformed(out, "Will QoS or Will Retain without a Will "
                            "[MQTT-3.1.2-11] [MQTT-3.1.2-13]");
    }
  } else if (!out.has_will) {  // 3.1: "otherwise its value is disregarded"
    out.will_qos = 0;
    out.will_retain = false;
  }
  if (out.has_password && !out.has_username && out.version != Version::v5) {
    return malformed(out, "Password Flag without User Name Flag [MQTT-3.1.2-22 of 3.1.1]");
  }
  return ReasonCode::success;
}

ReasonCode decode_will(Reader& reader, ConnectView& out) noexcept {
  if (out.version == Version::v5) {
    Bytes properties;
    if (!reader.properties(properties)) {
      return malformed(out, "CONNECT ends before its Will Properties do");
    }
    const ReasonCode code = decode_will_properties(properties, out.will_properties);
    if (code != ReasonCode::success) return refuse(out, code, out.will_properties.fault);
  }
  if (!reader.text(out.will_topic)) {
    return malformed(out, "Will Topic missing, cut off or not UTF-8 [MQTT-3.1.3-11]");
  }
  if (!reader.binary(out.will_payload)) {
    return malformed(out, "Will Payload missing or cut off [MQTT-3.1.2-9]");
  }
  if (!valid_topic_name(out.will_topic)) {
    // The Will Message is published there: it has to be a Topic Name [MQTT-4.7.0-1] [MQTT-4.7.3-1].
    return refuse(out, ReasonCode::topic_name_invalid,
                  "Will Topic is empty or has a wildcard character");
  }
  return ReasonCode::success;
}

ReasonCode decode_credentials(Reader& reader, ConnectView& out) noexcept {
  if (out.version == Version::v31) {
    // "the Remaining Length field from the fixed header takes precedence over the User Name flag":
    // the flag may be set and the string missing (MQTT 3.1, 3.1); the same for the password.
    if (out.has_username && reader.empty()) out.has_username = out.has_password = false;
  }
  if (out.has_username && !reader.text(out.username)) {
    return malformed(out, "User Name missing, cut off or not UTF-8 "
                          "[MQTT-3.1.2-17] [MQTT-3.1.3-12]");
  }
  if (out.version == Version::v31 && reader.empty()) out.has_password = false;
  if (out.has_password && !reader.binary(out.password)) {
    return malformed(out, "Password missing or cut off [MQTT-3.1.2-19]");
  }
  return ReasonCode::success;
}

void reset(ConnectView& out) noexcept {
  out.version = Version::v311;
  out.answerable = false;
  out.protocol_level = 0;
  out.bridge = false;
  out.client_id = out.username = out.password = out.will_topic = out.will_payload = {};
  out.properties.reset();
  out.will_properties.reset();
  out.fault = nullptr;
}

}  // namespace

ReasonCode decode_connect(std::uint8_t first_byte, Bytes body, ConnectView& out) noexcept {
  reset(out);
  Reader reader(body);
  ReasonCode code = decode_protocol(reader, out);
  if (code != ReasonCode::success) return code;
  if (!flags_valid(first_byte, out.version)) return malformed(out, kFlagsFault);

  std::uint8_t flags = 0;
  if (!reader.u8(flags) || !reader.u16(out.keep_alive_s)) {
    return malformed(out, "CONNECT ends inside its variable header");
  }
  code = decode_flags(flags, out);
  if (code != ReasonCode::success) return code;

  if (out.version == Version::v5) {
    Bytes properties;
    if (!reader.properties(properties)) {
      return malformed(out, "CONNECT ends before its properties do");
    }
    code = decode_properties(properties, PacketType::connect, out.properties);
    if (code != ReasonCode::success) return refuse(out, code, out.properties.fault);
    if (out.properties.has(PropertyId::authentication_data) &&
        !out.properties.has(PropertyId::authentication_method)) {
      return protocol_error(out, "Authentication Data without a method (3.1.2.11.10)");
    }
  }

  // The fields come in this order [MQTT-3.1.3-1]; the Client Identifier must be there
  // [MQTT-3.1.3-3] and be UTF-8 [MQTT-3.1.3-4], and may be empty [MQTT-3.1.3-6].
  if (!reader.text(out.client_id)) {
    return malformed(out, "Client Identifier missing, cut off or not UTF-8 [MQTT-3.1.3-4]");
  }
  if (out.has_will) {
    code = decode_will(reader, out);
    if (code != ReasonCode::success) return code;
  }
  code = decode_credentials(reader, out);
  if (code != ReasonCode::success) return code;
  // So a field without its flag is one too many [MQTT-3.1.2-16] [MQTT-3.1.2-18].
  if (!reader.empty()) return malformed(out, "bytes behind the payload of CONNECT");

  // Last, so that what is malformed is not answered with less. Only 5.0 lets a client that wants to
  // come back leave its identifier to the server [MQTT-3.1.3-8 of 3.1.1]; 3.1 wants 1 to 23 bytes.
  // Longer ones are accepted: clients of every version use them [MQTT-3.1.3-5].
  if (out.client_id.empty() && (out.version == Version::v31 ||
                                (out.version == Version::v311 && !out.clean_start))) {
    return refuse(out, ReasonCode::client_identifier_not_valid,
                  "empty Client Identifier without Clean Session [MQTT-3.1.3-8 of 3.1.1]");
  }
  return ReasonCode::success;
}

ReasonCode decode_connack(std::uint8_t first_byte, Bytes body, Version version,
                          ConnackView& out) noexcept {
  out.fault = nullptr;
  out.properties.reset();
  if (!flags_valid(first_byte, version)) return malformed(out, kFlagsFault);
  Reader reader(body);
  std::uint8_t acknowledge = 0;
  if (!reader.u8(acknowledge) || !reader.u8(out.return_code)) {
    return malformed(out, "CONNACK too short");
  }
  if (version == Version::v31) acknowledge = 0;  // "Reserved values. Not used."
  if ((acknowledge & 0xFE) != 0) {
    return malformed(out, "reserved Connect Acknowledge Flags [MQTT-3.2.2-1]");
  }
  out.session_present = acknowledge != 0;
  if (version != Version::v5) {
    if (!reader.empty()) return malformed(out, "bytes behind the end of CONNACK");
    if (out.return_code > 5) return protocol_error(out, "reserved Connect Return code");
    out.reason = reason_from_connack_v3(out.return_code);
  } else {
    out.reason = static_cast<ReasonCode>(out.return_code);
    if (!reason_allowed(out.reason, PacketType::connack)) {
      return protocol_error(out, "not a Connect Reason Code [MQTT-3.2.2-8]");
    }
    Bytes properties;
    if (!reader.properties(properties)) {
      return malformed(out, "CONNACK ends before its properties do");
    }
    const ReasonCode code = decode_properties(properties, PacketType::connack, out.properties);
    if (code != ReasonCode::success) return refuse(out, code, out.properties.fault);
    if (!reader.empty()) return malformed(out, "bytes behind the end of CONNACK");
  }
  if (out.session_present && out.reason != ReasonCode::success) {
    return protocol_error(out, "Session Present in a refusal [MQTT-3.2.2-6]");
  }
  return ReasonCode::success;
}

}  // namespace stmqtt::wire
