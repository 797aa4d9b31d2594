// wire/encode*.hpp: bytes as the standard draws them, sizes that hold, and forms by version.
// That every packet survives encode and decode is shown by wire_vectors.cpp.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner.hpp"
#include "wire_any.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;
using wire_test::exactly;
using wire_test::Packet;
using namespace std::string_view_literals;

Bytes bytes(std::string_view text) { return as_bytes(text); }
Packet packet(std::string_view text) { return {text.begin(), text.end()}; }

Packet publish(const PublishOut& out) {
  return exactly(size_publish(out), [&](std::uint8_t* at) { return encode_publish(out, at); });
}

STMQTT_TEST("wire encode: PUBLISH of 3.1.1 and 5.0") {
  PublishOut out;
  out.topic = bytes("a/b");
  out.payload = bytes("xy");
  CHECK_EQ(publish(out), packet("\x30\x07\0\3a/bxy"sv));
  out.qos = 2;
  out.packet_id = 0x0102;
  out.dup = true;
  out.retain = true;
  CHECK_EQ(publish(out), packet("\x3D\x09\0\3a/b\1\2xy"sv));
  // A v5 publish reaches 3.x without its properties.
  const std::uint32_t ids[] = {1, 128};
  out.has_message_expiry = true;
  out.message_expiry_s = 258;
  out.topic_alias = 3;
  out.subscription_ids = ids;
  out.forward_properties = bytes("\1\1"sv);
  CHECK_EQ(publish(out), packet("\x3D\x09\0\3a/b\1\2xy"sv));
  out.version = Version::v5;
  CHECK_EQ(publish(out),
           packet("\x3D\x19\0\3a/b\1\2\x0F\2\0\0\1\2\x23\0\3\x0B\1\x0B\x80\1\1\1xy"sv));
  out.topic = {};
  out.qos = 0;
  out.dup = false;
  out.has_message_expiry = false;
  out.subscription_ids = {};
  out.forward_properties = {};
  out.payload = {};
  CHECK_EQ(publish(out), packet("\x31\x06\0\0\3\x23\0\3"sv));
}

STMQTT_TEST("wire encode: the head of a PUBLISH counts a payload that is elsewhere") {
  for (const std::size_t payload : {0u, 1u, 100u, 127u, 128u, 16383u, 16384u, 2097152u}) {
    for (const Version version : {Version::v311, Version::v5}) {
      const std::vector<std::uint8_t> data(payload, 'p');
      PublishOut out;
      out.version = version;
      out.qos = 1;
      out.packet_id = 0xABCD;
      out.topic = bytes("t/u");
      out.payload = data;
      const PublishSizes sizes = measure_publish(out);
      CHECK_EQ(sizes.total, sizes.head + payload);
      CHECK_EQ(size_publish_head(out), sizes.head);
      const Packet whole = publish(out);
      REQUIRE_EQ(whole.size(), sizes.total);
      const Packet head = exactly(
          sizes.head, [&](std::uint8_t* at) { return encode_publish_head(out, sizes, at); });
      CHECK(std::equal(head.begin(), head.end(), whole.begin()));
      CHECK_EQ(load_u16(whole.data() + packet_id_offset(out, sizes)), 0xABCD);
      CHECK_EQ(scan(whole).total, whole.size());
    }
  }
}

STMQTT_TEST("wire encode: what MQTT cannot say has no size") {
  PublishOut out;
  out.topic = bytes("t");
  // The payload is never read, only counted.
  const std::uint8_t byte = 0;
  out.payload = {&byte, kMaxRemainingLength - 3};
  CHECK_EQ(size_publish(out), std::size_t{kMaxRemainingLength} + 5);
  out.payload = {&byte, kMaxRemainingLength - 2};
  CHECK_EQ(size_publish(out), 0);
  out.payload = {};
  out.version = Version::v5;
  out.forward_properties = {&byte, std::size_t{kMaxRemainingLength} + 1};
  CHECK_EQ(size_publish(out), 0);
  CHECK_EQ(size_publish_head(out), 0);
  const std::string text(65535, 'x');
  const std::vector<UserProperty> many(4096, {bytes(text), bytes(text)});
  DisconnectOut disconnect;
  disconnect.user_properties = many;
  CHECK_EQ(size_disconnect(disconnect), 0);
}

