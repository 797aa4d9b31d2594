// "$delayed/<seconds>/<topic>": what the prefix is, when messages come, who is told what, and bounds.
#include <string>

#include "runner.hpp"
#include "session_hooks_fixture.hpp"
#include "wire/delayed_topic.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using wire::DelayPrefix;
using wire::PacketType;

STMQTT_TEST("delayed: what the prefix is") {
  const auto take = [](std::string_view text, std::uint32_t most = 4'000'000'000U) {
    Bytes topic = as_bytes(text);
    std::uint32_t seconds = 7;
    switch (wire::take_delay_prefix(topic, most, seconds)) {
      case DelayPrefix::none:
        CHECK_EQ(as_text(topic), text);
        return std::string("none");
      case DelayPrefix::invalid:
        CHECK_EQ(as_text(topic), text);
        return std::string("invalid");
      case DelayPrefix::fits:
        break;
    }
    return std::to_string(seconds) + " " + std::string(as_text(topic));
  };
  CHECK_EQ(take("$delayed/5/a"), "5 a");
  CHECK_EQ(take("$delayed/0/a/b"), "0 a/b");
  CHECK_EQ(take("$delayed/007//"), "7 /");
  CHECK_EQ(take("$delayed/4000000000/a"), "4000000000 a");
  for (const char* plain : {"a", "delayed/5/a", "$delayed", "$delayedx/5/a", "$Delayed/5/a", "$share/g/a"}) {
    CHECK_EQ(take(plain), "none");
  }
  for (const char* wrong :
       {"$delayed/", "$delayed/5", "$delayed/5/", "$delayed//a", "$delayed/x/a", "$delayed/-1/a",
        "$delayed/5x/a", "$delayed/ 5/a", "$delayed/1.5/a", "$delayed/4000000001/a",
        "$delayed/99999999999999999999999999/a", "$delayed/5/$delayed/5/a"}) {
    CHECK_EQ(take(wrong), "invalid");
  }
  CHECK_EQ(take("$delayed/11/a", 10), "invalid");
}

DelayOptions options_on() {
  DelayOptions options;
  options.on = true;
  options.max_delay_s = 1000;
  options.max_messages = 100;
  options.max_bytes = 10'000;
  return options;
}

class DelayBed : public HookBed {
 public:
  explicit DelayBed(const DelayOptions& options = options_on(), const std::vector<HookText>& hooks = {})
      : HookBed(hooks) {
    delay(options);
  }
  void delay(const DelayOptions& options) {
    for (unsigned shard = 0; shard < net().shards(); ++shard) net().set_delayed(shard, options);
    wait(TimerWheel::kTickMs);
  }
};

STMQTT_TEST("delayed: off, it is an ordinary topic") {
  HookBed bed({});
  Peer& receiver = bed.ready(named("r"));
  receiver.subscribe("$delayed/#", 0);
  bed.settle();
  static_cast<void>(receiver.take());
  Peer& sender = bed.ready(named("s"));
  sender.publish("$delayed/5/a", "1", 1, 1).publish("$delayed/x", "2", 1, 2);
  bed.settle();
  CHECK_EQ(receiver.payloads(), "1 2");
  CHECK_EQ(sender.take().size(), 2U);
}

STMQTT_TEST("delayed: messages come when they are due, in that order, and are acknowledged before") {
  DelayBed bed;
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  sender.publish("$delayed/2/a", "two", 1, 1).publish("$delayed/1/b", "one", 2, 2);
  sender.publish("$delayed/0/c", "now", 1, 3).publish("$delayed/2/a", "two again").publish("d", "plain");
  bed.settle();
  CHECK_EQ(receiver.payloads(), "now plain");
  const auto acks = sender.take();
  REQUIRE(acks.size() == 3);
  for (const Packet& ack : acks) CHECK_EQ(ack.reason, ReasonCode::success);
  CHECK_EQ(bed.counter(Counter::delayed_messages), 3);
  CHECK_EQ(bed.counter(Counter::delayed_bytes), 18);
  CHECK_EQ(bed.counter(Counter::publish_received_qos2), 1);
  // Sent again it is no other.
  sender.publish("$delayed/1/b", "one", 2, 2);
  bed.settle();
  CHECK_EQ(sender.take().size(), 1U);
  CHECK_EQ(bed.counter(Counter::delayed_messages), 3);
  sender.ack(PacketType::pubrel, 2);
  bed.settle();
  CHECK_EQ(sender.took().substr(0, 7), "PUBCOMP");
  bed.wait(900);
  CHECK_EQ(receiver.payloads(), "");
  bed.wait(200);
  const auto first = receiver.take();
  REQUIRE(first.size() == 1);
  CHECK_EQ(first[0].topic, "b");
  CHECK_EQ(first[0].payload, "one");
  bed.wait(1000);
  CHECK_EQ(receiver.payloads(), "two two again");
  CHECK_EQ(bed.counter(Counter::delayed_published), 3);
  CHECK_EQ(bed.counter(Counter::delayed_messages), 0);
  CHECK_EQ(bed.counter(Counter::delayed_bytes), 0);
}

