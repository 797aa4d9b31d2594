// PUBLISH packets that wait for hooks: who waits, their order, their acknowledgements, their verdicts.
#include <string>

#include "runner.hpp"
#include "session_hooks_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using wire::PacketType;

STMQTT_TEST("hook filters: which overlap") {
  const auto overlap = [](const std::string& a, const std::string& b) {
    const bool one = filters_overlap(as_bytes(a), as_bytes(b));
    CHECK_EQ(one, filters_overlap(as_bytes(b), as_bytes(a)));
    return one;
  };
  CHECK(overlap("a/b", "a/b"));
  CHECK(!overlap("a/b", "a/c"));
  CHECK(overlap("a/+", "+/b"));
  CHECK(!overlap("a/+", "b/+"));
  CHECK(overlap("#", "a"));
  CHECK(overlap("a/#", "a"));
  CHECK(overlap("a/#", "+"));
  CHECK(!overlap("a/b/#", "a"));
  CHECK(!overlap("a/+", "a"));
  CHECK(!overlap("#", "$SYS/a"));
  CHECK(!overlap("+/a", "$SYS/a"));
  CHECK(overlap("$SYS/#", "$SYS/a"));
  CHECK(!overlap("$SYS/#", "#"));
  CHECK(!overlap("a", "ab"));
}

STMQTT_TEST("hook set: what is no form is refused; needs add up") {
  CHECK(HookSet::read({}) == nullptr);
  const std::string none = form_of({});
  REQUIRE(HookSet::read(as_bytes(none)) != nullptr);
  const std::string bad = form_of({{"a/#/b"}});
  CHECK(HookSet::read(as_bytes(bad)) == nullptr);
  HookText two_kinds{"a"};
  two_kinds.kind = 3;
  const std::string two = form_of({two_kinds});
  CHECK(HookSet::read(as_bytes(two)) == nullptr);
  const std::string good = form_of({{"a/b", 100}, {"a/+", 200, true}, {"x", 400}});
  for (std::size_t bytes = 0; bytes < good.size(); ++bytes) {
    CHECK(HookSet::read(as_bytes(good).first(bytes)) == nullptr);
  }
  const auto set = HookSet::read(as_bytes(good));
  REQUIRE(set != nullptr);
  const std::string topic = "a/b";
  const HookNeeds needs = set->needs(as_bytes(topic));
  CHECK_EQ(needs.kinds, kHookPublish);
  CHECK_EQ(needs.publish.timeout_ms, 300U);
  CHECK(needs.publish.drops);
  const std::string other = "y";
  CHECK_EQ(set->needs(as_bytes(other)).kinds, 0);
}

STMQTT_TEST("hooks: topics that no hook asked for never cross") {
  HookBed bed({{"hooked/#"}});
  Peer& receiver = bed.ready(named("r"));
  receiver.subscribe("#", 1);
  bed.settle();
  static_cast<void>(receiver.take());
  Peer& sender = bed.ready(named("s"));
  for (std::uint16_t at = 1; at <= 50; ++at) sender.publish("free/" + std::to_string(at), "x", 1, at);
  bed.settle();
  CHECK_EQ(bed.shown.size(), 0U);
  CHECK_EQ(bed.counter(Counter::hook_publishes), 0);
  CHECK_EQ(bed.counter(Counter::hook_held), 0);
  CHECK_EQ(sender.take().size(), 50U);
}

STMQTT_TEST("hooks: a client's messages keep their order behind one that waits; others' do not wait") {
  HookBed bed({{"h/#"}});
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  Peer& other = bed.ready(named("o"));
  sender.publish("a", "1").publish("h/1", "2").publish("a", "3").publish("h/2", "4").publish("a", "5");
  bed.settle();
  other.publish("a", "other");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "1 other");
  // Both went out in one batch; their verdicts may come in any order.
  CHECK_EQ(bed.shown.size(), 2U);
  CHECK_EQ(bed.counter(Counter::hook_held), 4);
  bed.verdict("4");
  CHECK_EQ(receiver.payloads(), "");
  bed.verdict("2");
  CHECK_EQ(receiver.payloads(), "2 3 4 5");
  CHECK_EQ(bed.counter(Counter::hook_held), 0);
  // Nothing waits any more: the next one passes at once.
  sender.publish("a", "6");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "6");
  bed.verdict("2");  // once more, for what is gone
  CHECK_EQ(bed.counter(Counter::hook_verdicts_late), 1);
}

STMQTT_TEST("hooks: acknowledgements come after the verdict, in the order of their packets") {
  HookBed bed({{"h"}});
  Peer& receiver = bed.ready(named("r"));
  receiver.subscribe("#", 0);
  bed.settle();
  Peer& sender = bed.ready(named("s"));
  sender.publish("h", "one", 1, 1).publish("a", "two", 1, 2).publish("h", "three", 2, 3);
  sender.publish("a", "four", 2, 4).publish("$SYS/x", "five", 1, 5);
  bed.settle();
  CHECK_EQ(sender.took(), "");
  sender.say(model::pingreq_packet()).subscribe("z", 0, 77);
  bed.settle();
  // What is no PUBLISH is served meanwhile.
  const auto served = sender.take();
  CHECK_EQ(served.size(), 2U);
  CHECK(served[0].type == PacketType::pingresp);
  CHECK(served[1].type == PacketType::suback);
  bed.verdict("three");
  CHECK_EQ(sender.took(), "");
  bed.verdict("one");
  std::string ids;
  for (const model::Packet& packet : sender.take()) {
    ids += std::to_string(static_cast<int>(packet.type)) + ":" + std::to_string(packet.packet_id) + " ";
    CHECK_EQ(packet.reason, packet.packet_id == 5 ? ReasonCode::not_authorized : ReasonCode::success);
  }
  CHECK_EQ(ids, "4:1 4:2 5:3 5:4 4:5 ");
}

