// Deliveries that hooks want to see: verdicts, order, and where messages come from.
#include <memory>
#include <set>
#include <string>

#include "runner.hpp"
#include "session_deliver_hooks_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using contract::DropCause;
using wire::PacketType;

STMQTT_TEST("deliver hooks: each receiver by itself: passed, changed, dropped") {
  HookText on_drop{"#"};
  on_drop.kind = kHookDrop;
  DeliverBed bed({on_deliver("h/#"), on_drop});
  Peer& a = bed.subscriber(named("a"), "#", 1);
  Peer& b = bed.subscriber(v3("b"), "#", 0);
  Peer& c = bed.subscriber(named("c"), "#", 2);
  Peer& sender = bed.ready(named("s"));
  sender.publish("h/1", "x", 1, 1).publish("other", "free");
  bed.settle();
  CHECK_EQ(sender.took(), "PUBACK id 1");  // its publisher does not wait
  CHECK_EQ(bed.deliveries.size(), 3U);
  CHECK_EQ(bed.asked_now(), 3);
  CHECK_EQ(bed.last_delivery.qos, 1);
  CHECK_EQ(bed.last_delivery.protocol_level, 5);
  CHECK_EQ(a.took(), "");
  bed.judge("a", "x");
  CHECK_EQ(a.took(), "PUBLISH id 1 qos 1 h/1 'x'; PUBLISH qos 0 other 'free'");
  bed.judge("b", "x", HookAction::change, "for b");
  CHECK_EQ(b.took(), "PUBLISH qos 0 h/1 'for b'; PUBLISH qos 0 other 'free'");
  bed.judge("c", "x", HookAction::drop);
  CHECK_EQ(c.took(), "PUBLISH qos 0 other 'free'");
  CHECK_EQ(bed.counter(Counter::dropped_by_deliver_hook), 1);
  CHECK_EQ(bed.counter(Counter::hook_changes), 1);
  CHECK_EQ(bed.counter(Counter::messages_queued), 0);
  CHECK_EQ(bed.counter(Counter::messages_in_flight), 1);
  REQUIRE(bed.told.size() == 1);
  CHECK_EQ(bed.told[0],
           std::to_string(static_cast<int>(DropCause::deliver_hook)) + " c h/1");
  // Other topics never cross.
  CHECK_EQ(bed.deliveries.size(), 3U);
}

STMQTT_TEST("deliver hooks: verdicts come in any order, messages go out in theirs") {
  DeliverBed bed({on_deliver("h")});
  Peer& receiver = bed.subscriber(named("r"), "#", 2);
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "1").publish("a", "2").publish("h", "3", 1, 3).publish("a", "4", 2, 4);
  bed.settle();
  sender.ack(PacketType::pubrel, 4);
  sender.publish("a", "5").publish("h", "6");
  bed.settle();
  CHECK_EQ(bed.deliveries.size(), 3U);
  bed.judge("r", "6");
  bed.judge("r", "3", HookAction::change, "3!");
  CHECK_EQ(receiver.payloads(), "");
  bed.judge("r", "1");
  CHECK_EQ(receiver.payloads(), "1 2 3! 4 5 6");
  CHECK_EQ(bed.asked_now(), 0);
  // And the plain way is open again.
  sender.publish("a", "7");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "7");
}

STMQTT_TEST("deliver hooks: QoS 1 and 2 that are dropped take no place in the window") {
  DeliverBed bed({on_deliver("h")});
  ConnectText text = persistent("r");
  text.receive_maximum = 1;
  Peer& receiver = bed.subscriber(text, "#", 2);
  Peer& sender = bed.ready(named("s"));
  for (std::uint16_t at = 1; at <= 4; ++at) sender.publish("h", std::to_string(at), 1, at);
  bed.settle();
  bed.judge("r", "1", HookAction::drop);
  bed.judge("r", "2");
  bed.judge("r", "3", HookAction::drop);
  bed.judge("r", "4", HookAction::change, "four");
  CHECK_EQ(receiver.took(), "PUBLISH id 1 qos 1 h '2'");
  receiver.ack(PacketType::puback, 1);
  bed.settle();
  CHECK_EQ(receiver.took(), "PUBLISH id 2 qos 1 h 'four'");
  // Sent again as it went out, without being asked about.
  receiver.cut();
  bed.settle();
  Peer& again = bed.connect(text);
  const auto resent = again.take();
  REQUIRE(resent.size() == 2);  // behind CONNACK
  CHECK(resent[1].dup);
  CHECK_EQ(resent[1].payload, "four");
  again.ack(PacketType::puback, 2);
  bed.settle();
  CHECK_EQ(bed.deliveries.size(), 4U);
  CHECK_EQ(bed.counter(Counter::messages_in_flight), 0);
  CHECK_EQ(bed.counter(Counter::messages_queued), 0);
}

