// What is held for hooks: its bounds, and what becomes of it when its client leaves, is taken over or
// comes back, and when the broker stops.
#include <string>

#include "runner.hpp"
#include "session_hooks_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using wire::PacketType;

/// With a Will for "will".
ConnectText mortal(const std::string& payload, std::uint8_t qos = 0) {
  ConnectText text = named("s");
  text.has_will = true;
  text.will_topic = "will";
  text.will_payload = payload;
  text.will_qos = qos;
  return text;
}

STMQTT_TEST("hooks: what may be held is bounded; its client waits, and nobody else") {
  HookBed bed({{"h", 5000}});

  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "first");
  for (std::uint32_t at = 0; at < HookDesk::kMaxItems + 10; ++at) sender.publish("a", "x");
  bed.settle();
  CHECK_EQ(bed.counter(Counter::hook_held), static_cast<std::int64_t>(HookDesk::kMaxItems));
  CHECK_NE(sender.conn().paused, 0);
  Peer& other = bed.ready(named("o"));
  other.publish("a", "y");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "y");
  bed.verdict("first");
  CHECK_EQ(sender.conn().paused, 0);
  CHECK_EQ(receiver.take().size(), HookDesk::kMaxItems + 11U);
  // Bytes are bounded too; one message always fits.
  sender.publish("h", std::string(HookDesk::kMaxBytes / 2 + 1, 'b')).publish("a", std::string(HookDesk::kMaxBytes / 2, 'c'));
  bed.settle();
  CHECK_EQ(bed.counter(Counter::hook_held), 1);
  CHECK_NE(sender.conn().paused, 0);
  bed.wait(6000);
  CHECK_EQ(bed.counter(Counter::hook_held), 0);
  CHECK_EQ(receiver.take().size(), 2U);
}

STMQTT_TEST("hooks: what is held counts in the Receive Maximum; 3.x waits") {
  HookBed bed({{"h", 5000}});
  bed.limits.receive_maximum = 3;
  Peer& three = bed.ready(v3("three"));
  for (std::uint16_t at = 1; at <= 5; ++at) three.publish("h", std::to_string(at), 1, at);
  bed.settle();
  CHECK_EQ(bed.shown.size(), 3U);
  CHECK_NE(three.conn().paused, 0);
  bed.verdict("1");
  CHECK_EQ(bed.shown.size(), 4U);
  Peer& five = bed.ready(named("five"));
  for (std::uint16_t at = 1; at <= 4; ++at) five.publish("h", "v" + std::to_string(at), 1, at);
  bed.settle();
  CHECK(five.closed());
}

STMQTT_TEST("hooks: a QoS 2 message that is sent again while it waits is published once") {
  HookBed bed({{"h", 5000}});
  Peer& receiver = bed.receiver();
  Peer& first = bed.ready(persistent("s"));
  first.publish("h", "once", 2, 7).publish("h", "once", 2, 7);
  bed.settle();
  CHECK_EQ(bed.shown.size(), 1U);
  first.ack(PacketType::pubrel, 7);  // before PUBREC: no answer
  bed.settle();
  CHECK_EQ(first.took(), "");
  // Taken over: the client sends it again on its new connection.
  Peer& second = bed.ready(persistent("s"));
  CHECK(first.closed());
  second.publish("h", "once", 2, 7);
  bed.settle();
  CHECK_EQ(bed.shown.size(), 1U);
  bed.verdict("once");
  CHECK_EQ(receiver.payloads(), "once");
  const auto told = second.take();
  REQUIRE(told.size() == 1);
  CHECK(told[0].type == PacketType::pubrec);
  second.ack(PacketType::pubrel, 7);
  bed.settle();
  CHECK_EQ(second.take().size(), 1U);
}

STMQTT_TEST("hooks: after DISCONNECT what was sent before is published, in order, and before the Will") {
  HookBed bed({{"h", 5000}});
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(mortal("will"));
  sender.publish("h", "1").publish("a", "2", 1, 2).publish("a", "3", 2, 3);
  bed.settle();
  sender.cut();
  bed.settle();
  // A new session of the same client comes behind what the old one sent.
  Peer& again = bed.ready(named("s"), 0);
  again.publish("a", "4");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "");
  bed.verdict("1");
  CHECK_EQ(receiver.payloads(), "1 2 3 will 4");
  CHECK_EQ(again.took(), "");
  // And on its own thread again.
  again.say(model::disconnect_packet(Version::v5));
  bed.settle();
  Peer& clean = bed.ready(named("c"));
  clean.publish("h", "5").say(model::disconnect_packet(Version::v5));
  bed.settle();
  CHECK(clean.closed());
  bed.verdict("5");
  CHECK_EQ(receiver.payloads(), "5");
}