STMQTT_TEST("hooks: dropped; a v5 client is told the code and the reason, 3.x is acknowledged") {
  HookBed bed({{"h"}});
  Peer& receiver = bed.ready(named("r"));
  receiver.subscribe("#", 2);
  bed.settle();
  static_cast<void>(receiver.take());
  Peer& five = bed.ready(named("five"));
  Peer& three = bed.ready(v3("three"));
  five.publish("h", "a", 1, 1).publish("h", "b", 2, 2).publish("h", "c", 2, 3).publish("h", "d");
  three.publish("h", "e", 1, 1).publish("h", "f", 2, 2);
  bed.settle();
  bed.verdict("a", HookAction::drop, ReasonCode::quota_exceeded, "too much");
  bed.verdict("b", HookAction::drop, ReasonCode::not_authorized);
  bed.verdict("c", HookAction::drop);
  bed.verdict("d", HookAction::drop);
  bed.verdict("e", HookAction::drop, ReasonCode::quota_exceeded);
  bed.verdict("f", HookAction::drop, ReasonCode::quota_exceeded);
  const auto told = five.take();
  REQUIRE(told.size() == 3);
  CHECK_EQ(told[0].reason, ReasonCode::quota_exceeded);
  CHECK_EQ(told[1].reason, ReasonCode::not_authorized);
  CHECK_EQ(told[2].reason, ReasonCode::success);
  CHECK_EQ(three.take().size(), 2U);
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.counter(Counter::dropped_by_hook), 6);
  // The refused identifier is free, the other one waits for its PUBREL; nothing counts any more.
  five.ack(PacketType::pubrel, 3).publish("h", "again", 2, 2);
  bed.settle();
  CHECK_EQ(bed.shown.back(), "five h again");
  const auto after = five.take();
  REQUIRE(after.size() == 1);
  CHECK(after[0].type == PacketType::pubcomp);
  CHECK_EQ(after[0].reason, ReasonCode::success);
}

STMQTT_TEST("hooks: changed; delivered, retained and acknowledged as it is by then") {
  HookBed bed({{"h/#"}, {"to"}});
  Peer& receiver = bed.ready(named("r"));
  receiver.subscribe("#", 2);
  bed.settle();
  static_cast<void>(receiver.take());
  Peer& sender = bed.ready(named("s"));
  sender.publish("h/1", "a", 1, 9);
  bed.settle();
  bed.change("a", "to", "changed", 0, true);
  const auto got = receiver.take();
  REQUIRE(got.size() == 1);
  CHECK_EQ(got[0].topic, "to");
  CHECK_EQ(got[0].payload, "changed");
  CHECK_EQ(got[0].qos, 0);
  CHECK_EQ(bed.shown.size(), 1U);  // the new topic's hooks are not asked
  const auto acks = sender.take();
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].type == PacketType::puback);
  CHECK_EQ(acks[0].packet_id, 9);
  Peer& late = bed.ready(named("late"));
  late.subscribe("to", 0);
  bed.settle();
  CHECK_EQ(late.payloads(), "changed");
  // What is no Topic Name for messages is dropped, and counted.
  sender.publish("h/1", "b", 1, 10);
  bed.settle();
  bed.change("b", "$SYS/x", "", 0, false);
  CHECK_EQ(bed.counter(Counter::hook_errors), 1);
  CHECK_EQ(receiver.payloads(), "");
  const auto refused = sender.take();
  REQUIRE(refused.size() == 1);
  CHECK_EQ(refused[0].reason, ReasonCode::implementation_specific_error);
}

STMQTT_TEST("hooks: without a verdict in time their policy holds, each message's for itself") {
  HookBed bed({{"pass", 500}, {"drop", 200, true}});
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  sender.publish("pass", "1", 1, 1).publish("drop", "2", 1, 2).publish("free", "3", 1, 3);
  bed.settle();
  bed.wait(300);
  CHECK_EQ(bed.counter(Counter::hook_timeouts), 1);
  CHECK_EQ(receiver.payloads(), "");
  bed.wait(300);
  CHECK_EQ(bed.counter(Counter::hook_timeouts), 2);
  CHECK_EQ(receiver.payloads(), "1 3");
  const auto acks = sender.take();
  REQUIRE(acks.size() == 3);
  CHECK_EQ(acks[1].reason, ReasonCode::implementation_specific_error);
  bed.verdict("1");
  CHECK_EQ(bed.counter(Counter::hook_verdicts_late), 1);
}

}  // namespace
}  // namespace stmqtt::test