STMQTT_TEST("deliver hooks: retained messages, in the order of their topics and before live ones") {
  DeliverBed bed({on_deliver("h/#")});
  Peer& sender = bed.ready(named("s"));
  sender.publish("a", "a", 1, 1, true).publish("h/1", "1", 1, 2, true);
  sender.publish("h/2", "2", 0, 0, true).publish("z", "z", 0, 0, true);
  bed.settle();
  Peer& receiver = bed.ready(named("r"));
  receiver.subscribe("#", 1);
  bed.settle();
  sender.publish("z", "live").publish("h/1", "live 1", 1, 3);
  bed.settle();
  CHECK_EQ(receiver.payloads(), "a");
  CHECK_EQ(bed.deliveries.size(), 3U);
  bed.judge("r", "live 1");
  bed.judge("r", "2", HookAction::drop);
  CHECK_EQ(receiver.payloads(), "");
  bed.judge("r", "1", HookAction::change, "one");
  CHECK_EQ(receiver.payloads(), "one z live live 1");
  CHECK_EQ(bed.counter(Counter::retained_delivered), 4);
  // Many: as many as may be asked, then on.
  for (unsigned at = 100; at < 400; ++at) {
    sender.publish("h/" + std::to_string(at), std::to_string(at), 0, 0, true);
  }
  bed.settle();
  receiver.cut();
  bed.settle();
  bed.deliveries.clear();
  Peer& other = bed.ready(v3("o"));
  other.subscribe("h/+", 0);
  bed.settle();
  CHECK_EQ(bed.asked_now(), static_cast<std::int64_t>(DeliverDesk::kMaxOfReceiver));
  std::set<std::string> topics{"1", "2"};
  for (unsigned at = 100; at < 400; ++at) topics.insert(std::to_string(at));
  std::string wanted;
  for (const std::string& topic : topics) wanted += (wanted.empty() ? "" : " ") + topic;
  for (std::size_t at = 0; at < bed.deliveries.size(); ++at) {
    const std::string& one = bed.deliveries[at];
    bed.judge("o", one.substr(one.rfind(' ') + 1));
  }
  CHECK_EQ(other.payloads(), wanted);
}

STMQTT_TEST("deliver hooks: a full window holds retained messages back, and they keep their place") {
  DeliverBed bed({on_deliver("h/#")});
  Peer& sender = bed.ready(named("s"));
  for (std::uint16_t at = 1; at <= 3; ++at) {
    sender.publish("h/" + std::to_string(at), std::to_string(at), 1, at, true);
  }
  bed.settle();
  ConnectText text = persistent("r");
  text.receive_maximum = 1;
  Peer& receiver = bed.ready(text);
  receiver.subscribe("#", 1);
  bed.settle();
  sender.publish("a", "live", 1, 9);
  bed.settle();
  for (const char* payload : {"3", "2", "1"}) bed.judge("r", payload);
  CHECK_EQ(receiver.payloads(), "1");
  for (std::uint16_t id = 1; id <= 2; ++id) {
    receiver.ack(PacketType::puback, id);
    bed.settle();
    CHECK_EQ(receiver.payloads(), std::to_string(id + 1));
  }
  receiver.cut();
  bed.settle();
  Peer& again = bed.connect(text);
  CHECK_EQ(again.payloads(), "3");
  again.ack(PacketType::puback, 3);
  bed.settle();
  CHECK_EQ(again.payloads(), "live");
}

STMQTT_TEST("deliver hooks: what was queued is asked about when its client is back") {
  DeliverBed bed({});
  Peer& receiver = bed.subscriber(persistent("r"), "#", 1);
  receiver.cut();
  bed.settle();
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "1", 1, 1).publish("a", "2", 1, 2).publish("h", "3", 1, 3);
  bed.settle();
  bed.set({on_deliver("h")});  // registered since
  Peer& again = bed.ready(persistent("r"), 0);
  CHECK_EQ(bed.deliveries.size(), 2U);
  CHECK_EQ(again.payloads(), "");
  bed.judge("r", "1", HookAction::drop);
  CHECK_EQ(again.payloads(), "2");
  bed.judge("r", "3");
  CHECK_EQ(again.payloads(), "3");
}

