// Tenants: "/tenants/<tenant>/" enforced or put before topics, on each path by which one tenant could
// see, guess, retain into, will into, share into or end what is another's.
#include <string>
#include <vector>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session_access_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using namespace stmqtt::test;
using contract::Counter;

/// Listeners of two tenants, and one without.
struct Sites {
  explicit Sites(TenantMode mode) {
    red.tenant_mode = blue.tenant_mode = mode;
    red.tenant = "red";
    blue.tenant = "blue";
  }
  Limits red;
  Limits blue;
  Limits open;
};

STMQTT_TEST("tenants, enforced: topics, filters, groups and Wills stay within the prefix") {
  Sites sites(TenantMode::enforced);
  Bed bed;
  Peer& all = bed.ready(named("all"), 0, &sites.open);
  all.subscribe("#");
  Peer& red = bed.ready(named("c"), 0, &sites.red);
  bed.settle();
  static_cast<void>(all.take());
  red.publish("/tenants/red/x", "ok", 1, 1).publish("/tenants/blue/x", "no", 1, 2);
  red.publish("x", "no").publish("/tenants/red", "no", 2, 3).publish("/tenants/redder/x", "no");
  red.publish("/tenants/blue/x", "no", 0, 0, true);
  bed.settle();
  CHECK_EQ(red.took(), "PUBACK id 1; PUBACK id 2 not_authorized; PUBREC id 3 not_authorized");
  CHECK_EQ(all.payloads(), "ok");
  CHECK_EQ(bed.net().tables().retained.count(), 0U);
  CHECK_EQ(bed.counter(Counter::tenant_violations), 5);
  for (const char* filter : {"#", "+/+/x", "/tenants/+/x", "/tenants/blue/#", "$share/g/#",
                             "$share/g//tenants/blue/x", "$SYS/#", "x"}) {
    const Context context("filter", filter);
    red.subscribe(filter);
    bed.settle();
    CHECK_EQ(code_of(red.take().back()), ReasonCode::not_authorized);
  }
  for (const char* filter : {"/tenants/red/#", "$share/g//tenants/red/+"}) {
    red.subscribe(filter);
    bed.settle();
    CHECK_EQ(code_of(red.take().back()), ReasonCode::success);
  }
  ConnectText bad = named("w");
  bad.has_will = true;
  bad.will_topic = "/tenants/blue/will";
  CHECK_EQ(bed.connect(bad, 0, &sites.red).took(), "CONNACK not_authorized");
  bad.version = Version::v311;
  CHECK_EQ(bed.connect(bad, 0, &sites.red).took(), "CONNACK not_authorized");
}

STMQTT_TEST("tenants: max_connections_per_tenant holds for those on their way to CONNACK, on all threads") {
  Sites sites(TenantMode::enforced);
  NetOptions options = threads(2);
  options.gate = TestGate::Mode::on_demand;
  Bed bed(options);
  bed.net().tables().tenants.set({2, 0, 0});
  bed.tickets = Net::Tickets::keep;
  Peer& a = bed.dial(persistent("a"), 0, &sites.red);
  Peer& b = bed.dial(persistent("b"), 1, &sites.red);
  Peer& other = bed.dial(persistent("a"), 1, &sites.blue);
  bed.settle();
  CHECK_EQ(a.took() + b.took() + other.took(), "");  // the store takes its time
  Peer& late = bed.connect(persistent("c"), 1, &sites.red);
  CHECK_EQ(late.took(), "CONNACK quota_exceeded");
  // One gives up before CONNACK: its place is free.
  bed.net().end_of_stream(b.conn(), contract::CloseCause::socket_error);
  bed.settle();
  Peer& next = bed.dial(persistent("c"), 0, &sites.red);
  bed.tickets = Net::Tickets::grant;
  bed.settle();
  CHECK_EQ(a.took(), "CONNACK");
  CHECK_EQ(other.took(), "CONNACK");
  CHECK_EQ(next.took(), "CONNACK");
  // Whoever takes a connection over needs no place of its own, and none is lost or won by it.
  Peer& again = bed.connect(persistent("a"), 1, &sites.red);
  CHECK_EQ(again.took(), "CONNACK session present");
  CHECK_EQ(bed.connect(persistent("d"), 1, &sites.red).took(), "CONNACK quota_exceeded");
  again.cut();
  bed.settle();
  CHECK_EQ(bed.connect(persistent("d"), 1, &sites.red).took(), "CONNACK");
  CHECK_EQ(bed.counter(Counter::refused_tenant_connections), 2);
}

