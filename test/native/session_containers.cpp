// The containers of session/ against plain models: Packet Identifiers, subscriptions, slots, the
// directory, the flags of full sessions.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "route_naive.hpp"
#include "runner.hpp"
#include "session/directory.hpp"
#include "session/packet_id_map.hpp"
#include "session/slot_table.hpp"
#include "session/subscription_table.hpp"
#include "session/tables.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

struct Entry {
  std::uint16_t packet_id = 0;
  std::uint32_t value = 0;
};

class CheckedMap {
 public:
  void insert(std::uint16_t id, std::uint32_t value) {
    if (plain_.contains(id)) return;
    Entry* at = map_.insert({id, value});
    CHECK(at != nullptr && at->packet_id == id && at->value == value);
    plain_[id] = value;
  }
  void erase(std::uint16_t id) { CHECK_EQ(map_.erase(id), plain_.erase(id) == 1); }
  void find(std::uint16_t id) {
    const Entry* at = map_.find(id);
    const auto wanted = plain_.find(id);
    CHECK_EQ(at != nullptr, wanted != plain_.end());
    if (at != nullptr && wanted != plain_.end()) CHECK_EQ(at->value, wanted->second);
  }
  void check_all() {
    CHECK_EQ(map_.size(), plain_.size());
    std::map<std::uint16_t, std::uint32_t> seen;
    map_.for_each([&](const Entry& entry) { CHECK(seen.emplace(entry.packet_id, entry.value).second); });
    CHECK(seen == plain_);
    for (const auto& [id, value] : plain_) find(id);
  }
  PacketIdMap<Entry>& map() { return map_; }
  std::map<std::uint16_t, std::uint32_t>& plain() { return plain_; }

 private:
  PacketIdMap<Entry> map_;
  std::map<std::uint16_t, std::uint32_t> plain_;
};

