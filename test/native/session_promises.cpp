// Durable before acknowledged: each promise waits for its ticket, in its place; and what happens when
// its connection ends first. A store that fails: session_store_failures.cpp.
#include <string>

#include "model/promise_scene.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;
using Scene = PromiseScene;

STMQTT_TEST("promises: PUBACK waits for the message, which is delivered at once") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("d", "m", 1, 7);
  scene.bed.settle();
  CHECK_EQ(scene.durable->took(), "PUBLISH id 1 qos 1 d 'm'");
  CHECK_EQ(publisher.took(), "");
  scene.grant();
  CHECK_EQ(publisher.took(), "PUBACK id 7");
}

STMQTT_TEST("promises: PUBACKs keep the order of their PUBLISH, with and without tickets") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("q", "1", 1, 1).publish("d", "2", 1, 2).publish("q", "3", 1, 3);
  publisher.publish("d", "4", 1, 4).publish("nobody", "5", 1, 5);
  scene.bed.settle();
  CHECK_EQ(publisher.took(), "PUBACK id 1");
  CHECK_EQ(scene.quick->payloads(), "1 3");
  scene.grant(1);
  CHECK_EQ(publisher.took(), "PUBACK id 2; PUBACK id 3");
  scene.grant();
  CHECK_EQ(publisher.took(), "PUBACK id 4; PUBACK id 5 no_matching_subscribers");
}

STMQTT_TEST("promises: a retained message is durable before PUBACK, even if nobody gets it") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("r", "m", 1, 1, true);
  publisher.publish("r", "", 1, 2, true);  // so is that there is none any more
  scene.bed.settle();
  CHECK_EQ(publisher.took(), "");
  scene.grant(1);
  CHECK_EQ(publisher.took(), "PUBACK id 1 no_matching_subscribers");
  scene.grant(1);
  CHECK_EQ(publisher.took(), "PUBACK id 2 no_matching_subscribers");
}

STMQTT_TEST("promises: QoS 2 goes to nobody, and is not retained, before it is durable") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("both", "m", 2, 7, true);
  scene.bed.settle();
  CHECK_EQ(publisher.took() + scene.quick->took() + scene.durable->took(), "");
  CHECK_EQ(scene.bed.net().tables().retained.count(), 0);
  // A resend attaches to the commit in progress: one message, and one PUBREC for both.
  publisher.say(publish_packet({Version::v5, "both", "m", 2, true, true, 7, 0, 0, ""}));
  // Not even by PUBREL is it answered: the PUBREC that it would follow was never sent.
  publisher.ack(PacketType::pubrel, 7);
  scene.bed.settle();
  CHECK_EQ(publisher.took() + scene.quick->took(), "");
  scene.grant(1);
  CHECK_EQ(publisher.took(), "PUBREC id 7");
  CHECK_EQ(scene.quick->payloads(), "m");
  CHECK_EQ(scene.bed.net().tables().retained.count(), 1);
  publisher.ack(PacketType::pubrel, 7);
  scene.bed.settle();
  CHECK_EQ(publisher.took(), "PUBCOMP id 7");
}

STMQTT_TEST("promises: QoS 2 for nobody durable keeps its place behind QoS 2 that waits") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("both", "1", 2, 1).publish("q", "2", 2, 2);
  scene.bed.settle();
  CHECK_EQ(scene.quick->took(), "");
  scene.grant();
  CHECK_EQ(scene.quick->payloads(), "1 2");
  CHECK_EQ(publisher.took(), "PUBREC id 1; PUBREC id 2");
}

STMQTT_TEST("promises: towards a persistent session the id of QoS 2 is durable before PUBLISH") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("d", "m", 2, 7);
  scene.bed.settle();
  scene.grant(1);  // the message
  CHECK_EQ(scene.durable->took(), "");
  scene.grant(1);  // the identifier
  CHECK_EQ(scene.durable->took(), "PUBLISH id 1 qos 2 d 'm'");
  scene.durable->ack(PacketType::pubrec, 1);
  scene.bed.settle();
  CHECK_EQ(scene.durable->took(), "");
  // A repeated PUBREC meanwhile gets no answer of its own.
  scene.durable->ack(PacketType::pubrec, 1);
  scene.bed.settle();
  CHECK_EQ(scene.durable->took(), "");
  scene.grant(1);  // the PUBREC
  CHECK_EQ(scene.durable->took(), "PUBREL id 1");
}

STMQTT_TEST("promises: PUBCOMP waits for the release of a persistent publisher's identifier") {
  Scene scene;
  Peer& publisher = scene.publisher(3600);
  publisher.publish("q", "m", 2, 7);
  scene.bed.settle();
  CHECK_EQ(publisher.took(), "");  // its session must remember the identifier
  scene.grant();
  CHECK_EQ(publisher.took(), "PUBREC id 7");
  publisher.ack(PacketType::pubrel, 7);
  scene.bed.settle();
  CHECK_EQ(publisher.took(), "");
  scene.grant();
  CHECK_EQ(publisher.took(), "PUBCOMP id 7");
}

STMQTT_TEST("promises: SUBACK, UNSUBACK and CONNACK of a persistent session wait") {
  Scene scene;
  Peer& other = scene.bed.connect(client("other", 100));
  CHECK_EQ(other.took(), "");
  other.subscribe("x", 1);  // sent before CONNACK: handled after it
  scene.bed.settle();
  CHECK_EQ(scene.bed.net().tables().trie.counts().subscriptions, 4);
  scene.grant(1);
  CHECK_EQ(other.took(), "CONNACK");
  CHECK_EQ(scene.bed.net().tables().trie.counts().subscriptions, 5);
  scene.grant();
  CHECK_EQ(other.took(), "SUBACK id 900");
  other.say(unsubscribe_packet(Version::v5, 901, {"x", "never"}));
  scene.bed.settle();
  CHECK_EQ(other.took(), "");
  scene.grant();
  const auto packets = other.take();
  REQUIRE_EQ(packets.size(), 1);
  CHECK_EQ(packets[0].reasons.size(), 2);
}

