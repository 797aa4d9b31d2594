// PUBLISH to bytes: sizes first, then writes that need no checks. Inline, the hot path of every
// delivery. The caller gives room for what size_* said. Thread: any (pure).
#pragma once

#include <span>

#include "base/bytes.hpp"
#include "wire/property_table.hpp"
#include "wire/types.hpp"
#include "wire/varint.hpp"

namespace stmqtt::wire {

/// An outward PUBLISH; all views are borrowed. Fields that 3.x does not have are left out for it
/// [a v5 publish reaches 3.x without its properties].
struct PublishOut {
  Version version = Version::v311;
  std::uint8_t qos = 0;
  bool retain = false;
  bool dup = false;
  bool has_message_expiry = false;
  std::uint16_t packet_id = 0;         ///< not 0 if qos is not
  std::uint16_t topic_alias = 0;       ///< 0 = none
  std::uint32_t message_expiry_s = 0;  ///< what is left of it [MQTT-3.3.2-6]
  Bytes topic;                         ///< may be empty with an alias the receiver knows
  Bytes forward_properties;            ///< encoded, without length [MQTT-3.3.2-4] and the like
  Bytes more_properties;               ///< behind them, likewise encoded
  std::span<const std::uint32_t> subscription_ids;  ///< each 1 to 268,435,455
  Bytes payload;
};

/// Sizes of the parts of an outward PUBLISH, in bytes.
struct PublishSizes {
  std::uint32_t properties = 0;  ///< without their length; 0 in 3.x
  std::size_t remaining = 0;     ///< Remaining Length
  std::size_t head = 0;          ///< everything but the payload
  std::size_t total = 0;         ///< the packet; 0 = larger than MQTT can say, do not encode
};

[[nodiscard]] inline PublishSizes measure_publish(const PublishOut& publish) noexcept {
  PublishSizes sizes;
  std::size_t head = 2 + publish.topic.size() + (publish.qos != 0 ? 2 : 0);
  if (publish.version == Version::v5) {
    std::size_t bytes = publish.forward_properties.size() + publish.more_properties.size();
    if (publish.has_message_expiry) bytes += 5;
    if (publish.topic_alias != 0) bytes += 3;
    for (const std::uint32_t id : publish.subscription_ids) bytes += 1 + size_varint(id);
    if (bytes > kMaxRemainingLength) [[unlikely]] return {};
    sizes.properties = static_cast<std::uint32_t>(bytes);
    head += size_varint(sizes.properties) + bytes;
  }
  sizes.remaining = head + publish.payload.size();
  if (sizes.remaining > kMaxRemainingLength) [[unlikely]] return {};
  sizes.head = 1 + size_varint(static_cast<std::uint32_t>(sizes.remaining)) + head;
  sizes.total = sizes.head + publish.payload.size();
  return sizes;
}

/// Bytes of the whole packet; 0 = too large for MQTT.
[[nodiscard]] inline std::size_t size_publish(const PublishOut& publish) noexcept {
  return measure_publish(publish).total;
}
/// Bytes of it without the payload, for a payload that is sent from where it is.
[[nodiscard]] inline std::size_t size_publish_head(const PublishOut& publish) noexcept {
  return measure_publish(publish).head;
}

/// Writes sizes.head bytes: all but the payload, whose size the Remaining Length counts.
inline std::uint8_t* encode_publish_head(const PublishOut& publish, const PublishSizes& sizes,
                                         std::uint8_t* out) noexcept {
  *out++ = static_cast<std::uint8_t>(0x30 | (publish.dup ? 0x08 : 0) | publish.qos << 1 |
                                     (publish.retain ? 0x01 : 0));
  out = store_varint(out, static_cast<std::uint32_t>(sizes.remaining));
  out = store_u16(out, static_cast<std::uint16_t>(publish.topic.size()));
  out = store_bytes(out, publish.topic);
  if (publish.qos != 0) out = store_u16(out, publish.packet_id);
  if (publish.version == Version::v5) {
    out = store_varint(out, sizes.properties);
    if (sizes.properties != 0) {
      if (publish.has_message_expiry) {
        *out++ = static_cast<std::uint8_t>(PropertyId::message_expiry_interval);
        out = store_u32(out, publish.message_expiry_s);
      }
      if (publish.topic_alias != 0) {
        *out++ = static_cast<std::uint8_t>(PropertyId::topic_alias);
        out = store_u16(out, publish.topic_alias);
      }
      for (const std::uint32_t id : publish.subscription_ids) {
        *out++ = static_cast<std::uint8_t>(PropertyId::subscription_identifier);
        out = store_varint(out, id);
      }
      out = store_bytes(out, publish.forward_properties);
      out = store_bytes(out, publish.more_properties);
    }
  }
  return out;
}
inline std::uint8_t* encode_publish_head(const PublishOut& publish, std::uint8_t* out) noexcept {
  return encode_publish_head(publish, measure_publish(publish), out);
}

/// Writes the whole packet, sizes.total bytes.
inline std::uint8_t* encode_publish(const PublishOut& publish, const PublishSizes& sizes,
                                    std::uint8_t* out) noexcept {
  return store_bytes(encode_publish_head(publish, sizes, out), publish.payload);
}
inline std::uint8_t* encode_publish(const PublishOut& publish, std::uint8_t* out) noexcept {
  return encode_publish(publish, measure_publish(publish), out);
}

/// Where the Packet Identifier stands in the packet (QoS 1 and 2), in bytes from its start: one
/// encoded form serves many receivers, each with its own identifier written over it.
[[nodiscard]] inline std::size_t packet_id_offset(const PublishOut& publish,
                                                  const PublishSizes& sizes) noexcept {
  return 1 + size_varint(static_cast<std::uint32_t>(sizes.remaining)) + 2 + publish.topic.size();
}

}  // namespace stmqtt::wire