STMQTT_TEST("wire encode: acknowledgements leave out what may be left out") {
  struct Case {
    PacketType type;
    Version version;
    ReasonCode reason;
    std::string_view wanted;
  };
  const Case cases[] = {
      {PacketType::puback, Version::v311, ReasonCode::success, "\x40\2\1\2"sv},
      {PacketType::puback, Version::v311, ReasonCode::not_authorized, "\x40\2\1\2"sv},
      {PacketType::puback, Version::v5, ReasonCode::success, "\x40\2\1\2"sv},
      {PacketType::puback, Version::v5, ReasonCode::no_matching_subscribers, "\x40\3\1\2\x10"sv},
      {PacketType::pubrec, Version::v5, ReasonCode::quota_exceeded, "\x50\3\1\2\x97"sv},
      {PacketType::pubrel, Version::v31, ReasonCode::success, "\x62\2\1\2"sv},
      {PacketType::pubcomp, Version::v5, ReasonCode::packet_identifier_not_found, "\x70\3\1\2\x92"sv},
  };
  for (const Case& one : cases) {
    const Packet plain = exactly(size_ack(one.version, one.reason), [&](std::uint8_t* at) {
      return encode_ack(one.type, one.version, 0x0102, one.reason, at);
    });
    CHECK_EQ(plain, packet(one.wanted));
    CHECK_LE(plain.size(), kMaxPlainAckBytes);
    const AckOut full{one.type, one.version, 0x0102, one.reason, {}, {}};
    CHECK_EQ(exactly(size_ack(full), [&](std::uint8_t* at) { return encode_ack(full, at); }), plain);
  }
  const UserProperty user[] = {{bytes("k"), bytes("v")}};
  const AckOut full{PacketType::puback, Version::v5, 1, ReasonCode::success, bytes("ok"), user};
  CHECK_EQ(exactly(size_ack(full), [&](std::uint8_t* at) { return encode_ack(full, at); }),
           packet("\x40\x10\0\1\0\x0C\x1F\0\2ok\x26\0\1k\0\1v"sv));
}

STMQTT_TEST("wire encode: CONNACK by version") {
  Properties properties;
  properties.set_number(PropertyId::receive_maximum, 20);
  properties.set_view(PropertyId::assigned_client_identifier, bytes("id"));
  ConnackOut out;
  out.properties = &properties;
  out.session_present = true;
  const auto encoded = [&] {
    return exactly(size_connack(out), [&](std::uint8_t* at) { return encode_connack(out, at); });
  };
  CHECK_EQ(encoded(), packet("\x20\x0B\1\0\x08\x12\0\2id\x21\0\x14"sv));
  out.version = Version::v311;
  CHECK_EQ(encoded(), packet("\x20\2\1\0"sv));
  out.version = Version::v31;  // has no Session Present
  CHECK_EQ(encoded(), packet("\x20\2\0\0"sv));
  out.session_present = false;
  out.reason = ReasonCode::bad_user_name_or_password;
  CHECK_EQ(encoded(), packet("\x20\2\0\4"sv));
  out.version = Version::v5;
  out.properties = nullptr;
  CHECK_EQ(encoded(), packet("\x20\3\0\x86\0"sv));
}

STMQTT_TEST("wire encode: CONNECT by version") {
  WillOut will;
  will.topic = bytes("w");
  will.payload = bytes("p");
  will.qos = 1;
  ConnectOut out;
  out.client_id = bytes("c");
  out.keep_alive_s = 60;
  const auto encoded = [&] {
    return exactly(size_connect(out), [&](std::uint8_t* at) { return encode_connect(out, at); });
  };
  CHECK_EQ(encoded(), packet("\x10\x0E\0\4MQTT\5\2\0\x3C\0\0\1c"sv));
  out.version = Version::v31;
  out.bridge = true;
  CHECK_EQ(encoded(), packet("\x10\x0F\0\6MQIsdp\x83\2\0\x3C\0\1c"sv));
  out.version = Version::v311;
  out.bridge = false;
  out.clean_start = false;
  out.will = &will;
  out.has_username = out.has_password = true;
  out.username = bytes("u");
  CHECK_EQ(encoded(), packet("\x10\x18\0\4MQTT\4\xCC\0\x3C\0\1c\0\1w\0\1p\0\1u\0\0"sv));
}

