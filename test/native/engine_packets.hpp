// A client's Control Packets for the engine's tests, as text, by our own wire/.
// Thread: any (pure).
#pragma once

#include <string>
#include <vector>

#include "wire/encode.hpp"

namespace stmqtt::test {

using wire::PacketType;
using wire::PropertyId;
using wire::ReasonCode;
using wire::Version;

struct ConnectSpec {
  std::string id = {};
  Version version = Version::v5;
  bool clean = true;
  std::uint32_t expiry_s = 0;  ///< v5; 3.x keeps a session where `clean` is false
  std::uint16_t keep_alive_s = 0;
  std::uint16_t receive_maximum = 0;  ///< 0 = none told
  std::uint16_t aliases = 0;
  std::string will_topic = {};  ///< empty = no Will
  std::uint32_t will_delay_s = 0;
};

template <class Out>
std::string encoded(std::size_t bytes, const Out& encode) {
  std::string packet(bytes, '\0');
  encode(reinterpret_cast<std::uint8_t*>(packet.data()));
  return packet;
}

inline std::string connect_of(const ConnectSpec& spec) {
  wire::ConnectOut out;
  out.version = spec.version;
  out.clean_start = spec.clean;
  out.keep_alive_s = spec.keep_alive_s;
  out.client_id = as_bytes(spec.id);
  wire::Properties properties;
  if (spec.expiry_s > 0) {
    properties.set_number(PropertyId::session_expiry_interval, spec.expiry_s);
  }
  if (spec.receive_maximum > 0) {
    properties.set_number(PropertyId::receive_maximum, spec.receive_maximum);
  }
  if (spec.aliases > 0) properties.set_number(PropertyId::topic_alias_maximum, spec.aliases);
  out.properties = &properties;
  wire::WillOut will;
  const std::string will_payload = "will of " + spec.id;
  wire::Properties will_properties;
  if (!spec.will_topic.empty()) {
    will.topic = as_bytes(spec.will_topic);
    will.payload = as_bytes(will_payload);
    if (spec.will_delay_s > 0) {
      will_properties.set_number(PropertyId::will_delay_interval, spec.will_delay_s);
    }
    will.properties = &will_properties;
    out.will = &will;
  }
  return encoded(wire::size_connect(out), [&](std::uint8_t* at) { wire::encode_connect(out, at); });
}

inline std::string subscribe_of(Version version, std::uint16_t packet_id,
                                const std::vector<std::string>& filters, std::uint8_t qos) {
  std::vector<wire::SubscriptionOut> subscriptions;
  for (const std::string& filter : filters) {
    wire::SubscriptionOut subscription;
    subscription.topic_filter = as_bytes(filter);
    subscription.qos = qos;
    subscriptions.push_back(subscription);
  }
  wire::SubscribeOut out;
  out.version = version;
  out.packet_id = packet_id;
  out.filters = subscriptions;
  return encoded(wire::size_subscribe(out),
                 [&](std::uint8_t* at) { wire::encode_subscribe(out, at); });
}

inline std::string unsubscribe_of(Version version, std::uint16_t packet_id,
                                  const std::string& filter) {
  const Bytes filters[] = {as_bytes(filter)};
  wire::UnsubscribeOut out;
  out.version = version;
  out.packet_id = packet_id;
  out.filters = filters;
  return encoded(wire::size_unsubscribe(out),
                 [&](std::uint8_t* at) { wire::encode_unsubscribe(out, at); });
}

struct PublishSpec {
  std::string topic = {};
  std::string payload = {};
  std::uint8_t qos = 0;
  std::uint16_t packet_id = 0;
  bool retain = false;
};

inline std::string publish_of(Version version, const PublishSpec& spec) {
  wire::PublishOut out;
  out.version = version;
  out.qos = spec.qos;
  out.packet_id = spec.packet_id;
  out.retain = spec.retain;
  out.topic = as_bytes(spec.topic);
  out.payload = as_bytes(spec.payload);
  return encoded(wire::size_publish(out), [&](std::uint8_t* at) { wire::encode_publish(out, at); });
}

inline std::string ack_of(PacketType type, std::uint16_t packet_id) {
  std::string packet(wire::kMaxPlainAckBytes, '\0');
  auto* at = reinterpret_cast<std::uint8_t*>(packet.data());
  packet.resize(static_cast<std::size_t>(
      wire::encode_ack(type, Version::v5, packet_id, ReasonCode::success, at) - at));
  return packet;
}

inline std::string disconnect_of(Version version) {
  wire::DisconnectOut out;
  out.version = version;
  return encoded(wire::size_disconnect(out),
                 [&](std::uint8_t* at) { wire::encode_disconnect(out, at); });
}

}  // namespace stmqtt::test
