// Device topics: who is which device, what `me` is to each, and that nobody gets at another device's
// topics on any path.
#include "session_access_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;

const std::string kTelemetry = "v1/devices/me/telemetry";

/// A broker with scoped device topics, and listeners of devices, services and a tenant.
struct Plant {
  explicit Plant(unsigned shards = 2, MeMode mode = MeMode::scoped) : bed(threads(shards)) {
    DeviceOptions options;
    options.mode = mode;
    options.patterns = {"telemetry", "attributes", "rpc/request/+", "rpc/response/+"};
    const auto shared = std::make_shared<const DeviceOptions>(options);
    for (unsigned shard = 0; shard < shards; ++shard) bed.net().set_device(shard, shared);
    services.role = contract::Role::service;
  }
  Peer& device(const std::string& id, unsigned shard = 0) { return bed.ready(named(id), shard); }
  Peer& service(const std::string& id, unsigned shard = 1) {
    return bed.ready(named(id), shard % bed.net().shards(), &services);
  }
  ReasonCode subscribe(Peer& peer, const std::string& filter) {
    peer.subscribe(filter);
    bed.settle();
    return code_of(peer.take().back());
  }
  std::string told(Peer& peer) {
    bed.settle();
    return peer.took();
  }
  Bed bed;
  Limits services;
};

ConnectText old(ConnectText text) {
  text.version = Version::v311;
  return text;
}

STMQTT_TEST("me: a device publishes to its own topic, and receives under me") {
  Plant plant;
  Peer& pump = plant.device("pump");
  Peer& fan = plant.bed.ready(old(named("fan")), 1);
  Peer& service = plant.service("backend");
  for (Peer* peer : {&pump, &fan}) {
    peer->subscribe("v1/devices/me/rpc/request/+", 1);
    plant.bed.settle();
    static_cast<void>(peer->take());
  }
  CHECK_EQ(plant.subscribe(service, "v1/devices/+/telemetry"), ReasonCode::success);
  pump.publish(kTelemetry, "1", 1, 7);
  CHECK_EQ(plant.told(pump), "PUBACK id 7");
  fan.publish(kTelemetry, "2").publish("v1/devices/fan/telemetry", "3");
  plant.bed.settle();
  CHECK_EQ(service.took(), "PUBLISH qos 0 v1/devices/pump/telemetry '1'; "
                           "PUBLISH qos 0 v1/devices/fan/telemetry '2'; "
                           "PUBLISH qos 0 v1/devices/fan/telemetry '3'");
  service.publish("v1/devices/pump/rpc/request/1", "on", 1, 1);
  service.publish("v1/devices/fan/rpc/request/2", "off");
  CHECK_EQ(plant.told(pump), "PUBLISH id 1 qos 1 v1/devices/me/rpc/request/1 'on'");
  CHECK_EQ(fan.took(), "PUBLISH qos 0 v1/devices/me/rpc/request/2 'off'");
}

STMQTT_TEST("me: another device's topics are refused, named or by wildcard, live") {
  Plant plant;
  Peer& pump = plant.device("pump");
  Peer& spy = plant.device("spy", 1);
  for (const char* filter : {"#", "+/devices/#", "v1/devices/+/telemetry", "v1/#", "v1/+/pump/#",
                             "$share/g/#", "v1/+/me/#"}) {
    CHECK_EQ(plant.subscribe(spy, filter), ReasonCode::success);
  }
  for (const char* filter : {"v1/devices/pump/#", "v1/devices/pump", "v1/devices/pump/telemetry",
                             "$share/g/v1/devices/pump/#", "v1/devices/Spy/#", "v1/devices//x",
                             "/tenants/t/v1/devices/spy/#"}) {
    const Context context("filter", filter);
    CHECK_EQ(plant.subscribe(spy, filter), ReasonCode::not_authorized);
  }
  CHECK_EQ(plant.bed.counter(Counter::device_denied_subscribe), 7);
  pump.publish(kTelemetry, "secret").publish("plant/x", "open").publish(kTelemetry, "r", 1, 1, true);
  CHECK_EQ(plant.told(pump), "PUBACK id 1");
  CHECK_EQ(spy.payloads(), "open open");
  spy.publish("v1/devices/pump/rpc/request/1", "bad", 1, 5);
  spy.publish("v1/devices/pump", "bad", 2, 6).publish("v1/devices/pump/x", "bad");
  spy.publish("/tenants/t/v1/devices/spy/x", "bad", 1, 8).publish("v1/devices/pump/x", "", 1, 9, true);
  CHECK_EQ(plant.told(spy), "PUBACK id 5 not_authorized; PUBREC id 6 not_authorized; "
                            "PUBACK id 8 not_authorized; PUBACK id 9 not_authorized");
  CHECK_EQ(plant.bed.counter(Counter::device_denied_publish), 5);
  CHECK_EQ(plant.bed.net().tables().retained.count(), 1U);
}