STMQTT_TEST("delayed: invalid ones are refused by 0x90; 3.x is acknowledged; nothing is published") {
  DelayBed bed;
  Peer& receiver = bed.receiver();
  Peer& five = bed.ready(named("five"));
  Peer& three = bed.ready(v3("three"));
  five.publish("$delayed/x/a", "1", 1, 1).publish("$delayed/1001/a", "2", 2, 2).publish("$delayed/1", "3");
  three.publish("$delayed//a", "4", 1, 1);
  bed.settle();
  bed.wait(5000);
  const auto told = five.take();
  REQUIRE(told.size() == 2);
  CHECK_EQ(told[0].reason, ReasonCode::topic_name_invalid);
  CHECK_EQ(told[1].reason, ReasonCode::topic_name_invalid);
  CHECK_EQ(three.take().size(), 1U);
  CHECK(!five.closed() && !three.closed());
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.counter(Counter::delayed_invalid), 4);
  // The identifier of the one refused may be used for another.
  five.publish("a", "5", 2, 2);
  bed.settle();
  CHECK_EQ(receiver.payloads(), "5");
}

STMQTT_TEST("delayed: the topic behind the prefix is the one that rules are about") {
  DelayBed bed;
  set_rules(bed, {deny({"secret/#", "$delayed/#"}, kPublish), allow({"#"})});
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  sender.publish("$delayed/1/secret/a", "no", 1, 1).publish("$delayed/1/a", "yes", 1, 2);
  sender.publish("$delayed/1/$SYS/x", "no", 1, 3);
  bed.settle();
  const auto told = sender.take();
  REQUIRE(told.size() == 3);
  CHECK_EQ(told[0].reason, ReasonCode::not_authorized);
  CHECK_EQ(told[1].reason, ReasonCode::success);
  CHECK_EQ(told[2].reason, ReasonCode::not_authorized);
  bed.wait(1100);
  CHECK_EQ(receiver.payloads(), "yes");
}

STMQTT_TEST("delayed: `me` is the publisher's, also when it has gone") {
  DelayBed bed;
  auto device = std::make_shared<DeviceOptions>();
  device->mode = MeMode::scoped;
  device->id_from_client = true;
  device->patterns = {"telemetry"};
  bed.net().set_device(0, device);
  Limits service = bed.limits;
  service.role = contract::Role::service;
  Peer& receiver = bed.ready(named("r"), 0, &service);
  receiver.subscribe("#", 1);
  bed.settle();
  static_cast<void>(receiver.take());
  Peer& pump = bed.ready(named("pump"));
  pump.publish("$delayed/1/v1/devices/me/telemetry", "t", 1, 1);
  pump.publish("$delayed/1/v1/devices/other/telemetry", "spoof", 1, 2);
  bed.settle();
  const auto told = pump.take();
  REQUIRE(told.size() == 2);
  CHECK_EQ(told[1].reason, ReasonCode::not_authorized);
  pump.cut();
  bed.settle();
  bed.wait(1100);
  const auto got = receiver.take();
  REQUIRE(got.size() == 1);
  CHECK_EQ(got[0].topic, "v1/devices/pump/telemetry");
}

STMQTT_TEST("delayed: hooks see it at once, by its topic, and what they make of it waits") {
  DelayBed bed(options_on(), {{"h/#"}});
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  sender.publish("$delayed/1/h/a", "1", 1, 1).publish("$delayed/1/h/b", "2", 2, 2);
  sender.publish("$delayed/1/free", "3", 1, 3).publish("$delayed/1/h/c", "4", 1, 4);
  bed.settle();
  CHECK_EQ(bed.shown, (std::vector<std::string>{"s h/a 1", "s h/b 2", "s h/c 4"}));
  CHECK_EQ(sender.take().size(), 0U);
  bed.change("1", "to", "changed", 1, false);
  bed.verdict("2");
  bed.verdict("4", HookAction::drop, ReasonCode::quota_exceeded);
  const auto acks = sender.take();
  REQUIRE(acks.size() == 4);
  CHECK_EQ(acks[3].reason, ReasonCode::quota_exceeded);
  CHECK_EQ(bed.counter(Counter::delayed_messages), 3);
  CHECK_EQ(receiver.payloads(), "");
  // A client that goes takes nothing with it, and what it sends again is known.
  bed.wait(1100);
  CHECK_EQ(receiver.payloads(), "changed 2 3");
  CHECK_EQ(bed.shown.size(), 3U);
}

