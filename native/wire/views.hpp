// What decode makes of Control Packets: values and views, all borrowed from the packet's bytes.
// `fault` is set only by a decode that did not succeed: why, in English, static text for the log.
// Thread: any (plain data).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "wire/properties.hpp"
#include "wire/reason_code.hpp"
#include "wire/topic.hpp"
#include "wire/types.hpp"

namespace stmqtt::wire {

struct ConnectView {
  /// Version of the client; when decode does not succeed, the version of the CONNACK to answer with.
  Version version = Version::v311;
  /// Protocol Name and Level were read, so that the peer understands a CONNACK of `version`. If
  /// false, close without an answer.
  bool answerable = false;
  std::uint8_t protocol_level = 0;  ///< as it came, bridge bit included
  bool bridge = false;              ///< bit 0x80 of the level, by which a bridge of 3.x shows itself
  bool clean_start = false;         ///< Clean Session in 3.x
  bool has_username = false;
  bool has_password = false;
  bool has_will = false;
  bool will_retain = false;
  std::uint8_t will_qos = 0;
  std::uint16_t keep_alive_s = 0;
  Bytes client_id;  ///< may be empty
  Bytes username;
  Bytes password;
  Bytes will_topic;  ///< a valid Topic Name
  Bytes will_payload;
  Properties properties;       ///< empty in 3.x
  Properties will_properties;  ///< empty without a Will
  const char* fault = nullptr;
};

struct ConnackView {
  bool session_present = false;
  ReasonCode reason = ReasonCode::success;  ///< of 3.x by reason_from_connack_v3()
  std::uint8_t return_code = 0;             ///< as it came
  Properties properties;
  const char* fault = nullptr;
};

struct PublishView {
  Bytes topic;    ///< a valid Topic Name; empty only with a topic_alias
  Bytes payload;
  Bytes properties;          ///< as they came, validated, without their length; empty in 3.x
  Bytes forward_properties;  ///< those a server hands on unaltered, unless forward_split
  std::uint32_t message_expiry_s = 0;  ///< if has_message_expiry
  std::uint16_t packet_id = 0;         ///< 0 with QoS 0
  std::uint16_t topic_alias = 0;       ///< 0 = none
  std::uint8_t qos = 0;
  bool retain = false;
  bool dup = false;
  bool has_message_expiry = false;
  /// The forwarded properties do not stand side by side: use
  /// copy_forward_properties(properties, out) and not forward_properties.
  bool forward_split = false;
  const char* fault = nullptr;
};

/// PUBACK, PUBREC, PUBREL, PUBCOMP.
struct AckView {
  std::uint16_t packet_id = 0;
  ReasonCode reason = ReasonCode::success;
  Bytes reason_string;
  Bytes properties;  ///< validated, without their length; for_each_user_property() reads it
  const char* fault = nullptr;
};

struct SubscribeView {
  std::uint16_t packet_id = 0;
  std::uint32_t subscription_identifier = 0;  ///< 0 = none
  std::uint32_t filter_count = 0;             ///< at least 1
  Bytes properties;                           ///< validated, without their length
  Bytes filters;  ///< validated; SubscriptionCursor reads it
  const char* fault = nullptr;
};

/// One filter of a SUBSCRIBE with its Subscription Options.
struct SubscriptionView {
  Bytes topic_filter;  ///< as it came, with $share/…
  FilterView filter;
  std::uint8_t qos = 0;  ///< the largest that the client wants
  std::uint8_t retain_handling = 0;  ///< 0 send, 1 send if new, 2 do not; 0 in 3.x
  bool no_local = false;             ///< false in 3.x
  bool retain_as_published = false;  ///< false in 3.x
};

/// Reads the filters of a SubscribeView:
/// `for (SubscriptionCursor at(view); at.next(subscription);)`.
class SubscriptionCursor {
 public:
  explicit SubscriptionCursor(const SubscribeView& view) noexcept : rest_(view.filters) {}
  /// False behind the last one.
  [[nodiscard]] bool next(SubscriptionView& out) noexcept;

 private:
  Bytes rest_;
};

struct UnsubscribeView {
  std::uint16_t packet_id = 0;
  std::uint32_t filter_count = 0;  ///< at least 1
  Bytes properties;
  Bytes filters;  ///< validated; UnsubscribeCursor reads it
  const char* fault = nullptr;
};

/// Reads the filters of an UnsubscribeView.
class UnsubscribeCursor {
 public:
  explicit UnsubscribeCursor(const UnsubscribeView& view) noexcept : rest_(view.filters) {}
  /// False behind the last one. `topic_filter` is as it came, `filter` is taken apart.
  [[nodiscard]] bool next(Bytes& topic_filter, FilterView& filter) noexcept;

 private:
  Bytes rest_;
};

/// SUBACK and UNSUBACK.
struct SubackView {
  std::uint16_t packet_id = 0;
  Bytes reasons;  ///< one Reason Code a filter; 3.x: 0, 1, 2 or 0x80. Empty in an UNSUBACK of 3.x
  Bytes reason_string;
  Bytes properties;
  const char* fault = nullptr;
};

struct DisconnectView {
  ReasonCode reason = ReasonCode::normal_disconnection;
  Properties properties;
  const char* fault = nullptr;
};

struct AuthView {
  ReasonCode reason = ReasonCode::success;
  Properties properties;
  const char* fault = nullptr;
};

}  // namespace stmqtt::wire