STMQTT_TEST("me: retained is the device's own, and services'") {
  Plant plant;
  Peer& pump = plant.device("pump");
  pump.publish("v1/devices/me/attributes", "mine", 1, 1, true);
  static_cast<void>(plant.told(pump));
  Peer& spy = plant.device("spy", 1);
  spy.subscribe("#").subscribe("v1/devices/me/attributes").subscribe("v1/devices/+/attributes");
  plant.bed.settle();
  CHECK_EQ(spy.payloads(), "");
  Peer& service = plant.service("backend");
  service.subscribe("v1/devices/+/attributes");
  plant.bed.settle();
  CHECK_EQ(service.payloads(), "mine");
  pump.subscribe("v1/devices/me/attributes");
  plant.bed.settle();
  const std::vector<Packet> got = pump.take();
  REQUIRE_EQ(got.size(), 2U);
  CHECK_EQ(got[1].topic, "v1/devices/me/attributes");
}

STMQTT_TEST("me: what is outside the patterns is refused; ids that are no level have no me") {
  Plant plant;
  Peer& pump = plant.device("pump");
  pump.publish("v1/devices/me/other", "x", 1, 1).publish("v1/devices/me", "x", 1, 2);
  pump.publish("v1/devices/me/telemetry/x", "x", 2, 3).publish("v1/devices/pump/other", "own", 1, 4);
  CHECK_EQ(plant.told(pump), "PUBACK id 1 not_authorized; PUBACK id 2 not_authorized; "
                             "PUBREC id 3 not_authorized; PUBACK id 4 no_matching_subscribers");
  CHECK_EQ(plant.bed.counter(Counter::me_refused_pattern), 3);
  CHECK_EQ(plant.subscribe(pump, "v1/devices/me/other"), ReasonCode::not_authorized);
  CHECK_EQ(plant.subscribe(pump, "v1/devices/me/#"), ReasonCode::success);
  for (const char* id : {"me", "a/b", "+", "#", "a+b"}) {
    const Context context("id", id);
    Peer& odd = plant.device(id);
    odd.publish(kTelemetry, "x", 1, 1);
    CHECK_EQ(plant.told(odd), "PUBACK id 1 not_authorized");
    CHECK_EQ(plant.subscribe(odd, "v1/devices/me/telemetry"), ReasonCode::not_authorized);
    CHECK_EQ(plant.subscribe(odd, "v1/devices/a/b"), ReasonCode::not_authorized);
    odd.publish("v1/devices/me/telemetry", "x").publish("v1/devices/a/b", "x", 1, 2);
    CHECK_EQ(plant.told(odd), "PUBACK id 2 not_authorized");
    CHECK_EQ(plant.subscribe(odd, "#"), ReasonCode::success);
    pump.publish(kTelemetry, "x");
    CHECK_EQ(plant.told(odd), "");
    static_cast<void>(pump.take());
  }
  CHECK_EQ(plant.bed.counter(Counter::me_refused_unfit_id), 15);
}

STMQTT_TEST("me: of a group a service gets a device's message, however many devices are in it") {
  Plant plant;
  for (int at = 0; at < 12; ++at) {
    Peer& spy = plant.device("spy" + std::to_string(at), at % 2);
    CHECK_EQ(plant.subscribe(spy, "$share/g/v1/devices/+/telemetry"), ReasonCode::success);
  }
  Peer& service = plant.service("backend");
  CHECK_EQ(plant.subscribe(service, "$share/g/v1/devices/+/telemetry"), ReasonCode::success);
  Peer& pump = plant.device("pump");
  for (int at = 0; at < 30; ++at) pump.publish(kTelemetry, "x");
  plant.bed.settle();
  CHECK_EQ(service.take().size(), 30U);
  CHECK_EQ(plant.bed.counter(Counter::dropped_shared_no_member), 0);
}

