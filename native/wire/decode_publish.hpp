// PUBLISH to a view (MQTT 5.0, 3.3): the hot path of every message, inline down to the properties.
// Thread: any (pure); views are borrowed from the body.
#pragma once

#include "wire/views.hpp"

namespace stmqtt::wire {

/// Why a PUBLISH is bad, once the fast path has seen that it is: sets view.fault.
[[nodiscard]] ReasonCode publish_fault(std::uint8_t first_byte, Bytes body,
                                       PublishView& out) noexcept;
/// Properties, payload and the rules between them of a v5 PUBLISH. `at`: offset of the Property
/// Length in the body.
[[nodiscard]] ReasonCode decode_publish_properties(Bytes body, std::size_t at, Direction direction,
                                                   PublishView& out) noexcept;

/// Decodes a PUBLISH. A Topic Alias is not resolved here. Subscription Identifiers may come only
/// from a server [MQTT-3.3.4-6].
[[nodiscard]] inline ReasonCode decode_publish(std::uint8_t first_byte, Bytes body, Version version,
                                               Direction direction, PublishView& out) noexcept {
  const std::uint8_t qos = first_byte >> 1 & 3;
  const std::size_t size = body.size();
  // Neither QoS 3 [MQTT-3.3.1-4] nor DUP with QoS 0 [MQTT-3.3.1-2]; the Topic Name comes first
  // [MQTT-3.3.2-1] and is complete, and so is the Packet Identifier [MQTT-2.2.1-2].
  if (qos == 3 || (first_byte & 0x0E) == 0x08 || size < 2) [[unlikely]] {
    return publish_fault(first_byte, body, out);
  }
  const std::uint8_t* const data = body.data();
  const std::size_t topic_bytes = load_u16(data);
  std::size_t at = 2 + topic_bytes;
  if (at + (qos != 0 ? 2 : 0) > size) [[unlikely]] return publish_fault(first_byte, body, out);
  out.topic = {data + 2, topic_bytes};
  out.qos = qos;
  out.retain = (first_byte & 0x01) != 0;
  out.dup = (first_byte & 0x08) != 0;
  out.packet_id = 0;
  if (qos != 0) {
    out.packet_id = load_u16(data + at);
    at += 2;
    if (out.packet_id == 0) [[unlikely]] return publish_fault(first_byte, body, out);
  }
  if (!topic_bytes_valid(data + 2, topic_bytes)) [[unlikely]] {
    return publish_fault(first_byte, body, out);
  }
  out.properties = {};
  out.forward_properties = {};
  out.message_expiry_s = 0;
  out.topic_alias = 0;
  out.has_message_expiry = false;
  out.forward_split = false;
  if (version == Version::v5) {
    // Most publishes have no properties: a length of zero, and a topic of at least one character.
    if (at == size || data[at] != 0) [[unlikely]] {
      return decode_publish_properties(body, at, direction, out);
    }
    ++at;
  }
  if (topic_bytes == 0) [[unlikely]] return publish_fault(first_byte, body, out);
  out.payload = {data + at, size - at};
  return ReasonCode::success;
}

}  // namespace stmqtt::wire
