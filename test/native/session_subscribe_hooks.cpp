// SUBSCRIBE packets and CONNECTs that wait for hooks, and what hooks are only told.
#include <string>
#include <vector>

#include "runner.hpp"
#include "session_hooks_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using contract::DropCause;
using contract::NoticeKind;
using wire::PacketType;

/// One filter's part of a verdict.
std::string said(ReasonCode code, std::uint8_t qos = 2, const std::string& filter = {}) {
  return std::string{static_cast<char>(code), static_cast<char>(qos),
                     static_cast<char>(filter.size()), 0} +
         filter;
}

class AskBed : public HookBed {
 public:
  using HookBed::HookBed;
  void answer(const std::string& answers) {
    contract::HookVerdict verdict{};
    verdict.hook_id = connection_id;
    verdict.action = static_cast<std::uint8_t>(HookAction::subscribe);
    HookVerdictTexts texts;
    texts.payload = as_bytes(answers);
    net().hook_verdict(verdict, texts);
    settle();
  }
  int subscribes = 0;
  std::uint64_t connection_id = 0;
  std::uint8_t flags = 0;
  std::vector<std::string> told;  ///< "kind client topic cause"

 private:
  void on_subscribe_hook(const contract::SubscribeHook& event) override {
    ++subscribes;
    connection_id = event.connection_id;
    flags = event.flags;
  }
  void on_notice(const contract::Notice& event, std::string_view client,
                 std::string_view topic) override {
    told.push_back(std::to_string(event.notice) + " " + std::string(client) + " " +
                   std::string(topic) + " " + std::to_string(event.cause));
  }
};

HookText hook(std::uint8_t kind, const std::string& filter, bool drops = false) {
  HookText text{filter, 1000, drops};
  text.kind = kind;
  return text;
}

STMQTT_TEST("subscribe hooks: the packet and what comes behind it wait; others do not") {
  AskBed bed({hook(kHookSubscribe, "secret/#")});
  Peer& client = bed.ready(named("c"));
  client.subscribe("free", 1, 1);
  bed.settle();
  CHECK_EQ(bed.subscribes, 0);
  CHECK_EQ(client.take().size(), 1U);
  client.subscribe("secret/a", 2, 2).say(model::pingreq_packet()).publish("free", "own", 0);
  bed.settle();
  CHECK_EQ(bed.subscribes, 1);
  CHECK_EQ(client.took(), "");
  Peer& other = bed.ready(named("o"));
  other.publish("free", "others");
  bed.settle();
  CHECK_EQ(client.payloads(), "others");
  bed.answer(said(ReasonCode::success, 1));
  const auto got = client.take();
  REQUIRE(got.size() == 3);
  CHECK(got[0].type == PacketType::suback);
  CHECK_EQ(static_cast<int>(code_of(got[0])), 1);  // a hook may lower it
  CHECK(got[1].type == PacketType::pingresp);
  CHECK_EQ(got[2].payload, "own");
  CHECK_EQ(bed.counter(Counter::packets_received_subscribe), 2);
  bed.answer(said(ReasonCode::success));
  CHECK_EQ(bed.counter(Counter::hook_verdicts_late), 1);
}

STMQTT_TEST("subscribe hooks: refused, changed, and what a wildcard would show") {
  AskBed bed({hook(kHookSubscribe, "secret/#")});
  Peer& client = bed.ready(named("c"));
  client.say(model::subscribe_packet(Version::v5, 5, {{"secret/a", 1}, {"#", 1}, {"+/b", 2}}));
  bed.settle();
  CHECK_EQ(bed.subscribes, 1);
  bed.answer(said(ReasonCode::not_authorized) + said(ReasonCode::success, 2, "open/#") +
             said(ReasonCode::success));
  const auto got = client.take();
  REQUIRE(got.size() == 1);
  REQUIRE(got[0].reasons.size() == 3);
  CHECK_EQ(got[0].reasons[0], ReasonCode::not_authorized);
  CHECK_EQ(static_cast<int>(got[0].reasons[1]), 1);
  CHECK_EQ(static_cast<int>(got[0].reasons[2]), 2);
  bed.ready(named("s")).publish("secret/a", "no").publish("open/x", "yes").publish("x/b", "too");
  bed.settle();
  CHECK_EQ(client.payloads(), "yes too");
  // Answers that are cut off, or no filter, let nothing worse happen than a refusal.
  client.subscribe("secret/c", 0, 6);
  bed.settle();
  bed.answer(said(ReasonCode::success, 2, "a/#/b"));
  const auto bad = client.take();
  REQUIRE(bad.size() == 1);
  CHECK(wire::is_error(code_of(bad[0])));
}

