// The match cache: what invalidates it and what does not, its bound, and its references.
#include "route/match_cache.hpp"

#include <string>
#include <string_view>
#include <vector>

#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;

FilterParts parts(std::string_view filter, std::string_view share = {}) {
  return {as_bytes(share), as_bytes(filter)};
}
Subscriber subscriber(std::uint32_t slot, std::uint8_t options = 0) {
  return {{slot, 1, 0}, 0, SubscriptionOptions::from_byte(options), false};
}

struct Cached {
  TopicTrie trie;
  MatchCache cache{1 << 20};

  const MatchResult& find(std::string_view topic) {
    return cache.find(trie, as_bytes(topic), TopicTrie::hash(as_bytes(topic)));
  }
  std::uint32_t receivers(std::string_view topic) { return find(topic).receiver_count(); }
  // True if the cache still held this topic's match.
  bool hit(std::string_view topic) {
    const std::uint64_t before = cache.hits();
    static_cast<void>(find(topic));
    return cache.hits() == before + 1;
  }
};

STMQTT_TEST("cache: a new filter of each kind is seen by topics matched before") {
  for (const std::string_view filter :
       {"a/b/c", "a/b/+", "a/+/c", "a/#", "a/b/c/#", "+/b/c", "#", "+/+/+", "+/#"}) {
    test::Context context("filter", filter);
    Cached cached;
    CHECK_EQ(cached.receivers("a/b/c"), 0);
    CHECK(cached.hit("a/b/c"));
    cached.trie.subscribe(parts(filter), subscriber(1));
    CHECK_EQ(cached.receivers("a/b/c"), 1);
    CHECK(cached.hit("a/b/c"));
    // Other options are a change too.
    cached.trie.subscribe(parts(filter), subscriber(1, 1));
    CHECK_EQ(cached.find("a/b/c").max_qos(), 1);
    CHECK(cached.trie.unsubscribe(parts(filter), {1, 1, 0}));
    CHECK_EQ(cached.receivers("a/b/c"), 0);
  }
}

STMQTT_TEST("cache: the end of a session is seen, whatever its filters") {
  for (const std::string_view filter : {"a/b/c", "a/b/+", "+/b/c"}) {
    test::Context context("filter", filter);
    Cached cached;
    const SubscriptionKey key = cached.trie.subscribe(parts(filter), subscriber(1)).key;
    CHECK_EQ(cached.receivers("a/b/c"), 1);
    CHECK_EQ(cached.trie.remove({1, 1, 0}, {&key, 1}), 1);
    CHECK_EQ(cached.receivers("a/b/c"), 0);
  }
}

STMQTT_TEST("cache: joining and leaving a group is seen") {
  Cached cached;
  CHECK(cached.find("a/b").empty());
  cached.trie.subscribe(parts("a/b", "g"), subscriber(1));
  REQUIRE_EQ(cached.find("a/b").shared().size(), 1);
  cached.trie.subscribe(parts("a/b", "g"), subscriber(2));
  CHECK_EQ(cached.find("a/b").shared()[0]->members().size(), 2);
  CHECK(cached.trie.unsubscribe(parts("a/b", "g"), {1, 1, 0}));
  CHECK_EQ(cached.find("a/b").shared()[0]->members().size(), 1);
  CHECK(cached.trie.unsubscribe(parts("a/b", "g"), {2, 1, 0}));
  CHECK(cached.find("a/b").empty());
}

STMQTT_TEST("cache: persistence that changes is seen") {
  Cached cached;
  const SubscriptionKey key = cached.trie.subscribe(parts("a/b"), subscriber(1)).key;
  CHECK(!cached.find("a/b").any_persistent());
  cached.trie.set_persistent({1, 1, 0}, {&key, 1}, true);
  CHECK(cached.find("a/b").any_persistent());
}

STMQTT_TEST("cache: a literal prefix of any depth, the topic itself included, is seen") {
  std::string topic = "l0";
  for (int depth = 1; depth < 10; ++depth) topic += "/l" + std::to_string(depth);
  std::string prefix;
  for (const std::string_view level : naive::split(topic)) {
    prefix += prefix.empty() ? "" : "/";
    prefix += level;
    Cached cached;
    test::Context context("prefix", prefix);
    CHECK_EQ(cached.receivers(topic), 0);
    cached.trie.subscribe(parts(prefix + "/#"), subscriber(1));
    CHECK_EQ(cached.receivers(topic), 1);
  }
}

