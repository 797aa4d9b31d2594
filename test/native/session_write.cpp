// DirectWrites: into one client's queue past matching; every write has one outcome, whatever ends it.
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session_access_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using namespace stmqtt::test;
using contract::Counter;
using contract::WriteCause;
using contract::WriteOutcome;

constexpr std::uint8_t kKeeps = contract::kWriteQueue;

/// Writes under numbers that grow from 1.
struct Writer {
  explicit Writer(const NetOptions& options = {}) : bed(options) {}

  void write(const std::string& client, const std::string& payload, std::uint8_t qos = 1,
             std::uint8_t flags = 0, const std::string& topic = "t", std::uint32_t expiry_s = 0) {
    contract::DirectWrite record{};
    record.write_id = ++last;
    record.qos = qos;
    record.flags = flags;
    record.expiry_s = expiry_s;
    record.instance = contract::kAnyInstance;
    MessageParts parts;
    parts.topic = as_bytes(topic);
    parts.payload = as_bytes(payload);
    Shard& any = bed.net().shard(0);
    const SessionRef home = any.find_home(as_bytes(client));
    Shard& shard = home.valid() ? bed.net().shard(home.thread) : any;
    shard.set_now(bed.net().now_ms());
    shard.direct_write(home, record, as_bytes(client), parts);
    bed.settle();
  }
  /// The outcomes since the last call, as "1 delivered; 2 dropped 4".
  std::string outcomes() {
    std::string text;
    for (; told < bed.written.size(); ++told) {
      const contract::Written& w = bed.written[told];
      if (!text.empty()) text += "; ";
      text += std::to_string(w.write_id);
      switch (static_cast<WriteOutcome>(w.outcome)) {
        case WriteOutcome::delivered:
          text += " delivered";
          break;
        case WriteOutcome::dropped:
          text += std::string(" dropped: ") + write_cause_text(static_cast<WriteCause>(w.cause));
          break;
        case WriteOutcome::queued:
          text += " queued";
          break;
      }
      if (w.reason_code != 0) text += " " + std::to_string(w.reason_code);
    }
    return text;
  }

  Bed bed;
  std::uint64_t last = 0;
  std::size_t told = 0;
};

STMQTT_TEST("write: QoS 0 is delivered when it is handed over, without any subscription") {
  Writer w;
  Peer& c = w.bed.ready(named("c"));
  Peer& other = w.bed.ready(named("d"));
  w.write("c", "a", 0);
  CHECK_EQ(c.took(), "PUBLISH qos 0 t 'a'");
  CHECK_EQ(other.took(), "");
  CHECK_EQ(w.outcomes(), "1 delivered");
  w.write("nobody", "b", 0);
  w.write("c", "b", 0, 0, "t/+");
  w.write("c", "b", 0, 0, "");
  CHECK_EQ(w.outcomes(), "2 dropped: it is not connected; 3 dropped: not a Topic Name; "
                         "4 dropped: not a Topic Name");
  CHECK_EQ(c.took(), "");
  CHECK_EQ(w.bed.counter(Counter::direct_writes_delivered), 1);
  CHECK_EQ(w.bed.counter(Counter::direct_writes_dropped), 3);
}

STMQTT_TEST("write: QoS 1 and 2 are delivered when they are acknowledged, or dropped with its code") {
  Writer w;
  Peer& c = w.bed.ready(named("c"));
  w.write("c", "a");
  w.write("c", "b");
  w.write("c", "c", 2);
  CHECK_EQ(c.took(), "PUBLISH id 1 qos 1 t 'a'; PUBLISH id 2 qos 1 t 'b'; PUBLISH id 3 qos 2 t 'c'");
  CHECK_EQ(w.outcomes(), "");
  c.ack(PacketType::puback, 2, ReasonCode::implementation_specific_error);
  c.ack(PacketType::puback, 1);
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "2 dropped: it refused 131; 1 delivered");
  c.ack(PacketType::pubrec, 3);
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "");
  c.ack(PacketType::pubcomp, 3);
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "3 delivered");
  CHECK_EQ(w.bed.counter(Counter::messages_in_flight), 0);
}

