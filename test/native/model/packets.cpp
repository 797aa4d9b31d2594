#include "model/packets.hpp"

#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/scan.hpp"

namespace stmqtt::model {
namespace {

using wire::PropertyId;

template <class Out, class Size, class Encode>
std::string encoded(const Out& out, Size size, Encode encode) {
  std::string packet(size(out), '\0');
  encode(out, reinterpret_cast<std::uint8_t*>(packet.data()));
  return packet;
}

std::string text_of(Bytes bytes) { return std::string(as_text(bytes)); }

}  // namespace

std::string connect_packet(const ConnectText& connect) {
  wire::ConnectOut out;
  out.version = connect.version;
  out.clean_start = connect.clean_start;
  out.keep_alive_s = connect.keep_alive_s;
  out.client_id = as_bytes(connect.client_id);
  out.has_username = !connect.username.empty();
  out.username = as_bytes(connect.username);
  wire::Properties properties;
  if (connect.session_expiry_s != 0) {
    properties.set_number(PropertyId::session_expiry_interval, connect.session_expiry_s);
  }
  if (connect.receive_maximum != 0) {
    properties.set_number(PropertyId::receive_maximum, connect.receive_maximum);
  }
  if (connect.maximum_packet != 0) {
    properties.set_number(PropertyId::maximum_packet_size, connect.maximum_packet);
  }
  if (connect.alias_maximum != 0) {
    properties.set_number(PropertyId::topic_alias_maximum, connect.alias_maximum);
  }
  if (connect.version == Version::v5) out.properties = &properties;
  wire::WillOut will;
  wire::Properties will_properties;
  if (connect.has_will) {
    will.topic = as_bytes(connect.will_topic);
    will.payload = as_bytes(connect.will_payload);
    will.qos = connect.will_qos;
    will.retain = connect.will_retain;
    if (connect.will_delay_s != 0) {
      will_properties.set_number(PropertyId::will_delay_interval, connect.will_delay_s);
    }
    if (connect.will_expiry_s != 0) {
      will_properties.set_number(PropertyId::message_expiry_interval, connect.will_expiry_s);
    }
    if (connect.version == Version::v5) will.properties = &will_properties;
    out.will = &will;
  }
  return encoded(out, wire::size_connect, wire::encode_connect);
}

std::string publish_packet(const PublishText& publish) {
  wire::PublishOut out;
  out.version = publish.version;
  out.topic = as_bytes(publish.topic);
  out.payload = as_bytes(publish.payload);
  out.qos = publish.qos;
  out.retain = publish.retain;
  out.dup = publish.dup;
  out.packet_id = publish.packet_id;
  std::string properties;
  if (publish.version == Version::v5) {
    out.topic_alias = publish.alias;
    out.has_message_expiry = publish.expiry_s != 0;
    out.message_expiry_s = publish.expiry_s;
    if (!publish.user_value.empty()) {
      properties = std::string("\x26\0\1p", 4);
      properties += static_cast<char>(publish.user_value.size() >> 8);
      properties += static_cast<char>(publish.user_value.size());
      properties += publish.user_value;
      out.forward_properties = as_bytes(properties);
    }
  }
  std::string packet(wire::size_publish(out), '\0');
  wire::encode_publish(out, reinterpret_cast<std::uint8_t*>(packet.data()));
  return packet;
}

std::string ack_packet(PacketType type, Version version, std::uint16_t packet_id,
                       ReasonCode reason) {
  std::string packet(wire::size_ack(version, reason), '\0');
  wire::encode_ack(type, version, packet_id, reason,
                   reinterpret_cast<std::uint8_t*>(packet.data()));
  return packet;
}

std::string subscribe_packet(Version version, std::uint16_t packet_id,
                             const std::vector<FilterText>& filters,
                             std::uint32_t subscription_id) {
  std::vector<wire::SubscriptionOut> each;
  for (const FilterText& filter : filters) {
    wire::SubscriptionOut& out = each.emplace_back();
    out.topic_filter = as_bytes(filter.filter);
    out.qos = filter.qos;
    if (version != Version::v5) continue;
    out.no_local = filter.no_local;
    out.retain_as_published = filter.retain_as_published;
    out.retain_handling = filter.retain_handling;
  }
  wire::SubscribeOut out;
  out.version = version;
  out.packet_id = packet_id;
  out.subscription_identifier = version == Version::v5 ? subscription_id : 0;
  out.filters = each;
  return encoded(out, wire::size_subscribe, wire::encode_subscribe);
}

std::string unsubscribe_packet(Version version, std::uint16_t packet_id,
                               const std::vector<std::string>& filters) {
  std::vector<Bytes> each;
  for (const std::string& filter : filters) each.push_back(as_bytes(filter));
  wire::UnsubscribeOut out;
  out.version = version;
  out.packet_id = packet_id;
  out.filters = each;
  return encoded(out, wire::size_unsubscribe, wire::encode_unsubscribe);
}

std::string disconnect_packet(Version version, ReasonCode reason, std::int64_t expiry_s) {
  wire::DisconnectOut out;
  out.version = version;
  out.reason = reason;
  wire::Properties properties;
  if (expiry_s >= 0) {
    properties.set_number(PropertyId::session_expiry_interval,
                          static_cast<std::uint32_t>(expiry_s));
    out.properties = &properties;
  }
  return encoded(out, wire::size_disconnect, wire::encode_disconnect);
}

std::string pingreq_packet() { return std::string("\xC0\0", 2); }

std::string Packet::text() const {
  std::string text = wire::packet_name(type);
  if (packet_id != 0) text += " id " + std::to_string(packet_id);
  if (type == PacketType::publish) {
    text += " qos " + std::to_string(qos) + (dup ? " DUP" : "") + (retain ? " RETAIN" : "") + " " +
            topic + " '" + payload.substr(0, 24) + "'";
  }
  if (reason != ReasonCode::success) text += std::string(" ") + wire::reason_name(reason);
  if (session_present) text += " session present";
  return text;
}

bool PacketReader::next(Packet& out) {
  const Bytes bytes = as_bytes(buffer_);
  const wire::Scan scan = wire::scan(bytes, version_);
  if (scan.status != wire::Scan::Status::frame) {
    if (scan.status == wire::Scan::Status::malformed) fault_ = "malformed Remaining Length";
    return false;
  }
  out = Packet{};
  out.bytes = scan.total;
  out.type = wire::packet_type(scan.first_byte);
  const Bytes body = bytes.subspan(scan.header_bytes, scan.remaining_length);
  ReasonCode decoded = ReasonCode::success;
  switch (out.type) {
    case PacketType::connack: {
      wire::ConnackView view;
      decoded = wire::decode_connack(scan.first_byte, body, version_, view);
      out.session_present = view.session_present;
      out.reason = view.reason;
      if (decoded != ReasonCode::success) break;
      out.has_expiry = view.properties.has(PropertyId::session_expiry_interval);
      out.expiry_s = view.properties.number_or(PropertyId::session_expiry_interval, 0);
      out.receive_maximum = view.properties.number_or(PropertyId::receive_maximum, 0);
      out.assigned_id = text_of(view.properties.view(PropertyId::assigned_client_identifier));
      out.reason_string = text_of(view.properties.view(PropertyId::reason_string));
      break;
    }
    case PacketType::publish: {
      wire::PublishView view;
      decoded = wire::decode_publish(scan.first_byte, body, version_,
                                     wire::Direction::from_server, view);
      if (decoded != ReasonCode::success) break;
      out.packet_id = view.packet_id;
      out.qos = view.qos;
      out.dup = view.dup;
      out.retain = view.retain;
      out.has_expiry = view.has_message_expiry;
      out.expiry_s = view.message_expiry_s;
      out.alias = view.topic_alias;
      out.topic = text_of(view.topic);
      out.topic_left_out = view.topic.empty();
      if (view.topic_alias != 0) {
        if (out.topic_left_out) {
          const auto known = aliases_.find(view.topic_alias);
          if (known == aliases_.end()) {
            fault_ = "a Topic Alias that was never set";
            return false;
          }
          out.topic = known->second;
        } else {
          aliases_[view.topic_alias] = out.topic;
        }
      }
      out.payload = text_of(view.payload);
      wire::for_each_user_property(view.properties, [&](const wire::UserProperty& property) {
        if (as_text(property.name) == "p") out.user_value = text_of(property.value);
      });
      wire::for_each_subscription_identifier(
          view.properties, [&](std::uint32_t id) { out.subscription_ids.push_back(id); });
      break;
    }
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp: {
      wire::AckView view;
      decoded = wire::decode_ack(scan.first_byte, body, version_, view);
      out.packet_id = view.packet_id;
      out.reason = view.reason;
      out.reason_string = text_of(view.reason_string);
      break;
    }
    case PacketType::suback:
    case PacketType::unsuback: {
      wire::SubackView view;
      decoded = out.type == PacketType::suback
                    ? wire::decode_suback(scan.first_byte, body, version_, view)
                    : wire::decode_unsuback(scan.first_byte, body, version_, view);
      out.packet_id = view.packet_id;
      for (const std::uint8_t code : view.reasons) {
        out.reasons.push_back(static_cast<ReasonCode>(code));
      }
      break;
    }
    case PacketType::disconnect: {
      wire::DisconnectView view;
      decoded = wire::decode_disconnect(scan.first_byte, body, version_,
                                        wire::Direction::from_server, view);
      out.reason = view.reason;
      if (decoded != ReasonCode::success) break;
      out.reason_string = text_of(view.properties.view(PropertyId::reason_string));
      break;
    }
    case PacketType::pingresp:
      decoded = wire::decode_ping(scan.first_byte, body, version_);
      break;
    default:
      decoded = ReasonCode::protocol_error;
      break;
  }
  if (decoded != ReasonCode::success) {
    fault_ = std::string("a bad ") + wire::packet_name(out.type) + ": " +
             wire::reason_name(decoded);
    return false;
  }
  buffer_.erase(0, scan.total);
  return true;
}

}  // namespace stmqtt::model