STMQTT_TEST("deliver hooks: across threads") {
  DeliverBed bed({on_deliver("h")}, threads(3));
  Peer& one = bed.subscriber(named("one"), "#", 1, 1);
  Peer& two = bed.subscriber(named("two"), "h", 0, 2);
  Peer& sender = bed.ready(named("s"), 0);
  sender.publish("h", "x", 1, 1);
  bed.settle();
  bed.judge("two", "x", HookAction::change, "y");
  CHECK_EQ(two.payloads(), "y");
  CHECK_EQ(one.payloads(), "");
  bed.judge("one", "x");
  CHECK_EQ(one.payloads(), "x");
}

STMQTT_TEST("deliver hooks: a member of a group; the next one gets it as it was") {
  DeliverBed bed({on_deliver("h")});
  Peer& one = bed.subscriber(persistent("one"), "$share/g/h", 1);
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "x", 1, 1).publish("h", "z", 1, 2);
  bed.settle();
  bed.judge("one", "x", HookAction::change, "for one");
  CHECK_EQ(one.payloads(), "for one");  // and not acknowledged
  Peer& two = bed.subscriber(named("two"), "$share/g/h", 1);
  one.cut();
  bed.settle();
  CHECK_EQ(bed.deliveries.size(), 4U);
  CHECK_EQ(bed.deliveries[2], "two h x");
  CHECK_EQ(bed.deliveries[3], "two h z");
  bed.judge("two", "x");
  bed.judge("two", "z", HookAction::drop);
  CHECK_EQ(two.payloads(), "x");
  CHECK_EQ(bed.asked_now(), 0);
}

STMQTT_TEST("deliver hooks: what logs have for their first subscriber, and live messages behind it") {
  DeliverBed bed({on_deliver("h/#")}, threads(2));
  LogOptions options;
  options.replay = LogReplay::backlog;
  options.settle();
  const auto shared = std::make_shared<const LogOptions>(std::move(options));
  for (unsigned shard = 0; shard < 2; ++shard) {
    bed.net().shard(shard).set_now(bed.net().now_ms());
    bed.net().shard(shard).logs().set_options(shared);
  }
  bed.limits.dynamic_filters = true;
  Peer& sender = bed.ready(named("s"), 1);
  for (unsigned at = 1; at <= 100; ++at) sender.publish("h/1", std::to_string(at));
  bed.settle();
  Peer& receiver = bed.connect(named("r"));
  receiver.subscribe("h/1", 1);
  bed.settle();
  sender.publish("h/1", "live");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.asked_now(), static_cast<std::int64_t>(DeliverDesk::kMaxOfReceiver));
  std::string wanted;
  for (unsigned at = 1; at <= 100; ++at) {
    bed.judge("r", std::to_string(at), at % 2 == 0 ? HookAction::drop : HookAction::pass);
    if (at % 2 != 0) wanted += std::to_string(at) + " ";
  }
  bed.judge("r", "live");
  CHECK_EQ(receiver.payloads(), wanted + "live");
  CHECK_EQ(bed.counter(Counter::log_replayed), 100);
}

STMQTT_TEST("deliver hooks: what nobody may have, and what has expired, is not shown") {
  DeliverBed bed({on_deliver("h/#")});
  set_rules(bed, {allow({"#"})});
  Peer& receiver = bed.subscriber(persistent("r"), "h/+", 1);
  receiver.cut();
  bed.settle();
  Peer& sender = bed.ready(named("s"));
  model::PublishText soon;
  soon.topic = "h/soon";
  soon.payload = "soon";
  soon.qos = 1;
  soon.packet_id = 3;
  soon.expiry_s = 1;
  sender.publish("h/no", "no", 1, 1).publish("h/yes", "yes", 1, 2);
  sender.say(model::publish_packet(soon));
  bed.settle();
  set_rules(bed, {deny({"h/no"}, kSubscribe), allow({"#"})});
  bed.wait(1100);
  Peer& again = bed.ready(persistent("r"));
  CHECK_EQ(bed.deliveries.size(), 1U);
  bed.judge("r", "yes");
  CHECK_EQ(again.payloads(), "yes");
}

STMQTT_TEST("deliver hooks: a change does not raise what the receiver can take") {
  DeliverBed bed({on_deliver("h")});
  ConnectText text = named("r");
  text.maximum_packet = 100;
  Peer& receiver = bed.subscriber(text, "#", 1);
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "x", 1, 1).publish("a", "y");
  bed.settle();
  bed.judge("r", "x", HookAction::change, std::string(200, 'x'));
  CHECK_EQ(receiver.payloads(), "y");
  CHECK_EQ(bed.counter(Counter::dropped_packet_too_large), 1);
}

}  // namespace
}  // namespace stmqtt::test
