// The colder parts of wire/decode_publish.hpp: properties, and why a PUBLISH is bad.
// Thread: any (pure).
#include "wire/decode_publish.hpp"

#include "wire/property_reader.hpp"

namespace stmqtt::wire {

namespace {

[[nodiscard]] ReasonCode topic_fault(Bytes topic, PublishView& out) noexcept {
  if (!valid_utf8(topic)) {
    // "If the Client or Server receives ... ill-formed UTF-8 it is a Malformed Packet" (1.5.4).
    return malformed(out, "Topic Name is not UTF-8 or holds U+0000 [MQTT-1.5.4-1]");
  }
  return refuse(out, ReasonCode::topic_name_invalid,
                "Topic Name with a wildcard character [MQTT-3.3.2-2]");
}

}  // namespace

ReasonCode publish_fault(std::uint8_t first_byte, Bytes body, PublishView& out) noexcept {
  const unsigned qos = first_byte >> 1 & 3;
  if (qos == 3) return malformed(out, "PUBLISH with QoS 3 [MQTT-3.3.1-4]");
  if (qos == 0 && (first_byte & 0x08) != 0) {
    return malformed(out, "PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]");
  }
  Reader reader(body);
  Bytes topic;
  if (!reader.binary(topic)) return malformed(out, "PUBLISH ends before its Topic Name does");
  std::uint16_t packet_id = 0;
  if (qos != 0 && !reader.u16(packet_id)) {
    return malformed(out, "PUBLISH ends before its Packet Identifier does");
  }
  if (!topic_bytes_valid(topic.data(), topic.size())) return topic_fault(topic, out);
  if (qos != 0 && packet_id == 0) {
    // "a non-zero Packet Identifier" (2.2.1) [MQTT-2.3.1-1 of 3.1.1]
    return protocol_error(out, "PUBLISH with Packet Identifier 0");
  }
  // 3.3.2.1: "It is a Protocol Error if the Topic Name is zero length and there is no Topic Alias"
  return protocol_error(out, "PUBLISH with an empty Topic Name and no Topic Alias [MQTT-4.7.3-1]");
}

ReasonCode decode_publish_properties(Bytes body, std::size_t at, Direction direction,
                                     PublishView& out) noexcept {
  Reader reader(body.subspan(at));
  if (!reader.properties(out.properties)) {
    return malformed(out, "PUBLISH ends before its properties do, or their length is malformed");
  }
  PropertyReader properties(out.properties, property_place(PacketType::publish));
  PropertyValue value{};
  ForwardSpan forward;
  while (!properties.empty()) {
    const ReasonCode code = properties.next(value, out);
    if (code != ReasonCode::success) return code;
    if (is_forwarded(static_cast<std::uint8_t>(value.row->id))) {
      forward.add(value.encoded);
    } else if (value.row->id == PropertyId::message_expiry_interval) {
      out.has_message_expiry = true;
      out.message_expiry_s = value.number;
    } else if (value.row->id == PropertyId::topic_alias) {
      out.topic_alias = static_cast<std::uint16_t>(value.number);
    } else if (direction == Direction::from_client) {  // a Subscription Identifier is what is left
      return protocol_error(out, "Subscription Identifier from a client [MQTT-3.3.4-6]");
    }
  }
  const ForwardProperties found = forward.result();
  out.forward_properties = found.view;
  out.forward_split = found.split;
  if (out.topic.empty() && out.topic_alias == 0) {
    return protocol_error(out, "PUBLISH with an empty Topic Name and no Topic Alias (3.3.2.1)");
  }
  out.payload = reader.rest();
  return ReasonCode::success;
}

}  // namespace stmqtt::wire
