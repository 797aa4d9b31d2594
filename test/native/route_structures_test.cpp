// The containers under the trie and the retained index, each against a plain one of the library.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/hash.hpp"
#include "route/id_arena.hpp"
#include "route/id_table.hpp"
#include "route/level_names.hpp"
#include "route/scratch_vec.hpp"
#include "route/subscriber_set.hpp"
#include "route/topic_levels.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

struct Item {
  std::uint32_t value;
  std::uint32_t other;
};

STMQTT_TEST("route: an id arena reuses ids and gives chunks back") {
  IdArena<Item, 4> arena;  // 16 in a chunk
  std::vector<std::uint32_t> ids;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const std::uint32_t id = arena.allocate();
    CHECK_NE(id, 0);
    CHECK_EQ(arena[id].value, 0);
    CHECK_EQ(arena[id].other, 0);
    arena[id] = {i, ~i};
    ids.push_back(id);
  }
  CHECK_EQ(ids[0], 1);
  CHECK_EQ(ids[1], 2);
  CHECK_EQ(std::set<std::uint32_t>(ids.begin(), ids.end()).size(), 100);
  const std::size_t full_bytes = arena.bytes();
  const std::uint32_t end_id = arena.end_id();
  for (const std::uint32_t id : ids) arena.free(id);
  CHECK_EQ(arena.size(), 0);
  CHECK_LT(arena.bytes(), full_bytes / 2);
  std::uint32_t reached = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t id = arena.allocate();
    CHECK_EQ(arena[id].value, 0);
    reached = std::max(reached, id);
  }
  CHECK_LT(reached, end_id);
  CHECK(!arena.readable(0));
  CHECK(!arena.readable(reached + 1000));
}

STMQTT_TEST("route: an id arena keeps its values under random churn") {
  Rng rng(test::seed());
  IdArena<Item, 4> arena;
  std::map<std::uint32_t, std::uint32_t> model;
  for (std::uint32_t step = 1; step <= 20000; ++step) {
    // Waves: it grows for a while, then shrinks to nothing.
    const bool grow = step / 1000 % 2 == 0 ? !rng.one_in(4) : rng.one_in(4);
    if (grow || model.empty()) {
      const std::uint32_t id = arena.allocate();
      REQUIRE(!model.contains(id));
      REQUIRE_EQ(arena[id].value, 0);
      arena[id] = {step, step};
      model[id] = step;
    } else {
      auto at = model.lower_bound(rng.below(arena.end_id()));
      if (at == model.end()) at = model.begin();
      arena.free(at->first);
      model.erase(at);
    }
    REQUIRE_EQ(arena.size(), model.size());
  }
  for (const auto& [id, value] : model) REQUIRE_EQ(arena[id].value, value);
}

STMQTT_TEST("route: an id table finds what was inserted and nothing else") {
  Rng rng(test::seed());
  IdTable table;
  // Few distinct hashes: long probes, wraps and equal hashes.
  const auto hash_of = [](std::uint32_t id) { return mix64(id / 3 % 700) & 0x03FFFFFFFFFFFFFF; };
  std::set<std::uint32_t> model;
  for (int step = 0; step < 60000; ++step) {
    const std::uint32_t id = 1 + rng.below(3000);
    const bool grow = step / 10000 % 2 == 0 ? !rng.one_in(4) : rng.one_in(4);
    const bool there =
        table.find(hash_of(id), [&](std::uint32_t other) { return other == id; }) == id;
    REQUIRE_EQ(there, model.contains(id));
    if (grow && !there) {
      table.insert(hash_of(id), id, hash_of);
      model.insert(id);
    } else if (!grow && there) {
      table.erase(hash_of(id), id, hash_of);
      model.erase(id);
    }
    REQUIRE_EQ(table.size(), model.size());
  }
  for (std::uint32_t id = 1; id <= 3000; ++id) {
    const auto found = table.find(hash_of(id), [&](std::uint32_t other) { return other == id; });
    CHECK_EQ(found, model.contains(id) ? id : 0);
  }
  for (const std::uint32_t id : model) table.erase(hash_of(id), id, hash_of);
  CHECK_EQ(table.bytes(), sizeof table);
}

