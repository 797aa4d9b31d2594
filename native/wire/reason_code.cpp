// Implements wire/reason_code.hpp: the table of MQTT 5.0, 2.4 (table 2-6) and 3.14.2.1 (who may
// send what in DISCONNECT). Thread: any (pure).
#include "wire/reason_code.hpp"

#include <array>

namespace stmqtt::wire {

namespace {

using enum PacketType;
using enum ReasonCode;

/// Bit N: may stand in Control Packet type N.
constexpr std::uint16_t in(auto... types) noexcept {
  return static_cast<std::uint16_t>(((1u << static_cast<unsigned>(types)) | ...));
}

/// Who may send it in a DISCONNECT or an AUTH; in other packets the type decides.
enum class Sender : std::uint8_t { either, client, server };

struct Row {
  ReasonCode code;
  Sender sender;
  std::uint16_t packets;
  const char* name;
  const char* text;
};

constexpr std::uint16_t kPublishAcks = in(puback, pubrec);
constexpr std::uint16_t kFailures = kPublishAcks | in(connack, suback, unsuback, disconnect);

// clang-format off
constexpr std::array kRows{
  // AUTH with Success comes from the server (3.15.2.1); DISCONNECT with it from either: the standard
  // names the client, but a server that sends it bare means just that.
  Row{success, Sender::either, in(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth), "success", "Success"},
  Row{granted_qos_1, Sender::either, in(suback), "granted_qos_1", "Granted QoS 1"},
  Row{granted_qos_2, Sender::either, in(suback), "granted_qos_2", "Granted QoS 2"},
  Row{disconnect_with_will_message, Sender::client, in(disconnect), "disconnect_with_will_message", "Disconnect with Will Message"},
  Row{no_matching_subscribers, Sender::either, kPublishAcks, "no_matching_subscribers", "No matching subscribers"},
  Row{no_subscription_existed, Sender::either, in(unsuback), "no_subscription_existed", "No subscription existed"},
  Row{continue_authentication, Sender::either, in(auth), "continue_authentication", "Continue authentication"},
  Row{re_authenticate, Sender::client, in(auth), "re_authenticate", "Re-authenticate"},
  Row{unspecified_error, Sender::either, kFailures, "unspecified_error", "Unspecified error"},
  Row{malformed_packet, Sender::either, in(connack, disconnect), "malformed_packet", "Malformed Packet: it cannot be parsed"},
  Row{ReasonCode::protocol_error, Sender::either, in(connack, disconnect), "protocol_error", "Protocol Error: the packet is not allowed here, or something in it is not"},
  Row{implementation_specific_error, Sender::either, kFailures, "implementation_specific_error", "Implementation specific error"},
  Row{unsupported_protocol_version, Sender::either, in(connack), "unsupported_protocol_version", "This listener does not speak that version of MQTT"},
  Row{client_identifier_not_valid, Sender::either, in(connack), "client_identifier_not_valid", "The Client Identifier is not allowed"},
  Row{bad_user_name_or_password, Sender::either, in(connack), "bad_user_name_or_password", "Bad user name or password"},
  Row{not_authorized, Sender::server, kFailures, "not_authorized", "Not authorized"},
  Row{server_unavailable, Sender::either, in(connack), "server_unavailable", "The server is not available"},
  Row{server_busy, Sender::server, in(connack, disconnect), "server_busy", "The server is busy, try again later"},
  Row{banned, Sender::either, in(connack), "banned", "Banned by an administrator"},
  Row{server_shutting_down, Sender::server, in(disconnect), "server_shutting_down", "The server is shutting down"},
  Row{bad_authentication_method, Sender::server, in(connack, disconnect), "bad_authentication_method", "The Authentication Method is not supported or not the current one"},
  Row{keep_alive_timeout, Sender::server, in(disconnect), "keep_alive_timeout", "Nothing was received within one and a half times the Keep Alive"},
  Row{session_taken_over, Sender::server, in(disconnect), "session_taken_over", "Another connection took this Client Identifier over"},
  Row{topic_filter_invalid, Sender::server, in(suback, unsuback, disconnect), "topic_filter_invalid", "The Topic Filter is not valid or not allowed"},
  Row{topic_name_invalid, Sender::either, kPublishAcks | in(connack, disconnect), "topic_name_invalid", "The Topic Name is not valid or not allowed"},
  Row{packet_identifier_in_use, Sender::either, kPublishAcks | in(suback, unsuback), "packet_identifier_in_use", "The Packet Identifier is in use"},
  Row{packet_identifier_not_found, Sender::either, in(pubrel, pubcomp), "packet_identifier_not_found", "The Packet Identifier is not known"},
  Row{receive_maximum_exceeded, Sender::either, in(disconnect), "receive_maximum_exceeded", "More unacknowledged publications than Receive Maximum allows"},
  Row{topic_alias_invalid, Sender::either, in(disconnect), "topic_alias_invalid", "The Topic Alias is 0, unknown, or above Topic Alias Maximum"},
  Row{packet_too_large, Sender::either, in(connack, disconnect), "packet_too_large", "The packet is larger than Maximum Packet Size"},
  Row{message_rate_too_high, Sender::either, in(disconnect), "message_rate_too_high", "The message rate is too high"},
  Row{quota_exceeded, Sender::either, kPublishAcks | in(connack, suback, disconnect), "quota_exceeded", "A limit set by an administrator was reached"},
  Row{administrative_action, Sender::either, in(disconnect), "administrative_action", "Disconnected by an administrator"},
  Row{payload_format_invalid, Sender::either, kPublishAcks | in(connack, disconnect), "payload_format_invalid", "The payload is not what the Payload Format Indicator says"},
  Row{retain_not_supported, Sender::server, in(connack, disconnect), "retain_not_supported", "Retained messages are not supported"},
  Row{qos_not_supported, Sender::server, in(connack, disconnect), "qos_not_supported", "The QoS is above Maximum QoS"},
  Row{use_another_server, Sender::server, in(connack, disconnect), "use_another_server", "Use another server for now"},
  Row{server_moved, Sender::server, in(connack, disconnect), "server_moved", "Use another server from now on"},
  Row{shared_subscriptions_not_supported, Sender::server, in(suback, disconnect), "shared_subscriptions_not_supported", "Shared Subscriptions are not supported"},
  Row{connection_rate_exceeded, Sender::server, in(connack, disconnect), "connection_rate_exceeded", "Too many connections in too short a time"},
  Row{maximum_connect_time, Sender::server, in(disconnect), "maximum_connect_time", "The longest time allowed for a connection is over"},
  Row{subscription_identifiers_not_supported, Sender::server, in(suback, disconnect), "subscription_identifiers_not_supported", "Subscription Identifiers are not supported"},
  Row{wildcard_subscriptions_not_supported, Sender::server, in(suback, disconnect), "wildcard_subscriptions_not_supported", "Wildcard Subscriptions are not supported"},
};
// clang-format on

/// Row by code; 0xFF = no such code.
constexpr std::array<std::uint8_t, 256> kIndex = [] {
  std::array<std::uint8_t, 256> index{};
  index.fill(0xFF);
  for (std::size_t row = 0; row < kRows.size(); ++row) {
    index[static_cast<std::size_t>(kRows[row].code)] = static_cast<std::uint8_t>(row);
  }
  return index;
}();

const Row* find(ReasonCode code) noexcept {
  const std::uint8_t row = kIndex[static_cast<std::size_t>(code)];
  return row == 0xFF ? nullptr : &kRows[row];
}

}  // namespace

const char* reason_name(ReasonCode code) noexcept {
  const Row* const row = find(code);
  return row == nullptr ? "unknown" : row->name;
}

const char* reason_text(ReasonCode code) noexcept {
  const Row* const row = find(code);
  return row == nullptr ? "Unknown Reason Code" : row->text;
}

bool reason_allowed(ReasonCode code, PacketType type) noexcept {
  const Row* const row = find(code);
  return row != nullptr && (row->packets >> static_cast<unsigned>(type) & 1) != 0;
}

bool reason_allowed(ReasonCode code, PacketType type, Direction direction) noexcept {
  if (!reason_allowed(code, type)) return false;
  if (type == auth && code == success) return direction == Direction::from_server;
  if (type != auth && type != disconnect) return true;
  switch (find(code)->sender) {
    case Sender::either: return true;
    case Sender::client: return direction == Direction::from_client;
    case Sender::server: return direction == Direction::from_server;
  }
  return false;  // not reached: the switch names every sender
}

std::uint8_t connack_v3(ReasonCode code) noexcept {
  // 3.1.1, table 3.1: 1 protocol level, 2 identifier, 3 server unavailable, 4 user name or password
  // malformed, 5 not authorized. What is none of these is closest to "unavailable", if it may pass,
  // or to "not authorized".
  if (code == success) return 0;
  if (code == unsupported_protocol_version) return 1;
  if (code == client_identifier_not_valid) return 2;
  if (code == bad_user_name_or_password) return 4;
  if (code == not_authorized || code == banned || code == bad_authentication_method ||
      code == topic_name_invalid || code == qos_not_supported || code == retain_not_supported) {
    return 5;
  }
  return 3;
}

ReasonCode reason_from_connack_v3(std::uint8_t return_code) noexcept {
  switch (return_code) {
    case 0: return success;
    case 1: return unsupported_protocol_version;
    case 2: return client_identifier_not_valid;
    case 3: return server_unavailable;
    case 4: return bad_user_name_or_password;
    case 5: return not_authorized;
    default: return unspecified_error;
  }
}

const char* packet_name(PacketType type) noexcept {
  static constexpr std::array<const char*, 16> kNames{
      "reserved", "CONNECT",   "CONNACK", "PUBLISH",     "PUBACK",   "PUBREC",  "PUBREL",   "PUBCOMP",
      "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};
  return kNames[static_cast<std::size_t>(type) & 0x0F];
}

}  // namespace stmqtt::wire
