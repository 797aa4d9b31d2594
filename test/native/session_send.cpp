// Sending to a client: window, Packet Identifiers, order behind the queue, resends, overflow,
// expiry, sizes, watermarks.
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;

ConnectText client(const std::string& id, std::uint32_t expiry_s = 0) {
  ConnectText text;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

/// One publisher, one subscriber to "t" with a window of two.
struct Pair {
  explicit Pair(const NetOptions& options = {}) : bed(options) {
    to.receive_maximum = 2;
    publisher = &bed.ready(client("publisher"));
  }
  /// The subscriber connects; with `filter` it subscribes too. What came for it is left.
  Peer& join(const std::string& filter = "", std::uint8_t qos = 2) {
    subscriber = &bed.connect(to);
    if (!filter.empty()) {
      subscriber->subscribe(filter, qos);
      bed.settle();
      static_cast<void>(subscriber->take());
    }
    return *subscriber;
  }
  void leave() {
    subscriber->cut();
    bed.settle();
  }
  Pair& publish(const std::string& payload, std::uint8_t qos = 1, const std::string& topic = "t") {
    publisher->publish(topic, payload, qos, qos == 0 ? 0 : ++packet_id);
    bed.settle();
    if (qos == 2) {
      publisher->ack(PacketType::pubrel, packet_id);
      bed.settle();
    }
    static_cast<void>(publisher->take());
    return *this;
  }
  std::string ack(PacketType type, std::uint16_t id, ReasonCode reason = ReasonCode::success) {
    subscriber->ack(type, id, reason);
    bed.settle();
    return subscriber->took();
  }

  Bed bed;
  ConnectText to = client("subscriber", 3600);
  Peer* publisher = nullptr;
  Peer* subscriber = nullptr;
  std::uint16_t packet_id = 0;
};

STMQTT_TEST("send: the window is the client's Receive Maximum, and the rest waits in order") {
  Pair pair;
  pair.join("t");
  pair.publish("a").publish("b").publish("c").publish("d");
  CHECK_EQ(pair.subscriber->took(), "PUBLISH id 1 qos 1 t 'a'; PUBLISH id 2 qos 1 t 'b'");
  CHECK_EQ(pair.bed.counter(Counter::messages_queued), 2);
  CHECK_EQ(pair.bed.counter(Counter::messages_in_flight), 2);
  CHECK_EQ(pair.ack(PacketType::puback, 2), "PUBLISH id 3 qos 1 t 'c'");
  CHECK_EQ(pair.ack(PacketType::puback, 2), "");  // not in use any more
  CHECK_EQ(pair.ack(PacketType::puback, 1), "PUBLISH id 4 qos 1 t 'd'");
  CHECK_EQ(pair.bed.counter(Counter::messages_queued), 0);
  CHECK_EQ(pair.ack(PacketType::puback, 3) + pair.ack(PacketType::puback, 4), "");
  CHECK_EQ(pair.bed.counter(Counter::messages_in_flight), 0);
}

STMQTT_TEST("send: max_inflight bounds the window of a client that has no Receive Maximum") {
  Pair pair;
  pair.bed.limits.max_inflight = 1;
  pair.to.version = Version::v311;
  pair.join("t");
  pair.publish("a").publish("b");
  CHECK_EQ(pair.subscriber->took(), "PUBLISH id 1 qos 1 t 'a'");
  CHECK_EQ(pair.ack(PacketType::puback, 1), "PUBLISH id 2 qos 1 t 'b'");
}

STMQTT_TEST("send: nothing overtakes the queue when the window opens at a new message") {
  Pair pair;
  pair.join("t");
  pair.publish("a").publish("b").publish("c");
  static_cast<void>(pair.subscriber->take());
  // In one turn: the window opens, and a new message arrives before anything else happens.
  pair.subscriber->ack(PacketType::puback, 1).ack(PacketType::puback, 2);
  pair.publisher->publish("t", "d", 1, 100);
  pair.bed.settle();
  CHECK_EQ(pair.subscriber->payloads(), "c d");
}

STMQTT_TEST("send: an identifier in use is passed over when the numbers come round") {
  Pair pair;
  pair.join("t");
  pair.publish("held");  // takes 1 and is never acknowledged
  std::uint16_t last = 1;
  for (int round = 0; round < 65'536; ++round) {
    pair.publisher->publish("t", "x", 1, 7);
    pair.bed.settle();
    const auto packets = pair.subscriber->take();
    const Packet& packet = packets.back();
    REQUIRE_EQ(packet.payload, "x");
    REQUIRE(packet.packet_id != 0 && packet.packet_id != 1);
    last = packet.packet_id;
    pair.subscriber->ack(PacketType::puback, last);
    static_cast<void>(pair.publisher->take());
  }
  CHECK_EQ(last, 3);  // 2 to 65535 once, then 2 and 3
}

STMQTT_TEST("send: resent on a new connection in the first order, with DUP and the same ids") {
  Pair pair;
  pair.to.receive_maximum = 4;
  pair.join("t");
  pair.publish("a").publish("b", 2).publish("c").publish("d", 2);
  static_cast<void>(pair.subscriber->take());
  CHECK_EQ(pair.ack(PacketType::pubrec, 2), "PUBREL id 2");
  pair.leave();
  pair.publish("e");
  pair.join();
  CHECK_EQ(pair.subscriber->took(),
           "CONNACK session present; PUBLISH id 1 qos 1 DUP t 'a'; PUBREL id 2; "
           "PUBLISH id 3 qos 1 DUP t 'c'; PUBLISH id 4 qos 2 DUP t 'd'");
  CHECK_EQ(pair.ack(PacketType::pubcomp, 2), "PUBLISH id 5 qos 1 t 'e'");
  // A repeated PUBREC is answered again; on a live connection nothing else is ever repeated.
  CHECK_EQ(pair.ack(PacketType::pubrec, 4), "PUBREL id 4");
  CHECK_EQ(pair.ack(PacketType::pubrec, 4), "PUBREL id 4");
  pair.bed.net().advance(60'000);
  pair.bed.settle();
  CHECK_EQ(pair.subscriber->took(), "");
}

STMQTT_TEST("send: a smaller Receive Maximum on return holds resends back, in order") {
  Pair pair;
  pair.to.receive_maximum = 3;
  pair.join("t");
  pair.publish("a").publish("b").publish("c").publish("d");
  pair.leave();
  pair.to.receive_maximum = 1;
  pair.join();
  CHECK_EQ(pair.subscriber->took(), "CONNACK session present; PUBLISH id 1 qos 1 DUP t 'a'");
  CHECK_EQ(pair.ack(PacketType::puback, 1), "PUBLISH id 2 qos 1 DUP t 'b'");
  pair.publish("e");
  CHECK_EQ(pair.ack(PacketType::puback, 2), "PUBLISH id 3 qos 1 DUP t 'c'");
  CHECK_EQ(pair.ack(PacketType::puback, 3), "PUBLISH id 4 qos 1 t 'd'");
  CHECK_EQ(pair.ack(PacketType::puback, 4), "PUBLISH id 5 qos 1 t 'e'");
}

STMQTT_TEST("send: a message that is too large on return counts as delivered and blocks nothing") {
  Pair pair;
  pair.to.receive_maximum = 3;
  pair.join("t");
  pair.publish("small").publish(std::string(400, 'x')).publish("also small");
  pair.leave();
  pair.publish("later").publish(std::string(500, 'y')).publish("last");
  pair.to.maximum_packet = 100;
  pair.join();
  CHECK_EQ(pair.subscriber->payloads(), "small also small later");
  CHECK_EQ(pair.ack(PacketType::puback, 1), "PUBLISH id 6 qos 1 t 'last'");
  CHECK_EQ(pair.bed.counter(Counter::dropped_packet_too_large), 2);
  for (const std::uint16_t id : {3, 4, 6}) CHECK_EQ(pair.ack(PacketType::puback, id), "");
  CHECK_EQ(pair.bed.counter(Counter::messages_in_flight), 0);
  pair.publish("and on");
  CHECK_EQ(pair.subscriber->payloads(), "and on");
}

STMQTT_TEST("send: too large for this client, whatever the QoS and the way, is counted and skipped") {
  Pair pair;
  pair.to.maximum_packet = 100;
  pair.join("t");
  const std::string large(200, 'x');
  pair.publish(large, 0).publish(large, 1).publish(large, 2).publish("fits", 1);
  CHECK_EQ(pair.subscriber->payloads(), "fits");
  CHECK_EQ(pair.bed.counter(Counter::dropped_packet_too_large), 3);
  CHECK_EQ(pair.bed.counter(Counter::messages_in_flight), 1);
}

STMQTT_TEST("send: queue full, drop_newest") {
  Pair pair;
  pair.bed.limits.max_queued_messages = 2;
  pair.join("t");
  for (const char* payload : {"a", "b", "c", "d", "e", "f"}) pair.publish(payload);
  CHECK_EQ(pair.bed.counter(Counter::dropped_queue_full_newest), 2);
  CHECK_EQ(pair.subscriber->payloads(), "a b");
  static_cast<void>(pair.ack(PacketType::puback, 1));
  CHECK_EQ(pair.ack(PacketType::puback, 2), "PUBLISH id 4 qos 1 t 'd'");
  CHECK_EQ(pair.bed.events.back(), "alert subscriber 1");  // rate-limited: the first turn's
}

STMQTT_TEST("send: queue full, drop_oldest") {
  Pair pair;
  pair.bed.limits.max_queued_messages = 2;
  pair.bed.limits.queue_overflow = QueueOverflow::drop_oldest;
  pair.join("t");
  for (const char* payload : {"a", "b", "c", "d", "e", "f"}) pair.publish(payload);
  CHECK_EQ(pair.bed.counter(Counter::dropped_queue_full_oldest), 2);
  CHECK_EQ(pair.subscriber->payloads(), "a b");
  CHECK_EQ(pair.ack(PacketType::puback, 1), "PUBLISH id 3 qos 1 t 'e'");
  CHECK_EQ(pair.ack(PacketType::puback, 2), "PUBLISH id 4 qos 1 t 'f'");
}

STMQTT_TEST("send: the bound of a queue in bytes, and that it is given back") {
  Pair pair;
  pair.bed.limits.max_queued_bytes = 30;  // topic and payload count
  pair.join("t");
  pair.leave();
  pair.publish("123456789").publish("123456789").publish("12345678901").publish("123456789");
  CHECK_EQ(pair.bed.counter(Counter::dropped_queue_bytes), 1);
  CHECK_EQ(pair.bed.counter(Counter::messages_queued), 3);
  pair.join();
  static_cast<void>(pair.subscriber->take());
  for (std::uint16_t id = 1; id <= 3; ++id) static_cast<void>(pair.ack(PacketType::puback, id));
  CHECK_EQ(pair.bed.counter(Counter::messages_queued), 0);
  pair.leave();
  pair.publish("123456789").publish("123456789").publish("123456789");
  CHECK_EQ(pair.bed.counter(Counter::dropped_queue_bytes), 1);
}

STMQTT_TEST("send: queue full, refuse: 0x97 to v5, a pause to 3.x until there is room") {
  Pair pair;
  pair.bed.limits.max_queued_messages = 4;
  pair.bed.limits.queue_overflow = QueueOverflow::refuse;
  pair.join("t");
  ConnectText old = client("old");
  old.version = Version::v311;
  old.clean_start = true;
  Peer& v3 = pair.bed.ready(old);
  for (int i = 0; i < 6; ++i) pair.publish(std::to_string(i));  // two in flight, four queued
  pair.publisher->publish("t", "refused", 1, 50);
  pair.publisher->publish("t", "refused too", 2, 51);
  pair.publisher->publish("t", "QoS 0 asks for no promise", 0);
  v3.publish("t", "waits", 1, 9);
  pair.bed.settle();
  CHECK_EQ(pair.publisher->took(), "PUBACK id 50 quota_exceeded; PUBREC id 51 quota_exceeded");
  CHECK_EQ(v3.took(), "");
  CHECK(!v3.conn().unread.empty());
  CHECK_EQ(pair.bed.counter(Counter::publish_refused_quota), 2);
  CHECK_EQ(pair.subscriber->payloads(), "0 1 QoS 0 asks for no promise");
  CHECK_EQ(pair.ack(PacketType::puback, 1), "PUBLISH id 3 qos 1 t '2'");
  CHECK_EQ(v3.took(), "");  // three of four: not yet the time to say that there is room
  CHECK_EQ(pair.ack(PacketType::puback, 2), "PUBLISH id 4 qos 1 t '3'");
  pair.bed.net().advance(16);
  pair.bed.settle();
  CHECK_EQ(v3.took(), "PUBACK id 9");
  static_cast<void>(pair.ack(PacketType::puback, 3));
  static_cast<void>(pair.ack(PacketType::puback, 4));
  CHECK_EQ(pair.ack(PacketType::puback, 5) + pair.ack(PacketType::puback, 6),
           "PUBLISH id 7 qos 1 t 'waits'");
  CHECK_EQ(pair.bed.counter(Counter::dropped_queue_full_newest), 0);
}

STMQTT_TEST("send: a client whose own acknowledgements wait behind its pause is not stuck for ever") {
  Pair pair;
  pair.bed.limits.max_queued_messages = 1;
  pair.bed.limits.queue_overflow = QueueOverflow::refuse;
  ConnectText text = client("both");
  text.version = Version::v311;
  text.clean_start = true;
  pair.bed.limits.max_inflight = 1;
  Peer& both = pair.bed.ready(text);
  both.subscribe("own", 1);
  both.publish("own", "1", 1, 1).publish("own", "2", 1, 2).publish("own", "3", 1, 3);
  both.publish("own", "4", 1, 4).ack(PacketType::puback, 1).ack(PacketType::puback, 2);
  pair.bed.settle();
  // "1" is in flight, "2" queued: "3" pauses it, and so nobody reads its PUBACK.
  CHECK_EQ(both.payloads(), "1");
  CHECK(!both.conn().unread.empty());
  for (int step = 0; step < 1100; ++step) {
    pair.bed.net().advance(16);
    pair.bed.settle();
  }
  CHECK(both.conn().unread.empty());
  CHECK_EQ(both.took(), "PUBACK id 3; PUBACK id 4; PUBLISH id 2 qos 1 own '2'");
  CHECK_EQ(pair.bed.counter(Counter::dropped_queue_full_newest), 2);
}

STMQTT_TEST("send: the flag of a full session goes with the session") {
  Pair pair;
  pair.bed.limits.max_queued_messages = 1;
  pair.bed.limits.queue_overflow = QueueOverflow::refuse;
  pair.join("t");
  pair.leave();
  pair.publish("a");
  pair.publisher->publish("t", "b", 1, 50);
  pair.bed.settle();
  CHECK_EQ(pair.publisher->took(), "PUBACK id 50 quota_exceeded");
  pair.to.clean_start = true;
  pair.join("t");
  pair.publisher->publish("t", "c", 1, 51);
  pair.bed.settle();
  CHECK_EQ(pair.publisher->took(), "PUBACK id 51");
}

STMQTT_TEST("send: what expires in the queue is not sent, the rest is told what is left of it") {
  Pair pair;
  pair.join("t");
  pair.leave();
  PublishText text;
  text.topic = "t";
  text.payload = "short";
  text.qos = 1;
  text.packet_id = 1;
  text.expiry_s = 2;
  pair.publisher->say(publish_packet(text));
  text.payload = "long";
  text.packet_id = 2;
  text.expiry_s = 100;
  pair.publisher->say(publish_packet(text));
  pair.bed.settle();
  pair.bed.net().advance(2'000);
  pair.join();
  const auto packets = pair.subscriber->take();
  REQUIRE_EQ(packets.size(), 2);
  CHECK_EQ(packets[1].payload, "long");
  CHECK(packets[1].has_expiry);
  CHECK_EQ(packets[1].expiry_s, 98);
  CHECK_EQ(pair.bed.counter(Counter::dropped_expired), 1);
}

STMQTT_TEST("send: above the high watermark QoS 0 is dropped and QoS 1 waits") {
  NetOptions options;
  options.high_bytes = 200;
  options.low_bytes = 50;
  Pair pair(options);
  pair.to.receive_maximum = 100;
  pair.join("t");
  // Twenty of each in one turn, and nothing is flushed in between.
  for (std::uint16_t i = 1; i <= 20; ++i) {
    pair.publisher->publish("t", "zero", 0).publish("t", "one", 1, i);
  }
  pair.bed.net().feed(pair.publisher->conn());
  const auto dropped = pair.bed.counter(Counter::dropped_outbound_watermark);
  CHECK_GT(dropped, 0);
  CHECK_LE(pair.subscriber->conn().outlet->queue.bytes(), 200 + 12);  // at most one packet beyond
  CHECK_GT(pair.bed.counter(Counter::messages_queued), 0);
  pair.bed.settle();
  int zeros = 0;
  std::uint16_t next = 1;
  for (const Packet& packet : pair.subscriber->take()) {
    if (packet.qos == 0) ++zeros;
    if (packet.qos == 1) CHECK_EQ(packet.packet_id, next++);
  }
  CHECK_EQ(next, 21);
  CHECK_EQ(zeros + dropped, 20);
}

STMQTT_TEST("send: QoS 0 is neither kept for who is away nor resent") {
  Pair pair;
  pair.join("t");
  pair.publish("here", 0);
  CHECK_EQ(pair.subscriber->payloads(), "here");
  pair.leave();
  pair.publish("away", 0);
  CHECK_EQ(pair.bed.counter(Counter::dropped_offline_qos0), 1);
  pair.join();
  CHECK_EQ(pair.subscriber->took(), "CONNACK session present");
}

STMQTT_TEST("send: QoS 2 step by step, and identifiers that are not in use") {
  Pair pair;
  pair.join("t");
  pair.publish("a", 2).publish("b", 2).publish("c", 2);
  CHECK_EQ(pair.subscriber->payloads(), "a b");
  CHECK_EQ(pair.ack(PacketType::puback, 1), "");   // not the answer to QoS 2
  CHECK_EQ(pair.ack(PacketType::pubcomp, 1), "");  // not before PUBREL
  CHECK_EQ(pair.ack(PacketType::pubrec, 77), "PUBREL id 77 packet_identifier_not_found");
  CHECK_EQ(pair.ack(PacketType::pubrec, 1), "PUBREL id 1");
  CHECK_EQ(pair.ack(PacketType::pubcomp, 1), "PUBLISH id 3 qos 2 t 'c'");
  // An error frees the identifier at once: no PUBREL.
  CHECK_EQ(pair.ack(PacketType::pubrec, 2, ReasonCode::unspecified_error), "");
  CHECK_EQ(pair.bed.counter(Counter::dropped_refused_by_receiver), 1);
  CHECK_EQ(pair.bed.counter(Counter::messages_in_flight), 1);
}

STMQTT_TEST("send: what is left when a session ends is counted, and gauges return to zero") {
  Pair pair;
  pair.join("t");
  pair.publish("a").publish("b").publish("c").publish("d");
  pair.leave();
  pair.bed.net().advance(3'600'000);
  pair.bed.settle();
  CHECK_EQ(pair.bed.events.back(), "ended subscriber 1");
  CHECK_EQ(pair.bed.counter(Counter::dropped_session_ended), 4);
  CHECK_EQ(pair.bed.counter(Counter::messages_queued), 0);
  CHECK_EQ(pair.bed.counter(Counter::messages_in_flight), 0);
  pair.publish("nobody");
  CHECK_EQ(pair.bed.net().tables().trie.counts().subscriptions, 0);
}

STMQTT_TEST("send: Topic Aliases by use, never on a connection that did not allow them") {
  Pair pair;
  pair.to.alias_maximum = 1;
  pair.join("t");
  pair.publish("1", 0).publish("2", 0).publish("3", 0).publish("4", 1);
  const auto packets = pair.subscriber->take();
  REQUIRE_EQ(packets.size(), 4);
  CHECK_EQ(packets[0].alias, 0);
  CHECK_EQ(packets[1].alias, 1);
  CHECK(!packets[1].topic_left_out);
  CHECK(packets[2].topic_left_out);
  CHECK(packets[3].topic_left_out);
  pair.leave();
  pair.to.alias_maximum = 0;
  pair.join();
  CHECK_EQ(pair.subscriber->took(), "CONNACK session present; PUBLISH id 1 qos 1 DUP t '4'");
}

STMQTT_TEST("send: large payloads by reference are the same packets, resent too") {
  Pair pair;
  pair.join("t");
  const std::string large(40'000, 'L');
  pair.publish(large, 0).publish(large, 1);
  auto packets = pair.subscriber->take();
  REQUIRE_EQ(packets.size(), 2);
  CHECK(packets[0].payload == large && packets[1].payload == large);
  pair.leave();
  pair.join();
  packets = pair.subscriber->take();
  REQUIRE_EQ(packets.size(), 2);
  CHECK(packets[1].payload == large && packets[1].dup && packets[1].packet_id == 1);
}

}  // namespace