STMQTT_TEST("session: packet id map is what std::map is, at random") {
  for (const std::uint32_t range : {8U, 40U, 700U, 65'535U}) {
    test::Context context("range", range);
    Rng rng(test::seed() + range);
    CheckedMap both;
    for (int step = 0; step < 6000; ++step) {
      const auto id = static_cast<std::uint16_t>(1 + rng.below(range));
      // Filling up and emptying by turns, so that it grows and gives back.
      if (rng.below(10) < (step / 1500 % 2 == 0 ? 6U : 3U)) {
        both.insert(id, static_cast<std::uint32_t>(step));
      } else {
        both.erase(id);
      }
      both.find(static_cast<std::uint16_t>(1 + rng.below(range)));
      if (step % 500 == 0) both.check_all();
    }
    both.check_all();
  }
}

STMQTT_TEST("session: packet id map with identifiers that fall into one place") {
  // The map takes the top bits of id * 0x9E3779B1: collect identifiers that share many of them.
  std::map<std::uint32_t, std::vector<std::uint16_t>> by_place;
  for (std::uint32_t id = 1; id < 65'536; ++id) {
    by_place[id * 0x9E3779B1U >> 22].push_back(static_cast<std::uint16_t>(id));
  }
  CheckedMap both;
  for (const auto& [place, ids] : by_place) {
    if (place < 1000) continue;  // the last places of the table: probing wraps around
    for (const std::uint16_t id : ids) both.insert(id, id);
  }
  both.check_all();
  Rng rng(test::seed());
  while (!both.plain().empty()) {
    auto at = both.plain().lower_bound(static_cast<std::uint16_t>(rng.below(65'536)));
    if (at == both.plain().end()) at = both.plain().begin();
    both.erase(at->first);
    if (both.plain().size() % 97 == 0) both.check_all();
  }
  CHECK(both.map().empty());
}

STMQTT_TEST("session: packet id map holds all identifiers there are") {
  CheckedMap both;
  for (std::uint32_t id = 1; id < 65'536; ++id) both.insert(static_cast<std::uint16_t>(id), id);
  CHECK_EQ(both.map().size(), 65'535);
  both.check_all();
  for (std::uint32_t id = 1; id < 65'536; ++id) both.erase(static_cast<std::uint16_t>(id));
  CHECK(both.map().find(1) == nullptr);
  both.map().trim();
  both.insert(7, 7);
  both.check_all();
  both.map().clear();
  CHECK(both.map().find(7) == nullptr);
}

STMQTT_TEST("session: subscription table is what std::map is, at random") {
  for (const std::uint32_t nodes : {3U, 30U, 3000U}) {
    Rng rng(test::seed() + nodes);
    SubscriptionTable table;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> plain;
    const auto check_all = [&] {
      CHECK_EQ(table.size(), plain.size());
      PoolVector<SubscriptionKey> keys;
      table.keys(keys);
      std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
      for (const SubscriptionKey key : keys) seen.emplace(key.node, key.group);
      CHECK_EQ(keys.size(), plain.size());
      CHECK_EQ(seen.size(), plain.size());
      for (const auto& [key, value] : plain) {
        const SubscriptionRecord* record = table.find({key.first, key.second});
        REQUIRE(record != nullptr);
        CHECK_EQ(record->scanned_since, value);
      }
    };
    for (int step = 0; step < 4000; ++step) {
      const SubscriptionKey key{rng.below(nodes), rng.below(3)};
      if (rng.below(10) < (step / 1000 % 2 == 0 ? 6U : 3U)) {
        const bool had = plain.contains({key.node, key.group});
        SubscriptionRecord& record = table.insert(key);
        if (!had) CHECK_EQ(record.scanned_since, 0);  // nothing of an earlier one is left
        record.scanned_since = static_cast<std::uint64_t>(step);
        plain[{key.node, key.group}] = static_cast<std::uint64_t>(step);
      } else {
        CHECK_EQ(table.erase(key), plain.erase({key.node, key.group}) == 1);
      }
      if (step % 400 == 0) check_all();
    }
    check_all();
    table.clear();
    CHECK_EQ(table.size(), 0);
    CHECK(table.find({1, 0}) == nullptr);
  }
}

STMQTT_TEST("session: a slot's name does not find its successor") {
  SlotTable<int> table;
  int objects[4] = {};
  const auto a = table.insert(&objects[0]);
  const auto b = table.insert(&objects[1]);
  CHECK(table.find(a.slot, a.generation) == &objects[0]);
  CHECK_EQ(table.count(), 2);
  table.erase(a.slot);
  CHECK(table.find(a.slot, a.generation) == nullptr);
  const auto c = table.insert(&objects[2]);
  CHECK_EQ(c.slot, a.slot);  // reused
  CHECK_NE(c.generation, a.generation);
  CHECK(table.find(a.slot, a.generation) == nullptr);
  CHECK(table.find(c.slot, c.generation) == &objects[2]);
  CHECK(table.find(b.slot, b.generation) == &objects[1]);
  CHECK(table.find(99, 1) == nullptr);
  CHECK(table.find(b.slot, 0) == nullptr);
}

STMQTT_TEST("session: directory is what std::map is, at random") {
  Rng rng(test::seed());
  Directory directory;
  struct Known {
    SessionKey* key;
    SessionRef session;
  };
  std::map<std::string, Known> plain;
  const auto name = [&] {
    std::string id = "client-" + std::to_string(rng.below(800));
    if (rng.one_in(3)) id += std::string(40, 'x');
    return id;
  };
  for (int step = 0; step < 8000; ++step) {
    const std::string id = name();
    const std::uint64_t hash = directory.hash(as_bytes(id));
    const auto known = plain.find(id);
    CHECK_EQ(directory.find(as_bytes(id), hash).valid(), known != plain.end());
    if (known != plain.end()) {
      CHECK(directory.find(as_bytes(id), hash) == known->second.session);
      // A second session with this key is refused and changes nothing.
      SessionKey* other = SessionKey::make(as_bytes(id), id.size(), hash);
      CHECK(directory.insert(*other, {99, 9, 9}, {}) == Directory::Inserted::taken);
      directory.erase(*other);  // not the one that is in there
      CHECK(directory.find(as_bytes(id), hash) == known->second.session);
      SessionKey::destroy(other);
      if (rng.one_in(2)) continue;
      directory.erase(*known->second.key);
      SessionKey::destroy(known->second.key);
      plain.erase(known);
    } else {
      SessionKey* key = SessionKey::make(as_bytes(id), id.size(), hash);
      CHECK_EQ(as_text(key->client_id()), id);
      const SessionRef session{static_cast<std::uint32_t>(step), 1, 3};
      CHECK(directory.insert(*key, session, {}) == Directory::Inserted::done);
      plain[id] = {key, session};
    }
    CHECK_EQ(directory.size(), plain.size());
  }
  for (const auto& [id, known] : plain) {
    CHECK(directory.find(as_bytes(id), directory.hash(as_bytes(id))) == known.session);
    directory.erase(*known.key);
    SessionKey::destroy(known.key);
  }
  CHECK_EQ(directory.size(), 0);
}

STMQTT_TEST("session: flags of full sessions by thread and slot") {
  auto full = std::make_unique<FullSessions>();
  CHECK(!full->any());
  CHECK(!full->test(3, 12));
  full->set({12, 1, 3}, 0);  // clearing what was never set keeps it free of memory
  CHECK(!full->any());
  full->set({12, 1, 3}, 1);
  full->set({200'000, 1, 63}, 1);
  CHECK(full->any());
  CHECK(full->test(3, 12));
  CHECK(!full->test(3, 13));
  CHECK(!full->test(2, 12));
  CHECK(!full->test(3, 12 + 65'536));
  CHECK(full->test(63, 200'000));
  CHECK(!full->test(63, 0xFFFFFFFF));
  full->set({12, 1, 3}, 0);
  CHECK(!full->test(3, 12));
}

}  // namespace
