// Bounds of single clients and of tenants, and what the tables behind them do at their edges: full,
// at the turn of a window, with threads whose turns began at different times.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session/ban_table.hpp"
#include "session/flap_table.hpp"
#include "session/own_limits_table.hpp"
#include "session/rate_bucket.hpp"
#include "session/tenant_table.hpp"
#include "session_access_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using namespace stmqtt::test;
using contract::Counter;

constexpr std::uint64_t kSecond = 1'000'000'000;

OwnLimits own(std::uint32_t max_packet_size, std::uint32_t max_subscriptions) {
  OwnLimits limits;
  limits.max_packet_size = max_packet_size;
  limits.max_subscriptions = max_subscriptions;
  return limits;
}

STMQTT_TEST("own limits: equal ones are one, and what changes nothing is the listener's") {
  OwnLimitsTable table;
  Limits base;
  Limits other = base;
  other.max_inflight = 7;
  CHECK(table.of(base, OwnLimits{}) == &base);
  CHECK(table.of(base, own(base.max_packet_size, base.max_subscriptions)) == &base);
  OwnLimits rates;  // they are not here: bound_rate() takes them from the identity
  rates.max_messages_per_s = 1;
  CHECK(table.of(base, rates) == &base);
  CHECK_EQ(table.size(), 0U);
  const Limits* small = table.of(base, own(1000, 3));
  CHECK_EQ(small->max_packet_size, 1000U);
  CHECK_EQ(small->max_subscriptions, 3U);
  CHECK_EQ(small->max_inflight, base.max_inflight);
  CHECK(table.of(base, own(1000, 3)) == small);
  // The same numbers on another listener are not the same limits.
  CHECK_EQ(table.of(other, own(1000, 3))->max_inflight, 7);
  CHECK_EQ(table.size(), 2U);
  CHECK_EQ(table.of(base, own(0, 0))->max_packet_size, OwnLimitsTable::kMinPacketSize);
  CHECK_EQ(table.of(base, own(0, 0))->max_subscriptions, 0U);
}

STMQTT_TEST("own limits: bounded; beyond it nobody gets more than the verdict says") {
  OwnLimitsTable table;
  const Limits base;
  for (std::uint32_t at = 0; at < OwnLimitsTable::kMaxKept; ++at) {
    CHECK_EQ(table.of(base, own(1'000'000 + at, 5))->max_packet_size, 1'000'000 + at);
  }
  CHECK_EQ(table.size(), OwnLimitsTable::kMaxKept);
  // What is known stays exact.
  CHECK_EQ(table.of(base, own(1'000'007, 5))->max_packet_size, 1'000'007U);
  for (std::uint32_t at = 0; at < 20'000; ++at) {
    const std::uint32_t packet = 64 + at * 13;
    const Limits* limits = table.of(base, own(packet, at));
    CHECK(limits->max_packet_size <= packet && limits->max_packet_size * 2 > packet);
    CHECK(limits->max_subscriptions <= at);
    CHECK(limits->max_subscriptions * 2 > at || at == 0);
  }
  CHECK_EQ(table.of(base, own(1, UINT32_MAX - 1))->max_packet_size, OwnLimitsTable::kMinPacketSize);
  CHECK(table.size() <= OwnLimitsTable::kMaxKept + std::size_t{33} * 33);
}

STMQTT_TEST("own limits: of a verdict, where the client meets them") {
  NetOptions options;
  options.authenticate = true;
  Bed bed(options);
  const auto judged = [&](const char* id, const contract::Verdict& verdict) -> Peer& {
    Peer& peer = bed.dial(named(id));
    bed.settle();
    bed.net().verdict(peer.conn(), verdict);
    bed.settle();
    return peer;
  };
  contract::Verdict small = accepting();
  small.max_subscriptions = 1;
  small.max_packet_size = 100;
  Peer& peer = judged("small", small);
  const Packet connack = peer.take().front();
  CHECK_EQ(connack.reason, ReasonCode::success);
  peer.subscribe("a", 0, 1).subscribe("b", 0, 2);
  bed.settle();
  const std::vector<Packet> packets = peer.take();
  REQUIRE_EQ(packets.size(), 2U);
  CHECK_EQ(code_of(packets[0]), ReasonCode::success);
  CHECK_EQ(code_of(packets[1]), ReasonCode::quota_exceeded);
  peer.publish("t", std::string(200, 'x'));
  bed.settle();
  CHECK_EQ(peer.took(), "DISCONNECT packet_too_large");
  Peer& plain = judged("plain", accepting());
  static_cast<void>(plain.take());
  plain.publish("t", std::string(200, 'x'), 1, 1);
  bed.settle();
  CHECK_EQ(plain.took(), "PUBACK id 1 no_matching_subscribers");
}