STMQTT_TEST("delayed: the message expires from its PUBLISH on") {
  DelayBed bed;
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  model::PublishText text;
  text.topic = "$delayed/3/a";
  text.payload = "gone";
  text.expiry_s = 2;
  sender.say(model::publish_packet(text));
  text.payload = "there";
  text.expiry_s = 10;
  sender.say(model::publish_packet(text));
  bed.settle();
  bed.wait(3100);
  CHECK_EQ(receiver.payloads(), "there");
  CHECK_EQ(bed.counter(Counter::delayed_expired), 1);
}

STMQTT_TEST("delayed: an alias stands for the whole Topic Name; retained when it is due") {
  DelayBed bed;
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  model::PublishText text;
  text.topic = "$delayed/1/a";
  text.payload = "1";
  text.alias = 1;
  text.retain = true;
  sender.say(model::publish_packet(text));
  text.topic = "";
  text.payload = "2";
  sender.say(model::publish_packet(text));
  bed.settle();
  Peer& early = bed.ready(named("early"));
  early.subscribe("a", 0);
  bed.settle();
  CHECK_EQ(early.payloads(), "");
  bed.wait(1100);
  CHECK_EQ(receiver.payloads(), "1 2");
  Peer& late = bed.ready(named("late"));
  late.subscribe("a", 0);
  bed.settle();
  CHECK_EQ(late.payloads(), "2");
}

STMQTT_TEST("delayed: too many are refused with 0x97, or published at once") {
  DelayOptions options = options_on();
  options.max_messages = 2;
  options.max_bytes = 10;
  DelayBed bed(options);
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  sender.publish("$delayed/1/a", "1", 1, 1).publish("$delayed/1/a", "0123456789", 1, 2);
  sender.publish("$delayed/1/a", "2", 2, 3).publish("$delayed/1/a", "3", 2, 4).publish("$delayed/1/a", "4");
  bed.settle();
  const auto told = sender.take();
  REQUIRE(told.size() == 4);
  CHECK_EQ(told[0].reason, ReasonCode::success);
  CHECK_EQ(told[1].reason, ReasonCode::quota_exceeded);
  CHECK_EQ(told[2].reason, ReasonCode::success);
  CHECK_EQ(told[3].reason, ReasonCode::quota_exceeded);
  CHECK_EQ(bed.counter(Counter::delayed_dropped_full), 3);
  options.when_full = DelayFull::publish;
  bed.delay(options);
  sender.publish("$delayed/1/a", "5", 1, 5).publish("$delayed/1/a", "6", 2, 4);
  bed.settle();
  CHECK_EQ(receiver.payloads(), "5 6");
  CHECK_EQ(bed.counter(Counter::delayed_not_held), 2);
  bed.wait(1100);
  CHECK_EQ(receiver.payloads(), "1 2");
  sender.publish("$delayed/1/a", "7", 1, 7);
  bed.settle();
  CHECK_EQ(bed.counter(Counter::delayed_messages), 1);
}

STMQTT_TEST("delayed: switched off, those that wait are published, or dropped and counted") {
  DelayOptions options = options_on();
  DelayBed bed(options);
  Peer& receiver = bed.receiver();
  Peer& sender = bed.ready(named("s"));
  for (int n = 0; n < 50; ++n) sender.publish("$delayed/900/a", "x");
  bed.settle();
  options.on = false;
  bed.delay(options);
  CHECK_EQ(receiver.take().size(), 50U);
  sender.publish("$delayed/1/a", "plain", 1, 1);
  bed.settle();
  CHECK_EQ(sender.take().size(), 1U);
  CHECK_EQ(bed.counter(Counter::delayed_messages), 0);
  options.on = true;
  bed.delay(options);
  sender.publish("$delayed/900/a", "y");
  bed.settle();
  options.on = false;
  options.at_end = DelayEnd::drop;
  bed.delay(options);
  bed.wait(1'000'000);
  CHECK_EQ(receiver.payloads(), "");
  CHECK_EQ(bed.counter(Counter::delayed_dropped_end), 1);
  CHECK_EQ(bed.counter(Counter::delayed_bytes), 0);
}

}  // namespace
}  // namespace stmqtt::test
