// Deliveries that wait for hooks: time, bounds, and receivers that leave meanwhile.
#include <string>

#include "runner.hpp"
#include "session_deliver_hooks_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using contract::WriteCause;
using contract::WriteOutcome;
using wire::PacketType;

STMQTT_TEST("deliver hooks: without an answer their policy holds, and nobody waits for ever") {
  DeliverBed bed({on_deliver("h/#", 1000), on_deliver("h/drop", 500, true)});
  Peer& receiver = bed.subscriber(named("r"), "#", 1);
  Peer& sender = bed.ready(named("s"));
  sender.publish("h/pass", "1").publish("h/drop", "2", 1, 2).publish("a", "3");
  bed.settle();
  const std::uint64_t late = bed.hook_ids.at("r 1");
  bed.wait(1010);
  CHECK_EQ(receiver.payloads(), "1");
  bed.wait(600);
  CHECK_EQ(receiver.payloads(), "3");
  CHECK_EQ(bed.counter(Counter::hook_timeouts), 2);
  CHECK_EQ(bed.counter(Counter::dropped_by_deliver_hook), 1);
  bed.judge(late, HookAction::change, "late");
  CHECK_EQ(bed.counter(Counter::hook_verdicts_late), 1);
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.asked_now(), 0);
}

STMQTT_TEST("deliver hooks: taken over while asked: asked again, and the late verdict is ignored") {
  DeliverBed bed({on_deliver("h")});
  Peer& first = bed.subscriber(persistent("r"), "#", 1);
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "0").publish("h", "1", 1, 1).publish("a", "2", 1, 2);
  bed.settle();
  const std::uint64_t old = bed.hook_ids.at("r 1");
  const std::uint64_t old0 = bed.hook_ids.at("r 0");
  Peer& second = bed.ready(persistent("r"));
  CHECK(first.closed());
  CHECK_EQ(bed.deliveries.size(), 3U);  // QoS 0 ended with the connection
  CHECK_NE(bed.hook_ids.at("r 1"), old);
  bed.judge(old, HookAction::drop);
  bed.judge(old0);
  CHECK_EQ(bed.counter(Counter::hook_verdicts_late), 2);
  CHECK_EQ(second.payloads(), "");
  bed.judge("r", "1");
  bed.judge(old);
  CHECK_EQ(second.payloads(), "1 2");
  CHECK_EQ(bed.asked_now(), 0);
}

STMQTT_TEST("deliver hooks: a receiver that goes leaves nothing behind") {
  DeliverBed bed({on_deliver("h")});
  Peer& receiver = bed.subscriber(named("r"), "#", 2);
  Peer& sender = bed.ready(named("s"));
  for (std::uint16_t at = 1; at <= 80; ++at) sender.publish("h", std::to_string(at), 1, at);
  sender.publish("h", "q0");
  bed.settle();
  CHECK_EQ(bed.asked_now(), static_cast<std::int64_t>(DeliverDesk::kMaxOfReceiver));
  const std::uint64_t old = bed.hook_ids.at("r 1");
  receiver.cut();
  bed.settle();
  CHECK_EQ(bed.asked_now(), 0);
  CHECK_EQ(bed.counter(Counter::messages_queued), 0);
  // Its slot is used again: what was asked about before means nobody.
  Peer& next = bed.subscriber(named("n"), "#", 1);
  sender.publish("h", "new", 1, 99);
  bed.settle();
  bed.judge(old, HookAction::change, "wrong");
  CHECK_EQ(next.payloads(), "");
  CHECK_EQ(bed.counter(Counter::hook_verdicts_late), 1);
  bed.judge("n", "new");
  CHECK_EQ(next.payloads(), "new");
}

STMQTT_TEST("deliver hooks: they are unregistered, or others come, while they are asked") {
  DeliverBed bed({on_deliver("h")});
  Peer& receiver = bed.subscriber(named("r"), "#", 1);
  Peer& sender = bed.ready(named("s"));
  for (std::uint16_t at = 1; at <= 70; ++at) sender.publish("h", std::to_string(at), 1, at);
  bed.settle();
  bed.set({});
  sender.publish("h", "71", 1, 71);
  bed.settle();
  CHECK_EQ(receiver.payloads(), "");  // behind those that are asked about
  for (std::uint16_t at = 1; at <= 64; ++at) {
    bed.judge("r", std::to_string(at), at == 64 ? HookAction::drop : HookAction::pass);
  }
  CHECK_EQ(receiver.take().size(), 70U);
  CHECK_EQ(bed.deliveries.size(), 64U);
  sender.publish("h", "72");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "72");
  bed.set({on_deliver("other")});
  sender.publish("h", "73").publish("other", "74");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "73");
  bed.judge("r", "74");
  CHECK_EQ(receiver.payloads(), "74");
}