STMQTT_TEST("tenants: counted in and out, each for itself, and forgotten with the last") {
  using enum TenantTable::Bound;
  TenantTable table;
  table.set({2, 0, 0});
  CHECK(table.enter("red", holds));
  CHECK(table.rates("red") == nullptr);  // there is none
  CHECK(table.enter("red", holds));
  CHECK(!table.enter("red", holds));
  CHECK(table.enter("re", holds));
  CHECK(table.enter("blue", holds));
  table.leave("green");  // nobody was there
  table.leave("red");
  CHECK(table.enter("red", holds));
  CHECK(table.enter("red", ignored));  // three
  table.leave("red");
  CHECK(!table.enter("red", holds));
  table.set({0, 0, 0});
  CHECK(table.enter("red", holds));
  for (int at = 0; at < 3; at++) table.leave("red");
  table.leave("re");
  table.leave("blue");
  CHECK_EQ(table.size(), 0U);
}

STMQTT_TEST("tenants: threads that come at once do not pass the bound") {
  TenantTable table;
  table.set({5, 0, 0});
  std::atomic<int> entered{0};
  std::vector<std::thread> threads;
  for (int at = 0; at < 4; at++) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; n++) {
        TenantPlace place;
        if (!place.take(table, "red", TenantTable::Bound::holds)) continue;
        entered++;
        static_cast<void>(place.pass_on());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(entered.load(), 5);
}

STMQTT_TEST("tenants: one rate for all of a tenant's clients, changed while they are there") {
  TenantTable table;
  table.set({0, 10, 1000});
  const auto enter = [&](const char* tenant) {
    CHECK(table.enter(tenant, TenantTable::Bound::holds));
    return table.rates(tenant);
  };
  CHECK(table.rates("red") == nullptr);
  SharedRates* red = enter("red");
  SharedRates* blue = enter("blue");
  REQUIRE(red != nullptr && blue != nullptr && red != blue);
  CHECK(enter("red") == red);
  for (int at = 0; at < 10; ++at) CHECK_EQ(red->messages.take(1, kSecond), 0U);
  CHECK(red->messages.take(1, kSecond) > 0);
  CHECK_EQ(blue->messages.take(1, kSecond), 0U);
  CHECK_EQ(red->bytes.per_s(), 1000U);
  table.set({0, 0, 0});
  CHECK_EQ(red->messages.take(1, kSecond), 0U);
  // What was overdrawn is forgotten with the last client.
  table.leave("red");
  table.leave("red");
  table.set({0, 10, 1000});
  CHECK_EQ(enter("red")->messages.take(1, kSecond), 0U);
}

