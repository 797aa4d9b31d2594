// Bans and flapping clients: the tables with a clock of the test's, and what a shard does by them.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session/ban_table.hpp"
#include "session/flap_table.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using Added = BanTable::Added;
using contract::Counter;

Ban ban_of(BanKind kind, const std::string& value, std::uint64_t expires_ms = Ban::kNever) {
  Ban ban;
  ban.kind = kind;
  ban.value = value;
  ban.expires_ms = expires_ms;
  return ban;
}

STMQTT_TEST("bans: each kind keeps out its own, until its time is over") {
  BanTable bans;
  CHECK(!bans.any());
  CHECK_EQ(bans.add(ban_of(BanKind::client, "dev-1", 1000)), Added::added);
  CHECK_EQ(bans.add(ban_of(BanKind::user, "anna")), Added::added);
  CHECK(bans.bans_client("dev-1", 999));
  CHECK(!bans.bans_client("dev-1", 1000));
  CHECK(!bans.bans_client("anna", 0));
  CHECK(bans.bans_user("anna", 1'000'000));
  CHECK(!bans.bans_user("dev-1", 0));
  CHECK(!bans.bans_user("", 0));
  CHECK_EQ(bans.expire(999), 0U);
  CHECK_EQ(bans.expire(1000), 1U);
  CHECK_EQ(bans.count(), 1U);
  CHECK(!bans.remove(BanKind::client, "anna"));
  CHECK(bans.remove(BanKind::user, "anna"));
  CHECK(!bans.any());
}

STMQTT_TEST("bans: a network keeps out every address in it, in either spelling") {
  BanTable bans;
  const auto banned = [&](std::string_view text) {
    return bans.bans_address(parse_ip_address(text), 0);
  };
  CHECK_EQ(bans.add(ban_of(BanKind::address, "10.1.0.0/16")), Added::added);
  CHECK_EQ(bans.add(ban_of(BanKind::address, "192.0.2.7")), Added::added);
  CHECK_EQ(bans.add(ban_of(BanKind::address, "2001:db8::/33")), Added::added);
  CHECK(banned("10.1.255.1"));
  CHECK(!banned("10.2.0.1"));
  CHECK(banned("192.0.2.7"));
  CHECK(banned("::ffff:192.0.2.7"));
  CHECK(!banned("192.0.2.8"));
  CHECK(banned("2001:db8:7fff::1"));
  CHECK(!banned("2001:db8:8000::1"));
  CHECK(!bans.bans_address(IpAddress{}, 0));
  CHECK_EQ(bans.add(ban_of(BanKind::address, "10.1.0.1/16")), Added::replaced);  // the same
  CHECK_EQ(bans.add(ban_of(BanKind::address, "somewhere")), Added::no_network);
  // The same network, however it is written, is one ban.
  CHECK_EQ(bans.add(ban_of(BanKind::address, "192.0.2.7/32")), Added::replaced);
  CHECK_EQ(bans.count(), 3U);
  CHECK(bans.remove(BanKind::address, "2001:0db8::/33"));
  CHECK(!banned("2001:db8::1"));
  CHECK_EQ(bans.add(ban_of(BanKind::address, "0.0.0.0/0")), Added::added);
  CHECK(banned("203.0.113.9"));
  CHECK(!banned("2001:db8::1"));
}

STMQTT_TEST("bans: bounded, a new time replaces the old, pages show each once") {
  BanTable bans;
  for (std::size_t at = 0; at < BanTable::kMaxBans; ++at) {
    CHECK_EQ(bans.add(ban_of(BanKind::client, "c" + std::to_string(at), 5000)), Added::added);
  }
  CHECK_EQ(bans.add(ban_of(BanKind::user, "u")), Added::full);
  CHECK_EQ(bans.add(ban_of(BanKind::client, "c7", 9000)), Added::replaced);
  std::string cursor;
  std::size_t rows = 0;
  std::size_t pages = 0;
  do {
    rows += bans.list(cursor, 1000, 0).size();
    ++pages;
  } while (!cursor.empty());
  CHECK_EQ(rows, BanTable::kMaxBans);
  CHECK(pages <= 67);
  CHECK_EQ(bans.expire(5000), BanTable::kMaxBans - 1);
  CHECK(bans.bans_client("c7", 8999));
}

