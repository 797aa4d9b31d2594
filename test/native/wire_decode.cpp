// wire/decode*.hpp: what the views hold, and rules that the shared vectors do not reach.
#include <string>
#include <string_view>
#include <vector>

#include "runner.hpp"
#include "wire_any.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::wire;
using wire_test::Packet;
using namespace std::string_view_literals;

Bytes bytes(std::string_view text) { return as_bytes(text); }
unsigned number(ReasonCode code) { return static_cast<unsigned>(code); }

unsigned publish(std::uint8_t first, std::string_view body, Version version, PublishView& out,
                 Direction direction = Direction::from_client) {
  return number(decode_publish(first, bytes(body), version, direction, out));
}
unsigned connect(std::string_view body, ConnectView& out, std::uint8_t first = 0x10) {
  return number(decode_connect(first, bytes(body), out));
}

STMQTT_TEST("wire decode: PUBLISH of 3.1.1 to its fields") {
  PublishView view;
  REQUIRE_EQ(publish(0x3B, "\0\3a/b\1\2payload"sv, Version::v311, view), 0);
  CHECK_EQ(as_text(view.topic), "a/b");
  CHECK_EQ(as_text(view.payload), "payload");
  CHECK_EQ(view.packet_id, 0x0102);
  CHECK_EQ(view.qos, 1);
  CHECK(view.retain && view.dup);
  REQUIRE_EQ(publish(0x30, "\0\1a"sv, Version::v31, view), 0);
  CHECK(view.payload.empty());
  CHECK(!view.retain && !view.dup);
  CHECK_EQ(view.packet_id, 0);  // [MQTT-2.2.1-2]
}

STMQTT_TEST("wire decode: PUBLISH of 5.0 with properties to its fields") {
  PublishView view;
  const auto body = "\0\1t\0\7\x11\1\1\x23\0\5\x26\0\1k\0\1v\2\0\0\1\0payload"sv;
  REQUIRE_EQ(publish(0x34, body, Version::v5, view), 0);
  CHECK_EQ(view.packet_id, 7);
  CHECK_EQ(view.topic_alias, 5);
  CHECK(view.has_message_expiry);
  CHECK_EQ(view.message_expiry_s, 256);
  CHECK(view.forward_split);
  CHECK(view.forward_properties.empty());
  CHECK_EQ(view.properties.size(), 0x11);
  CHECK_EQ(as_text(view.payload), "payload");
  // Nothing of it is left when the same view is used for the next packet.
  REQUIRE_EQ(publish(0x30, "\0\1t\0x"sv, Version::v5, view), 0);
  CHECK(!view.has_message_expiry && !view.forward_split);
  CHECK_EQ(view.topic_alias, 0);
  CHECK(view.properties.empty() && view.forward_properties.empty());
  REQUIRE_EQ(publish(0x30, "\0\1t\2\1\1x"sv, Version::v5, view), 0);
  CHECK_EQ(view.forward_properties.size(), 2);
  CHECK_EQ(as_text(view.payload), "x");
}

STMQTT_TEST("wire decode: [MQTT-3.3.2-8] an empty Topic Name needs an alias") {
  PublishView view;
  REQUIRE_EQ(publish(0x30, "\0\0\3\x23\0\1x"sv, Version::v5, view), 0);
  CHECK(view.topic.empty());
  CHECK_EQ(view.topic_alias, 1);
  CHECK_EQ(publish(0x30, "\0\0\2\1\1x"sv, Version::v5, view), 0x82);
  CHECK_EQ(publish(0x30, "\0\0\0x"sv, Version::v5, view), 0x82);
  CHECK_EQ(publish(0x30, "\0\0x"sv, Version::v311, view), 0x82);
  CHECK_EQ(publish(0x30, "\0\1t\3\x23\0\0x"sv, Version::v5, view), 0x94);
}

STMQTT_TEST("wire decode: [MQTT-3.3.4-6] Subscription Identifiers come only from a server") {
  PublishView view;
  const auto body = "\0\1t\5\x0B\1\x0B\x80\1x"sv;
  CHECK_EQ(publish(0x30, body, Version::v5, view), 0x82);
  REQUIRE_EQ(publish(0x30, body, Version::v5, view, Direction::from_server), 0);
  std::vector<std::uint32_t> ids;
  for_each_subscription_identifier(view.properties, [&](std::uint32_t id) { ids.push_back(id); });
  CHECK_EQ(ids, (std::vector<std::uint32_t>{1, 128}));
  CHECK(view.forward_properties.empty());
  CHECK(!view.forward_split);
}