STMQTT_TEST("tenants: a Client Identifier is one's own tenant's") {
  Sites sites(TenantMode::enforced);
  Bed bed(threads(2));
  Peer& red = bed.ready(persistent("c"), 0, &sites.red);
  Peer& blue = bed.connect(persistent("c"), 1, &sites.blue);
  CHECK_EQ(blue.took(), "CONNACK");
  CHECK(!red.closed());
  CHECK(bed.net().shard(0).find_home(as_bytes("red.c")).valid());
  CHECK(bed.net().shard(0).find_home(as_bytes("blue.c")).valid());
  CHECK(!bed.net().shard(0).find_home(as_bytes("c")).valid());
  // By its full name from elsewhere it is another one: nobody is thrown out, nothing is resumed.
  Peer& same = bed.connect(persistent("red.c"), 1, &sites.open);
  CHECK_EQ(same.took(), "CONNACK");
  CHECK(!red.closed());
  same.cut();
  bed.settle();
  CHECK_EQ(bed.connect(persistent("red.c"), 0, &sites.open).took(), "CONNACK session present");
  CHECK(!red.closed());
  // What the name means: the tenant's; a disconnect closes both.
  CHECK_EQ(bed.net().shard(0).find_home(as_bytes("red.c")).thread, 0);
  bed.net().shard(0).disconnect(as_bytes("red.c"), contract::kAnyInstance, ReasonCode::administrative_action, {});
  bed.settle();
  CHECK(red.closed());
  CHECK_EQ(bed.net().shard(0).client_count() + bed.net().shard(1).client_count(), 1U);
  CHECK_EQ(bed.connect(persistent("c"), 0, &sites.red).took(), "CONNACK session present");
}

STMQTT_TEST("tenants: nobody can sit on the key of a tenant's client before it comes") {
  Sites sites(TenantMode::enforced);
  Bed bed;
  Peer& squatter = bed.ready(persistent("red.c"), 0, &sites.open);
  Peer& red = bed.connect(persistent("c"), 0, &sites.red);
  CHECK_EQ(red.took(), "CONNACK");
  CHECK(!squatter.closed());
  // A NUL cannot be said: the suffix of a key is nobody's Client Identifier.
  CHECK_EQ(bed.connect(persistent(std::string("red.c\0\x04", 7)), 0, &sites.open).took(),
           "CONNACK malformed_packet");
  red.cut();
  squatter.cut();
  bed.settle();
  CHECK_EQ(bed.net().tables().directory.size(), 2U);
}

