// SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK to views (MQTT 5.0, 3.8 to 3.11).
// Thread: any (pure).
#include "wire/decode.hpp"
#include "wire/reader.hpp"

namespace stmqtt::wire {

namespace {

/// Packet Identifier and properties, with which all four begin.
template <typename View>
ReasonCode decode_head(std::uint8_t first_byte, Reader& reader, Version version, PacketType type,
                       View& out, Properties& properties) noexcept {
  out.fault = nullptr;
  out.properties = {};
  if (!flags_valid(first_byte, version)) return malformed(out, kFlagsFault);
  if (!reader.u16(out.packet_id)) return malformed(out, "packet ends before its identifier does");
  if (out.packet_id == 0) {
    // "a non-zero Packet Identifier" (2.2.1) [MQTT-2.2.1-3] [MQTT-2.3.1-1 of 3.1.1]
    return protocol_error(out, "Packet Identifier 0");
  }
  if (version != Version::v5) return ReasonCode::success;
  if (!reader.properties(out.properties)) {
    return malformed(out, "packet ends before its properties do");
  }
  const ReasonCode code = decode_properties(out.properties, type, properties);
  return code == ReasonCode::success ? code : refuse(out, code, properties.fault);
}

template <typename View>
ReasonCode check_filter(Bytes topic_filter, FilterView& filter, View& out) noexcept {
  const ReasonCode code = parse_topic_filter(topic_filter, filter);
  if (code == ReasonCode::success) return code;
  return refuse(out, code, code == ReasonCode::malformed_packet
                               ? "Topic Filter is not UTF-8 or holds U+0000 [MQTT-3.8.3-1]"
                               : "Topic Filter breaks the rules of 4.7 or 4.8.2 "
                                 "[MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.8.2-2]");
}

ReasonCode check_options(std::uint8_t options, const FilterView& filter, Version version,
                         SubscribeView& out) noexcept {
  const unsigned retain_handling = options >> 4 & 3;
  if (version != Version::v5) {
    // 3.1.1: "malformed ... if any of Reserved bits in the payload are non-zero, or QoS is not 0,1
    // or 2" [MQTT-3-8.3-4]. 3.1 calls the upper six bits unused; mosquitto refuses them there too.
    if (options <= 2) return ReasonCode::success;
    return malformed(out, "requested QoS is none of 0, 1 and 2 [MQTT-3-8.3-4 of 3.1.1]");
  }
  if ((options & 0xC0) != 0) return malformed(out, "reserved Subscription Option [MQTT-3.8.3-5]");
  // 3.8.3.1: "It is a Protocol Error if the Maximum QoS field has the value 3", and the same of
  // Retain Handling.
  if ((options & 0x03) == 3) return protocol_error(out, "Subscription Option QoS 3 (3.8.3.1)");
  if (retain_handling == 3) return protocol_error(out, "Retain Handling 3 (3.8.3.1)");
  if ((options & 0x04) != 0 && filter.shared) {
    return protocol_error(out, "No Local on a Shared Subscription [MQTT-3.8.3-4]");
  }
  return ReasonCode::success;
}

/// SUBACK and UNSUBACK of 5.0 behind their heads.
ReasonCode check_reasons(PacketType type, SubackView& out) noexcept {
  // One a filter [MQTT-3.8.4-6], and there was at least one.
  if (out.reasons.empty()) return protocol_error(out, "acknowledgement without a Reason Code");
  for (const std::uint8_t code : out.reasons) {
    if (!reason_allowed(static_cast<ReasonCode>(code), type)) {
      return protocol_error(out, "not a Reason Code of this packet "
                                 "[MQTT-3.9.3-2] [MQTT-3.11.3-2]");
    }
  }
  return ReasonCode::success;
}

/// The next length-prefixed filter of a validated payload.
Bytes take_filter(Bytes& rest) noexcept {
  const std::size_t bytes = load_u16(rest.data());
  const Bytes filter = rest.subspan(2, bytes);
  rest = rest.subspan(2 + bytes);
  return filter;
}

}  // namespace

ReasonCode decode_subscribe(std::uint8_t first_byte, Bytes body, Version version,
                            SubscribeView& out) noexcept {
  Reader reader(body);
  Properties properties;
  out.subscription_identifier = 0;
  out.filter_count = 0;
  ReasonCode code =
      decode_head(first_byte, reader, version, PacketType::subscribe, out, properties);
  if (code != ReasonCode::success) return code;
  out.subscription_identifier = properties.number_or(PropertyId::subscription_identifier, 0);
  out.filters = reader.rest();
  if (reader.empty()) return protocol_error(out, "SUBSCRIBE without a filter [MQTT-3.8.3-2]");
  while (!reader.empty()) {
    Bytes topic_filter;
    FilterView filter;
    std::uint8_t options = 0;
    if (!reader.binary(topic_filter) || !reader.u8(options)) {
      return malformed(out, "SUBSCRIBE ends inside a filter or before its options");
    }
    code = check_filter(topic_filter, filter, out);
    if (code == ReasonCode::success) code = check_options(options, filter, version, out);
    if (code != ReasonCode::success) return code;
    ++out.filter_count;
  }
  return ReasonCode::success;
}

bool SubscriptionCursor::next(SubscriptionView& out) noexcept {
  if (rest_.empty()) return false;
  out.topic_filter = take_filter(rest_);
  const unsigned options = rest_[0];
  rest_ = rest_.subspan(1);
  static_cast<void>(parse_topic_filter(out.topic_filter, out.filter));  // was valid at decode
  out.qos = options & 3;
  out.no_local = (options & 0x04) != 0;
  out.retain_as_published = (options & 0x08) != 0;
  out.retain_handling = options >> 4 & 3;
  return true;
}

ReasonCode decode_unsubscribe(std::uint8_t first_byte, Bytes body, Version version,
                              UnsubscribeView& out) noexcept {
  Reader reader(body);
  Properties properties;
  out.filter_count = 0;
  ReasonCode code =
      decode_head(first_byte, reader, version, PacketType::unsubscribe, out, properties);
  if (code != ReasonCode::success) return code;
  out.filters = reader.rest();
  if (reader.empty()) return protocol_error(out, "UNSUBSCRIBE without a filter [MQTT-3.10.3-2]");
  while (!reader.empty()) {
    Bytes topic_filter;
    FilterView filter;
    if (!reader.binary(topic_filter)) return malformed(out, "UNSUBSCRIBE ends inside a filter");
    code = check_filter(topic_filter, filter, out);  // [MQTT-3.10.3-1]
    if (code != ReasonCode::success) return code;
    ++out.filter_count;
  }
  return ReasonCode::success;
}

bool UnsubscribeCursor::next(Bytes& topic_filter, FilterView& filter) noexcept {
  if (rest_.empty()) return false;
  topic_filter = take_filter(rest_);
  static_cast<void>(parse_topic_filter(topic_filter, filter));  // was valid at decode
  return true;
}

ReasonCode decode_suback(std::uint8_t first_byte, Bytes body, Version version,
                         SubackView& out) noexcept {
  Reader reader(body);
  Properties properties;
  const ReasonCode code =
      decode_head(first_byte, reader, version, PacketType::suback, out, properties);
  if (code != ReasonCode::success) return code;
  out.reason_string = properties.view(PropertyId::reason_string);
  out.reasons = reader.rest();
  if (version == Version::v5) return check_reasons(PacketType::suback, out);
  if (out.reasons.empty()) return protocol_error(out, "SUBACK without a return code");
  for (const std::uint8_t return_code : out.reasons) {
    if (return_code > 2 && return_code != 0x80) {
      return protocol_error(out, "reserved SUBACK return code [MQTT-3.9.3-2 of 3.1.1]");
    }
  }
  return ReasonCode::success;
}

ReasonCode decode_unsuback(std::uint8_t first_byte, Bytes body, Version version,
                           SubackView& out) noexcept {
  Reader reader(body);
  Properties properties;
  const ReasonCode code =
      decode_head(first_byte, reader, version, PacketType::unsuback, out, properties);
  if (code != ReasonCode::success) return code;
  out.reason_string = properties.view(PropertyId::reason_string);
  out.reasons = reader.rest();
  if (version == Version::v5) return check_reasons(PacketType::unsuback, out);
  if (!out.reasons.empty()) return malformed(out, "bytes behind the end of UNSUBACK");
  return ReasonCode::success;
}

}  // namespace stmqtt::wire