STMQTT_TEST("wire decode: each refusal of a PUBLISH says why") {
  PublishView view;
  struct Case {
    std::uint8_t first;
    std::string_view body;
    unsigned code;
    std::string_view why;
  };
  const Case cases[] = {
      {0x36, "\0\1t\0\1\0"sv, 0x81, "MQTT-3.3.1-4"},      {0x38, "\0\1t\0"sv, 0x81, "MQTT-3.3.1-2"},
      {0x30, "\0"sv, 0x81, "Topic Name"},                 {0x30, "\0\2t"sv, 0x81, "Topic Name"},
      {0x32, "\0\1t\0"sv, 0x81, "Packet Identifier"},     {0x32, "\0\1t\0\0\0"sv, 0x82, "Identifier 0"},
      {0x30, "\0\1+\0"sv, 0x90, "wildcard"},              {0x30, "\0\1\xFF\0"sv, 0x81, "UTF-8"},
      {0x30, "\0\2\xFF+\0"sv, 0x81, "UTF-8"},             {0x30, "\0\1t"sv, 0x81, "properties"},
      {0x30, "\0\1t\5\1\1"sv, 0x81, "properties"},        {0x30, "\0\1t\x80\0\1"sv, 0x81, "properties"},
      {0x30, "\0\1t\2\1\2"sv, 0x82, "0 or 1"},            {0x30, "\0\1t\4\1\1\1\1"sv, 0x82, "more than once"},
      {0x30, "\0\1t\2\x24\1"sv, 0x81, "not of this"},     {0x30, "\0\1t\2\x7F\1"sv, 0x81, "unknown"},
      {0x30, "\0\1t\3\x26\0\0"sv, 0x81, "cut off"},
  };
  for (const Case& one : cases) {
    view.fault = nullptr;
    CHECK_EQ(publish(one.first, one.body, Version::v5, view), one.code);
    REQUIRE(view.fault != nullptr);
    const test::Context context("fault", std::string(view.fault));
    CHECK(std::string_view(view.fault).find(one.why) != std::string_view::npos);
  }
}

STMQTT_TEST("wire decode: CONNECT of 5.0 with everything to its fields") {
  ConnectView view;
  const auto body =
      "\0\4MQTT\5\xEE\1\2\5\x11\0\0\0\x0A\0\2id\5\x18\0\0\0\3\0\1w\0\2xy\0\4user\0\1p"sv;
  REQUIRE_EQ(connect(body, view), 0);
  CHECK(view.version == Version::v5);
  CHECK(view.answerable && view.clean_start && view.has_will && view.will_retain);
  CHECK(view.has_username && view.has_password && !view.bridge);
  CHECK_EQ(view.will_qos, 1);
  CHECK_EQ(view.keep_alive_s, 0x0102);
  CHECK_EQ(as_text(view.client_id), "id");
  CHECK_EQ(as_text(view.will_topic), "w");
  CHECK_EQ(as_text(view.will_payload), "xy");
  CHECK_EQ(as_text(view.username), "user");
  CHECK_EQ(as_text(view.password), "p");
  CHECK_EQ(view.properties.number(PropertyId::session_expiry_interval), 10);
  CHECK_EQ(view.will_properties.number(PropertyId::will_delay_interval), 3);
  // The view can be used again.
  REQUIRE_EQ(connect("\0\4MQTT\4\2\0\0\0\0"sv, view), 0);
  CHECK(view.version == Version::v311);
  CHECK(!view.has_will && !view.has_username && !view.has_password && !view.will_retain);
  CHECK(view.username.empty() && view.will_topic.empty() && view.properties.empty() &&
        view.will_properties.empty());
}

