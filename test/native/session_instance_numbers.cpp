// The numbers of connections of one Client Identifier: the least that is free, whoever asks at once.
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "route_naive.hpp"
#include "runner.hpp"
#include "session/directory.hpp"

namespace {

using namespace stmqtt;

STMQTT_TEST("instances: the directory gives the least free number, as a set does, at random") {
  naive::Rng rng(test::seed());
  Directory directory;
  const std::string id = "c";
  const std::uint64_t hash = directory.hash(as_bytes(id));
  SessionKey* first = SessionKey::make(as_bytes(id), id.size(), hash);
  const SessionRef home{1, 1, 0};
  CHECK(directory.insert(*first, home, {}) == Directory::Inserted::done);
  std::map<std::uint32_t, SessionKey*> taken;
  for (std::uint32_t step = 2; step < 6000; ++step) {
    if (!taken.empty() && rng.one_in(2)) {
      auto gone = taken.begin();
      std::advance(gone, rng.below(static_cast<std::uint32_t>(taken.size())));
      directory.erase(*gone->second);
      SessionKey::destroy(gone->second);
      taken.erase(gone);
    } else {
      SessionKey* key = SessionKey::make_beside(as_bytes(id), id.size(), hash);
      const SessionRef ref{step, 1, static_cast<ThreadIndex>(step % 3)};
      REQUIRE(directory.insert_beside(*key, ref, home, {}));
      std::uint32_t least = 1;
      while (taken.contains(least)) ++least;
      CHECK_EQ(key->instance(), least);
      CHECK_EQ(as_text(key->client_id()), id);
      CHECK_EQ(as_text(key->base()), id);
      CHECK(directory.find_named(as_bytes(id), least).first() == ref);
      taken[least] = key;
    }
    CHECK_EQ(directory.size(), taken.size() + 1);
    CHECK_EQ(directory.least_beside(*first).number, taken.empty() ? 0 : taken.begin()->first);
  }
  for (const auto& [number, key] : taken) {
    directory.erase(*key);
    SessionKey::destroy(key);
  }
  directory.erase(*first);
  // Beside one that has gone there is nobody.
  SessionKey* late = SessionKey::make_beside(as_bytes(id), id.size(), hash);
  CHECK(!directory.insert_beside(*late, {9, 1, 0}, home, {}));
  SessionKey::destroy(late);
  SessionKey::destroy(first);
  CHECK_EQ(directory.size(), 0);
}

STMQTT_TEST("instances: several threads at once get no number twice, and none is lost") {
  constexpr unsigned kThreads = 4;
  constexpr int kRounds = 4000;
  Directory directory;
  const std::vector<std::string> ids{"a", "b", "c"};
  std::vector<SessionKey*> firsts;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    const Bytes id = as_bytes(ids[n]);
    firsts.push_back(SessionKey::make(id, id.size(), directory.hash(id)));
    REQUIRE(directory.insert(*firsts[n], {static_cast<std::uint32_t>(n + 1), 1, 0}, {}) ==
            Directory::Inserted::done);
  }
  std::mutex mutex;
  std::set<std::pair<std::size_t, std::uint32_t>> held;
  std::uint32_t largest = 0;
  std::size_t wrong = 0;
  const auto work = [&](unsigned thread) {
    naive::Rng rng(test::seed() + thread);
    std::vector<std::pair<std::size_t, SessionKey*>> mine;
    for (int round = 0; round < kRounds; ++round) {
      if (mine.size() == 8 || (!mine.empty() && rng.one_in(2))) {
        const std::size_t at = rng.below(static_cast<std::uint32_t>(mine.size()));
        const auto [n, key] = mine[at];
        mine[at] = mine.back();
        mine.pop_back();
        {
          const std::lock_guard lock(mutex);
          held.erase({n, key->instance()});
        }
        directory.erase(*key);
        SessionKey::destroy(key);
        continue;
      }
      const std::size_t n = rng.below(static_cast<std::uint32_t>(ids.size()));
      const Bytes id = as_bytes(ids[n]);
      SessionKey* key = SessionKey::make_beside(id, id.size(), directory.hash(id));
      const SessionRef ref{static_cast<std::uint32_t>(round + 10), thread + 1, 0};
      const bool in =
          directory.insert_beside(*key, ref, {static_cast<std::uint32_t>(n + 1), 1, 0}, {});
      const std::lock_guard lock(mutex);
      if (!in || !held.insert({n, key->instance()}).second) ++wrong;
      largest = std::max(largest, key->instance());
      mine.emplace_back(n, key);
    }
    for (const auto& [n, key] : mine) {
      {
        const std::lock_guard lock(mutex);
        held.erase({n, key->instance()});
      }
      directory.erase(*key);
      SessionKey::destroy(key);
    }
  };
  std::vector<std::thread> workers;
  for (unsigned thread = 0; thread < kThreads; ++thread) workers.emplace_back(work, thread);
  for (std::thread& worker : workers) worker.join();
  CHECK_EQ(wrong, 0);
  CHECK(largest <= kThreads * 8);  // never more than were held at once
  CHECK_EQ(directory.size(), ids.size());
  for (SessionKey* key : firsts) {
    CHECK_EQ(directory.least_beside(*key).number, 0);
    directory.erase(*key);
    SessionKey::destroy(key);
  }
}

}  // namespace