STMQTT_TEST("me: what a service of a group has queued stays its own where only devices are left") {
  Plant plant(1);
  Peer& spy = plant.device("spy", 0);
  CHECK_EQ(plant.subscribe(spy, "$share/g/v1/devices/+/telemetry"), ReasonCode::success);
  Peer& service = plant.bed.ready(persistent("backend"), 0, &plant.services);
  service.subscribe("$share/g/v1/devices/+/telemetry", 1);
  plant.bed.settle();
  static_cast<void>(service.take());
  Peer& pump = plant.device("pump");
  pump.publish(kTelemetry, "1", 1, 1);
  plant.bed.settle();
  service.cut();
  plant.bed.settle();
  pump.publish(kTelemetry, "2", 1, 2);
  plant.bed.settle();
  ConnectText again = persistent("backend");
  CHECK_EQ(plant.bed.connect(again, 0, &plant.services).payloads(), "1 2");
  CHECK_EQ(spy.payloads(), "");
  CHECK_EQ(plant.bed.counter(Counter::dropped_shared_no_member), 0);
}

STMQTT_TEST("me: a Will under me goes to its own device's topic, another's is refused") {
  Plant plant;
  Peer& service = plant.service("backend");
  CHECK_EQ(plant.subscribe(service, "v1/devices/#"), ReasonCode::success);
  ConnectText text = named("pump");
  text.has_will = true;
  text.will_topic = "v1/devices/me/attributes";
  text.will_payload = "gone";
  text.will_retain = true;
  Peer& pump = plant.bed.connect(text);
  CHECK_EQ(pump.took(), "CONNACK");
  pump.cut();
  CHECK_EQ(plant.told(service), "PUBLISH qos 0 v1/devices/pump/attributes 'gone'");
  for (const char* topic : {"v1/devices/fan/attributes", "v1/devices/me/other", "v1/devices/",
                            "/tenants/t/v1/devices/pump/attributes"}) {
    const Context context("topic", topic);
    text.will_topic = topic;
    CHECK_EQ(plant.bed.connect(text).took(), "CONNACK not_authorized");
  }
  CHECK_EQ(plant.bed.counter(Counter::device_denied_will), 3);
  text.client_id = "me";
  text.will_topic = kTelemetry;
  CHECK_EQ(plant.bed.connect(text).took(), "CONNACK not_authorized");
}

STMQTT_TEST("me: the same subscription by both names, and unsubscribing by either") {
  Plant plant;
  Peer& pump = plant.device("pump");
  Peer& service = plant.service("backend");
  for (const char* filter : {"v1/devices/me/rpc/request/+", "v1/devices/pump/rpc/request/+"}) {
    CHECK_EQ(plant.subscribe(pump, filter), ReasonCode::success);
  }
  service.publish("v1/devices/pump/rpc/request/1", "once");
  CHECK_EQ(plant.told(pump), "PUBLISH qos 0 v1/devices/me/rpc/request/1 'once'");
  pump.say(model::unsubscribe_packet(Version::v5, 3, {"v1/devices/me/rpc/request/+",
                                                      "v1/devices/pump/rpc/request/+"}));
  plant.bed.settle();
  const std::vector<Packet> got = pump.take();
  REQUIRE_EQ(got.size(), 1U);
  REQUIRE_EQ(got[0].reasons.size(), 2U);
  CHECK_EQ(got[0].reasons[0], ReasonCode::success);
  CHECK_EQ(got[0].reasons[1], ReasonCode::no_subscription_existed);
  service.publish("v1/devices/pump/rpc/request/1", "none");
  CHECK_EQ(plant.told(pump), "");
}

