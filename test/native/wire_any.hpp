// Any Control Packet, as a test needs it: decode what the first byte says, write all that was found
// as text, and encode it anew. Shared by the vectors, the truncation tests and the fuzz targets.
#pragma once

#include <string>
#include <vector>

#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/scan.hpp"

namespace stmqtt::wire_test {

using namespace stmqtt::wire;
using Packet = std::vector<std::uint8_t>;

/// What came of a packet. `text` holds every field of a good one; `encoded` is it, written by us.
struct Outcome {
  ReasonCode code = ReasonCode::success;
  std::string text;
  Packet encoded;
  const char* fault = nullptr;
};

class Text {
 public:
  Text& add(const char* name, std::uint64_t value) {
    text_ += std::string(name) + '=' + std::to_string(value) + ' ';
    return *this;
  }
  Text& add(const char* name, Bytes value) {
    static constexpr char kDigits[] = "0123456789abcdef";
    text_ += std::string(name) + "=x";
    for (const std::uint8_t byte : value) {
      text_ += kDigits[byte >> 4];
      text_ += kDigits[byte & 15];
    }
    text_ += ' ';
    return *this;
  }
  Text& add(const Properties& properties) {
    for (const PropertyRow& row : property_table()) {
      if (!properties.has(row.id) || row.id == PropertyId::user_property ||
          row.id == PropertyId::subscription_identifier) {
        continue;
      }
      if (row.type == PropertyType::text || row.type == PropertyType::binary) {
        add(row.name, properties.view(row.id));
      } else {
        add(row.name, properties.number(row.id));
      }
    }
    return add_repeated(properties.raw);
  }
  Text& add_repeated(Bytes raw) {
    for_each_subscription_identifier(
        raw, [this](std::uint32_t id) { add("subscription_identifier", id); });
    for_each_user_property(raw, [this](const UserProperty& property) {
      add("user", property.name).add("value", property.value);
    });
    return *this;
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

inline std::vector<UserProperty> user_properties(Bytes raw) {
  std::vector<UserProperty> found;
  for_each_user_property(raw, [&](const UserProperty& property) { found.push_back(property); });
  return found;
}

/// Room for exactly what size says, so that a sanitizer sees a byte too many.
template <typename Encode>
Packet exactly(std::size_t size, Encode encode) {
  Packet packet(size);
  const std::uint8_t* const end = encode(packet.data());
  if (end != packet.data() + size) packet.clear();  // never equal to anything: sizes differ
  return packet;
}

inline void any_connect(std::uint8_t first, Bytes body, Outcome& out) {
  ConnectView view;
  out.code = decode_connect(first, body, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  Text text;
  text.add("version", static_cast<unsigned>(view.version)).add("bridge", view.bridge);
  text.add("clean", view.clean_start).add("keep_alive", view.keep_alive_s);
  text.add("client_id", view.client_id).add("has_username", view.has_username);
  text.add("has_password", view.has_password).add("has_will", view.has_will);
  text.add(view.properties);
  if (view.has_username) text.add("username", view.username);
  if (view.has_password) text.add("password", view.password);
  WillOut will;
  const auto will_user = user_properties(view.will_properties.raw);
  if (view.has_will) {
    text.add("will_qos", view.will_qos).add("will_retain", view.will_retain);
    text.add("will_topic", view.will_topic).add("will_payload", view.will_payload);
    text.add(view.will_properties);
    will = {view.will_topic,   view.will_payload,     view.will_qos,
            view.will_retain, &view.will_properties, will_user};
  }
  out.text = text.take();
  const auto user = user_properties(view.properties.raw);
  ConnectOut again;
  again.version = view.version;
  again.bridge = view.bridge;
  again.clean_start = view.clean_start;
  again.has_username = view.has_username;
  again.has_password = view.has_password;
  again.keep_alive_s = view.keep_alive_s;
  again.client_id = view.client_id;
  again.username = view.username;
  again.password = view.password;
  again.will = view.has_will ? &will : nullptr;
  again.properties = &view.properties;
  again.user_properties = user;
  out.encoded =
      exactly(size_connect(again), [&](std::uint8_t* at) { return encode_connect(again, at); });
}

inline void any_connack(std::uint8_t first, Bytes body, Version version, Outcome& out) {
  ConnackView view;
  out.code = decode_connack(first, body, version, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  out.text = Text()
                 .add("present", view.session_present)
                 .add("reason", static_cast<unsigned>(view.reason))
                 .add("return_code", view.return_code)
                 .add(view.properties)
                 .take();
  const auto user = user_properties(view.properties.raw);
  const ConnackOut again{version, view.session_present, view.reason, &view.properties, user};
  out.encoded =
      exactly(size_connack(again), [&](std::uint8_t* at) { return encode_connack(again, at); });
}

inline void any_publish(std::uint8_t first, Bytes body, Version version, Direction direction,
                        Outcome& out) {
  PublishView view;
  out.code = decode_publish(first, body, version, direction, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  Packet forward(view.properties.size());
  forward.resize(copy_forward_properties(view.properties, forward.data()));
  const ForwardProperties found = forward_properties(view.properties);
  Text text;
  text.add("topic", view.topic).add("payload", view.payload).add("id", view.packet_id);
  text.add("qos", view.qos).add("retain", view.retain).add("dup", view.dup);
  text.add("alias", view.topic_alias).add("has_expiry", view.has_message_expiry);
  text.add("expiry", view.message_expiry_s).add("forward", forward);
  // Three ways to the forwarded properties must agree.
  const bool agree = view.forward_split == found.split &&
                     (view.forward_split ||
                      as_text(view.forward_properties) == as_text(Bytes(forward))) &&
                     as_text(found.view) == as_text(view.forward_properties);
  text.add("agree", agree).add_repeated(view.properties);
  out.text = text.take();
  std::vector<std::uint32_t> ids;
  for_each_subscription_identifier(view.properties, [&](std::uint32_t id) { ids.push_back(id); });
  PublishOut again;
  again.version = version;
  again.qos = view.qos;
  again.retain = view.retain;
  again.dup = view.dup;
  again.has_message_expiry = view.has_message_expiry;
  again.packet_id = view.packet_id;
  again.topic_alias = view.topic_alias;
  again.message_expiry_s = view.message_expiry_s;
  again.topic = view.topic;
  again.forward_properties = forward;
  again.subscription_ids = ids;
  again.payload = view.payload;
  out.encoded =
      exactly(size_publish(again), [&](std::uint8_t* at) { return encode_publish(again, at); });
}

inline void any_ack(std::uint8_t first, Bytes body, Version version, Outcome& out) {
  AckView view;
  out.code = decode_ack(first, body, version, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  Text text;
  text.add("id", view.packet_id).add("reason", static_cast<unsigned>(view.reason));
  text.add("string", view.reason_string).add_repeated(view.properties);
  out.text = text.take();
  const auto user = user_properties(view.properties);
  const AckOut again{packet_type(first), version, view.packet_id, view.reason, view.reason_string,
                     user};
  out.encoded = exactly(size_ack(again), [&](std::uint8_t* at) { return encode_ack(again, at); });
}

inline void any_subscribe(std::uint8_t first, Bytes body, Version version, Outcome& out) {
  SubscribeView view;
  out.code = decode_subscribe(first, body, version, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  Text text;
  text.add("id", view.packet_id).add("count", view.filter_count);
  text.add("identifier", view.subscription_identifier).add_repeated(view.properties);
  std::vector<SubscriptionOut> filters;
  SubscriptionView found;
  for (SubscriptionCursor at(view); at.next(found);) {
    text.add("filter", found.topic_filter).add("share", found.filter.share_name);
    text.add("bare", found.filter.filter).add("wildcard", found.filter.wildcard);
    text.add("qos", found.qos).add("handling", found.retain_handling);
    text.add("no_local", found.no_local).add("as_published", found.retain_as_published);
    filters.push_back({found.topic_filter, found.qos, found.retain_handling, found.no_local,
                       found.retain_as_published});
  }
  text.add("counted", filters.size() == view.filter_count);
  out.text = text.take();
  const auto user = user_properties(view.properties);
  const SubscribeOut again{version, view.packet_id, view.subscription_identifier, filters, user};
  out.encoded =
      exactly(size_subscribe(again), [&](std::uint8_t* at) { return encode_subscribe(again, at); });
}

inline void any_unsubscribe(std::uint8_t first, Bytes body, Version version, Outcome& out) {
  UnsubscribeView view;
  out.code = decode_unsubscribe(first, body, version, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  Text text;
  text.add("id", view.packet_id).add("count", view.filter_count).add_repeated(view.properties);
  std::vector<Bytes> filters;
  Bytes topic_filter;
  FilterView filter;
  for (UnsubscribeCursor at(view); at.next(topic_filter, filter);) {
    text.add("filter", topic_filter).add("bare", filter.filter);
    filters.push_back(topic_filter);
  }
  text.add("counted", filters.size() == view.filter_count);
  out.text = text.take();
  const auto user = user_properties(view.properties);
  const UnsubscribeOut again{version, view.packet_id, filters, user};
  out.encoded = exactly(size_unsubscribe(again),
                        [&](std::uint8_t* at) { return encode_unsubscribe(again, at); });
}

inline void any_suback(std::uint8_t first, Bytes body, Version version, Outcome& out) {
  SubackView view;
  const PacketType type = packet_type(first);
  out.code = type == PacketType::suback ? decode_suback(first, body, version, view)
                                        : decode_unsuback(first, body, version, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  Text text;
  text.add("id", view.packet_id).add("reasons", view.reasons).add("string", view.reason_string);
  out.text = text.add_repeated(view.properties).take();
  const auto user = user_properties(view.properties);
  std::vector<ReasonCode> reasons;
  for (const std::uint8_t code : view.reasons) reasons.push_back(static_cast<ReasonCode>(code));
  const SubackOut again{type, version, view.packet_id, reasons, view.reason_string, user};
  out.encoded =
      exactly(size_suback(again), [&](std::uint8_t* at) { return encode_suback(again, at); });
}

inline void any_disconnect(std::uint8_t first, Bytes body, Version version, Direction direction,
                           Outcome& out) {
  DisconnectView view;
  out.code = decode_disconnect(first, body, version, direction, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  out.text =
      Text().add("reason", static_cast<unsigned>(view.reason)).add(view.properties).take();
  const auto user = user_properties(view.properties.raw);
  const DisconnectOut again{version, view.reason, &view.properties, user};
  out.encoded = exactly(size_disconnect(again),
                        [&](std::uint8_t* at) { return encode_disconnect(again, at); });
}

inline void any_auth(std::uint8_t first, Bytes body, Version version, Direction direction,
                     Outcome& out) {
  AuthView view;
  out.code = decode_auth(first, body, version, direction, view);
  out.fault = view.fault;
  if (out.code != ReasonCode::success) return;
  out.text =
      Text().add("reason", static_cast<unsigned>(view.reason)).add(view.properties).take();
  const auto user = user_properties(view.properties.raw);
  const AuthOut again{view.reason, &view.properties, user};
  out.encoded = exactly(size_auth(again), [&](std::uint8_t* at) { return encode_auth(again, at); });
}

/// One packet whose header is `first` and whose body is `body`, as its receiver takes it.
inline Outcome decode_any(std::uint8_t first, Bytes body, Version version, Direction direction) {
  Outcome out;
  const PacketType type = packet_type(first);
  out.code = check_packet_type(type, version, direction);
  out.fault = "packet type";
  if (out.code != ReasonCode::success) return out;
  switch (type) {
    case PacketType::connect: any_connect(first, body, out); break;
    case PacketType::connack: any_connack(first, body, version, out); break;
    case PacketType::publish: any_publish(first, body, version, direction, out); break;
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp: any_ack(first, body, version, out); break;
    case PacketType::subscribe: any_subscribe(first, body, version, out); break;
    case PacketType::unsubscribe: any_unsubscribe(first, body, version, out); break;
    case PacketType::suback:
    case PacketType::unsuback: any_suback(first, body, version, out); break;
    case PacketType::pingreq:
    case PacketType::pingresp:
      out.code = decode_ping(first, body, version);
      out.encoded = exactly(kPingBytes, type == PacketType::pingreq ? encode_pingreq
                                                                    : encode_pingresp);
      break;
    case PacketType::disconnect: any_disconnect(first, body, version, direction, out); break;
    case PacketType::auth: any_auth(first, body, version, direction, out); break;
  }
  return out;
}

/// Scan and decode of a buffer that holds one packet.
inline Outcome decode_packet(Bytes packet, Version version, Direction direction) {
  const Scan found = scan(packet, version);
  if (found.status != Scan::Status::frame || found.total != packet.size()) {
    return {ReasonCode::malformed_packet, {}, {}, "scan"};
  }
  return decode_any(found.first_byte, packet.subspan(found.header_bytes), version, direction);
}

}  // namespace stmqtt::wire_test