STMQTT_TEST("write: behind what waits for the window, in order with publishes") {
  Writer w;
  ConnectText text = named("c");
  text.receive_maximum = 1;
  Peer& c = w.bed.ready(text);
  Peer& p = w.bed.ready(named("p"));
  c.subscribe("t", 1);
  w.bed.settle();
  static_cast<void>(c.take());
  p.publish("t", "1", 1, 1).publish("t", "2", 1, 2);
  w.bed.settle();
  w.write("c", "3");
  p.publish("t", "4", 1, 3);
  w.bed.settle();
  std::string got = c.payloads();
  for (std::uint16_t id = 1; id <= 4; ++id) {
    c.ack(PacketType::puback, id);
    w.bed.settle();
    got += " " + c.payloads();
    CHECK_EQ(w.outcomes(), id == 3 ? "1 delivered" : "");
  }
  CHECK_EQ(got, "1 2 3 4 ");
}

STMQTT_TEST("write: what its client's bounds do not take is dropped with its cause") {
  Writer w;
  ConnectText text = named("c");
  text.maximum_packet = 40;
  text.receive_maximum = 1;
  w.bed.limits.max_queued_messages = 1;
  Peer& c = w.bed.ready(text);
  const std::string large(50, 'x');
  w.write("c", large, 0);
  w.write("c", large, 1);
  CHECK_EQ(w.outcomes(), "1 dropped: larger than its Maximum Packet Size; "
                         "2 dropped: larger than its Maximum Packet Size");
  w.write("c", "a");
  w.write("c", large);
  w.write("c", "c");
  CHECK_EQ(w.outcomes(), "5 dropped: its queue is full");
  CHECK_EQ(c.took(), "PUBLISH id 2 qos 1 t 'a'");
  c.ack(PacketType::puback, 2);
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "3 delivered; 4 dropped: larger than its Maximum Packet Size");
}

STMQTT_TEST("write: a Message Expiry Interval ends the wait in the queue") {
  Writer w;
  ConnectText text = named("c");
  text.receive_maximum = 1;
  Peer& c = w.bed.ready(text);
  w.write("c", "a");
  w.write("c", "b", 1, contract::kWriteExpires, "t", 2);
  static_cast<void>(c.take());
  w.bed.net().advance(3000);
  c.ack(PacketType::puback, 1);
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "1 delivered; 2 dropped: expired");
  CHECK_EQ(c.took(), "");
}

STMQTT_TEST("write: above the watermark QoS 0 is dropped and QoS 1 waits") {
  NetOptions options;
  options.high_bytes = 64;
  options.low_bytes = 32;
  Writer w(options);
  Peer& c = w.bed.ready(named("c"));
  contract::DirectWrite record{};
  record.instance = contract::kAnyInstance;
  const std::string payload(100, 'x');
  MessageParts parts;
  parts.topic = as_bytes(std::string_view("t"));
  parts.payload = as_bytes(payload);
  Shard& shard = w.bed.net().shard(0);
  const SessionRef home = shard.find_home(as_bytes(std::string_view("c")));
  for (std::uint8_t qos : {0, 0, 1}) {
    record.write_id = ++w.last;
    record.qos = qos;
    shard.direct_write(home, record, as_bytes(std::string_view("c")), parts);
  }
  CHECK_EQ(w.outcomes(), "1 delivered; 2 dropped: its outbound queue is above the watermark");
  w.bed.settle();
  c.ack(PacketType::puback, 1);
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "3 delivered");
}

STMQTT_TEST("write: to a session whose client is away only with `queue`, and any QoS") {
  Writer w;
  Peer& c = w.bed.ready(persistent("c"));
  c.cut();
  w.bed.settle();
  w.write("c", "a");
  w.write("c", "b", 1, kKeeps);
  w.write("c", "c", 0, kKeeps);
  CHECK_EQ(w.outcomes(), "1 dropped: it is not connected; 2 queued; 3 queued");
  Peer& again = w.bed.connect(persistent("c"));
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 1 qos 1 t 'b'; PUBLISH qos 0 t 'c'");
  again.ack(PacketType::puback, 1);
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "");  // each has had its one
  // A session that ends with its connection keeps nothing.
  w.bed.ready(named("e")).cut();
  w.bed.settle();
  w.write("e", "x", 1, kKeeps);
  CHECK_EQ(w.outcomes(), "4 dropped: it is not connected");
}

