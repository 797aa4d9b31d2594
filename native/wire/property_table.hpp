// The properties of MQTT 5.0, 2.2.2.2: one row each with identifier, name, type, the packets in
// which it may stand and its rules. Decode and encode both read this table. Thread: any (data).
#pragma once

#include <array>
#include <cstdint>

#include "wire/types.hpp"

namespace stmqtt::wire {

enum class PropertyId : std::uint8_t {
  payload_format_indicator = 0x01,
  message_expiry_interval = 0x02,  ///< seconds
  content_type = 0x03,
  response_topic = 0x08,
  correlation_data = 0x09,
  subscription_identifier = 0x0B,
  session_expiry_interval = 0x11,  ///< seconds; 0xFFFFFFFF = never
  assigned_client_identifier = 0x12,
  server_keep_alive = 0x13,  ///< seconds
  authentication_method = 0x15,
  authentication_data = 0x16,
  request_problem_information = 0x17,
  will_delay_interval = 0x18,  ///< seconds
  request_response_information = 0x19,
  response_information = 0x1A,
  server_reference = 0x1C,
  reason_string = 0x1F,
  receive_maximum = 0x21,
  topic_alias_maximum = 0x22,
  topic_alias = 0x23,
  maximum_qos = 0x24,
  retain_available = 0x25,
  user_property = 0x26,
  maximum_packet_size = 0x27,  ///< bytes
  wildcard_subscription_available = 0x28,
  subscription_identifier_available = 0x29,
  shared_subscription_available = 0x2A,
};

enum class PropertyType : std::uint8_t { byte, u16, u32, varint, text, binary, text_pair };

/// What a value must be beyond its type; a breach is a Protocol Error if not said otherwise.
enum class PropertyRule : std::uint8_t { any, zero_or_one, not_zero, not_zero_alias, topic_name };

/// Where a property may stand, as a bit set: bit N is Control Packet type N, bit 0 the Will
/// Properties in CONNECT's payload.
using PropertyPlaces = std::uint16_t;
inline constexpr PropertyPlaces kWillPlace = 1;
[[nodiscard]] constexpr PropertyPlaces property_place(PacketType type) noexcept {
  return static_cast<PropertyPlaces>(1u << static_cast<unsigned>(type));
}

struct PropertyRow {
  PropertyId id;
  PropertyType type;
  PropertyRule rule;
  std::uint8_t slot;  ///< index among the numbers or among the views of Properties
  PropertyPlaces places;
  PropertyPlaces repeats;  ///< places where it may stand more than once
  const char* name;
};

/// Identifiers are below this; the table is looked up by identifier.
inline constexpr std::size_t kPropertyIdEnd = 0x2B;
inline constexpr std::size_t kPropertyCount = 27;
inline constexpr std::size_t kNumberSlots = 17;
inline constexpr std::size_t kViewSlots = 9;

namespace property_rows {

constexpr PropertyPlaces places(auto... types) noexcept {
  return static_cast<PropertyPlaces>((property_place(types) | ...));
}
using enum PacketType;
inline constexpr PropertyPlaces kPublishWill = places(publish) | kWillPlace;
inline constexpr PropertyPlaces kConnects = places(connect, connack);
inline constexpr PropertyPlaces kAuths = places(connect, connack, auth);
inline constexpr PropertyPlaces kReasons =
    places(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth);
inline constexpr PropertyPlaces kEverywhere =
    kReasons | places(connect, publish, subscribe, unsubscribe) | kWillPlace;

// clang-format off
inline constexpr std::array<PropertyRow, kPropertyCount> kRows{{
  {PropertyId::payload_format_indicator, PropertyType::byte, PropertyRule::zero_or_one, 0, kPublishWill, 0, "Payload Format Indicator"},
  {PropertyId::message_expiry_interval, PropertyType::u32, PropertyRule::any, 1, kPublishWill, 0, "Message Expiry Interval"},
  {PropertyId::content_type, PropertyType::text, PropertyRule::any, 0, kPublishWill, 0, "Content Type"},
  {PropertyId::response_topic, PropertyType::text, PropertyRule::topic_name, 1, kPublishWill, 0, "Response Topic"},
  {PropertyId::correlation_data, PropertyType::binary, PropertyRule::any, 2, kPublishWill, 0, "Correlation Data"},
  {PropertyId::subscription_identifier, PropertyType::varint, PropertyRule::not_zero, 2, places(publish, subscribe), places(publish), "Subscription Identifier"},
  {PropertyId::session_expiry_interval, PropertyType::u32, PropertyRule::any, 3, places(connect, connack, disconnect), 0, "Session Expiry Interval"},
  {PropertyId::assigned_client_identifier, PropertyType::text, PropertyRule::any, 3, places(connack), 0, "Assigned Client Identifier"},
  {PropertyId::server_keep_alive, PropertyType::u16, PropertyRule::any, 4, places(connack), 0, "Server Keep Alive"},
  {PropertyId::authentication_method, PropertyType::text, PropertyRule::any, 4, kAuths, 0, "Authentication Method"},
  {PropertyId::authentication_data, PropertyType::binary, PropertyRule::any, 5, kAuths, 0, "Authentication Data"},
  {PropertyId::request_problem_information, PropertyType::byte, PropertyRule::zero_or_one, 5, places(connect), 0, "Request Problem Information"},
  {PropertyId::will_delay_interval, PropertyType::u32, PropertyRule::any, 6, kWillPlace, 0, "Will Delay Interval"},
  {PropertyId::request_response_information, PropertyType::byte, PropertyRule::zero_or_one, 7, places(connect), 0, "Request Response Information"},
  {PropertyId::response_information, PropertyType::text, PropertyRule::any, 6, places(connack), 0, "Response Information"},
  {PropertyId::server_reference, PropertyType::text, PropertyRule::any, 7, places(connack, disconnect), 0, "Server Reference"},
  {PropertyId::reason_string, PropertyType::text, PropertyRule::any, 8, kReasons, 0, "Reason String"},
  {PropertyId::receive_maximum, PropertyType::u16, PropertyRule::not_zero, 8, kConnects, 0, "Receive Maximum"},
  {PropertyId::topic_alias_maximum, PropertyType::u16, PropertyRule::any, 9, kConnects, 0, "Topic Alias Maximum"},
  {PropertyId::topic_alias, PropertyType::u16, PropertyRule::not_zero_alias, 10, places(publish), 0, "Topic Alias"},
  {PropertyId::maximum_qos, PropertyType::byte, PropertyRule::zero_or_one, 11, places(connack), 0, "Maximum QoS"},
  {PropertyId::retain_available, PropertyType::byte, PropertyRule::zero_or_one, 12, places(connack), 0, "Retain Available"},
  {PropertyId::user_property, PropertyType::text_pair, PropertyRule::any, 0, kEverywhere, kEverywhere, "User Property"},
  {PropertyId::maximum_packet_size, PropertyType::u32, PropertyRule::not_zero, 13, kConnects, 0, "Maximum Packet Size"},
  {PropertyId::wildcard_subscription_available, PropertyType::byte, PropertyRule::zero_or_one, 14, places(connack), 0, "Wildcard Subscription Available"},
  {PropertyId::subscription_identifier_available, PropertyType::byte, PropertyRule::zero_or_one, 15, places(connack), 0, "Subscription Identifier Available"},
  {PropertyId::shared_subscription_available, PropertyType::byte, PropertyRule::zero_or_one, 16, places(connack), 0, "Shared Subscription Available"},
}};
// clang-format on

/// Row by identifier; 0xFF = no such property.
inline constexpr std::array<std::uint8_t, kPropertyIdEnd> kIndex = [] {
  std::array<std::uint8_t, kPropertyIdEnd> index{};
  index.fill(0xFF);
  for (std::size_t row = 0; row < kRows.size(); ++row) {
    index[static_cast<std::size_t>(kRows[row].id)] = static_cast<std::uint8_t>(row);
  }
  return index;
}();

}  // namespace property_rows

/// All rows, by ascending identifier.
[[nodiscard]] constexpr const std::array<PropertyRow, kPropertyCount>& property_table() noexcept {
  return property_rows::kRows;
}
/// Null for a number that is no property. The identifier is a Variable Byte Integer, but every one
/// that is defined fits into one byte.
[[nodiscard]] constexpr const PropertyRow* property_row(std::uint32_t identifier) noexcept {
  if (identifier >= kPropertyIdEnd || property_rows::kIndex[identifier] == 0xFF) return nullptr;
  return &property_rows::kRows[property_rows::kIndex[identifier]];
}
[[nodiscard]] constexpr const PropertyRow& property_row(PropertyId id) noexcept {
  return property_rows::kRows[property_rows::kIndex[static_cast<std::size_t>(id)]];
}

}  // namespace stmqtt::wire
