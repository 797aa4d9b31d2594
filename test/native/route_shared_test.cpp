// Shared Subscriptions: strategies, fairness, presence, exclusion, and what snapshots keep alive.
#include "route/shared_group.hpp"

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "route/topic_trie.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

FilterParts in_group(std::string_view share) { return {as_bytes(share), as_bytes("jobs/+")}; }
Subscriber worker(std::uint32_t slot) { return {{slot, 1, 0}, 0, {}, false}; }
SessionRef session(std::uint32_t slot) { return {slot, 1, 0}; }

// A trie with one group of `count` members, slots 0 to count - 1.
struct Group {
  explicit Group(SharedStrategy strategy, std::uint32_t count) : trie(TrieOptions{strategy}) {
    for (std::uint32_t i = 0; i < count; ++i) {
      members.push_back(trie.subscribe(in_group("g"), worker(i)).member);
    }
  }
  [[nodiscard]] SharedMembersRef now() { return trie.members_of(members.front()->state()); }
  [[nodiscard]] int pick_one(const PickContext& context, ExcludeSet exclude = {}) {
    const SharedMember* member = pick(*now(), context, exclude);
    return member == nullptr ? -1 : static_cast<int>(member->session().slot);
  }
  TopicTrie trie;
  std::vector<SharedMemberRef> members;
};

PickContext context_of(std::uint64_t number) { return {number, number * 31 + 7, number * 77 + 1}; }

constexpr SharedStrategy kAll[] = {SharedStrategy::roundrobin, SharedStrategy::random,
                                   SharedStrategy::sticky, SharedStrategy::hash_clientid,
                                   SharedStrategy::hash_topic};

STMQTT_TEST("shared: roundrobin gives every member the same share, in turn") {
  Group group(SharedStrategy::roundrobin, 5);
  std::map<int, int> counts;
  int last = group.pick_one({});
  ++counts[last];
  for (int i = 1; i < 5000; ++i) {
    const int picked = group.pick_one({});
    CHECK_EQ(picked, (last + 1) % 5);
    last = picked;
    ++counts[picked];
  }
  for (const auto& [member, count] : counts) CHECK_EQ(count, 1000);
}

STMQTT_TEST("shared: roundrobin stays fair when the disconnected lie side by side") {
  Group group(SharedStrategy::roundrobin, 6);
  for (const int away : {1, 2, 3}) group.members[static_cast<std::size_t>(away)]->set_connected(false);
  std::map<int, int> counts;
  for (int i = 0; i < 3000; ++i) ++counts[group.pick_one({})];
  CHECK_EQ(counts, (std::map<int, int>{{0, 1000}, {4, 1000}, {5, 1000}}));
}

STMQTT_TEST("shared: roundrobin is fair over several threads") {
  Group group(SharedStrategy::roundrobin, 3);
  const SharedMembersRef members = group.now();
  std::atomic<int> counts[3] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 3000; ++i) {
        const SharedMember* member = pick(*members, {}, {});
        counts[member->session().slot].fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& count : counts) CHECK_EQ(count.load(), 3000);
}

STMQTT_TEST("shared: random and the hashes spread evenly, the hashes by their own key only") {
  for (const SharedStrategy strategy :
       {SharedStrategy::random, SharedStrategy::hash_clientid, SharedStrategy::hash_topic}) {
    test::Context context("strategy", strategy);
    Group group(strategy, 4);
    Rng rng(test::seed());
    std::map<int, int> counts;
    for (int i = 0; i < 8000; ++i) {
      const PickContext pick_context{rng.next(), rng.next(), rng.next()};
      const int picked = group.pick_one(pick_context);
      ++counts[picked];
      PickContext other{rng.next(), rng.next(), rng.next()};
      if (strategy == SharedStrategy::random) other.random = pick_context.random;
      if (strategy == SharedStrategy::hash_clientid) {
        other.publisher_hash = pick_context.publisher_hash;
      }
      if (strategy == SharedStrategy::hash_topic) other.topic_hash = pick_context.topic_hash;
      REQUIRE_EQ(group.pick_one(other), picked);
    }
    CHECK_EQ(counts.size(), 4);
    for (const auto& [member, count] : counts) {
      CHECK_GT(count, 1800);
      CHECK_LT(count, 2200);
    }
  }
}

STMQTT_TEST("shared: a hash keeps its member while others leave for a time, and spreads theirs") {
  Group group(SharedStrategy::hash_topic, 8);
  std::map<std::uint64_t, int> before;
  for (std::uint64_t i = 0; i < 2000; ++i) before[i] = group.pick_one(context_of(i));
  group.members[3]->set_connected(false);
  std::map<int, int> moved;
  for (const auto& [number, member] : before) {
    const int now = group.pick_one(context_of(number));
    CHECK_NE(now, 3);
    if (member != 3) {
      CHECK_EQ(now, member);
    } else {
      ++moved[now];
    }
  }
  CHECK_EQ(moved.size(), 7);
  group.members[3]->set_connected(true);
  for (const auto& [number, member] : before) {
    CHECK_EQ(group.pick_one(context_of(number)), member);
  }
}

STMQTT_TEST("shared: sticky stays with the oldest connected member until it leaves") {
  Group group(SharedStrategy::sticky, 4);
  CHECK_EQ(group.pick_one({}), 0);
  group.members[0]->set_connected(false);
  CHECK_EQ(group.pick_one({}), 1);
  group.members[0]->set_connected(true);
  CHECK_EQ(group.pick_one({}), 1);
  CHECK(group.trie.unsubscribe(in_group("g"), session(1)));
  CHECK_EQ(group.pick_one({}), 0);
  CHECK(group.trie.unsubscribe(in_group("g"), session(0)));
  group.members.erase(group.members.begin());
  CHECK_EQ(group.pick_one({}), 2);
  // Who comes back is the youngest.
  group.members.push_back(group.trie.subscribe(in_group("g"), worker(0)).member);
  const SessionRef gone[] = {session(2)};
  CHECK_EQ(group.pick_one({}, gone), 3);
}