STMQTT_TEST("write: the connection ends before the acknowledgement") {
  Writer w;
  ConnectText text = persistent("c");
  text.receive_maximum = 2;
  Peer& c = w.bed.ready(text);
  w.write("c", "sent");
  w.write("c", "sent, kept", 1, kKeeps);
  w.write("c", "unsent");
  w.write("c", "unsent, kept", 1, kKeeps);
  CHECK_EQ(w.outcomes(), "");
  c.cut();
  w.bed.settle();
  const std::string lost = " dropped: its connection ended before it acknowledged";
  CHECK_EQ(w.outcomes(), "1" + lost + "; 2 queued; 3" + lost + "; 4 queued");
  Peer& again = w.bed.connect(text);
  // What was sent is sent again, as MQTT wants it: its client may have it.
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 1 qos 1 DUP t 'sent'; "
                         "PUBLISH id 2 qos 1 DUP t 'sent, kept'");
  again.ack(PacketType::puback, 1).ack(PacketType::puback, 2);
  w.bed.settle();
  CHECK_EQ(again.took(), "PUBLISH id 3 qos 1 t 'unsent, kept'");
  CHECK_EQ(w.outcomes(), "");
  CHECK_EQ(w.bed.counter(Counter::messages_in_flight), 1);
  CHECK_EQ(w.bed.counter(Counter::messages_queued), 0);
}

STMQTT_TEST("write: QoS 2 that its client has received is delivered, whatever comes then") {
  Writer w;
  Peer& c = w.bed.ready(persistent("c"));
  w.write("c", "a", 2);
  static_cast<void>(c.take());
  c.ack(PacketType::pubrec, 1);
  w.bed.settle();
  c.cut();
  w.bed.settle();
  CHECK_EQ(w.outcomes(), "1 delivered");
}

STMQTT_TEST("write: takeover, Clean Start and the end of a session settle what waits") {
  Writer w;
  w.bed.ready(named("c"));
  w.write("c", "a");
  Peer& second = w.bed.ready(named("c"));  // Clean Start: takes over
  CHECK_EQ(w.outcomes(), "1 dropped: its connection ended before it acknowledged");
  w.write("c", "b");
  CHECK_EQ(second.payloads(), "b");
  const SessionRef home = w.bed.net().shard(0).find_home(as_bytes(std::string_view("c")));
  CHECK(w.bed.net().shard(0).terminate(home));
  CHECK_EQ(w.outcomes(), "2 dropped: its connection ended before it acknowledged");
}

STMQTT_TEST("write: the topic goes out as it was given, and no rule is asked") {
  Writer w;
  Limits red;
  red.tenant = "red";
  red.tenant_mode = TenantMode::transparent;
  ConnectText text = persistent("c");
  text.receive_maximum = 1;
  Peer& c = w.bed.ready(text, 0, &red);
  set_rules(w.bed, {deny({"#"}, kSubscribe)});
  w.write("red.c", "a", 0, 0, "some/where/far/away");
  w.write("red.c", "b", 1, 0, "x");
  w.write("red.c", "c", 1, kKeeps, "$own/x");
  w.write("red.c", "d", 1, kKeeps, "y");
  CHECK_EQ(c.took(), "PUBLISH qos 0 some/where/far/away 'a'; PUBLISH id 1 qos 1 x 'b'");
  c.ack(PacketType::puback, 1);
  w.bed.settle();
  CHECK_EQ(c.took(), "PUBLISH id 2 qos 1 $own/x 'c'");
  c.cut();
  w.bed.settle();
  Peer& again = w.bed.connect(text, 0, &red);
  CHECK_EQ(again.took(), "CONNACK session present; PUBLISH id 2 qos 1 DUP $own/x 'c'");
  again.ack(PacketType::puback, 2);
  w.bed.settle();
  CHECK_EQ(again.took(), "PUBLISH id 3 qos 1 y 'd'");
}

STMQTT_TEST("write: to sessions of other threads, by their home") {
  Writer w(threads(3));
  for (unsigned shard = 0; shard < 3; ++shard) {
    Peer& c = w.bed.ready(named("c" + std::to_string(shard)), shard);
    w.write("c" + std::to_string(shard), "a");
    CHECK_EQ(c.took(), "PUBLISH id 1 qos 1 t 'a'");
    c.ack(PacketType::puback, 1);
    w.bed.settle();
  }
  CHECK_EQ(w.outcomes(), "1 delivered; 2 delivered; 3 delivered");
}

}  // namespace
