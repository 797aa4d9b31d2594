// duplicate_client_id = "allow": every connection of a Client Identifier is one of its own, told apart
// by its number, and only the first has a session that outlives it.
#include <string>
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
using contract::kAnyInstance;

Limits allowing() {
  Limits limits;
  limits.duplicates = DuplicateClientId::allow;
  return limits;
}

/// Numbers of the connections of this Client Identifier, by looking each one up.
std::string numbers(Bed& bed, const std::string& id, std::uint32_t most = 8) {
  std::string text;
  for (std::uint32_t number = 0; number <= most; ++number) {
    const SessionRef home = bed.net().shard(0).find_home(as_bytes(id), number);
    if (!home.valid() || bed.net().shard(home.thread).name_of(home).empty()) continue;
    text += (text.empty() ? "" : " ") + std::to_string(number);
  }
  return text;
}

STMQTT_TEST("instances: each connection is one of its own, whatever thread it comes to") {
  const Limits loose = allowing();
  Bed bed(threads(3));
  std::vector<Peer*> peers;
  for (unsigned n = 0; n < 5; ++n) peers.push_back(&bed.ready(named("c"), n % 3, &loose));
  CHECK_EQ(numbers(bed, "c"), "0 1 2 3 4");
  for (Peer* peer : peers) peer->subscribe("t");
  bed.settle();
  for (Peer* peer : peers) CHECK_EQ(peer->took(), "SUBACK id 900");
  bed.ready(named("other")).publish("t", "x");
  bed.settle();
  for (Peer* peer : peers) {
    CHECK(!peer->closed());
    CHECK_EQ(peer->payloads(), "x");
  }
  CHECK_EQ(bed.counter(Counter::takeovers), 0);
  CHECK_EQ(bed.counter(Counter::duplicates_admitted), 4);
  CHECK_EQ(bed.counter(Counter::duplicates_connected), 4);
}

STMQTT_TEST("instances: one beside the first lives on the thread that it came to") {
  const Limits loose = allowing();
  Bed bed(threads(3));
  for (unsigned n = 0; n < 3; ++n) bed.ready(named("c"), n, &loose);
  for (std::uint32_t number = 0; number < 3; ++number) {
    CHECK_EQ(bed.net().shard(0).find_home(as_bytes("c"), number).thread, number);
  }
}

STMQTT_TEST("instances: only the first has a session; the others are told 0 and keep nothing") {
  const Limits loose = allowing();
  Bed bed(threads(2));
  Peer& first = bed.ready(persistent("c"), 0, &loose);
  first.subscribe("t", 1);
  bed.settle();
  CHECK_EQ(first.took(), "SUBACK id 900");
  bed.commits.clear();
  for (const unsigned shard : {0u, 1u}) {
    Peer& beside = bed.connect(persistent("c"), shard, &loose);
    const std::vector<Packet> got = beside.take();
    REQUIRE(got.size() == 1);
    CHECK_EQ(static_cast<int>(got[0].reason), 0);
    CHECK(!got[0].session_present);
    CHECK(got[0].has_expiry);
    CHECK_EQ(got[0].expiry_s, 0);
    beside.subscribe("t", 1);
    bed.settle();
    beside.cut();
    bed.settle();
  }
  CHECK_EQ(bed.net().shard(0).session_count() + bed.net().shard(1).session_count(), 1);
  CHECK(bed.commits.empty());
  ConnectText old = named("c");
  old.version = Version::v311;
  old.clean_start = false;
  Peer& v3 = bed.connect(old, 1, &loose);
  CHECK_EQ(v3.took(), "CONNACK");
  v3.cut();
  bed.settle();
  first.cut();
  bed.settle();
  CHECK_EQ(bed.connect(persistent("c"), 1, &loose).took(), "CONNACK session present");
}

STMQTT_TEST("instances: DISCONNECT with a longer expiry leaves one beside the first without a session") {
  const Limits loose = allowing();
  Bed bed;
  bed.ready(named("c"), 0, &loose);
  Peer& beside = bed.ready(persistent("c"), 0, &loose);
  // Remaining Length 7: normal disconnection, Session Expiry Interval 600.
  beside.say(std::string("\xE0\x07\x00\x05\x11\x00\x00\x02\x58", 9));
  bed.settle();
  CHECK(beside.closed());
  CHECK_EQ(bed.counter(contract::closed_counter(CloseCause::client_disconnect)), 1);
  CHECK_EQ(numbers(bed, "c"), "0");
}