STMQTT_TEST("subscribe hooks: chosen by what filters are inside, of devices and of tenants") {
  AskBed bed({hook(kHookSubscribe, "v1/devices/pump/#"), hook(kHookSubscribe, "/tenants/red/#"),
              hook(kHookUnsubscribe, "v1/devices/pump/#"),
              hook(kHookUnsubscribe, "/tenants/red/#")});
  DeviceOptions devices;
  devices.mode = MeMode::scoped;
  devices.patterns = {"telemetry"};
  bed.net().set_device(0, std::make_shared<const DeviceOptions>(devices));
  Limits red;
  red.tenant_mode = TenantMode::transparent;
  red.tenant = "red";
  const std::string me = "v1/devices/me/telemetry";
  Peer& pump = bed.ready(named("pump"));
  Peer& fan = bed.ready(named("fan"));
  Peer& tenant = bed.ready(named("t"), 0, &red);
  fan.subscribe(me, 0, 1);
  bed.settle();
  CHECK_EQ(bed.subscribes, 0);
  pump.subscribe(me, 0, 1);
  bed.settle();
  CHECK_EQ(bed.subscribes, 1);
  CHECK_EQ(static_cast<int>(bed.flags), 0);
  bed.answer(said(ReasonCode::success));
  CHECK(!wire::is_error(code_of(pump.take().at(0))));
  tenant.subscribe("$share/g/x", 0, 1);
  bed.settle();
  CHECK_EQ(bed.subscribes, 2);
  CHECK_EQ(static_cast<int>(bed.flags), static_cast<int>(contract::kHookIsInTenant));
  bed.answer(said(ReasonCode::success));
  CHECK(!wire::is_error(code_of(tenant.take().at(0))));
  for (Peer* peer : {&pump, &fan, &tenant}) {
    peer->say(model::unsubscribe_packet(Version::v5, 9, {me, "$share/g/x"}));
  }
  bed.settle();
  REQUIRE(bed.told.size() == 2);
  CHECK_EQ(bed.told[0], "3 pump v1/devices/pump/telemetry 0");
  CHECK_EQ(bed.told[1], "3 red.t $share/g//tenants/red/x 0");
}

STMQTT_TEST("subscribe hooks: no answer in time; the client leaves; hooks are taken away") {
  AskBed bed({hook(kHookSubscribe, "drop", true), hook(kHookSubscribe, "pass")});
  Peer& client = bed.ready(named("c"));
  client.subscribe("drop", 1, 1);
  bed.settle();
  bed.wait(1100);
  CHECK_EQ(code_of(client.take().at(0)), ReasonCode::implementation_specific_error);
  client.subscribe("pass", 1, 2);
  bed.settle();
  bed.wait(1100);
  CHECK_EQ(static_cast<int>(code_of(client.take().at(0))), 1);
  CHECK_EQ(bed.counter(Counter::hook_timeouts), 2);
  client.subscribe("drop", 1, 3);
  bed.settle();
  bed.set({});
  bed.answer(said(ReasonCode::not_authorized));
  CHECK_EQ(code_of(client.take().at(0)), ReasonCode::not_authorized);
  bed.set({hook(kHookSubscribe, "drop", true)});
  client.subscribe("drop", 1, 4);
  bed.settle();
  bed.ready(named("c"));  // takes the connection over, with the packet that waits
  CHECK(client.closed());
  bed.answer(said(ReasonCode::success));
  bed.wait(2000);
  CHECK_EQ(bed.counter(Counter::hook_verdicts_late), 1);
}

STMQTT_TEST("notices: acknowledgements, losses and UNSUBSCRIBE, of topics that were asked for") {
  AskBed bed({hook(kHookAck, "a"), hook(kHookDrop, "a"), hook(kHookUnsubscribe, "a/#")});
  bed.limits.max_queued_messages = 1;
  Peer& receiver = bed.ready(named("r"));
  receiver.subscribe("#", 2);
  bed.settle();
  Peer& sender = bed.ready(named("s"));
  sender.publish("a", "1", 1, 1).publish("b", "2", 1, 2).publish("a", "3", 2, 3);
  bed.settle();
  receiver.ack(PacketType::puback, 1).ack(PacketType::puback, 2).ack(PacketType::pubrec, 3);
  bed.settle();
  REQUIRE(bed.told.size() == 2);
  CHECK_EQ(bed.told[0], "1 r a 0");
  CHECK_EQ(bed.told[1], "1 r a 0");
  bed.told.clear();
  Peer& away = bed.ready(persistent("away"));
  away.subscribe("a", 1);
  bed.settle();
  away.cut();
  bed.settle();
  sender.publish("a", "4", 1, 4).publish("a", "5", 1, 5).publish("a", "6");
  bed.settle();
  REQUIRE(bed.told.size() == 2);
  CHECK_EQ(bed.told[0], "2 away a 2");  // its queue is full
  CHECK_EQ(bed.told[1], "2 away a 7");  // QoS 0, and it is away
  bed.told.clear();
  receiver.say(model::unsubscribe_packet(Version::v5, 9, {"nothing", "#"}));
  bed.settle();
  REQUIRE(bed.told.size() == 1);
  CHECK_EQ(bed.told[0], "3 r # 0");
  CHECK_EQ(bed.counter(Counter::hook_notices), 5);
  bed.told.clear();
  bed.net().set_crowded(0, true);
  sender.publish("a", "7", 1, 7);
  bed.settle();
  CHECK_EQ(bed.counter(Counter::hook_notices_left_out), 1);
}

}  // namespace
}  // namespace stmqtt::test
