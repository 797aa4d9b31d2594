// Control Packets to bytes, all types and both directions. size_X says how many bytes encode_X
// writes (0 = more than MQTT can say: do not encode); the caller gives that much room. Strings are at
// most 65,535 bytes. What 3.x has not is left out for it. Thread: any (pure).
#pragma once

#include <span>

#include "wire/encode_publish.hpp"
#include "wire/properties.hpp"
#include "wire/reason_code.hpp"

namespace stmqtt::wire {

/// PUBACK, PUBREC, PUBREL or PUBCOMP without properties takes at most this many bytes.
inline constexpr std::size_t kMaxPlainAckBytes = 5;

/// The plain form: 4 bytes for success and for 3.x, else 5 (Property Length left out, 3.4.2.2.1).
inline std::uint8_t* encode_ack(PacketType type, Version version, std::uint16_t packet_id,
                                ReasonCode reason, std::uint8_t* out) noexcept {
  const bool with_reason = version == Version::v5 && reason != ReasonCode::success;
  // PUBREL's reserved flags are 0010 [MQTT-3.6.1-1].
  out[0] = static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 |
                                     (type == PacketType::pubrel ? 2 : 0));
  out[1] = with_reason ? 3 : 2;
  store_u16(out + 2, packet_id);
  if (!with_reason) return out + 4;
  out[4] = static_cast<std::uint8_t>(reason);
  return out + 5;
}
[[nodiscard]] constexpr std::size_t size_ack(Version version, ReasonCode reason) noexcept {
  return version == Version::v5 && reason != ReasonCode::success ? 5 : 4;
}

/// The full form of PUBACK, PUBREC, PUBREL and PUBCOMP.
struct AckOut {
  PacketType type = PacketType::puback;
  Version version = Version::v5;
  std::uint16_t packet_id = 0;
  ReasonCode reason = ReasonCode::success;
  Bytes reason_string;  ///< empty = none
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_ack(const AckOut& ack) noexcept;
std::uint8_t* encode_ack(const AckOut& ack, std::uint8_t* out) noexcept;

/// A Will Message in CONNECT.
struct WillOut {
  Bytes topic;
  Bytes payload;
  std::uint8_t qos = 0;
  bool retain = false;
  const Properties* properties = nullptr;  ///< null = none
  std::span<const UserProperty> user_properties;
};

struct ConnectOut {
  Version version = Version::v5;
  bool bridge = false;  ///< sets bit 0x80 of the level; 3.x only
  bool clean_start = true;
  bool has_username = false;
  bool has_password = false;  ///< 3.x: only with a username [MQTT-3.1.2-22 of 3.1.1]
  std::uint16_t keep_alive_s = 0;
  Bytes client_id;
  Bytes username;
  Bytes password;
  const WillOut* will = nullptr;  ///< null = none
  const Properties* properties = nullptr;
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_connect(const ConnectOut& connect) noexcept;
std::uint8_t* encode_connect(const ConnectOut& connect, std::uint8_t* out) noexcept;

struct ConnackOut {
  Version version = Version::v5;
  bool session_present = false;  ///< must be false with a reason other than 0 [MQTT-3.2.2-6]
  ReasonCode reason = ReasonCode::success;  ///< 3.x: mapped by connack_v3()
  const Properties* properties = nullptr;   ///< null = none
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_connack(const ConnackOut& connack) noexcept;
std::uint8_t* encode_connack(const ConnackOut& connack, std::uint8_t* out) noexcept;

/// One filter of an outward SUBSCRIBE.
struct SubscriptionOut {
  Bytes topic_filter;
  std::uint8_t qos = 0;
  std::uint8_t retain_handling = 0;
  bool no_local = false;
  bool retain_as_published = false;
};
struct SubscribeOut {
  Version version = Version::v5;
  std::uint16_t packet_id = 0;
  std::uint32_t subscription_identifier = 0;  ///< 0 = none
  std::span<const SubscriptionOut> filters;   ///< at least one [MQTT-3.8.3-2]
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_subscribe(const SubscribeOut& subscribe) noexcept;
std::uint8_t* encode_subscribe(const SubscribeOut& subscribe, std::uint8_t* out) noexcept;

struct UnsubscribeOut {
  Version version = Version::v5;
  std::uint16_t packet_id = 0;
  std::span<const Bytes> filters;  ///< at least one [MQTT-3.10.3-2]
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_unsubscribe(const UnsubscribeOut& unsubscribe) noexcept;
std::uint8_t* encode_unsubscribe(const UnsubscribeOut& unsubscribe, std::uint8_t* out) noexcept;

/// SUBACK or UNSUBACK, as `type` says.
struct SubackOut {
  PacketType type = PacketType::suback;
  Version version = Version::v5;
  std::uint16_t packet_id = 0;
  /// One a filter, in order [MQTT-3.9.3-1] [MQTT-3.11.3-1]. 3.1.1: errors become 0x80; 3.1, which
  /// knows no failure, gets it too (as from mosquitto). Not sent in an UNSUBACK of 3.x.
  std::span<const ReasonCode> reasons;
  Bytes reason_string;  ///< empty = none
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_suback(const SubackOut& suback) noexcept;
std::uint8_t* encode_suback(const SubackOut& suback, std::uint8_t* out) noexcept;

/// PINGREQ, PINGRESP: 2 bytes.
inline constexpr std::size_t kPingBytes = 2;
inline std::uint8_t* encode_pingreq(std::uint8_t* out) noexcept {
  out[0] = 0xC0;
  out[1] = 0;
  return out + 2;
}
inline std::uint8_t* encode_pingresp(std::uint8_t* out) noexcept {
  out[0] = 0xD0;
  out[1] = 0;
  return out + 2;
}

/// In 3.x a client sends it bare and a server never does: encode it for v5 only, then.
struct DisconnectOut {
  Version version = Version::v5;
  ReasonCode reason = ReasonCode::normal_disconnection;
  const Properties* properties = nullptr;  ///< null = none
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_disconnect(const DisconnectOut& disconnect) noexcept;
std::uint8_t* encode_disconnect(const DisconnectOut& disconnect, std::uint8_t* out) noexcept;

/// MQTT 5.0 only.
struct AuthOut {
  ReasonCode reason = ReasonCode::continue_authentication;
  const Properties* properties = nullptr;  ///< holds the Authentication Method
  std::span<const UserProperty> user_properties;
};
[[nodiscard]] std::size_t size_auth(const AuthOut& auth) noexcept;
std::uint8_t* encode_auth(const AuthOut& auth, std::uint8_t* out) noexcept;

}  // namespace stmqtt::wire
