// Fuzz target: the input is a list of operations on the trie (subscribe, unsubscribe, end of a
// session, presence, persistence) and on the retained index, made of levels that the input names
// too. After each one a topic is matched through a cache, and a filter is scanned; both must agree
// with the naive router of test/native/route_naive.hpp.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "../native/route_naive.hpp"
#include "route/match_cache.hpp"
#include "route/retained_index.hpp"
#include "route/topic_trie.hpp"

namespace {

using namespace stmqtt;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "trie: broken: %s\n", what);
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  [[nodiscard]] bool empty() const { return size_ == 0; }
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::uint32_t below(std::uint32_t bound) { return byte() % bound; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

// Levels around what the code treats specially: empty, '$', bytes next to '/', more than 18 bytes.
constexpr std::string_view kLevels[] = {"a",  "b",  "",   "$",  "$SYS", "a-", "a.", "a0",
                                        "ab", "é", "-",  "0",  "!",    "%",  "aa", "longer-than-18-bytes"};

std::string topic_of(Input& input) {
  std::string topic;
  for (std::uint32_t levels = 1 + input.below(8), i = 0; i < levels; ++i) {
    if (i > 0) topic += '/';
    topic += kLevels[input.below(16)];
  }
  return topic.empty() ? "/" : topic;
}

std::string filter_of(Input& input) {
  std::string filter;
  for (std::uint32_t levels = 1 + input.below(8), i = 0; i < levels; ++i) {
    if (i > 0) filter += '/';
    const std::uint32_t choice = input.below(24);
    if (choice < 16) {
      filter += kLevels[choice];
    } else if (choice < 22 || i + 1 < levels) {
      filter += '+';
    } else {
      filter += '#';
    }
  }
  return filter.empty() ? "#" : filter;
}

struct World {
  static constexpr std::uint32_t kSessions = 24;

  TopicTrie trie;
  MatchCache cache{4096};
  naive::Router router;
  std::vector<SubscriptionKey> keys[kSessions];
  bool persistent[kSessions] = {};
  RetainedIndex index;
  std::map<std::string, MessageRef> retained;
  std::uint64_t now = 1;

  [[nodiscard]] static SessionRef session(std::uint32_t who) {
    return {who / 2, 1 + who % 2, static_cast<ThreadIndex>(who % 3)};
  }

  void subscribe(Input& input, std::uint32_t who) {
    const std::string share(input.below(3) == 0 ? "g" : "");
    const std::string filter = filter_of(input);
    const Subscriber subscriber{session(who), input.below(3),
                                SubscriptionOptions::from_byte(input.byte()), persistent[who]};
    const auto result = trie.subscribe({as_bytes(share), as_bytes(filter)}, subscriber);
    require(result.existed == router.subscribe(share, filter, subscriber), "subscribe: existed");
    const std::string full = share.empty() ? filter : "$share/" + share + "/" + filter;
    require(trie.filter_of(result.key) == full, "filter_of");
    if (!result.existed) keys[who].push_back(result.key);
  }
  void unsubscribe(Input& input, std::uint32_t who) {
    // Half the time one that is there.
    std::string share(input.below(3) == 0 ? "g" : "");
    std::string filter = filter_of(input);
    if (input.below(2) == 0 && !keys[who].empty()) {
      const SubscriptionKey key = keys[who][input.below(
          static_cast<std::uint32_t>(keys[who].size()))];
      share = key.shared() ? "g" : "";
      filter = trie.filter_of(key).substr(key.shared() ? 9 : 0);
    }
    SubscriptionKey key;
    const bool had = trie.unsubscribe({as_bytes(share), as_bytes(filter)}, session(who), &key);
    require(had == router.unsubscribe(share, filter, session(who)), "unsubscribe");
    if (had) require(std::erase(keys[who], key) == 1, "unsubscribe: key");
  }
  void end(std::uint32_t who) {
    require(trie.remove(session(who), keys[who]) == router.remove(session(who)), "remove");
    keys[who].clear();
  }
  void change_presence(Input& input, std::uint32_t who) {
    for (const SubscriptionKey key : keys[who]) {
      const bool connected = input.below(2) == 0;
      require(trie.set_connected(key, session(who), connected) == key.shared(), "set_connected");
    }
  }
  void change_persistence(std::uint32_t who) {
    persistent[who] = !persistent[who];
    trie.set_persistent(session(who), keys[who], persistent[who]);
    router.set_persistent(session(who), persistent[who]);
  }
  void publish_retained(Input& input) {
    const std::string topic = topic_of(input);
    MessageParts parts;
    parts.topic = as_bytes(topic);
    parts.payload = as_bytes("x");
    parts.expires_at_ms = input.below(4) == 0 ? now + input.below(20) : 0;
    MessageRef message = MessageRef::adopt(Message::make(parts));
    require(index.put(message).existed == retained.contains(topic), "retained: existed");
    retained[topic] = std::move(message);
  }
  void clear_retained(Input& input) {
    std::string topic = topic_of(input);
    if (input.below(2) == 0 && !retained.empty()) topic = retained.begin()->first;
    require(index.clear(as_bytes(topic)).existed == (retained.erase(topic) == 1), "clear");
  }

  void match(Input& input) {
    const std::string topic = topic_of(input);
    const naive::Match expected = router.match(topic);
    std::string mistake;
    const MatchResult& found =
        cache.find(trie, as_bytes(topic), TopicTrie::hash(as_bytes(topic)));
    const naive::Match got = naive::read(trie, found, mistake);
    require(mistake.empty(), mistake.c_str());
    require(got == expected, "match");
    for (const SharedMembers* group : found.shared()) {
      require(pick(*group, {input.byte(), 0, input.byte()}, {}) != nullptr, "pick");
    }
    require(trie.counts().subscriptions == router.size(), "count of subscriptions");
  }
  void scan(Input& input) {
    const std::string filter = filter_of(input);
    const std::uint64_t last = index.sequence();
    const std::uint64_t since = last - std::min<std::uint64_t>(last, input.below(8));
    const std::size_t chunk = 1 + input.below(5);
    std::vector<MessageRef> found;
    RetainedCursor cursor;
    while (!cursor.done) index.scan(as_bytes(filter), since, now, chunk, cursor, found);
    std::size_t at = 0;
    for (const auto& [topic, message] : retained) {
      const bool expired = message->expires_at_ms() != 0 && message->expires_at_ms() <= now;
      if (expired || message->retain_sequence() > since || !naive::matches(filter, topic)) continue;
      require(at < found.size() && found[at].get() == message.get(), "scan");
      ++at;
    }
    require(at == found.size(), "scan: more than there is");
    require(index.count() == retained.size(), "count of retained");
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  World world;
  while (!input.empty()) {
    const std::uint32_t who = input.below(World::kSessions);
    switch (input.below(12)) {
      case 0: case 1: case 2: case 3: world.subscribe(input, who); break;
      case 4: case 5: world.unsubscribe(input, who); break;
      case 6: world.end(who); break;
      case 7: world.change_presence(input, who); break;
      case 8: world.change_persistence(who); break;
      case 9: case 10: world.publish_retained(input); break;
      default:
        world.clear_retained(input);
        world.now += input.below(8);
        break;
    }
    world.match(input);
    world.scan(input);
  }
  for (std::uint32_t who = 0; who < World::kSessions; ++who) world.end(who);
  require(world.trie.counts().nodes == 0 && world.trie.counts().levels == 2, "all freed");
  return 0;
}