STMQTT_TEST("wire decode: [MQTT-3.1.2-1] [MQTT-3.1.2-2] who is answered, and how") {
  ConnectView view;
  struct Case {
    std::string_view body;
    unsigned code;
    bool answerable;
    Version version;
  };
  const Case cases[] = {
      {"\0\4MQTT\6\2\0\0\0\0\0"sv, 0x84, true, Version::v5},
      {"\0\4MQTT\3\2\0\0\0\1x"sv, 0x84, true, Version::v311},
      {"\0\6MQIsdp\4\2\0\0\0\1x"sv, 0x84, true, Version::v31},
      {"\0\6MQIsdp\5\2\0\0\0\1x"sv, 0x84, true, Version::v31},
      {"\0\4mqtt\4\2\0\0\0\1x"sv, 0x84, false, Version::v311},
      {"\0\4MQTT"sv, 0x81, false, Version::v311},
      {"\0\4MQTT\5"sv, 0x81, true, Version::v5},
      {"GET / HTTP/1.1\r\n\r\n"sv, 0x81, false, Version::v311},
      {"\0\4MQTT\x84\2\0\0\0\1x"sv, 0, true, Version::v311},
      {"\0\6MQIsdp\x83\2\0\0\0\1x"sv, 0, true, Version::v31},
  };
  for (const Case& one : cases) {
    CHECK_EQ(connect(one.body, view), one.code);
    CHECK_EQ(view.answerable, one.answerable);
    CHECK(view.version == one.version);
    CHECK_EQ(view.bridge, (view.protocol_level & 0x80) != 0);
  }
  CHECK_EQ(view.protocol_level, 0x83);
  CHECK(view.bridge);
}

STMQTT_TEST("wire decode: an empty Client Identifier, version by version") {
  ConnectView view;
  CHECK_EQ(connect("\0\4MQTT\5\0\0\0\0\0\0"sv, view), 0);     // [MQTT-3.1.3-6]
  CHECK_EQ(connect("\0\4MQTT\4\2\0\0\0\0"sv, view), 0);       // [MQTT-3.1.3-6 of 3.1.1]
  CHECK_EQ(connect("\0\4MQTT\4\0\0\0\0\0"sv, view), 0x85);    // [MQTT-3.1.3-8 of 3.1.1]
  CHECK_EQ(connect("\0\6MQIsdp\3\2\0\0\0\0"sv, view), 0x85);  // "between 1 and 23 characters"
  CHECK_EQ(connack_v3(ReasonCode::client_identifier_not_valid), 2);
}

STMQTT_TEST("wire decode: CONNECT of 3.1 disregards what it does not use") {
  ConnectView view;
  REQUIRE_EQ(connect("\0\6MQIsdp\3\x2B\0\0\0\1x"sv, view, 0x1F), 0);
  CHECK(!view.has_will && !view.will_retain);
  CHECK_EQ(view.will_qos, 0);
  REQUIRE_EQ(connect("\0\6MQIsdp\3\xC2\0\0\0\1x"sv, view), 0);
  CHECK(!view.has_username && !view.has_password);
  REQUIRE_EQ(connect("\0\6MQIsdp\3\xC2\0\0\0\1x\0\1u"sv, view), 0);
  CHECK(view.has_username && !view.has_password);
  CHECK_EQ(connect("\0\6MQIsdp\3\xC2\0\0\0\1x\0"sv, view), 0x81);
}

STMQTT_TEST("wire decode: acknowledgements in all their lengths") {
  AckView view;
  const auto ack = [&](std::uint8_t first, std::string_view body, Version version = Version::v5) {
    return number(decode_ack(first, bytes(body), version, view));
  };
  CHECK_EQ(ack(0x40, "\1\2"sv), 0);
  CHECK_EQ(view.packet_id, 0x0102);
  CHECK(view.reason == ReasonCode::success);
  CHECK_EQ(ack(0x50, "\0\1\x87"sv), 0);
  CHECK(view.reason == ReasonCode::not_authorized);
  CHECK_EQ(ack(0x40, "\0\1\x10\x0E\x1F\0\2no\x26\0\1k\0\2vw"sv), 0x81);  // one byte short
  CHECK_EQ(ack(0x40, "\0\1\x10\x0D\x1F\0\2no\x26\0\1k\0\2vw"sv), 0);
  CHECK_EQ(as_text(view.reason_string), "no");
  CHECK_EQ(wire_test::user_properties(view.properties).size(), 1);
  CHECK_EQ(ack(0x62, "\0\1"sv), 0);
  CHECK(view.reason_string.empty() && view.properties.empty());
  CHECK_EQ(ack(0x60, "\0\1"sv), 0x81);  // [MQTT-3.6.1-1]
  CHECK_EQ(ack(0x6A, "\0\1"sv, Version::v311), 0x81);
  CHECK_EQ(ack(0x6A, "\0\1"sv, Version::v31), 0);  // resent, in 3.1
  CHECK_EQ(ack(0x68, "\0\1"sv, Version::v31), 0x81);
  CHECK_EQ(ack(0x43, "\0\1"sv, Version::v31), 0);
  CHECK_EQ(ack(0x40, "\0\0"sv), 0x82);
  CHECK_EQ(ack(0x40, "\0\1\0"sv, Version::v311), 0x81);
}

