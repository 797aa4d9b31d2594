// Readers with caches against writers, on real threads; also under ThreadSanitizer. What is held:
// once subscribe(), unsubscribe() or remove() has returned, every find() that starts later, on any
// thread, shows it.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "route/match_cache.hpp"
#include "route/topic_trie.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;
using Clock = std::chrono::steady_clock;

constexpr auto kRun = std::chrono::milliseconds(400);

// One subscription that a writer makes and ends over and over. `phase` is odd while it changes;
// phase % 4 == 2 means that it is there.
struct Watched {
  std::string share;
  std::string filter;
  SessionRef session;
  std::atomic<std::uint32_t> phase{0};

  [[nodiscard]] FilterParts parts() const { return {as_bytes(share), as_bytes(filter)}; }
};

bool shows(const MatchResult& result, const SessionRef& session) {
  for (const Partition& partition : result.partitions()) {
    if (partition.thread != session.thread) continue;
    const auto receivers = result.receivers(partition);
    const auto at = std::ranges::lower_bound(receivers, session.slot, {}, &Receiver::slot);
    if (at != receivers.end() && at->slot == session.slot) return true;
  }
  for (const SharedMembers* group : result.shared()) {
    for (const SharedMember* member : group->members()) {
      if (member->session() == session) return true;
    }
  }
  return false;
}

void write(TopicTrie& trie, std::vector<Watched*> mine, std::uint64_t seed,
           const std::atomic<bool>& stop) {
  Rng rng(seed);
  std::map<Watched*, SubscriptionKey> keys;
  while (!stop.load(std::memory_order_relaxed)) {
    Watched& watched = *mine[rng.below(static_cast<std::uint32_t>(mine.size()))];
    watched.phase.fetch_add(1);
    if (watched.phase.load() % 4 == 1) {
      keys[&watched] = trie.subscribe(watched.parts(), {watched.session, 0, {}, false}).key;
    } else if (rng.one_in(2)) {
      CHECK(trie.unsubscribe(watched.parts(), watched.session));
    } else {
      CHECK_EQ(trie.remove(watched.session, {&keys[&watched], 1}), 1);
    }
    watched.phase.fetch_add(1);
    if (rng.one_in(8)) std::this_thread::sleep_for(std::chrono::microseconds(rng.below(100)));
  }
}

void read(const TopicTrie& trie, const std::vector<std::string>& topics,
          const std::vector<std::unique_ptr<Watched>>& all, std::uint64_t seed,
          const std::atomic<bool>& stop, std::atomic<std::uint64_t>& compared) {
  Rng rng(seed);
  MatchCache cache(seed % 2 == 0 ? 1 << 20 : 4000);
  std::vector<std::vector<Watched*>> matching(topics.size());
  for (std::size_t i = 0; i < topics.size(); ++i) {
    for (const auto& watched : all) {
      if (naive::matches(watched->filter, topics[i])) matching[i].push_back(watched.get());
    }
  }
  std::uint64_t count = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    const std::uint32_t i = rng.below(static_cast<std::uint32_t>(topics.size()));
    std::vector<std::uint32_t> before;
    for (const Watched* watched : matching[i]) before.push_back(watched->phase.load());
    const Bytes topic = as_bytes(topics[i]);
    const MatchRef result = MatchRef::share(&cache.find(trie, topic, TopicTrie::hash(topic)));
    for (std::size_t w = 0; w < before.size(); ++w) {
      const Watched& watched = *matching[i][w];
      if (before[w] % 2 != 0 || watched.phase.load() != before[w]) continue;  // it was changing
      ++count;
      const bool there = before[w] % 4 == 2;
      if (shows(*result, watched.session) == there) continue;
      FAIL(watched.filter + (there ? " is not" : " is still") + " matched by " + topics[i]);
      compared += count;
      return;
    }
  }
  compared += count;
}

