// Implements wire/encode.hpp. Each packet is described once, as a function of a sink; size_X runs it
// with a sink that counts and encode_X with one that writes. Thread: any (pure).
#include "wire/encode.hpp"

namespace stmqtt::wire {

namespace {

/// Counts what the Writer writes.
class Counter {
 public:
  void u8(unsigned) noexcept { bytes_ += 1; }
  void u16(unsigned) noexcept { bytes_ += 2; }
  void text(Bytes text) noexcept { bytes_ += 2 + text.size(); }
  void properties(const Properties* properties, std::span<const UserProperty> user) noexcept {
    const std::size_t bytes = properties == nullptr ? size_properties({}, user)
                                                    : size_properties(*properties, user);
    prefixed(bytes);
  }
  /// The properties of packets whose only one is a Reason String.
  void reason_properties(Bytes reason_string, std::span<const UserProperty> user) noexcept {
    prefixed(reason_bytes(reason_string, user));
  }

  [[nodiscard]] static std::size_t reason_bytes(Bytes reason_string,
                                                std::span<const UserProperty> user) noexcept {
    return size_properties({}, user) + (reason_string.empty() ? 0 : 3 + reason_string.size());
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  void prefixed(std::size_t bytes) noexcept {
    if (bytes > kMaxRemainingLength) {
      bytes_ += bytes;  // too much already: packet_bytes() says so
    } else {
      bytes_ += size_varint(static_cast<std::uint32_t>(bytes)) + bytes;
    }
  }

  std::size_t bytes_ = 0;
};

class Writer {
 public:
  explicit Writer(std::uint8_t* at) noexcept : at_(at) {}
  void u8(unsigned value) noexcept { *at_++ = static_cast<std::uint8_t>(value); }
  void u16(unsigned value) noexcept { at_ = store_u16(at_, static_cast<std::uint16_t>(value)); }
  void varint(std::size_t value) noexcept {
    at_ = store_varint(at_, static_cast<std::uint32_t>(value));
  }
  void text(Bytes text) noexcept {
    u16(static_cast<unsigned>(text.size()));
    at_ = store_bytes(at_, text);
  }
  void properties(const Properties* properties, std::span<const UserProperty> user) noexcept {
    const Properties none{};
    const Properties& given = properties == nullptr ? none : *properties;
    varint(size_properties(given, user));
    at_ = encode_properties(given, user, at_);
  }
  void reason_properties(Bytes reason_string, std::span<const UserProperty> user) noexcept {
    varint(Counter::reason_bytes(reason_string, user));
    if (!reason_string.empty()) {
      u8(static_cast<unsigned>(PropertyId::reason_string));
      text(reason_string);
    }
    at_ = encode_properties({}, user, at_);
  }
  [[nodiscard]] std::uint8_t* at() const noexcept { return at_; }