STMQTT_TEST("route: level names are kept once, counted, and freed") {
  LevelNames names;
  CHECK_EQ(names.find(as_bytes("+")), LevelNames::kPlus);
  CHECK_EQ(names.find(as_bytes("#")), LevelNames::kHash);
  const std::size_t at_first = names.size();
  const std::string texts[] = {"",       "a",       "exactly-18-bytes-x", "nineteen-bytes-long",
                               "Grüße", "温度", std::string(65535, 'x')};
  std::vector<std::uint32_t> ids;
  for (const std::string& text : texts) {
    CHECK_EQ(names.find(as_bytes(text)), LevelNames::kNone);
    ids.push_back(names.acquire(as_bytes(text)));
    CHECK_EQ(names.acquire(as_bytes(text)), ids.back());
    CHECK_EQ(as_text(names.text(ids.back())), text);
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    names.release(ids[i]);
    CHECK_EQ(names.find(as_bytes(texts[i])), ids[i]);
    names.release(ids[i]);
    CHECK_EQ(names.find(as_bytes(texts[i])), LevelNames::kNone);
  }
  CHECK_EQ(names.size(), at_first);
}

STMQTT_TEST("route: a subscriber set of any size holds each session once") {
  Rng rng(test::seed());
  for (const std::uint32_t sessions : {1u, 2u, 5u, 16u, 17u, 40u, 3000u}) {
    test::Context context("sessions", sessions);
    SubscriberSet set;
    std::map<naive::Session, Subscriber> model;
    for (int step = 0; step < 8000; ++step) {
      // The same slot on several threads and with several generations are different sessions.
      const SessionRef session{rng.below(sessions) / 4, 1 + rng.below(2),
                               static_cast<ThreadIndex>(rng.below(2))};
      const auto key = naive::session_of(session);
      const bool grow = step / 2000 % 2 == 0 ? !rng.one_in(4) : rng.one_in(4);
      if (grow) {
        const Subscriber subscriber{session, rng.below(3),
                                    SubscriptionOptions::from_byte(
                                        static_cast<std::uint8_t>(rng.below(3))),
                                    rng.one_in(2)};
        const bool had = model.contains(key);
        const bool same = had && model[key].subscription_id == subscriber.subscription_id &&
                          model[key].options == subscriber.options &&
                          model[key].persistent == subscriber.persistent;
        const auto put = set.put(subscriber);
        REQUIRE_EQ(put, !had   ? SubscriberSet::Put::added
                        : same ? SubscriberSet::Put::unchanged
                               : SubscriberSet::Put::replaced);
        model[key] = subscriber;
      } else {
        REQUIRE_EQ(set.remove(session), model.erase(key) == 1);
      }
      REQUIRE_EQ(set.size(), model.size());
      REQUIRE_EQ(set.empty(), model.empty());
      if (step % 50 != 0) continue;
      std::map<naive::Session, std::uint32_t> seen;
      set.each([&](const SubscriberSet::Record& record) {
        const SessionRef ref{record.slot, record.generation, record.thread};
        CHECK(seen.emplace(naive::session_of(ref), record.subscription_id).second);
      });
      REQUIRE_EQ(seen.size(), model.size());
      for (const auto& [session_key, subscriber] : model) {
        REQUIRE_EQ(seen[session_key], subscriber.subscription_id);
        const auto record = set.get(subscriber.session);
        REQUIRE(record.has_value());
        REQUIRE_EQ(record->options.bits, subscriber.options.bits);
        REQUIRE_EQ(record->persistent, subscriber.persistent);
      }
    }
    set.clear();
    CHECK_EQ(set.bytes(), 0);
  }
}

STMQTT_TEST("route: topic levels split where the slashes are") {
  for (const std::string_view text : {"", "a", "/", "//", "a/b", "/a", "a/", "a//b", "$SYS/x"}) {
    std::vector<std::string> levels;
    TopicLevels walk(as_bytes(text));
    for (Bytes level; walk.next(level);) levels.emplace_back(as_text(level));
    const auto expected = naive::split(text);
    CHECK_EQ(levels, std::vector<std::string>(expected.begin(), expected.end()));
  }
}

STMQTT_TEST("route: a scratch vector outgrows its own memory") {
  ScratchVec<std::uint64_t, 4> values;
  for (std::uint64_t i = 0; i < 1000; ++i) values.push_back(i * i);
  values.reserve_more(5000);
  CHECK_EQ(values.size(), 1000);
  for (std::uint64_t i = 1000; i-- > 0;) {
    CHECK_EQ(values.back(), i * i);
    values.pop_back();
  }
  CHECK(values.empty());
}

}  // namespace