STMQTT_TEST("hooks: a client that comes back on another thread goes where its messages wait") {
  HookBed bed({{"h", 5000}}, threads(2));
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"), 1);
  sender.publish("h", "1");
  bed.settle();
  sender.cut();
  bed.settle();
  Peer& again = bed.ready(named("s"), 0);
  again.publish("a", "2");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "");
  bed.verdict("1");
  CHECK_EQ(receiver.payloads(), "1 2");
}

STMQTT_TEST("hooks: nobody waits behind what a tenant's client of the same shown name has left") {
  HookBed bed({{"/tenants/red/h"}, {"h"}});
  Limits red;
  red.tenant_mode = TenantMode::transparent;
  red.tenant = "red";
  Peer& receiver = bed.receiver();
  Peer& tenant = bed.ready(named("t"), 0, &red);
  tenant.publish("h", "held");
  bed.settle();
  tenant.cut();
  bed.settle();
  Peer& other = bed.ready(named("red.t"));
  other.publish("h", "own");
  bed.settle();
  other.cut();
  bed.settle();
  bed.ready(named("red.t")).publish("free", "free");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "");
  bed.verdict("own");
  CHECK_EQ(receiver.payloads(), "own free");
  bed.verdict("held");
  CHECK_EQ(receiver.payloads(), "held");
}

STMQTT_TEST("hooks: a Will is shown to hooks; it may be dropped") {
  HookBed bed({{"will", 5000}});
  Peer& receiver = bed.receiver();
  bed.ready(mortal("w1", 2)).cut();
  bed.settle();
  CHECK_EQ(bed.shown.size(), 1U);
  CHECK_EQ(bed.last.flags, contract::kHookIsWill);
  bed.verdict("w1", HookAction::drop);
  CHECK_EQ(receiver.payloads(), "");
  bed.ready(mortal("w2", 2)).cut();
  bed.settle();
  bed.verdict("w2");
  CHECK_EQ(receiver.payloads(), "w2");
}

STMQTT_TEST("hooks: with no room for events its client waits, and goes on when there is") {
  HookBed bed({{"h", 5000}});
  Peer& sender = bed.ready(named("s"));
  bed.net().set_crowded(0, true);
  sender.publish("h", "1", 1, 1);
  bed.settle();
  CHECK_EQ(bed.shown.size(), 0U);
  CHECK_NE(sender.conn().paused, 0);
  CHECK_EQ(bed.counter(Counter::hook_held), 0);
  bed.net().set_crowded(0, false);
  bed.wait(20);
  CHECK_EQ(bed.shown.size(), 1U);
  CHECK_EQ(sender.conn().paused, 0);
}

STMQTT_TEST("hooks: the end of waiting, and hooks that are taken away") {
  HookBed bed({{"h", 60'000}, {"k", 60'000, true}});
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "1").publish("k", "2").publish("a", "3");
  bed.settle();
  CHECK(bed.net().shard(0).holds());
  bed.net().end_holds(0);
  bed.settle();
  CHECK(!bed.net().shard(0).holds());
  CHECK_EQ(receiver.payloads(), "1 3");
  sender.publish("h", "4");
  bed.settle();
  bed.set({});  // what waits still waits for its verdict
  sender.publish("h", "5");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.shown.size(), 3U);
  bed.verdict("4");
  CHECK_EQ(receiver.payloads(), "4 5");
  // A net that ends while something is held gives everything back (sanitizers look).
  bed.set({{"h", 60'000}});
  sender.publish("h", "6");
  bed.settle();
  sender.cut();
  bed.settle();
}

STMQTT_TEST("hooks: with a store, PUBREC waits for verdict and ticket, and a resend finds both") {
  model::NetOptions options;
  options.gate = model::TestGate::Mode::on_demand;
  HookBed bed({{"h", 5000}}, options);
  Peer& receiver = bed.ready(persistent("r"));
  receiver.subscribe("#", 2);
  bed.settle();
  static_cast<void>(receiver.take());
  Peer& sender = bed.ready(persistent("s"));
  sender.publish("h", "1", 2, 1).publish("h", "2", 1, 2);
  bed.settle();
  sender.cut();
  bed.settle();
  bed.verdict("1");
  bed.verdict("2");
  CHECK_EQ(receiver.payloads(), "1 2");
  Peer& again = bed.ready(persistent("s"));
  again.publish("h", "1", 2, 1);
  bed.settle();
  const auto told = again.take();
  REQUIRE(told.size() == 1);
  CHECK(told[0].type == PacketType::pubrec);
  CHECK_EQ(receiver.payloads(), "");
}

}  // namespace
}  // namespace stmqtt::test