STMQTT_TEST("bans: asked, added and expired by several threads") {
  BanTable bans;
  std::atomic<bool> stop{false};
  std::atomic<int> seen{0};
  {
    std::vector<std::jthread> threads;
    for (int reader = 0; reader < 2; ++reader) {
      threads.emplace_back([&] {
        const IpAddress address = parse_ip_address("10.0.0.1");
        while (!stop.load()) {
          seen += bans.bans_client("c5", 0) ? 1 : 0;
          seen += bans.bans_address(address, 0) ? 1 : 0;
        }
      });
    }
    for (int round = 0; round < 300; ++round) {
      for (int at = 0; at < 10; ++at) {
        static_cast<void>(bans.add(ban_of(BanKind::client, "c" + std::to_string(at), 10)));
      }
      static_cast<void>(bans.add(ban_of(BanKind::address, "10.0.0.0/8", 10)));
      CHECK_EQ(bans.expire(10), 11U);
    }
    stop.store(true);
  }
  CHECK(!bans.any());
}

STMQTT_TEST("flapping: more connects than the rule in a window, each client for itself") {
  FlapTable flaps;
  CHECK(!flaps.flaps(1, 0));  // off
  flaps.set({3, 1000, 60});
  CHECK_EQ(flaps.ban_ms(), 60'000U);
  for (int at = 0; at < 3; ++at) CHECK(!flaps.flaps(1, 100));
  CHECK(!flaps.flaps(2, 100));
  CHECK(flaps.flaps(1, 1099));
  // Counting begins anew, and with each window.
  for (int at = 0; at < 3; ++at) CHECK(!flaps.flaps(1, 1100));
  for (int at = 0; at < 3; ++at) CHECK(!flaps.flaps(1, 2100));
}

STMQTT_TEST("flapping: however many clients there are, the latest are known") {
  FlapTable flaps;
  flaps.set({1, 1'000'000, 60});
  for (std::uint64_t hash = 1; hash < FlapTable::kPlaces * 3; ++hash) {
    static_cast<void>(flaps.flaps(hash, hash));
  }
  CHECK(!flaps.flaps(7, FlapTable::kPlaces * 3));  // forgotten
  CHECK(flaps.flaps(FlapTable::kPlaces * 3 - 5, FlapTable::kPlaces * 3));
}

ConnectText client(const std::string& id, Version version = Version::v5) {
  ConnectText text;
  text.client_id = id;
  text.version = version;
  return text;
}

STMQTT_TEST("bans: CONNECT is refused with 0x8A, by client and by user; 3.1.1 has 5 for it") {
  for (const Version version : {Version::v5, Version::v311}) {
    Bed bed;
    static_cast<void>(bed.net().tables().bans.add(ban_of(BanKind::client, "bad")));
    static_cast<void>(bed.net().tables().bans.add(ban_of(BanKind::user, "mallory")));
    Peer& bad = bed.connect(client("bad", version));
    CHECK(bad.closed());
    const std::vector<Packet> answer = bad.take();
    CHECK_EQ(answer.size(), 1U);
    if (!answer.empty()) {
      CHECK_EQ(answer[0].reason,
               version == Version::v5 ? ReasonCode::banned : ReasonCode::not_authorized);
    }
    ConnectText by_user = client("good", version);
    by_user.username = "mallory";
    CHECK(bed.connect(by_user).closed());
    CHECK(!bed.connect(client("good", version)).closed());
    CHECK_EQ(bed.counter(Counter::refused_banned), 2);
    CHECK(bed.net().tables().bans.remove(BanKind::client, "bad"));
    CHECK(!bed.connect(client("bad", version)).closed());
  }
}

STMQTT_TEST("bans: whoever is connected is disconnected with 0x98; others stay") {
  Bed bed;
  Peer& bad = bed.ready(client("bad"));
  Peer& good = bed.ready(client("good"));
  static_cast<void>(bed.net().tables().bans.add(
      ban_of(BanKind::client, "bad", bed.net().now_ms() + 10'000)));
  bed.net().shard(0).check_bans();
  bed.net().advance(8);
  bed.settle();
  CHECK(bad.closed());
  CHECK_EQ(bad.took(), "DISCONNECT administrative_action");
  CHECK(!good.closed());
  CHECK_EQ(bed.counter(Counter::closed_banned), 1);
  // It expires by itself.
  CHECK(bed.connect(client("bad")).closed());
  for (int second = 0; second < 12; ++second) {
    bed.net().advance(1000);
    bed.settle();
  }
  CHECK_EQ(bed.net().tables().bans.count(), 0U);
  CHECK_EQ(bed.counter(Counter::bans_expired), 1);
  CHECK(!bed.connect(client("bad")).closed());
}

/// Tenants by verdicts alone: "acme" for whoever comes.
Peer& come(Bed& bed, const std::string& id, std::string_view tenant) {
  Peer& peer = bed.dial(client(id));
  bed.settle();
  if (peer.closed()) return peer;
  contract::Verdict verdict{};
  verdict.will_refused = 0;
  verdict.max_session_expiry_s = verdict.expires_s = contract::kVerdictUnset32;
  verdict.max_messages_per_s = verdict.max_bytes_per_s = contract::kVerdictUnset32;
  verdict.max_subscriptions = verdict.max_packet_size = contract::kVerdictUnset32;
  verdict.server_keep_alive_s = contract::kVerdictUnset16;
  verdict.max_qos = contract::kVerdictUnset8;
  VerdictTexts texts;
  texts.tenant = as_bytes(tenant);
  bed.net().verdict(peer.conn(), verdict, texts);
  bed.settle();
  return peer;
}

void ban(Bed& bed, const std::string& value, BanSource source = BanSource::admin) {
  Ban made = ban_of(BanKind::client, value);
  made.source = source;
  CHECK_EQ(bed.net().tables().bans.add(std::move(made)), Added::added);
  bed.net().shard(0).check_bans();
  bed.net().advance(8);
  bed.settle();
}

STMQTT_TEST("bans: where tenants come with verdicts, of who comes and who is there by either name") {
  for (const bool is_final : {true, false}) {
    NetOptions options;
    options.authenticate = true;
    Bed bed(options);
    Peer& acme = come(bed, "c", "acme");
    Peer& other = come(bed, "c", "blue");
    Peer& plain = come(bed, "c", "");
    for (Peer* peer : {&acme, &other, &plain}) CHECK_EQ(peer->took(), "CONNACK");
    ban(bed, is_final ? "acme.c" : "c");
    CHECK_EQ(acme.took(), "DISCONNECT administrative_action");
    CHECK_EQ(other.took(), is_final ? "" : "DISCONNECT administrative_action");
    CHECK_EQ(plain.took(), is_final ? "" : "DISCONNECT administrative_action");
    const std::int64_t asked = bed.counter(Counter::verdicts_waited);
    CHECK_EQ(come(bed, "c", "acme").took(), "CONNACK banned");
    CHECK_EQ(come(bed, "c", "blue").took(), is_final ? "CONNACK" : "CONNACK banned");
    // By the name alone it is known before anybody is asked.
    CHECK_EQ(bed.counter(Counter::verdicts_waited) - asked, is_final ? 2 : 0);
  }
}

STMQTT_TEST("bans: one for coming too often is its own name's, whatever tenants have") {
  NetOptions options;
  options.authenticate = true;
  Bed bed(options);
  Peer& acme = come(bed, "c", "acme");
  CHECK_EQ(acme.took(), "CONNACK");
  ban(bed, "c", BanSource::flapping);
  CHECK(!acme.closed());
  CHECK_EQ(come(bed, "c", "acme").took(), "CONNACK");
  CHECK_EQ(come(bed, "c", "").took(), "CONNACK banned");
}

STMQTT_TEST("bans: where clients must have tenants, a name without one is nobody's") {
  Bed bed;
  bed.limits.tenant_mode = TenantMode::enforced;
  bed.limits.tenant = "acme";
  Peer& acme = bed.ready(client("c"));
  ban(bed, "c");
  CHECK(!acme.closed());
  CHECK(!bed.connect(client("c")).closed());
}

STMQTT_TEST("flapping: a client that comes too often is banned, and the one it took over is told") {
  Bed bed;
  bed.net().tables().flaps.set({3, 10'000, 60});
  Peer* last = nullptr;
  for (int at = 0; at < 3; ++at) last = &bed.ready(client("flap"));
  Peer& one_too_many = bed.connect(client("flap"));
  CHECK(one_too_many.closed());
  CHECK_EQ(one_too_many.took(), "CONNACK banned");
  CHECK(last->closed());
  CHECK_EQ(last->took(), "DISCONNECT administrative_action");
  CHECK(bed.connect(client("flap")).closed());
  CHECK(!bed.connect(client("other")).closed());
  CHECK_EQ(bed.counter(Counter::bans_flapping), 1);
  bed.net().advance(61'000);
  bed.settle();
  CHECK(!bed.connect(client("flap")).closed());
}

}  // namespace