 private:
  std::uint8_t* at_;
};

/// Bytes of the packet whose Remaining Length is `remaining`; 0 if it cannot be.
std::size_t packet_bytes(std::size_t remaining) noexcept {
  if (remaining > kMaxRemainingLength) return 0;
  return 1 + size_varint(static_cast<std::uint32_t>(remaining)) + remaining;
}

template <typename Out>
std::size_t size_of(const Out& packet) noexcept {
  Counter counter;
  describe(counter, packet);
  return packet_bytes(counter.bytes());
}

template <typename Out>
std::uint8_t* write(PacketType type, const Out& packet, std::uint8_t* out) noexcept {
  Counter counter;
  describe(counter, packet);
  // Reserved flags are 0010 in these three and 0000 elsewhere [MQTT-2.1.3-1] [MQTT-3.6.1-1]
  // [MQTT-3.8.1-1] [MQTT-3.10.1-1].
  const bool qos_1 = type == PacketType::pubrel || type == PacketType::subscribe ||
                     type == PacketType::unsubscribe;
  Writer writer(out);
  writer.u8(static_cast<unsigned>(type) << 4 | (qos_1 ? 2u : 0u));
  writer.varint(counter.bytes());
  describe(writer, packet);
  return writer.at();
}

template <typename Sink>
void describe(Sink& sink, const AckOut& ack) {
  sink.u16(ack.packet_id);
  if (ack.version != Version::v5) return;
  const bool bare = ack.reason_string.empty() && ack.user_properties.empty();
  if (bare && ack.reason == ReasonCode::success) return;
  sink.u8(static_cast<unsigned>(ack.reason));
  if (!bare) sink.reason_properties(ack.reason_string, ack.user_properties);
}

template <typename Sink>
void describe(Sink& sink, const ConnectOut& connect) {
  const WillOut* const will = connect.will;
  const bool v5 = connect.version == Version::v5;
  sink.text(as_bytes(connect.version == Version::v31 ? "MQIsdp" : "MQTT"));
  sink.u8(static_cast<unsigned>(connect.version) | (connect.bridge ? 0x80u : 0u));
  unsigned flags = (connect.clean_start ? 0x02u : 0u) | (connect.has_password ? 0x40u : 0u) |
                   (connect.has_username ? 0x80u : 0u);
  if (will != nullptr) {
    flags |= 0x04u | static_cast<unsigned>(will->qos) << 3 | (will->retain ? 0x20u : 0u);
  }
  sink.u8(flags);
  sink.u16(connect.keep_alive_s);
  if (v5) sink.properties(connect.properties, connect.user_properties);
  sink.text(connect.client_id);
  if (will != nullptr) {
    if (v5) sink.properties(will->properties, will->user_properties);
    sink.text(will->topic);
    sink.text(will->payload);
  }
  if (connect.has_username) sink.text(connect.username);
  if (connect.has_password) sink.text(connect.password);
}

template <typename Sink>
void describe(Sink& sink, const ConnackOut& connack) {
  // 3.1 has no Session Present: "Reserved values. Not used."
  sink.u8(connack.session_present && connack.version != Version::v31 ? 1 : 0);
  if (connack.version != Version::v5) return sink.u8(connack_v3(connack.reason));
  sink.u8(static_cast<unsigned>(connack.reason));
  sink.properties(connack.properties, connack.user_properties);
}

template <typename Sink>
void describe(Sink& sink, const SubscribeOut& subscribe) {
  const bool v5 = subscribe.version == Version::v5;
  sink.u16(subscribe.packet_id);
  if (v5) {
    Properties properties;
    if (subscribe.subscription_identifier != 0) {
      properties.set_number(PropertyId::subscription_identifier, subscribe.subscription_identifier);
    }
    sink.properties(&properties, subscribe.user_properties);
  }
  for (const SubscriptionOut& subscription : subscribe.filters) {
    sink.text(subscription.topic_filter);
    unsigned options = subscription.qos;
    if (v5) {
      options |= (subscription.no_local ? 0x04u : 0u) |
                 (subscription.retain_as_published ? 0x08u : 0u) |
                 static_cast<unsigned>(subscription.retain_handling) << 4;
    }
    sink.u8(options);
  }
}

template <typename Sink>
void describe(Sink& sink, const UnsubscribeOut& unsubscribe) {
  sink.u16(unsubscribe.packet_id);
  if (unsubscribe.version == Version::v5) {
    sink.properties(nullptr, unsubscribe.user_properties);
  }
  for (const Bytes filter : unsubscribe.filters) sink.text(filter);
}

template <typename Sink>
void describe(Sink& sink, const SubackOut& suback) {
  const bool v5 = suback.version == Version::v5;
  sink.u16(suback.packet_id);
  if (v5) sink.reason_properties(suback.reason_string, suback.user_properties);
  if (!v5 && suback.type == PacketType::unsuback) return;
  for (const ReasonCode reason : suback.reasons) {
    // 3.1.1 knows 0, 1, 2 and 0x80 only [MQTT-3.9.3-2 of 3.1.1].
    sink.u8(!v5 && is_error(reason) ? 0x80u : static_cast<unsigned>(reason));
  }
}

template <typename Sink>
void describe(Sink& sink, const DisconnectOut& disconnect) {
  if (disconnect.version != Version::v5) return;
  const bool bare = (disconnect.properties == nullptr || disconnect.properties->empty()) &&
                    disconnect.user_properties.empty();
  if (bare && disconnect.reason == ReasonCode::normal_disconnection) return;
  sink.u8(static_cast<unsigned>(disconnect.reason));
  if (!bare) sink.properties(disconnect.properties, disconnect.user_properties);
}

template <typename Sink>
void describe(Sink& sink, const AuthOut& auth) {
  const bool bare = (auth.properties == nullptr || auth.properties->empty()) &&
                    auth.user_properties.empty();
  // "The Reason Code and Property Length can be omitted" only together (3.15.2.1).
  if (bare && auth.reason == ReasonCode::success) return;
  sink.u8(static_cast<unsigned>(auth.reason));
  sink.properties(auth.properties, auth.user_properties);
}

}  // namespace

std::size_t size_ack(const AckOut& ack) noexcept { return size_of(ack); }
std::uint8_t* encode_ack(const AckOut& ack, std::uint8_t* out) noexcept {
  return write(ack.type, ack, out);
}

std::size_t size_connect(const ConnectOut& connect) noexcept { return size_of(connect); }
std::uint8_t* encode_connect(const ConnectOut& connect, std::uint8_t* out) noexcept {
  return write(PacketType::connect, connect, out);
}

std::size_t size_connack(const ConnackOut& connack) noexcept { return size_of(connack); }
std::uint8_t* encode_connack(const ConnackOut& connack, std::uint8_t* out) noexcept {
  return write(PacketType::connack, connack, out);
}

std::size_t size_subscribe(const SubscribeOut& subscribe) noexcept { return size_of(subscribe); }
std::uint8_t* encode_subscribe(const SubscribeOut& subscribe, std::uint8_t* out) noexcept {
  return write(PacketType::subscribe, subscribe, out);
}

std::size_t size_unsubscribe(const UnsubscribeOut& unsubscribe) noexcept {
  return size_of(unsubscribe);
}
std::uint8_t* encode_unsubscribe(const UnsubscribeOut& unsubscribe, std::uint8_t* out) noexcept {
  return write(PacketType::unsubscribe, unsubscribe, out);
}

std::size_t size_suback(const SubackOut& suback) noexcept { return size_of(suback); }
std::uint8_t* encode_suback(const SubackOut& suback, std::uint8_t* out) noexcept {
  return write(suback.type, suback, out);
}

std::size_t size_disconnect(const DisconnectOut& disconnect) noexcept {
  return size_of(disconnect);
}
std::uint8_t* encode_disconnect(const DisconnectOut& disconnect, std::uint8_t* out) noexcept {
  return write(PacketType::disconnect, disconnect, out);
}

std::size_t size_auth(const AuthOut& auth) noexcept { return size_of(auth); }
std::uint8_t* encode_auth(const AuthOut& auth, std::uint8_t* out) noexcept {
  return write(PacketType::auth, auth, out);
}

}  // namespace stmqtt::wire
