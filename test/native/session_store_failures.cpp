// Promises whose ticket fails: who is told, and what is left as it was.
#include <string>

#include "model/promise_scene.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;
using Scene = PromiseScene;

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

STMQTT_TEST("promises: a subscription made twice stands if one of the two was stored") {
  for (const int granted : {0, 1, 2}) {  // neither, the first, the second
    test::Context context("granted", granted);
    Scene scene;
    scene.durable->subscribe("x", 1, 5).subscribe("x", 1, 6);
    scene.bed.settle();
    for (const int which : {1, 2}) {
      scene.gate().decide(1, which == granted ? TicketResult::Outcome::granted
                                              : TicketResult::Outcome::failed);
    }
    scene.bed.settle();
    static_cast<void>(scene.durable->take());
    Peer& publisher = scene.publisher();
    publisher.publish("x", "m", 1, 1);
    scene.bed.settle();
    CHECK_EQ(scene.durable->payloads(), granted == 0 ? "" : "m");
    // Stored once, a later failure does not take it away.
    scene.durable->subscribe("x", 1, 7);
    scene.bed.settle();
    scene.fail();
    publisher.publish("x", "n", 1, 2);
    scene.bed.settle();
    CHECK_EQ(scene.durable->payloads(), granted == 0 ? "" : "n");
  }
}

STMQTT_TEST("promises: a subscription is not stored by the SUBACK of one that ended before it") {
  Scene scene;
  scene.durable->subscribe("x", 1, 5).say(unsubscribe_packet(Version::v5, 6, {"x"}));
  scene.durable->subscribe("y", 1, 7);  // the trie gives it the place of "x"
  scene.bed.settle();
  scene.grant(2);
  scene.fail();
  static_cast<void>(scene.durable->take());
  Peer& publisher = scene.publisher();
  publisher.publish("y", "m", 1, 1);
  scene.bed.settle();
  CHECK_EQ(scene.durable->took(), "");
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

}  // namespace