STMQTT_TEST("tenants: the bounds of one, where its clients meet them; others do not notice") {
  Limits red;
  red.tenant = "red";
  Limits blue;
  blue.tenant = "blue";
  Bed bed;
  bed.net().tables().tenants.set({2, 2, 0});
  Peer& one = bed.ready(named("1"), 0, &red);
  Peer& two = bed.ready(persistent("2"), 0, &red);
  CHECK_EQ(bed.connect(named("3"), 0, &red).took(), "CONNACK quota_exceeded");
  CHECK_EQ(bed.counter(Counter::refused_tenant_connections), 1);
  Peer& elsewhere = bed.ready(named("3"), 0, &blue);
  CHECK(!bed.connect(named("3")).closed());
  // Who takes a connection over takes its place, and gives it back once.
  Peer& again = bed.connect(persistent("2"), 0, &red);
  CHECK_EQ(again.took(), "CONNACK session present");
  CHECK(two.closed());
  CHECK(bed.connect(named("3"), 0, &red).closed());
  // Two messages a second for both of them together.
  Peer& reader = bed.ready(named("reader"));
  reader.subscribe("t");
  bed.settle();
  static_cast<void>(reader.take());
  one.publish("t", "1");
  again.publish("t", "2");
  bed.settle();
  one.publish("t", "3");
  again.publish("t", "4");
  elsewhere.publish("t", "5");
  bed.settle();
  CHECK_EQ(reader.payloads(), "1 2 5");
  for (int at = 0; at < 200; ++at) {
    bed.net().advance(8);
    bed.settle();
  }
  CHECK_EQ(reader.payloads(), "3 4");
  again.cut();
  bed.settle();
  CHECK_EQ(bed.connect(named("3"), 0, &red).took(), "CONNACK");
}

STMQTT_TEST("bans: a Client Identifier is banned behind its tenant, and only there") {
  for (const bool judged : {false, true}) {
    const Context context("judged", judged ? "yes" : "no");
    Limits red;
    red.tenant_mode = TenantMode::enforced;
    red.tenant = "red";
    NetOptions options;
    options.authenticate = judged;
    Bed bed(options);
    const auto come = [&](const char* id, const Limits* limits) {
      Peer& peer = bed.dial(named(id), 0, limits);
      bed.settle();
      if (judged && !peer.closed()) bed.net().verdict(peer.conn(), accepting());
      bed.settle();
      return peer.took();
    };
    Ban ban;
    ban.value = "pump";  // one without a tenant, which may have come too often
    CHECK_EQ(bed.net().tables().bans.add(ban), BanTable::Added::added);
    CHECK_EQ(come("pump", nullptr), "CONNACK banned");
    // Nobody was asked.
    CHECK_EQ(bed.counter(Counter::verdicts_waited), 0);
    CHECK_EQ(come("pump", &red), "CONNACK");
    ban.value = "red.fan";
    CHECK_EQ(bed.net().tables().bans.add(ban), BanTable::Added::added);
    CHECK_EQ(come("fan", &red), "CONNACK banned");
    CHECK_EQ(come("fan", nullptr), "CONNACK");
  }
}

STMQTT_TEST("bans: one that comes while CONNECT waits for the store holds for it") {
  NetOptions options;
  options.gate = TestGate::Mode::on_demand;
  Bed bed(options);
  bed.tickets = Net::Tickets::keep;
  Peer& peer = bed.dial(persistent("late"));
  bed.settle();
  CHECK_EQ(peer.took(), "");
  Ban ban;
  ban.value = "late";
  CHECK_EQ(bed.net().tables().bans.add(ban), BanTable::Added::added);
  bed.net().shard(0).check_bans();
  bed.net().advance(8);
  bed.tickets = Net::Tickets::grant;
  bed.settle();
  CHECK_EQ(peer.took(), "CONNACK; DISCONNECT administrative_action");
  CHECK(peer.closed());
}

STMQTT_TEST("bans: a full table has room for operators as long as it has bans for flapping") {
  BanTable bans;
  Ban flapping;
  flapping.source = BanSource::flapping;
  for (std::size_t at = 0; at + 2 < BanTable::kMaxBans; ++at) {
    flapping.value = "c" + std::to_string(at);
    flapping.expires_ms = 5000 + at;
    CHECK_EQ(bans.add(flapping), BanTable::Added::added);
  }
  Ban ban;
  ban.value = "first";
  ban.expires_ms = 1000;  // before all others, and an operator's
  CHECK_EQ(bans.add(ban), BanTable::Added::added);
  ban.kind = BanKind::address;
  ban.value = "192.0.2.1";
  CHECK_EQ(bans.add(ban), BanTable::Added::added);
  CHECK_EQ(bans.count(), BanTable::kMaxBans);
  flapping.value = "more";
  CHECK_EQ(bans.add(flapping), BanTable::Added::full);
  ban.value = "192.0.2.2";
  CHECK_EQ(bans.add(ban), BanTable::Added::added);
  CHECK_EQ(bans.count(), BanTable::kMaxBans);
  CHECK(!bans.bans_client("c0", 0));  // it would have ended first
  CHECK(bans.bans_client("c1", 0));
  CHECK(bans.bans_client("first", 0));
  CHECK(bans.bans_address(parse_ip_address("192.0.2.1"), 0));
  CHECK(bans.bans_address(parse_ip_address("192.0.2.2"), 0));
  // A ban whose time is over is no ban, though it still has its place.
  CHECK(!bans.bans_address(parse_ip_address("192.0.2.2"), 1000));
}

