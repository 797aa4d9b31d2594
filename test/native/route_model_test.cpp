// Seeded random operations on the trie, every match compared with the naive router's, through a
// cache and without it.
#include <string>
#include <vector>

#include "route/match_cache.hpp"
#include "route/topic_trie.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

constexpr std::string_view kLevels[] = {
    "a", "b", "c", "", "$", "$SYS", "é", "温度", "a-level-text-that-is-not-kept-inline", "ab"};
constexpr std::size_t kLevelCount = std::size(kLevels);

std::string random_topic(Rng& rng, std::uint32_t variety) {
  std::string topic(kLevels[rng.below(variety)]);
  for (std::uint32_t more = rng.below(9); more > 0; --more) {
    topic += '/';
    topic += kLevels[rng.below(variety)];
  }
  return topic.empty() ? "/" : topic;
}

std::string random_filter(Rng& rng, std::uint32_t variety) {
  std::string filter;
  const std::uint32_t levels = 1 + rng.below(9);
  for (std::uint32_t i = 0; i < levels; ++i) {
    if (i > 0) filter += '/';
    if (i + 1 == levels && rng.one_in(4)) {
      filter += '#';
    } else if (rng.one_in(3)) {
      filter += '+';
    } else {
      filter += kLevels[rng.below(variety)];
    }
  }
  return filter.empty() ? "+" : filter;
}

constexpr std::uint64_t rounds(int wanted) {
  return static_cast<std::uint64_t>((wanted + naive::kSlowdown - 1) / naive::kSlowdown);
}

struct Sizes {
  std::uint32_t variety;  // distinct level texts
  std::uint32_t sessions;
  std::uint32_t filters;
  std::size_t cache_bytes;
};

void run(std::uint64_t seed, const Sizes& sizes, int steps) {
  test::Context context("seed", seed);
  Rng rng(seed);
  std::vector<std::string> filters;
  for (std::uint32_t i = 0; i < sizes.filters; ++i) {
    filters.push_back(random_filter(rng, sizes.variety));
  }
  std::vector<std::string> topics;
  for (int i = 0; i < 60; ++i) topics.push_back(random_topic(rng, sizes.variety));
  TopicTrie trie;
  MatchCache cache(sizes.cache_bytes);
  naive::Router model;
  std::vector<std::vector<SubscriptionKey>> keys(sizes.sessions);
  const std::string shares[] = {"", "", "", "g", "h"};
  for (int step = 0; step < steps; ++step) {
    const std::uint32_t who = rng.below(sizes.sessions);
    const SessionRef session{who / 2, 1 + who % 2, static_cast<ThreadIndex>(who % 3)};
    const std::string& filter = filters[rng.below(sizes.filters)];
    const std::string& share = shares[rng.below(5)];
    const FilterParts parts{as_bytes(share), as_bytes(filter)};
    // Filling up and emptying by turns.
    const std::uint32_t action = step / 300 % 2 == 0 ? rng.below(10) : 4 + rng.below(7);
    if (action < 5) {
      // One session is persistent or not with all its subscriptions.
      const Subscriber subscriber{session, rng.one_in(3) ? 0 : rng.below(4),
                                  SubscriptionOptions::from_byte(static_cast<std::uint8_t>(
                                      rng.below(3) | rng.below(4) << 2)),
                                  who % 4 == 0};
      const auto result = trie.subscribe(parts, subscriber);
      REQUIRE_EQ(result.existed, model.subscribe(share, filter, subscriber));
      REQUIRE_EQ(static_cast<bool>(result.member), !share.empty());
      const std::string full = share.empty() ? filter : "$share/" + share + "/" + filter;
      REQUIRE_EQ(trie.filter_of(result.key), full);
      if (!result.existed) keys[who].push_back(result.key);
    } else if (action < 9) {
      SubscriptionKey key;
      const bool had = trie.unsubscribe(parts, session, &key);
      REQUIRE_EQ(had, model.unsubscribe(share, filter, session));
      if (had) REQUIRE_EQ(std::erase(keys[who], key), 1);
    } else if (rng.one_in(4)) {
      REQUIRE_EQ(trie.remove(session, keys[who]), model.remove(session));
      keys[who].clear();
    }
    REQUIRE_EQ(trie.counts().subscriptions, model.size());
    for (int i = 0; i < 3; ++i) {
      const std::string topic =
          rng.one_in(4) ? random_topic(rng, sizes.variety) : topics[rng.below(60)];
      const naive::Match expected = model.match(topic);
      std::string mistake;
      const naive::Match cached = naive::read(
          trie, cache.find(trie, as_bytes(topic), TopicTrie::hash(as_bytes(topic))), mistake);
      test::Context at_topic("topic", topic);
      REQUIRE_EQ(mistake, "");
      REQUIRE_EQ(cached.text(), expected.text());
      REQUIRE(cached == expected);
      if (i > 0) continue;
      const MatchRef direct = trie.match(as_bytes(topic));
      REQUIRE(naive::read(trie, *direct, mistake) == expected);
    }
  }
  for (std::uint32_t who = 0; who < sizes.sessions; ++who) {
    const SessionRef session{who / 2, 1 + who % 2, static_cast<ThreadIndex>(who % 3)};
    REQUIRE_EQ(trie.remove(session, keys[who]), model.remove(session));
  }
  CHECK_EQ(trie.counts().nodes, 0);
  CHECK_EQ(trie.counts().levels, 2);
}

STMQTT_TEST("model: few levels, many overlaps") {
  for (std::uint64_t i = 0; i < rounds(8); ++i) run(test::seed() + i, {3, 6, 60, 1 << 20}, 1500);
}

STMQTT_TEST("model: all kinds of levels, empty, with '$', long, not ASCII") {
  for (std::uint64_t i = 0; i < rounds(8); ++i) {
    run(test::seed() + 100 + i, {kLevelCount, 12, 300, 1 << 20}, 1500);
  }
}

STMQTT_TEST("model: many sessions on few filters") {
  for (std::uint64_t i = 0; i < rounds(4); ++i) run(test::seed() + 200 + i, {2, 60, 12, 1 << 20}, 1500);
}

STMQTT_TEST("model: a cache too small for its topics") {
  for (std::uint64_t i = 0; i < rounds(4); ++i) run(test::seed() + 300 + i, {4, 8, 80, 3000}, 1500);
}

}  // namespace