STMQTT_TEST("promises: a connection that ends takes its QoS 1 acknowledgements along") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("d", "m", 1, 7);
  scene.bed.settle();
  publisher.cut();
  scene.bed.settle();
  scene.grant();
  CHECK_EQ(scene.bed.counter(Counter::promises_dropped_on_close), 1);
  Peer& again = scene.publisher();
  CHECK_EQ(again.took(), "");
}

STMQTT_TEST("promises: a QoS 2 commit outlives the connection; the resend attaches to it") {
  Scene scene;
  Peer& publisher = scene.publisher(3600);
  publisher.publish("q", "m", 2, 7);
  scene.bed.settle();
  publisher.cut();
  scene.bed.settle();
  Peer& again = scene.bed.connect(client("publisher", 3600));
  again.say(publish_packet({Version::v5, "q", "m", 2, false, true, 7, 0, 0, ""}));
  scene.bed.settle();
  CHECK_EQ(scene.quick->took(), "");
  scene.grant();
  CHECK_EQ(scene.quick->payloads(), "m");
  CHECK_EQ(again.took(), "CONNACK session present; PUBREC id 7");
}

STMQTT_TEST("promises: the same where the new connection's CONNACK waits for nothing") {
  Scene scene;
  Peer& publisher = scene.publisher(3600);
  publisher.publish("q", "m", 2, 7);
  scene.bed.settle();
  publisher.cut();
  scene.bed.settle();
  Peer& again = scene.bed.connect(client("publisher"));  // its session ends with it from now on
  again.say(publish_packet({Version::v5, "q", "m", 2, false, true, 7, 0, 0, ""}));
  scene.bed.settle();
  CHECK_EQ(again.took(), "CONNACK session present");
  scene.grant();
  CHECK_EQ(scene.quick->payloads(), "m");
  CHECK_EQ(again.took(), "PUBREC id 7");
}

STMQTT_TEST("promises: gated publishes count in our Receive Maximum") {
  Scene scene;
  scene.bed.limits.receive_maximum = 2;
  Peer& v5 = scene.publisher();
  for (std::uint16_t id = 1; id <= 3; ++id) v5.publish("d", "m", 1, id);
  scene.bed.settle();
  CHECK_EQ(v5.took(), "DISCONNECT receive_maximum_exceeded");
  scene.grant();
  // 3.x knows no such thing: it is not read from until the store has caught up.
  Peer& v3 = scene.publisher(0, Version::v311);
  for (std::uint16_t id = 1; id <= 5; ++id) v3.publish("d", "m", 1, id);
  scene.bed.settle();
  CHECK(!v3.conn().unread.empty());
  for (int round = 0; round < 5; ++round) scene.grant();
  CHECK_EQ(v3.took(), "PUBACK id 1; PUBACK id 2; PUBACK id 3; PUBACK id 4; PUBACK id 5");
}

STMQTT_TEST("promises: a resend's PUBREC says what became of the first, not of what came since") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("both", "one", 2, 1).publish("both", "two", 2, 2);
  publisher.say(publish_packet({Version::v5, "both", "one", 2, false, true, 1, 0, 0, ""}));
  scene.bed.settle();
  scene.gate().grant(1);
  scene.gate().fail(1);
  scene.bed.settle();
  CHECK_EQ(publisher.took(), "PUBREC id 1; PUBREC id 2 unspecified_error");
  CHECK_EQ(scene.quick->payloads(), "one");
}

STMQTT_TEST("promises: an identifier granted after the client came back keeps to its new window") {
  Scene scene;
  ConnectText text = client("durable", 3600);
  Peer& publisher = scene.publisher();
  publisher.publish("d", "a", 1, 1).publish("d", "b", 2, 2);
  scene.bed.settle();
  scene.grant(2);  // both messages; now the identifier of "b" waits
  scene.durable->cut();
  scene.bed.settle();
  text.receive_maximum = 1;
  Peer& again = scene.bed.connect(text);
  scene.grant();
  scene.grant();
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 1 qos 1 DUP d 'a'");
  again.ack(PacketType::puback, 1);
  scene.bed.settle();
  CHECK_EQ(again.took(), "PUBLISH id 2 qos 2 d 'b'");
}

STMQTT_TEST("promises: what waits behind a scan goes on when the scan's subscription is ended") {
  Scene scene;
  Peer& publisher = scene.publisher();
  scene.durable->subscribe("new", 1, 5);  // its scan waits for SUBACK
  scene.bed.settle();
  publisher.publish("d", "m", 1, 1);
  scene.bed.settle();
  scene.durable->say(unsubscribe_packet(Version::v5, 6, {"new"}));
  scene.bed.settle();
  scene.grant();
  CHECK_EQ(scene.durable->payloads(), "m");
}

STMQTT_TEST("promises: an UNSUBSCRIBE that could not be stored is not answered") {
  Scene scene;
  scene.durable->say(unsubscribe_packet(Version::v5, 5, {"d"}));
  scene.bed.settle();
  scene.fail();
  CHECK_EQ(scene.durable->took(), "DISCONNECT unspecified_error");
}

}  // namespace
