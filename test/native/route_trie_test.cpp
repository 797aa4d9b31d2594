// The topic trie: what matches, how subscriptions of one session merge, keys, counts, memory.
#include "route/topic_trie.hpp"

#include <string>
#include <vector>

#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

FilterParts parts(std::string_view filter, std::string_view share = {}) {
  return {as_bytes(share), as_bytes(filter)};
}
Subscriber subscriber(std::uint32_t slot, std::uint8_t options = 0, std::uint32_t id = 0,
                      ThreadIndex thread = 0) {
  return {{slot, 1, thread}, id, SubscriptionOptions::from_byte(options), false};
}
SessionRef session(std::uint32_t slot) { return {slot, 1, 0}; }

bool trie_matches(std::string_view filter, std::string_view topic) {
  TopicTrie trie;
  trie.subscribe(parts(filter), subscriber(1));
  return !trie.match(as_bytes(topic))->empty();
}

STMQTT_TEST("trie: reaches() says whether a filter may match what begins with these levels") {
  struct {
    std::string_view filter;
    bool reached;
  } const cases[] = {
      {"$SYS/#", true},          {"$SYS/brokers/+/clients/#", true}, {"$SYS/brokers/1/#", true},
      {"$SYS/brokers/1/clients/dev-1/connected", true},
      {"$SYS/+/1/clients/+/+", true},
      {"#", false},              {"+/brokers/1/clients/#", false},   {"$SYS/broker/#", false},
      {"$SYS/brokers/2/#", false}, {"$SYS/brokers", false},          {"$SYS/brokers/+", false},
      {"$SYS/brokers/1/stats", false},
  };
  for (const auto& [filter, reached] : cases) {
    TopicTrie trie;
    const std::string_view levels = "$SYS/brokers/1/clients";
    CHECK(!trie.reaches(as_bytes(levels)));
    trie.subscribe(parts(filter), subscriber(1));
    CHECK_EQ(trie.reaches(as_bytes(levels)), reached);
    CHECK(trie.unsubscribe(parts(filter), subscriber(1).session));
    CHECK(!trie.reaches(as_bytes(levels)));
  }
  TopicTrie trie;
  trie.subscribe(parts("#"), subscriber(1));
  CHECK(trie.reaches(as_bytes(std::string_view("a/b"))));
  CHECK(!trie.reaches(as_bytes(std::string_view("$a/b"))));
}