STMQTT_TEST("flapping: a thread whose turn began earlier counts on") {
  FlapTable flaps;
  flaps.set({3, 1000, 60});
  CHECK(!flaps.flaps(1, 500));
  CHECK(!flaps.flaps(1, 499));
  CHECK(!flaps.flaps(1, 500));
  CHECK(flaps.flaps(1, 498));
}

STMQTT_TEST("flapping: switched off, on again and changed while it counts") {
  FlapTable flaps;
  CHECK(!flaps.on());
  flaps.set({2, 1000, 60});
  CHECK(!flaps.flaps(1, 100));
  CHECK(!flaps.flaps(1, 100));
  flaps.set({0, 1000, 60});
  CHECK(!flaps.on());
  CHECK(!flaps.flaps(1, 100));
  flaps.set({1, 1000, 30});
  CHECK_EQ(flaps.ban_ms(), 30'000U);
  CHECK(flaps.flaps(1, 100));
  // A window of 0 ms counts nothing.
  flaps.set({1, 0, 30});
  CHECK(!flaps.flaps(2, 100));
  CHECK(!flaps.flaps(2, 100));
}

STMQTT_TEST("rate: times that jump, in either direction, give no more than one burst") {
  RateBucket bucket;
  CHECK_EQ(bucket.take(10, 10, 0), 0U);  // from the very first moment
  CHECK_EQ(bucket.wait_ns(10, 1, 0), kSecond / 10);
  // A machine that slept for a year.
  const std::uint64_t late = 31'536'000 * kSecond;
  for (int at = 0; at < 10; ++at) CHECK_EQ(bucket.take(10, 1, late), 0U);
  CHECK(bucket.wait_ns(10, 1, late) > 0);
  // A thread whose turn began earlier waits for as much longer, and gives nothing away.
  SharedRate shared;
  shared.set(10);
  for (int at = 0; at < 10; ++at) CHECK_EQ(shared.take(1, late), 0U);
  CHECK_EQ(shared.take(1, late - 1000), kSecond / 10 + 1000);
  CHECK_EQ(shared.take(1, late), 2 * (kSecond / 10));
}

STMQTT_TEST("rate: none, the smallest and the largest") {
  SharedRate shared;
  shared.set(0);
  CHECK_EQ(shared.take(UINT32_MAX, kSecond), 0U);
  shared.set(1);
  CHECK_EQ(shared.take(1, kSecond), 0U);
  CHECK_EQ(shared.take(1, kSecond), kSecond);
  shared.set(UINT32_MAX);
  RateBucket bucket;
  const std::uint32_t most = UINT32_MAX;
  CHECK_EQ(bucket.take(most, most, kSecond), 0U);
  CHECK_EQ(bucket.wait_ns(most, most, kSecond), kSecond);
  CHECK_EQ(bucket.wait_ns(most, 0, kSecond), 0U);
  // A bound that is lowered while somebody waits: at most a minute, as ever.
  SharedRate lowered;
  lowered.set(1'000'000);
  for (int at = 0; at < 3; ++at) static_cast<void>(lowered.take(1'000'000, kSecond));
  lowered.set(1);
  CHECK(lowered.take(1'000'000, kSecond) <= kMaxRateWaitNs);
}

}  // namespace