STMQTT_TEST("instances: a number that is free is given again, the least first") {
  const Limits loose = allowing();
  Bed bed(threads(2));
  std::vector<Peer*> peers;
  for (unsigned n = 0; n < 5; ++n) peers.push_back(&bed.ready(named("c"), n % 2, &loose));
  peers[3]->cut();
  peers[1]->cut();
  bed.settle();
  CHECK_EQ(numbers(bed, "c"), "0 2 4");
  bed.ready(named("c"), 0, &loose);
  CHECK_EQ(numbers(bed, "c"), "0 1 2 4");
  bed.ready(named("c"), 1, &loose);
  CHECK_EQ(numbers(bed, "c"), "0 1 2 3 4");
  bed.ready(named("c"), 1, &loose);
  CHECK_EQ(numbers(bed, "c"), "0 1 2 3 4 5");
  CHECK_EQ(bed.counter(Counter::duplicates_connected), 5);
}

STMQTT_TEST("instances: the first goes, the others stay what they are, and the next one is the first") {
  const Limits loose = allowing();
  Bed bed(threads(2));
  Peer& first = bed.ready(named("c"), 0, &loose);
  Peer& beside = bed.ready(named("c"), 1, &loose);
  first.cut();
  bed.settle();
  CHECK_EQ(numbers(bed, "c"), "1");
  Peer& next = bed.ready(persistent("c"), 1, &loose);
  CHECK_EQ(numbers(bed, "c"), "0 1");
  CHECK(!beside.closed());
  next.cut();
  bed.settle();
  CHECK_EQ(numbers(bed, "c"), "0 1");  // its session stays
  Peer& again = bed.connect(persistent("c"), 0, &loose);
  CHECK_EQ(again.took(), "CONNACK session present");
  CHECK(!beside.closed());
}

STMQTT_TEST("instances: a listener with takeover or reject meets the first, and no other") {
  const Limits loose = allowing();
  const Limits plain;
  Limits strict;
  strict.duplicates = DuplicateClientId::reject;
  Bed bed(threads(2));
  Peer& first = bed.ready(named("c"), 0, &loose);
  Peer& beside = bed.ready(named("c"), 1, &loose);
  CHECK_EQ(bed.connect(named("c"), 1, &strict).took(), "CONNACK client_identifier_not_valid");
  Peer& taker = bed.ready(named("c"), 1, &plain);
  CHECK(first.closed());
  CHECK(!beside.closed());
  CHECK_EQ(numbers(bed, "c"), "0 1");
  CHECK_EQ(bed.counter(Counter::takeovers), 1);
  taker.cut();
  bed.settle();
  Peer& admitted = bed.connect(named("c"), 0, &strict);
  CHECK_EQ(admitted.took(), "CONNACK");
  CHECK(!beside.closed());
}

STMQTT_TEST("instances: Clean Start of one beside the first leaves the first's session alone") {
  const Limits loose = allowing();
  Bed bed;
  Peer& first = bed.ready(persistent("c"), 0, &loose);
  first.subscribe("t", 1);
  bed.settle();
  bed.ready(named("c"), 0, &loose);
  first.cut();
  bed.settle();
  CHECK_EQ(bed.connect(persistent("c"), 0, &loose).took(), "CONNACK session present");
}

STMQTT_TEST("instances: another user's Client Identifier is refused beside him, and after him") {
  const Limits loose = allowing();
  NetOptions options;
  options.authenticate = true;
  options.shards = 2;
  Bed bed(options);
  const auto enter = [&](const char* user, unsigned shard) -> Peer& {
    ConnectText text = named("c");
    text.username = user;
    Peer& peer = bed.dial(text, shard, &loose);
    bed.settle();
    bed.net().verdict(peer.conn(), accepting());
    bed.settle();
    return peer;
  };
  Peer& first = enter("a", 0);
  CHECK_EQ(first.took(), "CONNACK");
  Peer& beside = enter("a", 1);
  CHECK_EQ(beside.took(), "CONNACK");
  CHECK_EQ(enter("b", 1).took(), "CONNACK not_authorized");
  first.cut();
  bed.settle();
  // No session of a's has it now, but a's other connection does.
  CHECK_EQ(enter("b", 0).took(), "CONNACK not_authorized");
  CHECK_EQ(enter("a", 0).took(), "CONNACK");
  CHECK_EQ(numbers(bed, "c"), "0 1");
}

STMQTT_TEST("instances: tenants' clients have numbers of their own") {
  Limits loose = allowing();
  Limits red = allowing();
  red.tenant = "red";
  red.tenant_mode = TenantMode::enforced;
  Bed bed;
  bed.ready(named("red.c"), 0, &loose);
  bed.ready(named("red.c"), 0, &loose);
  bed.ready(named("c"), 0, &red);
  bed.ready(named("c"), 0, &red);
  bed.ready(named("c"), 0, &red);
  // By name the tenant's is meant.
  CHECK_EQ(numbers(bed, "red.c"), "0 1 2");
  bed.net().shard(0).disconnect(as_bytes("red.c"), 1, ReasonCode::administrative_action, {});
  bed.settle();
  CHECK_EQ(bed.counter(Counter::duplicates_connected), 1);
  bed.net().shard(0).disconnect(as_bytes("red.c"), kAnyInstance,
                                ReasonCode::administrative_action, {});
  bed.settle();
  CHECK_EQ(bed.net().shard(0).session_count(), 0);
}