STMQTT_TEST("me: aliases hold what the client sees, both ways") {
  Plant plant(1);
  ConnectText text = named("pump");
  text.alias_maximum = 4;
  Peer& pump = plant.bed.ready(text);
  Peer& service = plant.service("backend");
  CHECK_EQ(plant.subscribe(pump, "v1/devices/me/#"), ReasonCode::success);
  CHECK_EQ(plant.subscribe(service, "#"), ReasonCode::success);
  model::PublishText publish;
  publish.topic = kTelemetry;
  publish.alias = 3;
  publish.payload = "1";
  pump.say(model::publish_packet(publish));
  publish.topic = "";
  publish.payload = "2";
  pump.say(model::publish_packet(publish)).say(model::publish_packet(publish));
  plant.bed.settle();
  CHECK_EQ(service.took(), "PUBLISH qos 0 v1/devices/pump/telemetry '1'; "
                           "PUBLISH qos 0 v1/devices/pump/telemetry '2'; "
                           "PUBLISH qos 0 v1/devices/pump/telemetry '2'");
  const std::vector<Packet> got = pump.take();
  REQUIRE_EQ(got.size(), 3U);
  for (const Packet& packet : got) CHECK_EQ(packet.topic, kTelemetry);
  CHECK(got[2].topic_left_out);
}

STMQTT_TEST("me: rules open other devices only where they name device topics") {
  Plant plant;
  Rule named_rule = allow({"v1/devices/+/telemetry"});
  named_rule.clients = {true, {"gateway"}};
  set_rules(plant.bed, {named_rule, allow({"#"})});
  Peer& gateway = plant.device("gateway");
  Peer& spy = plant.device("spy", 1);
  Peer& pump = plant.device("pump");
  CHECK_EQ(plant.subscribe(gateway, "v1/devices/pump/telemetry"), ReasonCode::success);
  CHECK_EQ(plant.subscribe(gateway, "v1/devices/pump/#"), ReasonCode::not_authorized);
  CHECK_EQ(plant.subscribe(spy, "v1/devices/pump/telemetry"), ReasonCode::not_authorized);
  CHECK_EQ(plant.subscribe(spy, "#"), ReasonCode::success);
  pump.publish(kTelemetry, "x");
  CHECK_EQ(plant.told(gateway), "PUBLISH qos 0 v1/devices/pump/telemetry 'x'");
  CHECK_EQ(spy.payloads(), "");
  gateway.publish("v1/devices/pump/telemetry", "y", 1, 1).publish("v1/devices/pump/attributes", "n", 1, 2);
  CHECK_EQ(plant.told(gateway), "PUBLISH qos 0 v1/devices/pump/telemetry 'y'; PUBACK id 1; "
                                "PUBACK id 2 not_authorized");
  // The rule goes: what was granted brings nothing more.
  set_rules(plant.bed, {allow({"#"})});
  pump.publish(kTelemetry, "z");
  CHECK_EQ(plant.told(gateway), "");
}

STMQTT_TEST("me: queued for a service, and not delivered to the device that came in its place") {
  Plant plant(1);
  Peer& first = plant.bed.ready(persistent("c"), 0, &plant.services);
  first.subscribe("v1/devices/+/telemetry", 1).subscribe("plant/#", 1);
  plant.bed.settle();
  first.cut();
  plant.bed.settle();
  Peer& pump = plant.device("pump");
  pump.publish(kTelemetry, "secret", 1, 1).publish("plant/x", "open", 1, 2);
  static_cast<void>(plant.told(pump));
  Peer& second = plant.bed.connect(persistent("c"));
  CHECK_EQ(second.payloads(), "open");
  pump.publish(kTelemetry, "secret", 1, 3);
  CHECK_EQ(plant.told(second), "");
}

