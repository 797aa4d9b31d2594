// The properties of one packet: a presence mask and values, views into the packet. The same struct
// is filled by decode and read by encode. Thread: any (pure); views are borrowed from the packet.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "wire/property_table.hpp"
#include "wire/reason_code.hpp"
#include "wire/varint.hpp"

namespace stmqtt::wire {

/// One User Property.
struct UserProperty {
  Bytes name;
  Bytes value;
};

struct Properties {
  /// Bit N is set if property identifier N stands in the packet. Values without it are garbage.
  std::uint64_t present = 0;
  /// The properties as they came, validated, without their length. Holds the User Properties and
  /// repeated Subscription Identifiers; encode does not read it.
  Bytes raw;
  /// After a decode that did not succeed: why, in English. Static text.
  const char* fault = nullptr;

  /// Nothing is present any more. Cheap: values stay where they are.
  void reset() noexcept {
    present = 0;
    raw = {};
  }
  [[nodiscard]] constexpr bool has(PropertyId id) const noexcept {
    return (present >> static_cast<unsigned>(id) & 1) != 0;
  }
  [[nodiscard]] bool empty() const noexcept { return present == 0; }

  /// Value of a present property of type byte, u16, u32 or varint. Of several Subscription
  /// Identifiers this is the first.
  [[nodiscard]] std::uint32_t number(PropertyId id) const noexcept {
    return numbers_[property_row(id).slot];
  }
  [[nodiscard]] std::uint32_t number_or(PropertyId id, std::uint32_t fallback) const noexcept {
    return has(id) ? number(id) : fallback;
  }
  /// Value of a text or binary property; empty if it is not present.
  [[nodiscard]] Bytes view(PropertyId id) const noexcept {
    return has(id) ? views_[property_row(id).slot] : Bytes{};
  }

  /// For encode: makes the property present. The caller keeps viewed bytes alive, at most 65,535.
  void set_number(PropertyId id, std::uint32_t value) noexcept {
    numbers_[property_row(id).slot] = value;
    present |= std::uint64_t{1} << static_cast<unsigned>(id);
  }
  void set_view(PropertyId id, Bytes value) noexcept {
    views_[property_row(id).slot] = value;
    present |= std::uint64_t{1} << static_cast<unsigned>(id);
  }
  void remove(PropertyId id) noexcept {
    present &= ~(std::uint64_t{1} << static_cast<unsigned>(id));
  }

 private:
  std::uint32_t numbers_[kNumberSlots];
  Bytes views_[kViewSlots];
};

/// Decodes the properties of a packet, without their length. success, malformed_packet (not
/// parseable, unknown, or not in its place [2.2.2.2]) or the code of the rule that was broken.
[[nodiscard]] ReasonCode decode_properties(Bytes bytes, PacketType type, Properties& out) noexcept;
/// The same for the Will Properties in CONNECT's payload (MQTT 5.0, 3.1.3.2).
[[nodiscard]] ReasonCode decode_will_properties(Bytes bytes, Properties& out) noexcept;

/// Bytes of the properties without their length: those present and the User Properties.
[[nodiscard]] std::size_t size_properties(const Properties& properties,
                                          std::span<const UserProperty> user) noexcept;
/// Writes what size_properties counts, without the length; returns the position behind it.
std::uint8_t* encode_properties(const Properties& properties, std::span<const UserProperty> user,
                                std::uint8_t* out) noexcept;

/// Bytes of the property at `at`, identifier included. Only for validated properties.
[[nodiscard]] inline std::size_t property_bytes(const std::uint8_t* at) noexcept {
  switch (property_row(static_cast<PropertyId>(*at)).type) {
    case PropertyType::byte: return 2;
    case PropertyType::u16: return 3;
    case PropertyType::u32: return 5;
    case PropertyType::varint: return 1 + load_varint(at + 1, at + 5).bytes;
    case PropertyType::text:
    case PropertyType::binary: return std::size_t{3} + load_u16(at + 1);
    case PropertyType::text_pair: {
      const std::size_t name = std::size_t{3} + load_u16(at + 1);
      return name + 2 + load_u16(at + name);
    }
  }
  return 1;  // not reached: the switch names every type
}

/// Calls fn(UserProperty) for each User Property in order. `raw`: validated properties.
template <typename Fn>
void for_each_user_property(Bytes raw, Fn&& fn) {
  const std::uint8_t* at = raw.data();
  const std::uint8_t* const end = at + raw.size();
  while (at != end) {
    const std::size_t bytes = property_bytes(at);
    if (*at == static_cast<std::uint8_t>(PropertyId::user_property)) {
      const std::size_t name = load_u16(at + 1);
      fn(UserProperty{{at + 3, name}, {at + 5 + name, load_u16(at + 3 + name)}});
    }
    at += bytes;
  }
}

/// Calls fn(std::uint32_t) for each Subscription Identifier in order. `raw`: validated properties.
template <typename Fn>
void for_each_subscription_identifier(Bytes raw, Fn&& fn) {
  const std::uint8_t* at = raw.data();
  const std::uint8_t* const end = at + raw.size();
  while (at != end) {
    const std::size_t bytes = property_bytes(at);
    if (*at == static_cast<std::uint8_t>(PropertyId::subscription_identifier)) {
      fn(load_varint(at + 1, end).value);
    }
    at += bytes;
  }
}

/// Must a server hand this property on with the Application Message (MQTT 5.0, 3.3.2.3)? Not:
/// Message Expiry (counts down), Topic Alias, Subscription Identifier (of one hop), Will Delay.
[[nodiscard]] constexpr bool is_forwarded(std::uint8_t id) noexcept {
  return id == static_cast<std::uint8_t>(PropertyId::payload_format_indicator) ||
         id == static_cast<std::uint8_t>(PropertyId::content_type) ||
         id == static_cast<std::uint8_t>(PropertyId::response_topic) ||
         id == static_cast<std::uint8_t>(PropertyId::correlation_data) ||
         id == static_cast<std::uint8_t>(PropertyId::user_property);
}

/// The forwarded ones among validated properties, in order.
struct ForwardProperties {
  Bytes view;          ///< all of them, if they stand side by side
  bool split = false;  ///< they do not: use copy_forward_properties
};
[[nodiscard]] ForwardProperties forward_properties(Bytes raw) noexcept;
/// Copies them to `out`, which has room for raw.size() bytes; returns how many bytes they are.
[[nodiscard]] std::size_t copy_forward_properties(Bytes raw, std::uint8_t* out) noexcept;

}  // namespace stmqtt::wire