STMQTT_TEST("tenants: whoever flaps under the name of a tenant's client gets only himself refused") {
  Sites sites(TenantMode::enforced);
  Bed bed;
  bed.net().tables().flaps.set({3, 60'000, 60});
  Peer& red = bed.ready(named("c"), 0, &sites.red);
  std::string last;
  for (int attempt = 0; attempt < 4; ++attempt) {
    Peer& other = bed.connect(named("red.c"), 0, &sites.open);
    last = other.took();
    other.cut();
    bed.settle();
  }
  CHECK_EQ(last, "CONNACK quota_exceeded");
  CHECK(!red.closed());
  CHECK_EQ(bed.counter(Counter::bans_flapping), 0);
  CHECK_EQ(bed.connect(named("c"), 0, &sites.red).took(), "CONNACK");
}

STMQTT_TEST("tenants: what the broker assigns is the client's own") {
  Sites sites(TenantMode::enforced);
  Bed bed;
  // What the broker assigns is told as the client is to use it [MQTT-3.2.2-16].
  Peer& assigned = bed.connect(named(""), 0, &sites.red);
  const std::string told = assigned.take().front().assigned_id;
  CHECK(!told.starts_with("red."));
  CHECK(bed.net().shard(0).find_home(as_bytes("red." + told)).valid());
  assigned.cut();
  bed.settle();
}

STMQTT_TEST("tenants: no client without one, where clients must have one, nor with a bad name") {
  Sites sites(TenantMode::enforced);
  sites.red.tenant = "";
  sites.blue.tenant = "a/b";
  Bed bed;
  CHECK_EQ(bed.connect(named("c"), 0, &sites.red).took(), "CONNACK not_authorized");
  CHECK_EQ(bed.connect(named("c"), 0, &sites.blue).took(), "CONNACK not_authorized");
  CHECK_EQ(bed.counter(Counter::tenant_violations), 2);
  NetOptions options;
  options.authenticate = true;
  Bed judged(options);
  Peer& peer = judged.dial(named("c"), 0, &sites.red);
  judged.settle();
  VerdictTexts texts;
  texts.tenant = as_bytes("green");
  judged.net().verdict(peer.conn(), accepting(), texts);
  judged.settle();
  CHECK_EQ(peer.took(), "CONNACK");
  CHECK(judged.net().shard(0).find_home(as_bytes("green.c")).valid());
}

STMQTT_TEST("tenants, transparent: the prefix is put before and taken off, live, to each QoS") {
  Sites sites(TenantMode::transparent);
  Bed bed(threads(2));
  Peer& all = bed.ready(named("all"), 1, &sites.open);
  all.subscribe("#", 2);
  Peer& reader = bed.ready(named("reader"), 0, &sites.red);
  Peer& other = bed.ready(named("reader"), 0, &sites.blue);
  ConnectText old = named("old");
  old.version = Version::v311;
  Peer& third = bed.ready(old, 1, &sites.red);
  ConnectText aliased = named("aliased");
  aliased.alias_maximum = 4;
  Peer& alias = bed.ready(aliased, 0, &sites.red);
  for (Peer* peer : {&reader, &other, &third, &alias}) peer->subscribe("#", 2);
  bed.settle();
  for (Peer* peer : {&all, &reader, &other, &third, &alias}) static_cast<void>(peer->take());
  Peer& source = bed.ready(named("source"), 0, &sites.red);
  source.publish("a/b", "0").publish("/a", "1", 1, 1).publish("a/b", "2", 2, 2);
  source.publish("a/b", std::string(20'000, 'x'), 1, 3);
  bed.settle();
  CHECK_EQ(source.took(), "PUBACK id 1; PUBREC id 2; PUBACK id 3");
  const std::string x(24, 'x');
  CHECK_EQ(reader.took(), "PUBLISH qos 0 a/b '0'; PUBLISH id 1 qos 1 /a '1'; "
                          "PUBLISH id 2 qos 2 a/b '2'; PUBLISH id 3 qos 1 a/b '" + x + "'");
  CHECK_EQ(third.took(), "PUBLISH qos 0 a/b '0'; PUBLISH id 1 qos 1 /a '1'; "
                         "PUBLISH id 2 qos 2 a/b '2'; PUBLISH id 3 qos 1 a/b '" + x + "'");
  const std::vector<Packet> packets = alias.take();
  REQUIRE_EQ(packets.size(), 4U);
  CHECK_EQ(packets[0].topic, "a/b");
  CHECK(packets[2].alias != 0);  // a topic gets one when it comes again
  CHECK(packets[3].topic_left_out);
  CHECK_EQ(packets[3].topic, "a/b");
  CHECK_EQ(all.took(), "PUBLISH qos 0 /tenants/red/a/b '0'; PUBLISH id 1 qos 1 /tenants/red//a '1'; "
                       "PUBLISH id 2 qos 2 /tenants/red/a/b '2'; "
                       "PUBLISH id 3 qos 1 /tenants/red/a/b '" + x + "'");
  CHECK_EQ(other.took(), "");
  // From outside, and what has no name on the other side.
  Peer& service = bed.ready(named("service"), 1, &sites.open);
  service.publish("/tenants/red/s", "in").publish("/tenants/red", "no").publish("a/b", "no");
  bed.settle();
  CHECK_EQ(reader.took(), "PUBLISH qos 0 s 'in'");
  CHECK_EQ(other.took(), "");
}

STMQTT_TEST("tenants, transparent: retained, queued and sent again") {
  Sites sites(TenantMode::transparent);
  Bed bed;
  Peer& source = bed.ready(named("source"), 0, &sites.red);
  source.publish("r/1", "kept", 1, 1, true);
  Peer& away = bed.ready(persistent("away"), 0, &sites.red);
  away.subscribe("q", 1);
  bed.settle();
  static_cast<void>(away.take());
  source.publish("q", "seen", 1, 2);
  bed.settle();
  CHECK_EQ(away.took(), "PUBLISH id 1 qos 1 q 'seen'");
  away.cut();
  bed.settle();
  source.publish("q", "waits", 1, 3);
  bed.settle();
  Peer& back = bed.connect(persistent("away"), 0, &sites.red);
  CHECK_EQ(back.took(), "CONNACK session present; PUBLISH id 1 qos 1 DUP q 'seen'; "
                        "PUBLISH id 2 qos 1 q 'waits'");
  back.subscribe("r/#", 1, 5);
  bed.settle();
  CHECK_EQ(back.took(), "SUBACK id 5; PUBLISH id 3 qos 1 RETAIN r/1 'kept'");
  back.say(unsubscribe_packet(Version::v5, 6, {"q", "nothing"}));
  bed.settle();
  const std::vector<Packet> packets = back.take();
  REQUIRE_EQ(packets.size(), 1U);
  CHECK_EQ(packets[0].reasons[0], ReasonCode::success);
  CHECK_EQ(packets[0].reasons[1], ReasonCode::no_subscription_existed);
  // Another tenant's retained messages are not there for this one.
  Peer& blue = bed.ready(named("b"), 0, &sites.blue);
  blue.subscribe("#");
  bed.settle();
  CHECK_EQ(blue.took(), "SUBACK id 900");
}

STMQTT_TEST("tenants, transparent: groups, Wills and $ topics") {
  Sites sites(TenantMode::transparent);
  Bed bed;
  Peer& red = bed.ready(named("c"), 0, &sites.red);
  Peer& blue = bed.ready(named("c"), 0, &sites.blue);
  red.subscribe("$share/g/t");
  blue.subscribe("$share/g/t");
  bed.settle();
  static_cast<void>(red.take());
  static_cast<void>(blue.take());
  Peer& source = bed.ready(named("source"), 0, &sites.red);
  for (int at = 0; at < 4; ++at) source.publish("t", std::to_string(at));
  bed.settle();
  CHECK_EQ(red.payloads(), "0 1 2 3");
  CHECK_EQ(blue.payloads(), "");
  ConnectText dying = named("dying");
  dying.has_will = true;
  dying.will_topic = "t";
  dying.will_payload = "will";
  bed.ready(dying, 0, &sites.red).cut();
  bed.settle();
  CHECK_EQ(red.took(), "PUBLISH qos 0 t 'will'");
  CHECK_EQ(blue.took(), "");
  red.subscribe("$SYS/#", 0, 1).subscribe("$other/x", 0, 2);
  red.publish("$other/x", "no", 1, 1);
  bed.settle();
  const std::vector<Packet> packets = red.take();
  REQUIRE_EQ(packets.size(), 3U);
  CHECK_EQ(code_of(packets[0]), ReasonCode::not_authorized);
  CHECK_EQ(code_of(packets[1]), ReasonCode::not_authorized);
  CHECK_EQ(packets[2].text(), "PUBACK id 1 not_authorized");
  // A rule lets a tenant at $SYS; its topics have no prefix.
  set_rules(bed, {allow({"$SYS/#", "#"})});
  red.subscribe("$SYS/#", 0, 3);
  bed.settle();
  CHECK_EQ(code_of(red.take().front()), ReasonCode::success);
  MessageParts parts;
  parts.topic = as_bytes("$SYS/x");
  parts.payload = as_bytes("1");
  bed.net().shard(0).publish_own(parts);
  bed.settle();
  CHECK_EQ(red.took(), "PUBLISH qos 0 $SYS/x '1'");
}

STMQTT_TEST("tenants: $SYS is shut where others may read it, with rules that do not name it too") {
  for (const TenantMode mode : {TenantMode::enforced, TenantMode::transparent}) {
    for (const bool ruled : {false, true}) {
      const Context context("ruled", ruled ? "yes" : "no");
      Sites sites(mode);
      sites.red.sys_read = sites.open.sys_read = true;
      Bed bed;
      if (ruled) set_rules(bed, {allow({"/tenants/#", "t"})});
      Peer& red = bed.ready(named("c"), 0, &sites.red);
      Peer& open = bed.ready(named("c"), 0, &sites.open);
      for (const char* filter : {"$SYS/#", "$SYS/broker/load", "$share/g/$SYS/#"}) {
        const Context named_filter("filter", filter);
        red.subscribe(filter);
        open.subscribe(filter);
        bed.settle();
        CHECK_EQ(code_of(red.take().back()), ReasonCode::not_authorized);
        CHECK_EQ(code_of(open.take().back()), ReasonCode::success);
      }
    }
  }
}

STMQTT_TEST("tenants: rules see the internal form, with the tenant in %t and in %c") {
  Sites sites(TenantMode::transparent);
  Bed bed;
  set_rules(bed, {allow({"/tenants/%t/ok/#"}), allow({"/tenants/red/by/%c"})});
  Peer& red = bed.ready(named("c"), 0, &sites.red);
  red.publish("ok/x", "", 1, 1).publish("by/red.c", "", 1, 2).publish("by/c", "", 1, 3);
  bed.settle();
  CHECK_EQ(red.took(), "PUBACK id 1 no_matching_subscribers; PUBACK id 2 no_matching_subscribers; "
                       "PUBACK id 3 not_authorized");
}

}  // namespace