STMQTT_TEST("concurrency: what subscribe() or unsubscribe() returned from, every later find() shows") {
  TopicTrie trie;
  const std::vector<std::string> topics = {"a/b/c", "a/b", "a", "x/y/z", "a/b/c/d/e/f/g/h", "/"};
  const std::array<std::string, 12> filters = {"a/b/c", "a/b/+", "a/#", "+/b/c", "#",     "a",
                                               "a/b",   "x/y/z", "x/#", "/",     "+/+/+", "a/+/c/#"};
  std::vector<std::unique_ptr<Watched>> all;
  for (std::uint32_t i = 0; i < 36; ++i) {
    auto watched = std::make_unique<Watched>();
    watched->share = i % 6 == 5 ? "g" : "";
    watched->filter = filters[i % filters.size()];
    watched->session = {i, 1, static_cast<ThreadIndex>(i % 3)};
    all.push_back(std::move(watched));
  }
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> compared{0};
  std::vector<std::thread> threads;
  for (std::uint64_t w = 0; w < 2; ++w) {
    std::vector<Watched*> mine;
    for (std::size_t i = w; i < all.size(); i += 2) mine.push_back(all[i].get());
    threads.emplace_back(write, std::ref(trie), mine, test::seed() + w, std::cref(stop));
  }
  for (std::uint64_t r = 0; r < 3; ++r) {
    threads.emplace_back(read, std::cref(trie), std::cref(topics), std::cref(all),
                         test::seed() + 10 + r, std::cref(stop), std::ref(compared));
  }
  std::this_thread::sleep_for(kRun);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_GT(compared.load(), 1000);
}

STMQTT_TEST("concurrency: groups change while members are picked, and each pick is a live object") {
  TopicTrie trie;
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> picked{0};
  std::vector<std::thread> threads;
  for (std::uint32_t w = 0; w < 2; ++w) {
    threads.emplace_back([&trie, &stop, w] {
      Rng rng(test::seed() + w);
      std::map<std::uint32_t, SharedMemberRef> mine;
      while (!stop.load(std::memory_order_relaxed)) {
        const std::uint32_t slot = w * 8 + rng.below(8);
        const SessionRef session{slot, 1, 0};
        const FilterParts parts{as_bytes("g"), as_bytes("jobs/#")};
        if (!mine.contains(slot)) {
          mine[slot] = trie.subscribe(parts, {session, 0, {}, rng.one_in(2)}).member;
        } else if (rng.one_in(2)) {
          mine[slot]->set_connected(rng.one_in(2));
          if (!trie.members_of(mine[slot]->state())) FAIL("a group with a member is there");
        } else {
          CHECK(trie.unsubscribe(parts, session));
          mine.erase(slot);
        }
      }
    });
  }
  for (std::uint64_t r = 0; r < 2; ++r) {
    threads.emplace_back([&trie, &stop, &picked, r] {
      Rng rng(test::seed() + 50 + r);
      MatchCache cache(1 << 16);
      std::uint64_t count = 0;
      while (!stop.load(std::memory_order_relaxed)) {
        const std::string topic = "jobs/" + std::to_string(rng.below(4));
        const MatchResult& result =
            cache.find(trie, as_bytes(topic), TopicTrie::hash(as_bytes(topic)));
        for (const SharedMembers* group : result.shared()) {
          const SharedMember* member = pick(*group, {rng.next(), rng.next(), rng.next()}, {});
          REQUIRE(member != nullptr);
          REQUIRE(member->session().slot < 16);
          ++count;
        }
      }
      picked += count;
    });
  }
  std::this_thread::sleep_for(kRun);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK_GT(picked.load(), 100);
}

STMQTT_TEST("concurrency: a writer gets in though there is always a reader inside") {
  WriterFirstMutex mutex;
  std::atomic<bool> stop{false};
  std::atomic<std::uint32_t> entered[2] = {};
  std::vector<std::thread> readers;
  for (int me = 0; me < 2; ++me) {
    readers.emplace_back([&, me] {
      while (!stop.load()) {
        const std::shared_lock lock(mutex);
        entered[me].fetch_add(1);
        // Leaves when the other has come in, or has been kept out for a while.
        const std::uint32_t other = entered[1 - me].load();
        const auto until = Clock::now() + std::chrono::milliseconds(5);
        while (entered[1 - me].load() == other && Clock::now() < until) std::this_thread::yield();
      }
    });
  }
  std::atomic<int> written{0};
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) {
      const std::lock_guard lock(mutex);
      written.fetch_add(1);
    }
  });
  const auto until = Clock::now() + std::chrono::seconds(3);
  while (written.load() < 20 && Clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK_EQ(written.load(), 20);
  stop = true;
  writer.join();
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