STMQTT_TEST("wire encode: SUBACK and UNSUBACK by version") {
  const ReasonCode reasons[] = {ReasonCode::granted_qos_2, ReasonCode::not_authorized};
  SubackOut out;
  out.packet_id = 10;
  out.reasons = reasons;
  const auto encoded = [&] {
    return exactly(size_suback(out), [&](std::uint8_t* at) { return encode_suback(out, at); });
  };
  CHECK_EQ(encoded(), packet("\x90\5\0\x0A\0\2\x87"sv));
  out.version = Version::v311;
  CHECK_EQ(encoded(), packet("\x90\4\0\x0A\2\x80"sv));
  out.type = PacketType::unsuback;
  CHECK_EQ(encoded(), packet("\xB0\2\0\x0A"sv));
  out.version = Version::v5;
  out.reason_string = bytes("no");
  CHECK_EQ(encoded(), packet("\xB0\x0A\0\x0A\5\x1F\0\2no\2\x87"sv));
}

STMQTT_TEST("wire encode: SUBSCRIBE and UNSUBSCRIBE by version") {
  const SubscriptionOut filters[] = {{bytes("a"), 1, 2, true, true}, {bytes("b"), 0, 0, false, false}};
  SubscribeOut out;
  out.packet_id = 1;
  out.filters = filters;
  out.subscription_identifier = 200;
  const auto encoded = [&] {
    return exactly(size_subscribe(out), [&](std::uint8_t* at) { return encode_subscribe(out, at); });
  };
  CHECK_EQ(encoded(), packet("\x82\x0E\0\1\3\x0B\xC8\1\0\1a\x2D\0\1b\0"sv));
  out.version = Version::v311;
  CHECK_EQ(encoded(), packet("\x82\x0A\0\1\0\1a\1\0\1b\0"sv));
  const Bytes names[] = {bytes("a"), bytes("bc")};
  UnsubscribeOut un;
  un.packet_id = 2;
  un.filters = names;
  const auto undone = [&] {
    return exactly(size_unsubscribe(un), [&](std::uint8_t* at) { return encode_unsubscribe(un, at); });
  };
  CHECK_EQ(undone(), packet("\xA2\x0A\0\2\0\0\1a\0\2bc"sv));
  un.version = Version::v311;
  CHECK_EQ(undone(), packet("\xA2\x09\0\2\0\1a\0\2bc"sv));
}

STMQTT_TEST("wire encode: DISCONNECT, AUTH and pings") {
  DisconnectOut out;
  const auto encoded = [&] {
    return exactly(size_disconnect(out), [&](std::uint8_t* at) { return encode_disconnect(out, at); });
  };
  CHECK_EQ(encoded(), packet("\xE0\0"sv));
  out.reason = ReasonCode::session_taken_over;
  CHECK_EQ(encoded(), packet("\xE0\1\x8E"sv));
  Properties properties;
  out.properties = &properties;
  CHECK_EQ(encoded(), packet("\xE0\1\x8E"sv));
  properties.set_view(PropertyId::reason_string, bytes("x"));
  CHECK_EQ(encoded(), packet("\xE0\6\x8E\4\x1F\0\1x"sv));
  out.version = Version::v311;
  CHECK_EQ(encoded(), packet("\xE0\0"sv));
  Properties method;
  method.set_view(PropertyId::authentication_method, bytes("m"));
  AuthOut auth;
  auth.properties = &method;
  CHECK_EQ(exactly(size_auth(auth), [&](std::uint8_t* at) { return encode_auth(auth, at); }),
           packet("\xF0\6\x18\4\x15\0\1m"sv));
  CHECK_EQ(exactly(kPingBytes, encode_pingreq), packet("\xC0\0"sv));
  CHECK_EQ(exactly(kPingBytes, encode_pingresp), packet("\xD0\0"sv));
}

}  // namespace