STMQTT_TEST("[MQTT-4.7.1-1] '#' matches any number of levels and the parent") {
  CHECK(trie_matches("sport/tennis/player1/#", "sport/tennis/player1"));
  CHECK(trie_matches("sport/tennis/player1/#", "sport/tennis/player1/ranking"));
  CHECK(trie_matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
  CHECK(trie_matches("sport/#", "sport"));
  CHECK(trie_matches("sport/#", "sport/"));
  CHECK(!trie_matches("sport/#", "sports"));
  CHECK(trie_matches("#", "a"));
  CHECK(trie_matches("#", "/"));
  CHECK(trie_matches("+/#", "a"));
  CHECK(trie_matches("+/+/#", "a/b"));
  CHECK(!trie_matches("+/+/#", "a"));
}

STMQTT_TEST("[MQTT-4.7.1-2] '+' matches exactly one level, be it empty") {
  CHECK(trie_matches("sport/+", "sport/"));
  CHECK(!trie_matches("sport/+", "sport"));
  CHECK(!trie_matches("sport/+", "sport/a/b"));
  CHECK(trie_matches("sport/+/player1", "sport/tennis/player1"));
  CHECK(trie_matches("+/+", "/finance"));
  CHECK(trie_matches("/+", "/finance"));
  CHECK(!trie_matches("+", "/finance"));
  CHECK(trie_matches("+//+", "a//b"));
  CHECK(!trie_matches("+/b", "a/c"));
}

STMQTT_TEST("[MQTT-4.7.2-1] a wildcard at the first level does not match topics with '$'") {
  CHECK(!trie_matches("#", "$SYS/monitor/Clients"));
  CHECK(!trie_matches("+/monitor/Clients", "$SYS/monitor/Clients"));
  CHECK(!trie_matches("+", "$SYS"));
  CHECK(!trie_matches("+/#", "$"));
  CHECK(trie_matches("$SYS/#", "$SYS/monitor/Clients"));
  CHECK(trie_matches("$SYS/#", "$SYS"));
  CHECK(trie_matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
  CHECK(trie_matches("a/+", "a/$b"));
  CHECK(trie_matches("a/#", "a/$b"));
}

STMQTT_TEST("[MQTT-4.7.3-4] levels are compared byte by byte: case, blanks, leading slashes") {
  CHECK(!trie_matches("ACCOUNTS", "Accounts"));
  CHECK(trie_matches("Accounts payable", "Accounts payable"));
  CHECK(!trie_matches("/finance", "finance"));
  CHECK(!trie_matches("a/", "a"));
  CHECK(!trie_matches("caf\xC3\xA9", "cafe\xCC\x81"));
  CHECK(trie_matches("温度/+", "温度/Köln"));
}

STMQTT_TEST("a topic of 65,535 bytes, all slashes, is matched") {
  const std::string topic(65535, '/');
  CHECK(trie_matches(topic, topic));
  CHECK(trie_matches("#", topic));
  CHECK(trie_matches("/#", topic));
  CHECK(!trie_matches("/+", topic));
  std::string plus = "+";
  for (int i = 0; i < 32767; ++i) plus += "/+";
  CHECK(trie_matches(plus, std::string(32767, '/')));
  CHECK(!trie_matches(plus, topic));
}

STMQTT_TEST("overlapping subscriptions of one session make one receiver with the highest QoS") {
  TopicTrie trie;
  trie.subscribe(parts("a/+"), subscriber(7, 0, 11));
  trie.subscribe(parts("a/b"), subscriber(7, 2 | 8, 0));
  trie.subscribe(parts("#"), subscriber(7, 1 | 4, 13));
  trie.subscribe(parts("a/b"), subscriber(8, 1 | 4));
  const MatchRef match = trie.match(as_bytes("a/b"));
  REQUIRE_EQ(match->partitions().size(), 1);
  const auto receivers = match->receivers(match->partitions()[0]);
  REQUIRE_EQ(receivers.size(), 2);
  CHECK_EQ(receivers[0].slot, 7);
  CHECK_EQ(receivers[0].max_qos, 2);
  CHECK_EQ(receivers[0].flags, kAnyNoLocal | kAnyRetainAsPublished | kHasSubscriptionIds);
  std::multiset<std::uint32_t> ids;
  for (const Hit& hit : match->hits(receivers[0])) ids.insert(hit.subscription_id);
  CHECK_EQ(ids, (std::multiset<std::uint32_t>{0, 11, 13}));
  CHECK_EQ(receivers[1].flags, kAnyNoLocal | kAllNoLocal);
  CHECK_EQ(match->max_qos(), 2);
  CHECK(!match->any_persistent());
}

STMQTT_TEST("receivers are grouped by home thread") {
  TopicTrie trie;
  for (std::uint32_t i = 0; i < 30; ++i) {
    Subscriber who = subscriber(i, static_cast<std::uint8_t>(i % 3), 0,
                                static_cast<ThreadIndex>(i % 3 * 20));
    who.persistent = i % 3 == 1;
    trie.subscribe(parts("t"), who);
  }
  const MatchRef match = trie.match(as_bytes("t"));
  REQUIRE_EQ(match->partitions().size(), 3);
  for (unsigned i = 0; i < 3; ++i) {
    const Partition& partition = match->partitions()[i];
    CHECK_EQ(partition.thread, i * 20);
    CHECK_EQ(partition.receiver_count, 10);
    CHECK_EQ(partition.any_persistent, i == 1);
    CHECK_EQ(partition.max_qos, i);
    for (const Receiver& receiver : match->receivers(partition)) CHECK_EQ(receiver.slot % 3, i);
  }
  CHECK(match->any_persistent());
}

STMQTT_TEST("[MQTT-3.8.4-3] subscribing again replaces options and identifier") {
  TopicTrie trie;
  const auto first = trie.subscribe(parts("a/+"), subscriber(1, 0, 5));
  CHECK(!first.existed);
  const auto again = trie.subscribe(parts("a/+"), subscriber(1, 2, 6));
  CHECK(again.existed);
  CHECK_EQ(again.key.node, first.key.node);
  const MatchRef match = trie.match(as_bytes("a/b"));
  REQUIRE_EQ(match->receiver_count(), 1);
  const auto hits = match->hits(match->receivers(match->partitions()[0])[0]);
  REQUIRE_EQ(hits.size(), 1);
  CHECK_EQ(hits[0].subscription_id, 6);
  CHECK_EQ(hits[0].options.qos(), 2);
  CHECK_EQ(trie.counts().subscriptions, 1);
}

STMQTT_TEST("a shared and a non-shared subscription to one filter are two") {
  TopicTrie trie;
  const auto plain = trie.subscribe(parts("a"), subscriber(1));
  const auto shared = trie.subscribe(parts("a", "g"), subscriber(1));
  CHECK(!shared.existed);
  CHECK(shared.key.shared());
  CHECK(!plain.key.shared());
  CHECK(shared.member);
  CHECK(!plain.member);
  const MatchRef match = trie.match(as_bytes("a"));
  CHECK_EQ(match->receiver_count(), 1);
  CHECK_EQ(match->shared().size(), 1);
  CHECK_EQ(trie.filter_of(plain.key), "a");
  CHECK_EQ(trie.filter_of(shared.key), "$share/g/a");
  CHECK(trie.unsubscribe(parts("a"), session(1)));
  CHECK_EQ(trie.match(as_bytes("a"))->receiver_count(), 0);
  CHECK_EQ(trie.match(as_bytes("a"))->shared().size(), 1);
}

STMQTT_TEST("[MQTT-3.10.4-1] unsubscribe removes exactly the filter with the same text") {
  TopicTrie trie;
  SubscriptionKey key;
  const auto made = trie.subscribe(parts("a/#"), subscriber(1));
  trie.subscribe(parts("a/#"), subscriber(2));
  CHECK(!trie.unsubscribe(parts("a/+"), session(1), &key));
  CHECK(!trie.unsubscribe(parts("a/b"), session(1), &key));
  CHECK(!trie.unsubscribe(parts("a"), session(1), &key));
  CHECK(!trie.unsubscribe(parts("a/#", "g"), session(1), &key));
  CHECK(!trie.unsubscribe(parts("a/#"), session(3), &key));
  CHECK(!trie.unsubscribe(parts("a/#"), SessionRef{1, 2, 0}, &key));
  CHECK(!trie.unsubscribe(parts("a/#"), SessionRef{1, 1, 1}, &key));
  CHECK(trie.unsubscribe(parts("a/#"), session(1), &key));
  CHECK_EQ(key, made.key);
  CHECK(!trie.unsubscribe(parts("a/#"), session(1), &key));
  CHECK_EQ(trie.match(as_bytes("a"))->receiver_count(), 1);
}

STMQTT_TEST("remove ends a session's subscriptions, and stale keys do no harm") {
  TopicTrie trie;
  std::vector<SubscriptionKey> keys;
  for (int i = 0; i < 200; ++i) {
    const std::string filter = "f/" + std::to_string(i);
    keys.push_back(trie.subscribe(parts(filter), subscriber(1)).key);
    keys.push_back(trie.subscribe(parts(filter, "g"), subscriber(1)).key);
    trie.subscribe(parts(filter), subscriber(2));
  }
  CHECK_EQ(trie.remove(session(3), keys), 0);
  CHECK_EQ(trie.remove(session(1), keys), 400);
  CHECK_EQ(trie.remove(session(1), keys), 0);
  const std::vector<SubscriptionKey> wild = {{0, 0}, {0, 7}, {1u << 31, 0}, {1, 0}, {2, 9999}};
  CHECK_EQ(trie.remove(session(2), wild), 0);
  CHECK_EQ(trie.counts().subscriptions, 200);
  CHECK_EQ(trie.counts().shared_groups, 0);
  CHECK_EQ(trie.match(as_bytes("f/5"))->receiver_count(), 1);
}

STMQTT_TEST("filter_of gives back every filter as it was subscribed with") {
  TopicTrie trie;
  for (const std::string_view filter :
       {"#", "+", "/", "//", "a", "a/", "/a", "+/+/#", "$SYS/#", "a//b", "温度/+/é"}) {
    const auto plain = trie.subscribe(parts(filter), subscriber(1));
    CHECK_EQ(trie.filter_of(plain.key), filter);
    const auto shared = trie.subscribe(parts(filter, "my group"), subscriber(1));
    CHECK_EQ(trie.filter_of(shared.key), "$share/my group/" + std::string(filter));
  }
  CHECK_EQ(trie.filter_of({0, 0}), "");
  CHECK_EQ(trie.filter_of({123456, 0}), "");
  CHECK_EQ(trie.filter_of({2, 123456}), "");
}

STMQTT_TEST("set_persistent shows in matches, of groups too") {
  TopicTrie trie;
  const SubscriptionKey keys[] = {trie.subscribe(parts("a"), subscriber(1)).key,
                                  trie.subscribe(parts("a", "g"), subscriber(1)).key};
  CHECK(!trie.match(as_bytes("a"))->any_persistent());
  CHECK(!trie.match(as_bytes("a"))->shared()[0]->any_persistent());
  trie.set_persistent(session(2), keys, true);
  CHECK(!trie.match(as_bytes("a"))->any_persistent());
  trie.set_persistent(session(1), keys, true);
  const MatchRef match = trie.match(as_bytes("a"));
  CHECK(match->any_persistent());
  CHECK(match->shared()[0]->any_persistent());
  trie.set_persistent(session(1), keys, false);
  CHECK(!trie.match(as_bytes("a"))->any_persistent());
  CHECK(!trie.match(as_bytes("a"))->shared()[0]->any_persistent());
}

STMQTT_TEST("an empty trie is as small as a new one, whatever it held") {
  TopicTrie trie;
  const TrieCounts at_first = trie.counts();
  std::vector<SubscriptionKey> keys;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20000; ++i) {
      const std::string filter = "plant/" + std::to_string(i % 100) + "/machine-" +
                                 std::to_string(i) + "/a-rather-long-sensor-name-" +
                                 std::to_string(i) + "/+";
      const auto made = trie.subscribe(parts(filter, i % 10 == 0 ? "g" : ""), subscriber(1));
      keys.push_back(made.key);
    }
    CHECK_EQ(trie.remove(session(1), keys), 20000);
    keys.clear();
    const TrieCounts now = trie.counts();
    CHECK_EQ(now.nodes, 0);
    CHECK_EQ(now.levels, at_first.levels);
    CHECK_EQ(now.subscriptions, 0);
    CHECK_LE(now.bytes, at_first.bytes + 4096);
  }
}

STMQTT_TEST("a topic's many subscribers come and go at a cost that does not depend on them") {
  TopicTrie trie;
  constexpr std::uint32_t kSessions = 100000;
  for (std::uint32_t i = 0; i < kSessions; ++i) trie.subscribe(parts("all"), subscriber(i));
  const MatchRef match = trie.match(as_bytes("all"));
  CHECK_EQ(match->receiver_count(), kSessions);
  const auto receivers = match->receivers(match->partitions()[0]);
  bool in_order = true;
  for (std::uint32_t i = 0; i < kSessions; ++i) in_order = in_order && receivers[i].slot == i;
  CHECK(in_order);
  for (std::uint32_t i = 0; i < kSessions; ++i) {
    if (!trie.unsubscribe(parts("all"), session(i))) FAIL("a subscriber was lost");
  }
  CHECK_EQ(trie.counts().nodes, 0);
}

}  // namespace
