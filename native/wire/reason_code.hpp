// Reason Codes of MQTT 5.0, 2.4: one table row each with name, text and the packets in which the
// code may stand. They are both what goes on the wire and what decode says of a bad packet.
// Thread: any (pure).
#pragma once

#include <cstdint>

#include "wire/types.hpp"

namespace stmqtt::wire {

enum class ReasonCode : std::uint8_t {
  success = 0x00,  ///< also Normal disconnection and Granted QoS 0
  normal_disconnection = 0x00,
  granted_qos_0 = 0x00,
  granted_qos_1 = 0x01,
  granted_qos_2 = 0x02,
  disconnect_with_will_message = 0x04,
  no_matching_subscribers = 0x10,
  no_subscription_existed = 0x11,
  continue_authentication = 0x18,
  re_authenticate = 0x19,
  unspecified_error = 0x80,
  malformed_packet = 0x81,
  protocol_error = 0x82,
  implementation_specific_error = 0x83,
  unsupported_protocol_version = 0x84,
  client_identifier_not_valid = 0x85,
  bad_user_name_or_password = 0x86,
  not_authorized = 0x87,
  server_unavailable = 0x88,
  server_busy = 0x89,
  banned = 0x8A,
  server_shutting_down = 0x8B,
  bad_authentication_method = 0x8C,
  keep_alive_timeout = 0x8D,
  session_taken_over = 0x8E,
  topic_filter_invalid = 0x8F,
  topic_name_invalid = 0x90,
  packet_identifier_in_use = 0x91,
  packet_identifier_not_found = 0x92,
  receive_maximum_exceeded = 0x93,
  topic_alias_invalid = 0x94,
  packet_too_large = 0x95,
  message_rate_too_high = 0x96,
  quota_exceeded = 0x97,
  administrative_action = 0x98,
  payload_format_invalid = 0x99,
  retain_not_supported = 0x9A,
  qos_not_supported = 0x9B,
  use_another_server = 0x9C,
  server_moved = 0x9D,
  shared_subscriptions_not_supported = 0x9E,
  connection_rate_exceeded = 0x9F,
  maximum_connect_time = 0xA0,
  subscription_identifiers_not_supported = 0xA1,
  wildcard_subscriptions_not_supported = 0xA2,
};

/// 0x80 and above say that what was asked did not happen (MQTT 5.0, 2.4).
[[nodiscard]] constexpr bool is_error(ReasonCode code) noexcept {
  return static_cast<std::uint8_t>(code) >= 0x80;
}

/// "malformed_packet"; "unknown" for a number that is no Reason Code.
[[nodiscard]] const char* reason_name(ReasonCode code) noexcept;
/// An English sentence without a full stop, fit for a Reason String or a log line.
[[nodiscard]] const char* reason_text(ReasonCode code) noexcept;
/// May the code stand in a packet of this type, whoever sends it (MQTT 5.0, table 2-6)?
[[nodiscard]] bool reason_allowed(ReasonCode code, PacketType type) noexcept;
/// The same for one sender: DISCONNECT and AUTH codes belong to one side or both
/// [MQTT-3.14.2-1] [MQTT-3.15.2-1].
[[nodiscard]] bool reason_allowed(ReasonCode code, PacketType type, Direction direction) noexcept;

/// The CONNACK Return Code of MQTT 3.1 and 3.1.1, 0 to 5, that says the most of this code.
[[nodiscard]] std::uint8_t connack_v3(ReasonCode code) noexcept;
/// The inverse, for a client; a number above 5 gives unspecified_error.
[[nodiscard]] ReasonCode reason_from_connack_v3(std::uint8_t return_code) noexcept;

}  // namespace stmqtt::wire