STMQTT_TEST("me: tenants have devices of their own, enforced and transparent") {
  for (const TenantMode mode : {TenantMode::enforced, TenantMode::transparent}) {
    const Context context("mode", static_cast<int>(mode));
    const std::string red_prefix = mode == TenantMode::enforced ? "/tenants/red/" : "";
    const std::string blue_prefix = mode == TenantMode::enforced ? "/tenants/blue/" : "";
    Plant plant;
    Limits red;
    red.tenant_mode = mode;
    red.tenant = "red";
    Limits blue = red;
    blue.tenant = "blue";
    Limits service_limits = red;
    service_limits.role = contract::Role::service;
    Peer& pump = plant.bed.ready(named("pump"), 0, &red);
    Peer& other = plant.bed.ready(named("pump"), 1, &blue);
    Peer& service = plant.bed.ready(named("backend"), 1, &service_limits);
    Peer& stranger = plant.device("pump2");
    Peer& operator_ = plant.service("all");
    CHECK_EQ(plant.subscribe(stranger, "#"), ReasonCode::success);
    CHECK_EQ(plant.subscribe(stranger, "/tenants/red/v1/devices/pump2/#"),
             ReasonCode::not_authorized);
    CHECK_EQ(plant.subscribe(operator_, "/tenants/+/v1/devices/#"), ReasonCode::success);
    CHECK_EQ(plant.subscribe(service, red_prefix + "v1/devices/+/telemetry"), ReasonCode::success);
    CHECK_EQ(plant.subscribe(pump, red_prefix + "v1/devices/me/telemetry"), ReasonCode::success);
    CHECK_EQ(plant.subscribe(other, blue_prefix + "v1/devices/me/telemetry"), ReasonCode::success);
    pump.publish(red_prefix + kTelemetry, "x", 1, 1);
    CHECK_EQ(plant.told(pump),
             "PUBLISH qos 0 " + red_prefix + "v1/devices/me/telemetry 'x'; PUBACK id 1");
    CHECK_EQ(other.took(), "");
    CHECK_EQ(stranger.took(), "");
    CHECK_EQ(service.took(), "PUBLISH qos 0 " + red_prefix + "v1/devices/pump/telemetry 'x'");
    CHECK_EQ(operator_.took(), "PUBLISH qos 0 /tenants/red/v1/devices/pump/telemetry 'x'");
  }
}

STMQTT_TEST("me: shared and off leave topics as they are") {
  for (const MeMode mode : {MeMode::shared, MeMode::off}) {
    Plant plant(2, mode);
    Peer& pump = plant.device("pump");
    Peer& spy = plant.device("spy", 1);
    CHECK_EQ(plant.subscribe(spy, "v1/devices/#"), ReasonCode::success);
    pump.publish(kTelemetry, "1").publish("v1/devices/spy/x", "2");
    CHECK_EQ(plant.told(spy), "PUBLISH qos 0 v1/devices/me/telemetry '1'; "
                              "PUBLISH qos 0 v1/devices/spy/x '2'");
  }
}

STMQTT_TEST("me: who is what: verdicts, roles, and names that were only claimed") {
  NetOptions options = threads(1);
  options.authenticate = true;
  Plant plant(1);
  Bed judged(options);
  DeviceOptions scoped;
  scoped.mode = MeMode::scoped;
  scoped.patterns = {"telemetry"};
  judged.net().set_device(0, std::make_shared<const DeviceOptions>(scoped));
  const auto enter = [&](const char* id, const char* device, contract::Role role) -> Peer& {
    Peer& peer = judged.dial(named(id));
    judged.settle();
    contract::Verdict verdict = accepting();
    verdict.role = static_cast<std::uint8_t>(role);
    VerdictTexts texts;
    texts.device_id = as_bytes(std::string_view(device));
    judged.net().verdict(peer.conn(), verdict, texts);
    judged.settle();
    static_cast<void>(peer.take());
    return peer;
  };
  Peer& service = enter("s", "", contract::Role::service);
  service.subscribe("v1/devices/#");
  // By its Client Identifier it would be "b": the verdict says otherwise.
  Peer& device = enter("b", "a", contract::Role::unset);
  Peer& nobody = enter("c", "", contract::Role::device);
  judged.settle();
  static_cast<void>(service.take());
  device.publish(kTelemetry, "1").publish("v1/devices/b/telemetry", "no", 1, 1);
  nobody.publish(kTelemetry, "no", 1, 2).publish("v1/devices/c/telemetry", "no", 1, 3);
  judged.settle();
  CHECK_EQ(service.took(), "PUBLISH qos 0 v1/devices/a/telemetry '1'");
  CHECK_EQ(device.took(), "PUBACK id 1 not_authorized");
  CHECK_EQ(nobody.took(), "PUBACK id 2 not_authorized; PUBACK id 3 not_authorized");
  CHECK_EQ(judged.counter(Counter::me_refused_no_id), 1);
}

}  // namespace
}  // namespace stmqtt::test
