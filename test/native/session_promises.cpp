// Durable before acknowledged: each promise waits for its ticket, in its place; what happens when a
// ticket fails, or its connection ends first.
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;

ConnectText client(const std::string& id, std::uint32_t expiry_s = 0,
                   Version version = Version::v5) {
  ConnectText text;
  text.version = version;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

NetOptions on_demand() {
  NetOptions options;
  options.gate = TestGate::Mode::on_demand;
  return options;
}

/// A persistent subscriber to "d" (durable), one that is not to "q" (quick); nothing waits.
struct Scene {
  Scene() : bed(on_demand()) {
    durable = &bed.ready(client("durable", 3600));
    quick = &bed.ready(client("quick"));
    durable->subscribe("d", 2);
    quick->subscribe("q", 2).subscribe("both", 2);
    durable->subscribe("both", 2);
    bed.settle();
    static_cast<void>(durable->take());
    static_cast<void>(quick->take());
    bed.tickets = Net::Tickets::keep;
  }
  void grant(std::size_t count = SIZE_MAX) {
    gate().grant(count);
    bed.settle();
  }
  void fail(std::size_t count = SIZE_MAX) {
    gate().fail(count);
    bed.settle();
  }
  TestGate& gate() { return bed.net().gate(0); }
  Peer& publisher(std::uint32_t expiry_s = 0, Version version = Version::v5) {
    bed.tickets = Net::Tickets::grant;
    Peer& peer = bed.ready(client("publisher", expiry_s, version));
    bed.tickets = Net::Tickets::keep;
    return peer;
  }

  Bed bed;
  Peer* durable;
  Peer* quick;
};

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

STMQTT_TEST("promises: a ticket that fails is told to v5 and closes 3.x") {
  Scene scene;
  Peer& v5 = scene.publisher();
  v5.publish("d", "one", 1, 1).publish("d", "two", 2, 2).publish("q", "three", 1, 3);
  scene.bed.settle();
  static_cast<void>(scene.durable->take());
  scene.fail(2);
  CHECK_EQ(v5.took(),
           "PUBACK id 1 unspecified_error; PUBREC id 2 unspecified_error; PUBACK id 3");
  CHECK_EQ(scene.durable->took(), "");  // the QoS 2 message goes to nobody
  v5.publish("d", "again", 2, 2);       // its identifier is free
  scene.bed.settle();
  scene.grant();
  CHECK_EQ(v5.took(), "PUBREC id 2");
  v5.cut();
  scene.bed.settle();
  Peer& v3 = scene.publisher(0, Version::v311);
  v3.publish("d", "m", 1, 1);
  scene.bed.settle();
  scene.fail();
  CHECK(v3.closed());
  CHECK_EQ(v3.took(), "");
}

STMQTT_TEST("promises: a subscription that could not be stored is refused, and not in force") {
  Scene scene;
  scene.durable->say(subscribe_packet(Version::v5, 5, {{"x", 1}, {"d", 1}, {"$share/g/y", 1}}));
  scene.bed.settle();
  scene.fail();
  const auto packets = scene.durable->take();
  REQUIRE_EQ(packets.size(), 1);
  REQUIRE_EQ(packets[0].reasons.size(), 3);
  for (const ReasonCode code : packets[0].reasons) CHECK(code == ReasonCode::unspecified_error);
  Peer& publisher = scene.publisher();
  publisher.publish("x", "m", 1, 1).publish("y", "m", 1, 2);
  scene.bed.settle();
  scene.grant();
  CHECK_EQ(scene.durable->took(), "");
  CHECK_EQ(publisher.took(),
           "PUBACK id 1 no_matching_subscribers; PUBACK id 2 no_matching_subscribers");
}

STMQTT_TEST("promises: a CONNECT that the store fails leaves no session and sends no Will") {
  Scene scene;
  ConnectText text = client("unlucky", 100);
  text.has_will = true;
  text.will_topic = "q";
  text.will_payload = "will";
  Peer& peer = scene.bed.connect(text);
  scene.fail();
  CHECK_EQ(peer.took(), "CONNACK server_unavailable");
  CHECK(peer.closed());
  CHECK_EQ(scene.quick->took(), "");
  CHECK_EQ(scene.bed.counter(Counter::wills_published), 0);
  CHECK_EQ(scene.bed.net().tables().directory.size(), 2);
}

STMQTT_TEST("promises: a resuming CONNECT that the store fails leaves the session as it was") {
  Scene scene;
  ConnectText text = client("durable", 3600);
  text.has_will = true;
  text.will_topic = "q";
  text.will_payload = "new will";
  scene.durable->cut();
  scene.bed.settle();
  Peer& publisher = scene.publisher();
  publisher.publish("d", "m", 1, 1);
  scene.bed.settle();
  scene.grant();
  Peer& peer = scene.bed.connect(text);
  scene.fail();
  CHECK_EQ(peer.took(), "CONNACK server_unavailable");
  CHECK_EQ(scene.quick->took(), "");
  scene.bed.tickets = Net::Tickets::grant;
  Peer& again = scene.bed.connect(client("durable", 3600));
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 1 qos 1 d 'm'");
}

STMQTT_TEST("promises: a delayed Will survives a resumption that fails, and one that is taken over") {
  Scene scene;
  ConnectText text = client("w", 3600);
  text.has_will = true;
  text.will_topic = "q";
  text.will_payload = "old will";
  text.will_delay_s = 10;
  scene.bed.tickets = Net::Tickets::grant;
  Peer& first = scene.bed.ready(text);
  scene.bed.tickets = Net::Tickets::keep;
  first.cut();
  scene.bed.settle();
  text.will_payload = "never accepted";
  text.will_delay_s = 0;
  Peer& second = scene.bed.connect(text);
  scene.fail();
  CHECK_EQ(second.took(), "CONNACK server_unavailable");
  CHECK_EQ(scene.quick->took(), "");
  scene.bed.net().advance(10'000);
  scene.bed.settle();
  CHECK_EQ(scene.quick->payloads(), "old will");
}

STMQTT_TEST("promises: a takeover while CONNACK waits closes the waiting one; its Will never was") {
  Scene scene;
  ConnectText text = client("c", 3600);
  text.has_will = true;
  text.will_topic = "q";
  text.will_payload = "of the first";
  Peer& first = scene.bed.connect(text);
  text.will_payload = "of the second";
  Peer& second = scene.bed.connect(text);
  CHECK(first.closed());
  scene.grant();
  CHECK_EQ(first.took(), "");
  CHECK_EQ(second.took(), "CONNACK");  // nobody was ever told of a session
  CHECK_EQ(scene.quick->took(), "");
  second.cut();
  scene.bed.settle();
  CHECK_EQ(scene.quick->payloads(), "of the second");
}

STMQTT_TEST("promises: an identifier that could not be stored is stored again on return") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("d", "m", 2, 7);
  scene.bed.settle();
  scene.grant(1);
  scene.fail(1);  // the outgoing identifier
  CHECK_EQ(scene.durable->took(), "DISCONNECT unspecified_error");
  Peer& again = scene.bed.connect(client("durable", 3600));
  scene.grant(1);
  CHECK_EQ(again.took(), "CONNACK session present");
  scene.grant();
  CHECK_EQ(again.took(), "PUBLISH id 1 qos 2 d 'm'");
  // The same with the PUBREC.
  again.ack(PacketType::pubrec, 1);
  scene.bed.settle();
  scene.fail();
  CHECK_EQ(again.took(), "DISCONNECT unspecified_error");
  Peer& third = scene.bed.connect(client("durable", 3600));
  scene.grant(1);
  CHECK_EQ(third.took(), "CONNACK session present");
  scene.grant();
  CHECK_EQ(third.took(), "PUBREL id 1");
  third.ack(PacketType::pubcomp, 1);
  scene.bed.settle();
  CHECK_EQ(scene.bed.counter(Counter::messages_in_flight), 0);
}

STMQTT_TEST("promises: it may fail while nobody is connected, too") {
  Scene scene;
  Peer& publisher = scene.publisher();
  publisher.publish("d", "m", 2, 7);
  scene.bed.settle();
  scene.grant(1);
  scene.durable->cut();
  scene.bed.settle();
  scene.fail();
  Peer& again = scene.bed.connect(client("durable", 3600));
  scene.grant(1);
  scene.grant();
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 1 qos 2 d 'm'");
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
