// Rules and expiry where they take effect: PUBLISH, SUBSCRIBE, Wills, live, retained and queued
// deliveries, for those who are connected when the rules change too.
#include <string>
#include <utility>
#include <vector>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session_access_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using namespace stmqtt::test;
using contract::CloseCause;
using contract::Counter;

STMQTT_TEST("access: a PUBLISH that no rule allows is told so, and reaches nobody") {
  Bed bed;
  set_rules(bed, {allow({"own/%c"}, kPublish), allow({"#"}, kSubscribe)});
  Peer& all = bed.ready(named("all"));
  all.subscribe("#", 2);
  Peer& peer = bed.ready(named("c"));
  peer.publish("own/c", "yes", 1, 1).publish("own/d", "no", 1, 2).publish("own/d", "no", 2, 3);
  peer.publish("own/d", "no").publish("own/c", "end");
  bed.settle();
  CHECK_EQ(peer.took(), "PUBACK id 1; PUBACK id 2 not_authorized; PUBREC id 3 not_authorized");
  CHECK_EQ(all.payloads(), "yes end");
  CHECK_EQ(bed.counter(Counter::denied_publish), 3);
  // MQTT 3.x has no word for it: it is acknowledged (3.1.1, 3.3.5), or the connection ends.
  ConnectText old = named("c");
  old.version = Version::v311;
  Peer& third = bed.ready(old);
  third.publish("own/d", "no", 1, 2).publish("own/d", "no", 2, 3);
  bed.settle();
  CHECK_EQ(third.took(), "PUBACK id 2; PUBREC id 3");
  RuleOptions options;
  options.disconnects_v3 = true;
  set_rules(bed, {allow({"#"}, kSubscribe)}, options);
  third.publish("own/c", "no");
  bed.settle();
  CHECK(third.closed());
  CHECK_EQ(bed.counter(Counter::closed_not_authorized), 1);
  CHECK_EQ(all.payloads(), "");
}

/// Of one thread, newest first, as "client action topic < rule".
std::string denials(Bed& bed, unsigned shard = 0) {
  PageBounds bounds;
  std::string all;
  for (std::uint32_t from = 0; from != kListed;) {
    JsonWriter rows;
    rows.begin_array();
    bounds.rows = 7;
    from = bed.net().shard(shard).denials().list(from, bounds, rows);
    rows.end_array();
    all += as_text(rows.bytes());
  }
  return all;
}
std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

