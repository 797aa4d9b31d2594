// Shared Subscriptions across threads and connections: one member each, and what happens to a
// message whose member leaves.
#include <set>
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::CloseCause;
using contract::Counter;

ConnectText client(const std::string& id, std::uint32_t expiry_s = 0) {
  ConnectText text;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

struct Scene {
  explicit Scene(TestGate::Mode gate = TestGate::Mode::at_once) : bed(options(gate)) {
    publisher = &bed.ready(client("publisher"), 0);
  }
  static NetOptions options(TestGate::Mode gate) {
    NetOptions options;
    options.shards = 3;
    options.gate = gate;
    return options;
  }
  Peer& member(const std::string& id, unsigned shard, std::uint32_t expiry_s = 0,
               std::uint16_t receive_maximum = 0) {
    ConnectText text = client(id, expiry_s);
    text.receive_maximum = receive_maximum;
    Peer& peer = bed.ready(text, shard);
    peer.subscribe("$share/g/s", 2);
    bed.settle();
    static_cast<void>(peer.take());
    return peer;
  }
  Scene& publish(const std::string& payload, std::uint8_t qos = 1) {
    publisher->publish("s", payload, qos, qos == 0 ? 0 : ++packet_id);
    bed.settle();
    if (qos == 2) publisher->ack(PacketType::pubrel, packet_id);
    bed.settle();
    static_cast<void>(publisher->take());
    return *this;
  }
  void leave(Peer& peer) {
    peer.cut();
    bed.settle();
  }

  Bed bed;
  Peer* publisher;
  std::uint16_t packet_id = 0;
};

STMQTT_TEST("shared: each message goes to one member, on whatever thread, with QoS and identifier") {
  Scene scene;
  Peer& a = scene.member("a", 0);
  Peer& b = scene.member("b", 1);
  Peer& c = scene.member("c", 2);
  for (std::uint8_t qos = 0; qos < 3; ++qos) {
    for (int i = 0; i < 3; ++i) scene.publish(std::to_string(qos) + std::to_string(i), qos);
    std::multiset<std::string> got;
    for (Peer* peer : {&a, &b, &c}) {
      const auto packets = peer->take();
      CHECK_EQ(packets.size(), 1);  // round robin
      for (const Packet& packet : packets) {
        CHECK_EQ(packet.qos, qos);
        got.insert(packet.payload);
      }
    }
    CHECK_EQ(got.size(), 3);
    CHECK_EQ(*got.begin(), std::to_string(qos) + "0");
  }
}

STMQTT_TEST("shared: what a member left unacknowledged or unsent goes to another one at once") {
  Scene scene;
  Peer& a = scene.member("a", 1, 100, 2);
  scene.publish("1").publish("2").publish("3").publish("4");
  CHECK_EQ(a.payloads(), "1 2");  // the window; the rest is queued
  a.ack(PacketType::puback, 1);
  scene.bed.settle();
  CHECK_EQ(a.payloads(), "3");
  Peer& b = scene.member("b", 2, 0);
  scene.leave(a);
  CHECK_EQ(b.took(),
           "PUBLISH id 1 qos 1 s '2'; PUBLISH id 2 qos 1 s '3'; PUBLISH id 3 qos 1 s '4'");
  CHECK_EQ(scene.bed.counter(Counter::shared_redispatched), 3);
  // Copies and identifiers are gone: nothing comes twice.
  Peer& again = scene.bed.connect(client("a", 100), 1);
  CHECK_EQ(again.took(), "CONNACK session present");
}

STMQTT_TEST("shared: QoS 2 once sent stays with its member, unsent it goes") {
  Scene scene;
  Peer& a = scene.member("a", 1, 100, 1);
  scene.publish("sent", 2).publish("unsent", 2);
  CHECK_EQ(a.payloads(), "sent");
  Peer& b = scene.member("b", 2);
  scene.leave(a);
  CHECK_EQ(b.payloads(), "unsent");
  Peer& again = scene.bed.connect(client("a", 100), 1);
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 1 qos 2 DUP s 'sent'");
}

STMQTT_TEST("shared: QoS 2 that waits for the store is unsent") {
  Scene scene(TestGate::Mode::on_demand);
  Peer& a = scene.member("a", 1, 100);
  Peer& b = scene.member("b", 2);
  scene.leave(b);
  scene.publisher->publish("s", "m", 2, 1);
  scene.bed.tickets = Net::Tickets::keep;
  scene.bed.settle();
  scene.bed.net().gate(0).grant();
  scene.bed.settle();  // it is with "a", and its identifier waits
  CHECK_EQ(scene.bed.net().gate(1).waiting(), 1);
  Peer& c = scene.bed.ready(client("c"), 2);
  c.subscribe("$share/g/s", 2);
  scene.bed.settle();
  static_cast<void>(c.take());
  scene.leave(a);
  CHECK_EQ(c.payloads(), "m");
  scene.bed.net().gate(1).grant();
  scene.bed.tickets = Net::Tickets::grant;
  Peer& again = scene.bed.connect(client("a", 100), 1);
  CHECK_EQ(again.took(), "CONNACK session present");
}

STMQTT_TEST("shared: without another connected member it waits for its own") {
  Scene scene;
  Peer& a = scene.member("a", 1, 100);
  Peer& b = scene.member("b", 2, 100);
  scene.leave(b);
  scene.publish("x");
  CHECK_EQ(a.payloads(), "x");  // connected members first
  scene.leave(a);
  CHECK_EQ(scene.bed.counter(Counter::shared_redispatched), 0);
  scene.publish("y");  // nobody is here: somebody's queue
  Peer& a2 = scene.bed.connect(client("a", 100), 1);
  Peer& b2 = scene.bed.connect(client("b", 100), 2);
  const std::string got = a2.payloads() + "|" + b2.payloads();
  CHECK(got == "x y|" || got == "x|y");
}

STMQTT_TEST("shared: a member's session that ends gives to members that are away, too") {
  Scene scene;
  Peer& a = scene.member("a", 1);  // ends with its connection
  Peer& b = scene.member("b", 2, 100);
  scene.leave(b);
  scene.publish("1").publish("2", 2);
  CHECK_EQ(a.payloads(), "1 2");
  scene.leave(a);
  Peer& back = scene.bed.connect(client("b", 100), 2);
  // QoS 2 once sent ended with its session [MQTT-4.8.2-5].
  CHECK_EQ(back.payloads(), "1");
  CHECK_EQ(scene.bed.counter(Counter::dropped_session_ended), 1);
}

STMQTT_TEST("shared: expiry and Clean Start give the queue away as well") {
  Scene scene;
  Peer& a = scene.member("a", 1, 10);
  scene.leave(a);
  scene.publish("1").publish("2", 2);
  Peer& b = scene.member("b", 2, 100);
  CHECK_EQ(b.took(), "");  // "a" may come back for them
  scene.bed.net().advance(10'000);
  scene.bed.settle();
  CHECK_EQ(b.payloads(), "1 2");
  scene.leave(b);
  scene.publish("3");
  Peer& c = scene.member("c", 0, 100);
  ConnectText clean = client("b", 100);
  clean.clean_start = true;
  scene.bed.ready(clean, 2);
  CHECK_EQ(c.payloads(), "1 3");  // and what "b" never acknowledged
}

STMQTT_TEST("shared: a member gone while the message was on its way: picked again") {
  Scene scene;
  Peer& a = scene.member("a", 1);
  Peer& b = scene.member("b", 2);
  scene.publish("to a");
  static_cast<void>(a.take());
  scene.publish("to b");
  static_cast<void>(b.take());
  for (const std::uint8_t qos : {std::uint8_t{0}, std::uint8_t{1}}) {
    scene.publisher->publish("s", "next", qos, qos);
  }
  scene.bed.net().feed(scene.publisher->conn());
  scene.bed.net().end_turn(0);
  a.ack(PacketType::puback, 1);
  scene.bed.net().feed(a.conn());
  a.cut();
  scene.bed.net().end_of_stream(a.conn(), CloseCause::peer_closed);
  scene.bed.settle();
  CHECK_EQ(b.payloads(), "next next");
  CHECK_EQ(scene.bed.counter(Counter::dropped_shared_no_member), 0);
  // And when nobody is left: counted.
  scene.publisher->publish("s", "lost", 0);
  scene.bed.net().feed(scene.publisher->conn());
  scene.bed.net().end_turn(0);
  b.cut();
  scene.bed.net().end_of_stream(b.conn(), CloseCause::peer_closed);
  scene.bed.settle();
  CHECK_EQ(scene.bed.counter(Counter::dropped_shared_no_member), 1);
}

STMQTT_TEST("shared: a negative acknowledgement discards") {
  Scene scene;
  Peer& a = scene.member("a", 1, 100);
  Peer& b = scene.member("b", 2, 100);
  scene.publish("1").publish("2", 2);
  Peer& first = a.conn().to_client.empty() ? b : a;
  Peer& second = &first == &a ? b : a;
  first.ack(PacketType::puback, 1, ReasonCode::unspecified_error);
  second.ack(PacketType::pubrec, 1, ReasonCode::unspecified_error);
  scene.bed.settle();
  static_cast<void>(first.take());
  static_cast<void>(second.take());
  CHECK_EQ(scene.bed.counter(Counter::dropped_refused_by_receiver), 2);
  CHECK_EQ(scene.bed.counter(Counter::messages_in_flight), 0);
  scene.leave(first);
  CHECK_EQ(second.took(), "");
}

STMQTT_TEST("shared: a member that unsubscribes keeps what it was given") {
  Scene scene;
  Peer& a = scene.member("a", 1, 100, 1);
  scene.publish("1").publish("2");
  a.say(unsubscribe_packet(Version::v5, 9, {"$share/g/s"}));
  scene.bed.settle();
  a.ack(PacketType::puback, 1);
  scene.bed.settle();
  CHECK_EQ(a.payloads(), "1 2");
  scene.publish("3");
  CHECK_EQ(a.payloads(), "");
  // The group is gone: there is nobody to give "2" to, so it stays.
  scene.leave(a);
  Peer& again = scene.bed.connect(client("a", 100), 1);
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 2 qos 1 DUP s '2'");
}

}  // namespace