STMQTT_TEST("deliver hooks: of one receiver so many are asked about at a time") {
  DeliverBed bed({on_deliver("h")});
  bed.limits.max_queued_messages = 100;
  Peer& receiver = bed.subscriber(named("r"), "#", 0);
  Peer& sender = bed.ready(named("s"));
  for (unsigned at = 0; at < 120; ++at) sender.publish("h", std::to_string(at));
  bed.settle();
  CHECK_EQ(bed.asked_now(), static_cast<std::int64_t>(DeliverDesk::kMaxOfReceiver));
  CHECK_EQ(bed.counter(Counter::hook_waits_receiver), 56);
  CHECK_EQ(bed.counter(Counter::dropped_queue_full_newest) +
               bed.counter(Counter::dropped_queue_full_oldest),
           20);
  while (bed.asked_now() > 0) {
    // The newest first: each makes room for none before the oldest has gone.
    const std::string& one = bed.deliveries.back();
    const std::string payload = one.substr(one.rfind(' ') + 1);
    bed.deliveries.pop_back();
    bed.judge("r", payload);
  }
  CHECK_EQ(receiver.take().size(), 100U);
  CHECK_EQ(bed.counter(Counter::messages_queued), 0);
}

STMQTT_TEST("deliver hooks: of all receivers so many, and so many bytes; the others stand in line") {
  DeliverBed bed({on_deliver("h", 60'000)});
  constexpr unsigned kReceivers = DeliverDesk::kMaxAsked / DeliverDesk::kMaxOfReceiver + 4;
  std::vector<Peer*> receivers;
  for (unsigned at = 0; at < kReceivers; ++at) {
    receivers.push_back(&bed.subscriber(named("r" + std::to_string(at)), "h", 0));
  }
  Peer& sender = bed.ready(named("s"));
  for (unsigned at = 0; at < DeliverDesk::kMaxOfReceiver; ++at) {
    sender.publish("h", std::to_string(at));
  }
  bed.settle();
  CHECK_EQ(bed.asked_now(), static_cast<std::int64_t>(DeliverDesk::kMaxAsked));
  CHECK(bed.counter(Counter::hook_waits_thread) > 0);
  for (std::size_t at = 0; at < bed.deliveries.size(); ++at) {
    const std::string one = bed.deliveries[at];
    bed.judge(one.substr(0, one.find(' ')), one.substr(one.rfind(' ') + 1));
  }
  CHECK_EQ(bed.asked_now(), 0);
  for (Peer* receiver : receivers) {
    CHECK_EQ(receiver->take().size(), static_cast<std::size_t>(DeliverDesk::kMaxOfReceiver));
  }
  // Bytes: one always fits.
  Peer& a = *receivers[0];
  const std::string large(DeliverDesk::kMaxBytes / kReceivers + 10'000, 'x');
  bed.deliveries.clear();
  sender.publish("h", large);
  bed.settle();
  CHECK(bed.asked_now() < static_cast<std::int64_t>(kReceivers));
  while (bed.asked_now() > 0) {
    const std::string one = bed.deliveries.back();
    bed.deliveries.pop_back();
    bed.judge(one.substr(0, one.find(' ')), large);
  }
  CHECK_EQ(a.take().size(), 1U);
  CHECK_EQ(receivers.back()->take().size(), 1U);
}

STMQTT_TEST("deliver hooks: while JavaScript is far behind, receivers wait, and only theirs") {
  DeliverBed bed({on_deliver("h")});
  Peer& receiver = bed.subscriber(named("r"), "#", 1);
  Peer& other = bed.subscriber(named("o"), "a", 0);
  Peer& sender = bed.ready(named("s"));
  bed.net().set_crowded(0, true);
  sender.publish("h", "1", 1, 1).publish("a", "2");
  bed.settle();
  CHECK_EQ(other.payloads(), "2");
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.deliveries.size(), 0U);
  bed.wait(100);
  CHECK(bed.counter(Counter::hook_waits_events) > 0);
  bed.net().set_crowded(0, false);
  bed.wait(100);
  bed.judge("r", "1");
  CHECK_EQ(receiver.payloads(), "1 2");
}

STMQTT_TEST("deliver hooks: at the end their policy holds for what is asked and for what comes") {
  DeliverBed bed({on_deliver("h/#"), on_deliver("h/drop", 5000, true)});
  Peer& receiver = bed.subscriber(named("r"), "#", 1);
  Peer& sender = bed.ready(named("s"));
  for (std::uint16_t at = 1; at <= 80; ++at) {
    sender.publish(at % 2 == 0 ? "h/drop" : "h/pass", std::to_string(at), 1, at);
  }
  bed.settle();
  bed.net().end_asks(0);
  bed.settle();
  CHECK_EQ(receiver.take().size(), 40U);
  CHECK_EQ(bed.counter(Counter::dropped_by_deliver_hook), 40);
  CHECK_EQ(bed.deliveries.size(), 64U);
  sender.publish("h/drop", "x").publish("h/pass", "y");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "y");
  CHECK_EQ(bed.asked_now(), 0);
}

STMQTT_TEST("deliver hooks: DirectWrites pass them, and are told what became of them") {
  DeliverBed bed({on_deliver("h")});
  Peer& receiver = bed.ready(persistent("r"));
  std::uint64_t number = 0;
  const auto write = [&](const std::string& payload, std::uint8_t qos, std::uint8_t flags = 0) {
    contract::DirectWrite record{};
    record.write_id = ++number;
    record.qos = qos;
    record.flags = flags;
    record.instance = contract::kAnyInstance;
    const std::string client = "r";
    const std::string topic = "h";
    MessageParts parts;
    parts.topic = as_bytes(topic);
    parts.payload = as_bytes(payload);
    Shard& shard = bed.net().shard(0);
    shard.set_now(bed.net().now_ms());
    shard.direct_write(shard.find_home(as_bytes(client)), record, as_bytes(client), parts);
    bed.settle();
  };
  write("1", 0);
  write("2", 1);
  write("3", 0);
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.deliveries.size(), 3U);
  bed.judge("r", "1");
  bed.judge("r", "2", HookAction::change, "two");
  bed.judge("r", "3", HookAction::drop);
  CHECK_EQ(receiver.payloads(), "1 two");
  receiver.ack(PacketType::puback, 1);
  bed.settle();
  REQUIRE(bed.written.size() == 3);
  CHECK_EQ(bed.written[0].outcome, static_cast<std::uint8_t>(WriteOutcome::delivered));
  CHECK_EQ(bed.written[1].write_id, 3U);
  CHECK_EQ(bed.written[1].outcome, static_cast<std::uint8_t>(WriteOutcome::dropped));
  CHECK_EQ(bed.written[1].cause, static_cast<std::uint8_t>(WriteCause::hook));
  CHECK_EQ(bed.written[2].outcome, static_cast<std::uint8_t>(WriteOutcome::delivered));
  // Its receiver leaves while it is asked about: one outcome each.
  write("4", 1, contract::kWriteQueue);
  write("5", 1);
  receiver.cut();
  bed.settle();
  REQUIRE(bed.written.size() == 5);
  CHECK_EQ(bed.written[3].outcome + bed.written[4].outcome,
           static_cast<int>(WriteOutcome::queued) + static_cast<int>(WriteOutcome::dropped));
  Peer& again = bed.ready(persistent("r"));
  bed.judge("r", "4");
  CHECK_EQ(again.payloads(), "4");
  CHECK_EQ(bed.asked_now(), 0);
}

STMQTT_TEST("deliver hooks: the store is told of messages as it knows them") {
  model::NetOptions options;
  options.gate = model::TestGate::Mode::on_demand;
  DeliverBed bed({on_deliver("h")}, options);
  Peer& receiver = bed.subscriber(persistent("r"), "#", 2);
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "x", 2, 1);
  bed.settle();
  sender.ack(PacketType::pubrel, 1);
  bed.settle();
  bed.commits.clear();
  bed.judge("r", "x", HookAction::change, "changed");
  CHECK_EQ(receiver.payloads(), "changed");
  REQUIRE(!bed.commits.empty());
  CHECK_EQ(bed.commits[0].payload, "x");
}

}  // namespace
}  // namespace stmqtt::test
