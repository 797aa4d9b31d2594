// Thousands whom the broker ends at once, by bans or by an operator: some in each turn, first come first
// served, none forgotten.
#include "model/bed.hpp"
#include "runner.hpp"
#include "session/dismissal.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;

constexpr int kMany = 3 * kDismissalsPerTurn + 8;

std::string name_of(int n) { return "c" + std::to_string(n); }

std::vector<Peer*> crowd(Bed& bed) {
  std::vector<Peer*> peers;
  for (int n = 0; n < kMany; ++n) {
    ConnectText text;
    text.client_id = name_of(n);
    text.version = Version::v5;
    peers.push_back(&bed.ready(text));
  }
  return peers;
}

/// Who has gone, in the order of their numbers: the first ones.
int gone(const std::vector<Peer*>& peers) {
  int count = 0;
  while (count < kMany && peers[static_cast<std::size_t>(count)]->conn().client == nullptr) ++count;
  for (int rest = count; rest < kMany; ++rest) {
    CHECK(peers[static_cast<std::size_t>(rest)]->conn().client != nullptr);
  }
  return count;
}

STMQTT_TEST("dismissals: a new ban ends a bounded number in a turn, and all in the end") {
  Bed bed;
  const std::vector<Peer*> peers = crowd(bed);
  for (int n = 0; n < kMany; ++n) {
    Ban ban;
    ban.kind = BanKind::client;
    ban.value = name_of(n);
    CHECK_EQ(bed.net().tables().bans.add(std::move(ban)), BanTable::Added::added);
  }
  bed.net().shard(0).check_bans();
  bed.net().advance(8);
  bed.net().timers(0);
  CHECK_EQ(gone(peers), static_cast<int>(kDismissalsPerTurn));
  bed.net().end_turn(0);
  CHECK_EQ(gone(peers), static_cast<int>(kDismissalsPerTurn));
  CHECK(bed.net().shard(0).has_dismissals());
  // Asked again while they wait: nobody is in the line twice.
  bed.net().shard(0).check_bans();
  bed.net().advance(8);
  bed.net().timers(0);
  bed.net().end_turn(0);
  CHECK_EQ(gone(peers), 2 * static_cast<int>(kDismissalsPerTurn));
  bed.net().end_turn(0);
  CHECK_EQ(gone(peers), 3 * static_cast<int>(kDismissalsPerTurn));
  bed.net().end_turn(0);
  CHECK_EQ(gone(peers), kMany);
  CHECK(!bed.net().shard(0).has_dismissals());
  bed.settle();
  for (Peer* peer : peers) CHECK_EQ(peer->took(), "DISCONNECT administrative_action");
  CHECK_EQ(bed.counter(Counter::closed_banned), kMany);
}

STMQTT_TEST("dismissals: kicks from another thread in order; who goes by itself meanwhile had gone") {
  NetOptions options;
  options.shards = 2;
  Bed bed(options);
  const std::vector<Peer*> peers = crowd(bed);
  for (int n = 0; n < kMany; ++n) {
    bed.net().shard(1).disconnect(as_bytes(name_of(n)), contract::kAnyInstance,
                                  ReasonCode::use_another_server, as_bytes("of " + name_of(n)));
  }
  bed.net().end_turn(1);
  bed.net().take_crossed(1, 0);
  bed.net().end_turn(0);
  CHECK_EQ(gone(peers), static_cast<int>(kDismissalsPerTurn));
  Peer& last = *peers.back();
  last.say({"\xe0\x00", 2});
  bed.net().feed(last.conn());
  CHECK(last.conn().client == nullptr);
  // Its successor is another client.
  ConnectText text;
  text.client_id = name_of(kMany - 1);
  text.version = Version::v5;
  Peer& next = bed.ready(text);
  bed.settle();
  CHECK(!next.closed());
  for (int n = 0; n < kMany - 1; ++n) {
    CHECK_EQ(peers[static_cast<std::size_t>(n)]->took(), "DISCONNECT use_another_server");
  }
  CHECK_EQ(last.took(), "");
  CHECK_EQ(bed.counter(Counter::closed_administrative), kMany - 1);
}

STMQTT_TEST("dismissals: whoever waits in line when the broker stops is told what was asked for") {
  NetOptions options;
  options.shards = 2;
  Bed bed(options);
  const std::vector<Peer*> peers = crowd(bed);
  for (int n = 0; n < kMany; ++n) {
    bed.net().shard(1).disconnect(as_bytes(name_of(n)), contract::kAnyInstance,
                                  ReasonCode::use_another_server, {});
  }
  bed.net().end_turn(1);
  bed.net().take_crossed(1, 0);
  CHECK_EQ(bed.net().shard(0).close_finished(), 0U);
  bed.settle();
  for (Peer* peer : peers) CHECK_EQ(peer->took(), "DISCONNECT use_another_server");
}

}  // namespace