STMQTT_TEST("cache: filters elsewhere, and the same subscription once more, invalidate nothing") {
  Cached cached;
  cached.trie.subscribe(parts("v1/devices/7/rpc/request/+"), subscriber(1));
  CHECK_EQ(cached.receivers("v1/devices/7/rpc/request/1"), 1);
  cached.trie.subscribe(parts("v1/devices/7/rpc/request/+"), subscriber(1));
  CHECK(cached.hit("v1/devices/7/rpc/request/1"));
  int missed = 0;
  for (int i = 8; i < 108; ++i) {
    const std::string device = "v1/devices/" + std::to_string(i);
    cached.trie.subscribe(parts(device + "/rpc/request/+"), subscriber(2));
    cached.trie.subscribe(parts(device + "/attributes"), subscriber(2));
    if (!cached.hit("v1/devices/7/rpc/request/1")) ++missed;
  }
  // Two stripes of 65,536 are bumped each time, and the topic depends on 8: collisions are rare.
  CHECK_LE(missed, 2);
}

STMQTT_TEST("cache: a stamp holds until something that may match changes") {
  TopicTrie trie;
  Validity stamp = trie.stamp(as_bytes("a/b"));
  CHECK(trie.valid(stamp));
  trie.subscribe(parts("a/b"), subscriber(1));
  CHECK(!trie.valid(stamp));
  CHECK(!trie.valid(stamp));
  stamp = trie.stamp(as_bytes("a/b"));
  CHECK(trie.valid(stamp));
  Validity never;
  CHECK(!trie.valid(never));
}

STMQTT_TEST("cache: it keeps its bound and still answers right") {
  Cached cached;
  cached.trie.subscribe(parts("t/+"), subscriber(1));
  MatchCache small(20000);
  std::uint64_t wrong = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 2000; ++i) {
      const std::string topic = "t/" + std::to_string(i);
      const MatchResult& result =
          small.find(cached.trie, as_bytes(topic), TopicTrie::hash(as_bytes(topic)));
      if (result.receiver_count() != 1) ++wrong;
      if (small.bytes() > 20000) ++wrong;
    }
  }
  CHECK_EQ(wrong, 0);
  CHECK_GT(small.size(), 50);
  small.clear();
  CHECK_EQ(small.bytes(), 0);
  CHECK_EQ(small.size(), 0);
}

STMQTT_TEST("cache: topics in use survive a flood of topics used once") {
  Cached cached;
  MatchCache small(20000);
  const auto find = [&](const std::string& topic) {
    static_cast<void>(small.find(cached.trie, as_bytes(topic), TopicTrie::hash(as_bytes(topic))));
  };
  std::uint64_t hits = 0;
  for (int i = 0; i < 20000; ++i) {
    find("flood/" + std::to_string(i));
    const std::uint64_t before = small.hits();
    find("hot/" + std::to_string(i % 4));
    hits += small.hits() - before;
  }
  CHECK_GT(hits, 19900);
}

STMQTT_TEST("cache: one result beyond the bound is given out all the same") {
  Cached cached;
  for (std::uint32_t i = 0; i < 5000; ++i) cached.trie.subscribe(parts("all"), subscriber(i));
  MatchCache small(10000);
  for (int i = 0; i < 3; ++i) {
    const MatchResult& result =
        small.find(cached.trie, as_bytes("all"), TopicTrie::hash(as_bytes("all")));
    CHECK_EQ(result.receiver_count(), 5000);
    CHECK_EQ(small.size(), 1);
    const std::string other = "other/" + std::to_string(i);
    CHECK(small.find(cached.trie, as_bytes(other), TopicTrie::hash(as_bytes(other))).empty());
  }
  CHECK_EQ(small.hits(), 0);
}

STMQTT_TEST("cache: a MatchRef outlives the entry") {
  Cached cached;
  cached.trie.subscribe(parts("a"), subscriber(1));
  const MatchRef kept = MatchRef::share(&cached.find("a"));
  cached.trie.subscribe(parts("a"), subscriber(2));
  CHECK_EQ(cached.receivers("a"), 2);
  cached.cache.clear();
  CHECK_EQ(kept->receiver_count(), 1);
  CHECK_EQ(kept->receivers(kept->partitions()[0])[0].slot, 1);
}

STMQTT_TEST("cache: equal hashes do not make equal topics") {
  TopicTrie trie;
  trie.subscribe(parts("a"), subscriber(1));
  MatchCache cache(1 << 20);
  CHECK_EQ(cache.find(trie, as_bytes("a"), 42).receiver_count(), 1);
  CHECK_EQ(cache.find(trie, as_bytes("b"), 42).receiver_count(), 0);
  CHECK_EQ(cache.find(trie, as_bytes("a"), 42).receiver_count(), 1);
  CHECK_EQ(cache.size(), 2);
}

}  // namespace