STMQTT_TEST("wire decode: SUBSCRIBE to its filters and options") {
  SubscribeView view;
  const auto body = "\0\7\2\x0B\3\0\3a/#\x2E\0\x0A$share/g/+\x11"sv;
  REQUIRE_EQ(number(decode_subscribe(0x82, bytes(body), Version::v5, view)), 0);
  CHECK_EQ(view.packet_id, 7);
  CHECK_EQ(view.subscription_identifier, 3);
  CHECK_EQ(view.filter_count, 2);
  SubscriptionCursor cursor(view);
  SubscriptionView one;
  REQUIRE(cursor.next(one));
  CHECK_EQ(as_text(one.topic_filter), "a/#");
  CHECK_EQ(one.qos, 2);
  CHECK_EQ(one.retain_handling, 2);
  CHECK(one.no_local && one.retain_as_published && one.filter.wildcard && !one.filter.shared);
  REQUIRE(cursor.next(one));
  CHECK_EQ(as_text(one.filter.share_name), "g");
  CHECK_EQ(as_text(one.filter.filter), "+");
  CHECK_EQ(one.qos, 1);
  CHECK_EQ(one.retain_handling, 1);
  CHECK(!one.no_local && !one.retain_as_published && one.filter.shared);
  CHECK(!cursor.next(one));
  REQUIRE_EQ(number(decode_subscribe(0x82, bytes("\0\1\0\1x\1"sv), Version::v311, view)), 0);
  CHECK_EQ(view.subscription_identifier, 0);
}

STMQTT_TEST("wire decode: UNSUBSCRIBE to its filters") {
  UnsubscribeView view;
  const auto body = "\0\7\0\0\1a\0\x0A$share/g/+"sv;
  REQUIRE_EQ(number(decode_unsubscribe(0xA2, bytes(body), Version::v5, view)), 0);
  CHECK_EQ(view.filter_count, 2);
  UnsubscribeCursor cursor(view);
  Bytes filter;
  FilterView parts;
  REQUIRE(cursor.next(filter, parts));
  CHECK_EQ(as_text(filter), "a");
  REQUIRE(cursor.next(filter, parts));
  CHECK(parts.shared);
  CHECK(!cursor.next(filter, parts));
}

STMQTT_TEST("wire decode: which side may send what") {
  for (unsigned type = 0; type < 16; ++type) {
    const auto packet = static_cast<PacketType>(type);
    const auto code = [&](Version version, Direction direction) {
      return number(check_packet_type(packet, version, direction));
    };
    const bool both = type >= 3 && type <= 7;
    const bool client = type == 1 || type == 8 || type == 10 || type == 12;
    const bool server = type == 2 || type == 9 || type == 11 || type == 13;
    if (both || client || server) {
      CHECK_EQ(code(Version::v311, Direction::from_client), both || client ? 0 : 0x82);
      CHECK_EQ(code(Version::v5, Direction::from_server), both || server ? 0 : 0x82);
    }
  }
  CHECK_EQ(number(check_packet_type(PacketType{0}, Version::v5, Direction::from_client)), 0x81);
  CHECK_EQ(number(check_packet_type(PacketType::disconnect, Version::v311, Direction::from_server)), 0x82);
  CHECK_EQ(number(check_packet_type(PacketType::disconnect, Version::v5, Direction::from_server)), 0);
  CHECK_EQ(number(check_packet_type(PacketType::auth, Version::v311, Direction::from_client)), 0x81);
  CHECK_EQ(number(check_packet_type(PacketType::auth, Version::v5, Direction::from_client)), 0);
}

}  // namespace