STMQTT_TEST("access: which rule denied is kept, the newest, and so many in a second") {
  Bed bed;
  RuleOptions options;
  options.fallback = RuleDefault::deny;
  set_rules(bed, {allow({"free/#"}), deny({"plant/#"})}, options);
  CHECK_EQ(denials(bed), "[]");
  ConnectText text = named("c");
  text.username = "u";
  Peer& client = bed.ready(text);
  client.publish("plant/x", "1").subscribe("plant/#");
  bed.settle();
  client.publish("other", "2").publish("free/x", "3");
  bed.settle();
  bed.connect([] {
    ConnectText will = named("w");
    will.has_will = true;
    will.will_topic = "plant/w";
    return will;
  }());
  bed.settle();
  std::string found = denials(bed);
  CHECK_EQ(count_of(found, "clientId"), 4U);
  CHECK(found.find(R"("clientId":"w","username":"","action":"Will","topic":"plant/w","rule":"rule 2")") !=
        found.npos);
  CHECK(found.find(R"("clientId":"c","username":"u","action":"PUBLISH","topic":"other","rule":"the default")") !=
        found.npos);
  CHECK(found.find(R"("action":"SUBSCRIBE","topic":"plant/#","rule":"rule 2")") != found.npos);
  CHECK(found.find("plant/w") < found.find("other") && found.find("other") < found.find("plant/x"));
  for (std::uint32_t n = 0; n < Denials::kPerSecond + 10; ++n) client.publish("plant/y", "1");
  bed.settle();
  CHECK_EQ(count_of(denials(bed), "clientId"), Denials::kPerSecond);
  for (std::uint32_t second = 0; second < 10; ++second) {
    bed.net().advance(1000);
    for (std::uint32_t n = 0; n < 10; ++n) client.publish("plant/z", "1");
    bed.settle();
  }
  found = denials(bed);
  CHECK_EQ(count_of(found, "clientId"), Denials::kKept);
  CHECK_EQ(count_of(found, "plant/z"), Denials::kKept);
  bed.net().advance(1000);
  client.publish("plant/" + std::string(249, 'a') + "éé", "1");
  bed.settle();
  CHECK_EQ(count_of(denials(bed), std::string(249, 'a') + "\""), 1U);
}

STMQTT_TEST("access: QoS and RETAIN of a PUBLISH are bounded") {
  Bed bed;
  Rule low = allow({"t"}, kPublish);
  low.max_qos = 1;
  low.with_retain = false;
  set_rules(bed, {low});
  Peer& peer = bed.ready(named("c"));
  peer.publish("t", "a", 1, 1).publish("t", "b", 2, 2).publish("t", "c", 1, 3, true);
  bed.settle();
  CHECK_EQ(peer.took(), "PUBACK id 1 no_matching_subscribers; PUBREC id 2 not_authorized; "
                        "PUBACK id 3 not_authorized");
}

STMQTT_TEST("access: a subscription wider than allowed is refused, or gets what is allowed") {
  Bed bed;
  const std::vector<Rule> rules = {deny({"a/secret"}, kSubscribe), allow({"a/#"}, kSubscribe),
                                   allow({"#"}, kPublish)};
  set_rules(bed, rules);
  Peer& source = bed.ready(named("source"));
  source.publish("a/secret", "r1", 0, 0, true).publish("a/b", "r2", 0, 0, true);
  Peer& peer = bed.ready(named("c"));
  peer.subscribe("a/#", 0, 1).subscribe("a/b", 0, 2).subscribe("$share/g/a/#", 0, 3);
  peer.subscribe("b", 0, 4);
  bed.settle();
  std::vector<Packet> packets = peer.take();
  REQUIRE_EQ(packets.size(), 5U);
  CHECK_EQ(code_of(packets[0]), ReasonCode::not_authorized);
  CHECK_EQ(code_of(packets[1]), ReasonCode::success);
  CHECK_EQ(packets[2].payload, "r2");
  CHECK_EQ(code_of(packets[3]), ReasonCode::not_authorized);
  CHECK_EQ(code_of(packets[4]), ReasonCode::not_authorized);
  CHECK_EQ(bed.counter(Counter::denied_subscribe), 3);

  RuleOptions narrow;
  narrow.narrows = true;
  set_rules(bed, rules, narrow);
  Peer& wide = bed.ready(named("wide"));
  wide.subscribe("#", 1, 1).subscribe("b", 0, 2);
  bed.settle();
  packets = wide.take();
  REQUIRE_EQ(packets.size(), 3U);
  CHECK_EQ(code_of(packets[0]), ReasonCode::granted_qos_1);
  CHECK_EQ(packets[1].payload, "r2");
  CHECK_EQ(code_of(packets[2]), ReasonCode::not_authorized);
  source.publish("a/secret", "no", 1, 1).publish("b", "no").publish("a/x", "yes", 1, 2);
  bed.settle();
  CHECK_EQ(wide.payloads(), "yes");
}

STMQTT_TEST("access: a member of a group gets only what it may; another one the rest") {
  Bed bed;
  RuleOptions narrow;
  narrow.narrows = true;
  Rule first = allow({"a"}, kSubscribe);
  first.clients = {true, {"one"}};
  Rule second = allow({"a", "b"}, kSubscribe);
  second.clients = {true, {"two"}};
  set_rules(bed, {first, second, allow({"#"}, kPublish)}, narrow);
  Peer& one = bed.ready(named("one"));
  Peer& two = bed.ready(named("two"));
  one.subscribe("$share/g/+");
  two.subscribe("$share/g/+");
  bed.settle();
  static_cast<void>(one.take());
  static_cast<void>(two.take());
  Peer& source = bed.ready(named("source"));
  for (int at = 0; at < 4; ++at) source.publish("b", std::to_string(at));
  bed.settle();
  CHECK_EQ(one.payloads(), "");
  CHECK_EQ(two.payloads(), "0 1 2 3");
}

STMQTT_TEST("access: rules that change hold for those who are connected, and for what waits") {
  Bed bed(threads(2));
  set_rules(bed, {allow({"#"})});
  Peer& source = bed.ready(named("source"), 1);
  Peer& live = bed.ready(named("live"));
  live.subscribe("t/#", 1);
  Peer& away = bed.ready(persistent("away"));
  away.subscribe("t/#", 1);
  bed.settle();
  static_cast<void>(live.take());
  away.cut();
  bed.settle();
  source.publish("t/a", "a1", 1, 1).publish("t/b", "b1", 1, 2);
  source.publish("t/a", "ret", 0, 0, true);
  bed.settle();
  CHECK_EQ(live.payloads(), "a1 b1 ret");
  Rule readers = deny({"t/a"}, kSubscribe);
  set_rules(bed, {readers, allow({"#"})});
  source.publish("t/a", "a2", 1, 3).publish("t/b", "b2", 1, 4);
  bed.settle();
  CHECK_EQ(live.payloads(), "b2");
  Peer& back = bed.connect(persistent("away"));
  CHECK_EQ(back.payloads(), "b1 b2");
  CHECK(bed.counter(Counter::denied_delivery) >= 3);
  // What a new subscription finds retained is checked, too: none is possible but the narrow one.
  back.subscribe("t/+", 0, 7);
  bed.settle();
  CHECK_EQ(code_of(back.take().back()), ReasonCode::not_authorized);
  set_rules(bed, {});
  source.publish("t/a", "a3", 1, 5);
  bed.settle();
  CHECK_EQ(live.payloads(), "a3");
}

STMQTT_TEST("access: the Will is judged at CONNECT, and again when it is due") {
  Bed bed;
  set_rules(bed, {allow({"will/%c"}, kPublish), allow({"#"}, kSubscribe)});
  Peer& all = bed.ready(named("all"));
  all.subscribe("#");
  bed.settle();
  static_cast<void>(all.take());
  ConnectText bad = named("c");
  bad.has_will = true;
  bad.will_topic = "will/d";
  Peer& refused = bed.connect(bad);
  CHECK_EQ(refused.took(), "CONNACK not_authorized");
  CHECK_EQ(bed.counter(Counter::denied_will), 1);
  bad.version = Version::v311;
  CHECK_EQ(bed.connect(bad).took(), "CONNACK not_authorized");
  ConnectText good = named("c");
  good.has_will = true;
  good.will_topic = "will/c";
  good.will_payload = "1";
  bed.ready(good).cut();
  bed.settle();
  CHECK_EQ(all.payloads(), "1");
  Peer& again = bed.ready(good);
  set_rules(bed, {deny({"will/#"}, kPublish), allow({"#"})});
  again.cut();
  bed.settle();
  CHECK_EQ(all.payloads(), "");
  CHECK_EQ(bed.counter(Counter::denied_will), 3);
}

STMQTT_TEST("access: rules of a verdict come before all others, and deny what they leave open") {
  NetOptions options;
  options.authenticate = true;
  Bed bed(options);
  Peer& peer = bed.dial(named("c"));
  bed.settle();
  // [{ allow publish "own/%d" }]
  bed.net().verdict(peer.conn(), accepting(), with_rules(own_rule("own/%d"), "dev1"));
  bed.settle();
  static_cast<void>(peer.take());
  peer.publish("own/dev1", "x", 1, 1).publish("t", "x", 1, 2);
  bed.settle();
  CHECK_EQ(peer.took(), "PUBACK id 1 no_matching_subscribers; PUBACK id 2 not_authorized");
  set_rules(bed, {deny({"own/#"}), allow({"t"})});
  peer.publish("own/dev1", "x", 1, 1).publish("t", "x", 1, 2);
  bed.settle();
  CHECK_EQ(peer.took(), "PUBACK id 1 no_matching_subscribers; PUBACK id 2 no_matching_subscribers");
  Peer& broken = bed.dial(named("d"));
  bed.settle();
  const std::string half = own_rule("own/%d").substr(0, 20);
  bed.net().verdict(broken.conn(), accepting(), with_rules(half, ""));
  bed.settle();
  CHECK_EQ(broken.took(), "CONNACK implementation_specific_error");
}

STMQTT_TEST("access: rules open and close $SYS; without one, sys_readers decides") {
  Bed bed;
  bed.limits.sys_read = true;
  Rule closed = deny({"$SYS/#"});
  closed.clients = {true, {"shut"}};
  set_rules(bed, {closed, allow({"#"})});
  Peer& shut = bed.ready(named("shut"));
  Peer& open = bed.ready(named("open"));
  shut.subscribe("$SYS/#");
  open.subscribe("$SYS/#");
  bed.settle();
  CHECK_EQ(code_of(shut.take().back()), ReasonCode::not_authorized);
  CHECK_EQ(code_of(open.take().back()), ReasonCode::success);
  Limits dark = bed.limits;
  dark.sys_read = false;
  Peer& outside = bed.ready(named("outside"), 0, &dark);
  outside.subscribe("$SYS/#");
  bed.settle();
  CHECK_EQ(code_of(outside.take().back()), ReasonCode::not_authorized);
  set_rules(bed, {allow({"$SYS/broker/#"}, kSubscribe)});
  outside.subscribe("$SYS/broker/x");
  outside.subscribe("$SYS/#");
  bed.settle();
  const std::vector<Packet> packets = outside.take();
  CHECK_EQ(code_of(packets[0]), ReasonCode::success);
  CHECK_EQ(code_of(packets[1]), ReasonCode::not_authorized);
}

STMQTT_TEST("access: what an operator subscribes a client to is judged as its own SUBSCRIBE") {
  Bed bed;
  set_rules(bed, {allow({"mine"})});
  Peer& peer = bed.ready(persistent("c"));
  peer.cut();
  bed.settle();
  wire::SubscriptionView view;
  view.topic_filter = as_bytes("other");
  REQUIRE(wire::parse_topic_filter(view.topic_filter, view.filter) == ReasonCode::success);
  Shard& shard = bed.net().shard(0);
  REQUIRE(shard.subscribe_for(shard.find_home(as_bytes("c")), view, 1));
  CHECK_EQ(bed.counter(Counter::denied_subscribe), 1);
  CHECK_EQ(bed.counter(Counter::subscriptions_added), 0);
}

STMQTT_TEST("access: credentials that are over end the connection, after a move too") {
  NetOptions options = threads(2);
  options.authenticate = true;
  Bed bed(options);
  contract::Verdict verdict = accepting();
  verdict.expires_s = 60;
  Peer& first = bed.dial(persistent("c"));
  bed.settle();
  bed.net().verdict(first.conn(), verdict);
  bed.settle();
  first.cut();
  bed.settle();
  Peer& peer = bed.dial(persistent("c"), 1);
  bed.settle();
  bed.net().verdict(peer.conn(), verdict);
  bed.settle();
  CHECK_EQ(peer.took(), "CONNACK session present");
  CHECK_EQ(peer.conn().shard, 0);
  bed.net().advance(59'000);
  bed.settle();
  CHECK_EQ(peer.took(), "");
  bed.net().advance(1'100);
  bed.settle();
  CHECK_EQ(peer.took(), "DISCONNECT maximum_connect_time");
  CHECK(peer.closed());
  CHECK_EQ(bed.counter(Counter::closed_credentials_expired), 1);
}

STMQTT_TEST("access: a username that nobody has verified finds neither its session nor its rules") {
  NetOptions options;
  options.authenticate = true;
  Bed bed(options);
  Rule hers = allow({"t"});
  hers.users = {true, {"anna"}};
  set_rules(bed, {hers});
  contract::Verdict anonymous = accepting();
  anonymous.anonymous = 1;
  const auto come = [&](ConnectText text, const contract::Verdict& verdict) -> Peer& {
    text.username = "anna";
    Peer& peer = bed.dial(text);
    bed.settle();
    bed.net().verdict(peer.conn(), verdict);
    bed.settle();
    return peer;
  };
  Peer& anna = come(persistent("c"), accepting());
  CHECK_EQ(anna.took(), "CONNACK");
  CHECK_EQ(come(persistent("c"), anonymous).took(), "CONNACK not_authorized");
  Peer& nobody = come(named("d"), anonymous);
  CHECK_EQ(nobody.took(), "CONNACK");
  anna.publish("t", "x", 1, 1);
  nobody.publish("t", "x", 1, 1);
  bed.settle();
  CHECK_EQ(anna.took(), "PUBACK id 1 no_matching_subscribers");
  CHECK_EQ(nobody.took(), "PUBACK id 1 not_authorized");
}

}  // namespace