STMQTT_TEST("instances: disconnect closes all of a name, or the one that is named") {
  const Limits loose = allowing();
  Bed bed(threads(3));
  std::vector<Peer*> peers;
  for (unsigned n = 0; n < 4; ++n) peers.push_back(&bed.ready(named("c"), n % 3, &loose));
  Peer& bystander = bed.ready(named("d"), 0, &loose);
  const auto close = [&](std::uint32_t instance) {
    bed.net().shard(1).disconnect(as_bytes("c"), instance, ReasonCode::administrative_action, {});
    bed.settle();
  };
  close(2);
  CHECK_EQ(numbers(bed, "c"), "0 1 3");
  CHECK_EQ(peers[2]->took(), "DISCONNECT administrative_action");
  close(7);
  CHECK_EQ(bed.counter(Counter::commands_stale), 1);
  close(0);
  CHECK_EQ(numbers(bed, "c"), "1 3");
  close(kAnyInstance);
  CHECK_EQ(numbers(bed, "c"), "");
  CHECK(!bystander.closed());
}

STMQTT_TEST("instances: who is there of a name is the first if it is connected, else the least") {
  const Limits loose = allowing();
  Bed bed(threads(2));
  Peer& first = bed.ready(persistent("c"), 0, &loose);
  bed.ready(named("c"), 1, &loose);
  bed.ready(named("c"), 0, &loose);
  const auto there = [&]() {
    const SessionRef found = bed.net().shard(1).find_home(as_bytes("c"));
    return bed.net().shard(found.thread).who_is_there(found).number;
  };
  CHECK_EQ(there(), 0u);
  first.cut();
  bed.settle();
  CHECK_EQ(there(), 1u);
  bed.net().shard(0).disconnect(as_bytes("c"), 1, ReasonCode::administrative_action, {});
  bed.settle();
  CHECK_EQ(there(), 2u);
  bed.net().shard(0).disconnect(as_bytes("c"), 2, ReasonCode::administrative_action, {});
  bed.settle();
  CHECK_EQ(there(), 0u);
}

STMQTT_TEST("instances: many with one Client Identifier are no flapping, and a ban meets all of them") {
  const Limits loose = allowing();
  Bed bed;
  bed.net().tables().flaps.set({3, 60'000, 60});
  for (int n = 0; n < 10; ++n) bed.ready(named("c"), 0, &loose);
  CHECK_EQ(bed.counter(Counter::bans_flapping), 0);
  CHECK_EQ(bed.counter(Counter::duplicates_connected), 9);
  Ban ban;
  ban.kind = BanKind::client;
  ban.value = "c";
  static_cast<void>(bed.net().tables().bans.add(std::move(ban)));
  bed.net().shard(0).check_bans();
  bed.net().advance(100);
  bed.settle();
  CHECK_EQ(bed.net().shard(0).session_count(), 0);
  CHECK_EQ(bed.connect(named("c"), 0, &loose).took(), "CONNACK banned");
}

STMQTT_TEST("instances: a Will of one beside the first goes with its connection") {
  const Limits loose = allowing();
  Bed bed(threads(2));
  Peer& watcher = bed.ready(named("w"));
  watcher.subscribe("will");
  bed.settle();
  static_cast<void>(watcher.took());
  bed.ready(named("c"), 0, &loose);
  ConnectText text = named("c");
  text.has_will = true;
  text.will_topic = "will";
  text.will_payload = "gone";
  Peer& beside = bed.ready(text, 1, &loose);
  beside.cut();
  bed.settle();
  CHECK_EQ(watcher.payloads(), "gone");
}

STMQTT_TEST("instances: a CONNACK that has become too large for its client is refused") {
  const Limits loose = allowing();
  // So much fits where the asked Session Expiry Interval need not be told.
  Bed bed;
  ConnectText text = persistent("c");
  std::uint32_t size = 8;
  for (; size < 64; ++size) {
    text.maximum_packet = size;
    Peer& peer = bed.dial(text, 0, &loose);
    bed.settle();
    const bool good = !peer.closed();
    peer.cut();
    bed.settle();
    if (good) break;
  }
  REQUIRE(size < 64);
  bed.ready(text, 0, &loose);
  Peer& beside = bed.dial(text, 0, &loose);
  bed.settle();
  CHECK(beside.closed());
  CHECK_EQ(numbers(bed, "c"), "0");
}

}  // namespace
