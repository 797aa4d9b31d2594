// Logs for their first subscriber (dynamic_replay = "backlog"): scenes step by step.
#include <string>

#include "session_handovers_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using Scene = BacklogScene;

STMQTT_TEST("backlog: the first subscriber gets the logs in order, then what comes; nobody else does") {
  for (const unsigned shards : {1U, 3U}) {
    Context context("shards", shards);
    Scene scene(shards);
    CHECK_EQ(scene.publish("a/1", "1"), "PUBACK id 7");
    CHECK_EQ(scene.publish("a/2", "2"), "PUBACK id 7");
    CHECK_EQ(scene.publish("b", "3"), "PUBACK id 7");
    CHECK_EQ(scene.publish("a/1", "4", 0), "");
    Peer& group = scene.bed.ready(client("group"), 1 % shards);
    group.subscribe("$share/g/none/#", 1);
    scene.bed.settle();
    static_cast<void>(group.take());
    Peer& first = scene.bed.ready(client("first"), 2 % shards);
    first.say(subscribe_packet(Version::v5, 5, {{"a/#", 1}}, 9));
    scene.bed.settle();
    CHECK_EQ(first.took(),
             "SUBACK id 5; PUBLISH id 1 qos 1 a/1 '1'; PUBLISH id 2 qos 1 a/2 '2'; "
             "PUBLISH qos 0 a/1 '4'");
    static_cast<void>(scene.publish("a/1", "5"));
    CHECK_EQ(first.payloads(), "5");
    Peer& second = scene.bed.ready(client("second"), 0);
    second.subscribe("#", 1);
    scene.bed.settle();
    CHECK_EQ(second.payloads(), "3");
    CHECK_EQ(scene.cost(), 0U);
    CHECK_EQ(scene.bed.counter(Counter::logs), 0);
    CHECK_EQ(scene.bed.counter(Counter::log_replayed), 4);
    CHECK_EQ(scene.bed.counter(Counter::log_handovers), 2);
  }
}

STMQTT_TEST("backlog: the window, and what is not acknowledged, hold it back; what is left goes back") {
  Scene scene;
  for (int i = 1; i <= 6; ++i) static_cast<void>(scene.publish("t", std::to_string(i)));
  ConnectText slow = client("slow");
  slow.receive_maximum = 2;
  Peer& peer = scene.bed.ready(slow, 1);
  peer.subscribe("t", 1);
  scene.bed.settle();
  CHECK_EQ(peer.payloads(), "1 2");
  static_cast<void>(scene.publish("t", "live"));
  peer.ack(PacketType::puback, 1);
  scene.bed.settle();
  CHECK_EQ(peer.payloads(), "3");
  peer.cut();
  scene.bed.settle();
  static_cast<void>(scene.publish("t", "7"));
  // Two were with the client, and one waited in its queue: they ended with its session.
  Peer& next = scene.bed.ready(client("next"), 2);
  next.subscribe("+", 1);
  scene.bed.settle();
  CHECK_EQ(next.payloads(), "4 5 6 7");
  CHECK_EQ(scene.cost(), 0U);
}

STMQTT_TEST("backlog: a session that stays gets the rest when it is back") {
  Scene scene;
  for (int i = 1; i <= 4; ++i) static_cast<void>(scene.publish("t", std::to_string(i)));
  ConnectText slow = client("lasting", 100);
  slow.receive_maximum = 1;
  Peer& peer = scene.bed.ready(slow, 1);
  peer.subscribe("t", 1);
  scene.bed.settle();
  CHECK_EQ(peer.payloads(), "1");
  peer.ack(PacketType::puback, 1).cut();
  scene.bed.settle();
  static_cast<void>(scene.publish("t", "live"));
  Peer& back = scene.bed.connect(client("lasting", 100), 1);
  std::string got;
  for (int i = 0; i < 8; ++i) {
    for (const Packet& packet : back.take()) {
      if (packet.type != PacketType::publish) continue;
      got += packet.payload + " ";
      back.ack(PacketType::puback, packet.packet_id);
    }
    scene.bed.settle();
  }
  CHECK_EQ(got, "2 3 4 live ");
}

STMQTT_TEST("backlog: what is retained and logged comes once, in its place") {
  Scene scene;
  static_cast<void>(scene.publish("t", "1"));
  static_cast<void>(scene.publish("t", "2", 1, true));
  static_cast<void>(scene.publish("t", "3"));
  Peer& first = scene.bed.ready(client("first"), 1);
  first.subscribe("#", 1, 5);
  scene.bed.settle();
  CHECK_EQ(first.took(),
           "SUBACK id 5; PUBLISH id 1 qos 1 t '1'; PUBLISH id 2 qos 1 RETAIN t '2'; "
           "PUBLISH id 3 qos 1 t '3'");
  Peer& second = scene.bed.ready(client("second"), 2);
  second.subscribe("#", 1, 5);
  scene.bed.settle();
  CHECK_EQ(second.payloads(), "2");
}