STMQTT_TEST("shared: connected members come first, then disconnected ones") {
  for (const SharedStrategy strategy : kAll) {
    test::Context context("strategy", strategy);
    Group group(strategy, 6);
    for (std::size_t i = 0; i < 6; ++i) {
      if (i != 4) group.members[i]->set_connected(false);
    }
    for (std::uint64_t i = 0; i < 100; ++i) CHECK_EQ(group.pick_one(context_of(i)), 4);
    const SessionRef gone[] = {session(4)};
    std::set<int> picked;
    for (std::uint64_t i = 0; i < 100; ++i) picked.insert(group.pick_one(context_of(i), gone));
    CHECK(!picked.contains(4));
    CHECK(!picked.contains(-1));
    CHECK_EQ(picked.size(), strategy == SharedStrategy::sticky ? 1 : 5);
  }
}

STMQTT_TEST("shared: picking again visits each member once, then nobody is left") {
  for (const SharedStrategy strategy : kAll) {
    test::Context context("strategy", strategy);
    for (const std::uint32_t count : {1u, 2u, 7u, 40u}) {
      Group group(strategy, count);
      group.members[0]->set_connected(false);
      for (std::uint64_t message = 0; message < 20; ++message) {
        std::vector<SessionRef> exclude;
        std::set<int> visited;
        for (;;) {
          const int picked = group.pick_one(context_of(message), exclude);
          if (picked < 0) break;
          REQUIRE(visited.insert(picked).second);
          // The one who is away is asked last.
          if (picked == 0) REQUIRE_EQ(visited.size(), count);
          exclude.push_back(session(static_cast<std::uint32_t>(picked)));
        }
        REQUIRE_EQ(visited.size(), count);
      }
    }
  }
}

STMQTT_TEST("shared: the state belongs to ShareName and filter") {
  TopicTrie trie;
  for (std::uint32_t i = 0; i < 3; ++i) {
    trie.subscribe({as_bytes("g"), as_bytes("jobs/+")}, worker(i));
    trie.subscribe({as_bytes("g"), as_bytes("jobs/#")}, worker(i));
    trie.subscribe({as_bytes("h"), as_bytes("jobs/+")}, worker(i));
  }
  CHECK_EQ(trie.counts().shared_groups, 3);
  CHECK_EQ(trie.counts().shared_subscriptions, 9);
  const MatchRef match = trie.match(as_bytes("jobs/1"));
  REQUIRE_EQ(match->shared().size(), 3);
  std::set<std::string> filters;
  for (const SharedMembers* group : match->shared()) {
    filters.insert(trie.filter_of(group->state().key()));
    CHECK_EQ(group->members().size(), 3);
    // Each has its own cursor.
    CHECK_EQ(pick(*group, {}, {})->session().slot, 0);
  }
  CHECK_EQ(filters.size(), 3);
}

STMQTT_TEST("shared: subscribing again keeps place and presence and shows the new options") {
  Group group(SharedStrategy::sticky, 3);
  group.members[0]->set_connected(false);
  const auto again = group.trie.subscribe(
      in_group("g"), {session(0), 9, SubscriptionOptions::from_byte(2), true});
  CHECK(again.existed);
  CHECK(!again.member->connected());
  const SharedMembersRef now = group.now();
  REQUIRE_EQ(now->members().size(), 3);
  CHECK_EQ(now->members()[0], again.member.get());
  CHECK_EQ(now->members()[0]->subscription_id(), 9);
  CHECK_EQ(now->max_qos(), 2);
  CHECK(now->any_persistent());
  CHECK_EQ(group.pick_one({}), 1);
}

STMQTT_TEST("shared: presence reaches matches made before, without a new match") {
  Group group(SharedStrategy::roundrobin, 2);
  const MatchRef match = group.trie.match(as_bytes("jobs/1"));
  Validity stamp = group.trie.stamp(as_bytes("jobs/1"));
  CHECK(group.trie.set_connected(group.members[0]->key(), session(0), false));
  CHECK(!group.trie.set_connected(group.members[0]->key(), session(9), false));
  CHECK(!group.trie.set_connected({1, 99}, session(0), false));
  CHECK(group.trie.valid(stamp));
  for (int i = 0; i < 10; ++i) CHECK_EQ(pick(*match->shared()[0], {}, {})->session().slot, 1);
}

STMQTT_TEST("shared: a result outlives its group, and a group's id does not outlive its state") {
  MatchRef match;
  SharedMemberRef member;
  {
    TopicTrie trie;
    member = trie.subscribe(in_group("g"), worker(1)).member;
    match = trie.match(as_bytes("jobs/1"));
    CHECK(trie.members_of(member->state()));
    CHECK(trie.unsubscribe(in_group("g"), session(1)));
    CHECK(!trie.members_of(member->state()));
    // The same ids again, but another group.
    const auto other = trie.subscribe(in_group("h"), worker(2));
    CHECK_EQ(other.key, member->key());
    CHECK(trie.members_of(other.key));
    CHECK(!trie.members_of(member->state()));
    CHECK(trie.members_of(other.member->state()));
  }
  CHECK_EQ(match->shared()[0]->members()[0], member.get());
  CHECK_EQ(pick(*match->shared()[0], {}, {})->session().slot, 1);
}

}  // namespace