STMQTT_TEST("backlog: expiry holds in logs") {
  Scene scene;
  PublishText text;
  text.topic = "t";
  text.payload = "short";
  text.expiry_s = 5;
  scene.publisher->say(publish_packet(text));
  text.payload = "long";
  text.expiry_s = 50;
  scene.publisher->say(publish_packet(text));
  scene.bed.settle();
  scene.bed.net().advance(20'000);
  Peer& peer = scene.bed.ready(client("peer"), 1);
  peer.subscribe("t");
  scene.bed.settle();
  CHECK_EQ(peer.payloads(), "long");
  CHECK_EQ(scene.bed.counter(Counter::dropped_expired), 1);
}

STMQTT_TEST("backlog: of initialized logs a subscriber gets what its filter matches") {
  LogOptions options;
  options.initialized = {"site/#"};
  Scene scene(3, options);
  for (const char* topic : {"site/a", "site/b", "site/a"}) {
    static_cast<void>(scene.publish(topic, topic));
  }
  Peer& a = scene.bed.ready(client("a"), 1);
  a.subscribe("site/a", 1);
  scene.bed.settle();
  CHECK_EQ(a.payloads(), "site/a site/a");
  Peer& all = scene.bed.ready(client("all"), 2);
  all.subscribe("#", 1);
  scene.bed.settle();
  CHECK_EQ(all.payloads(), "site/b");
}

STMQTT_TEST("backlog: what a subscriber may not have stays for those who may") {
  Scene scene;
  for (const char* topic : {"t/a", "t/secret", "t/a", "t/secret"}) {
    static_cast<void>(scene.publish(topic, topic));
  }
  ConnectText slow = client("slow");
  slow.receive_maximum = 1;
  Peer& peer = scene.bed.ready(slow, 1);
  peer.subscribe("t/+", 1);
  scene.bed.settle();
  CHECK_EQ(peer.payloads(), "t/a");
  Rule rule;
  rule.effect = RuleEffect::deny;
  rule.filters = {"t/secret"};
  rule.clients = {true, {"slow"}};
  Rule rest;
  rest.filters = {"#"};
  RuleError error;
  const auto rules = RuleSet::compile({rule, rest}, {}, error);
  REQUIRE(rules != nullptr);
  for (unsigned at = 0; at < 3; ++at) scene.bed.net().set_rules(at, rules);
  peer.ack(PacketType::puback, 1);
  scene.bed.settle();
  CHECK_EQ(peer.payloads(), "t/a");
  CHECK_EQ(scene.bed.counter(Counter::denied_delivery), 2);
  // Nor does No Local take away what others are to get.
  static_cast<void>(scene.publish("u", "own"));
  scene.publisher->say(subscribe_packet(Version::v5, 5, {{"u", 1 | 4}}, 0));
  scene.bed.settle();
  CHECK_EQ(scene.publisher->took(), "SUBACK id 5");
  Peer& may = scene.bed.ready(client("may"), 2);
  may.subscribe("#", 1);
  scene.bed.settle();
  CHECK_EQ(may.payloads(), "t/secret t/secret own");
  CHECK_EQ(scene.cost(), 0U);
}

STMQTT_TEST("backlog: more logs than a thread looks at in one go") {
  for (const unsigned shards : {1U, 2U}) {
    Context context("shards", shards);
    Scene scene(shards);
    const int count = 10'000;
    for (int at = 0; at < count; ++at) {
      scene.publisher->publish("many/" + std::to_string(at), std::to_string(at));
    }
    scene.bed.settle();
    CHECK_EQ(scene.bed.counter(Counter::logs), count);
    Peer& peer = scene.bed.ready(client("peer"), shards - 1);
    peer.subscribe("many/+", 0);
    int expected = 0;
    bool in_order = true;
    for (int round = 0; round < 50; ++round) {
      scene.bed.net().advance(1);
      scene.bed.settle();
      for (const Packet& packet : peer.take()) {
        if (packet.type != PacketType::publish) continue;
        in_order = in_order && packet.payload == std::to_string(expected);
        ++expected;
      }
    }
    CHECK(in_order);
    CHECK_EQ(expected, count);
    CHECK_EQ(scene.cost(), 0U);
  }
}

}  // namespace
}  // namespace stmqtt::test
