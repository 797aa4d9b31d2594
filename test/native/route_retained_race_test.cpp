// Subscribers that race with retained publishes, on real threads; also under ThreadSanitizer.
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "route/match_cache.hpp"
#include "route/retained_index.hpp"
#include "route/topic_trie.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;
using Clock = std::chrono::steady_clock;

constexpr auto kRun = std::chrono::milliseconds(400);

// What a subscriber got live, and what a publisher sent.
struct Log {
  std::mutex mutex;
  std::map<std::string, std::vector<std::uint64_t>> sequences;  // by topic

  void add(const std::string& topic, std::uint64_t sequence) {
    const std::lock_guard lock(mutex);
    sequences[topic].push_back(sequence);
  }
  [[nodiscard]] std::map<std::string, std::vector<std::uint64_t>> copy() {
    const std::lock_guard lock(mutex);
    return sequences;
  }
};

struct RetainedWorld {
  TopicTrie trie;
  RetainedIndex index;
  std::array<Log, 64> inboxes;  // by slot
  Log sent;                     // a publish is here once it reached everybody
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> rounds[2] = {};
};

// As the engine does: index first, then match, then deliver.
void publish_retained(RetainedWorld& world, unsigned publisher) {
  MatchCache cache(1 << 16);
  Rng rng(test::seed() + publisher);
  while (!world.stop.load(std::memory_order_relaxed)) {
    const std::string topic = "r" + std::to_string(publisher) + "/" + std::to_string(rng.below(6));
    MessageParts parts;
    parts.topic = as_bytes(topic);
    parts.payload = as_bytes("x");
    const std::uint64_t sequence =
        world.index.set(MessageRef::adopt(Message::make(parts)));
    const MatchResult& result =
        cache.find(world.trie, as_bytes(topic), TopicTrie::hash(as_bytes(topic)));
    for (const Partition& partition : result.partitions()) {
      for (const Receiver& receiver : result.receivers(partition)) {
        world.inboxes[receiver.slot].add(topic, sequence);
      }
    }
    world.sent.add(topic, sequence);
    world.rounds[publisher].fetch_add(1);
    if (rng.one_in(4)) std::this_thread::yield();
  }
}

// As a session does: filter first, then the number, then the scan.
void subscribe_once(RetainedWorld& world, std::uint32_t slot, const std::string& filter) {
  const FilterParts parts{{}, as_bytes(filter)};
  const SessionRef session{slot, 1, 0};
  world.trie.subscribe(parts, {session, 0, {}, false});
  const std::uint64_t since = world.index.sequence();
  std::vector<MessageRef> scanned;
  RetainedCursor cursor;
  while (!cursor.done) world.index.scan(as_bytes(filter), since, 0, 2, cursor, scanned);
  const std::uint64_t rounds[2] = {world.rounds[0].load(), world.rounds[1].load()};
  while (world.rounds[0].load() < rounds[0] + 5 || world.rounds[1].load() < rounds[1] + 5) {
    std::this_thread::yield();
  }
  const auto sent = world.sent.copy();  // before the inbox: what is here was delivered
  auto got = world.inboxes[slot].copy();
  CHECK(world.trie.unsubscribe(parts, session));
  std::map<std::string, std::uint64_t> by_scan;
  for (const MessageRef& each : scanned) {
    by_scan[std::string(as_text(each->topic()))] = each->retain_sequence();
  }
  CHECK_EQ(by_scan.size(), scanned.size());
  for (const auto& [topic, sequences] : sent) {
    if (!naive::matches(filter, topic)) continue;
    test::Context context("topic", topic);
    std::uint64_t last_before = 0;
    std::vector<std::uint64_t> after;
    for (const std::uint64_t sequence : sequences) {
      if (sequence <= since) last_before = sequence;
      if (sequence > since) after.push_back(sequence);
    }
    std::vector<std::uint64_t> live;
    for (const std::uint64_t sequence : got[topic]) {
      // A session drops live copies up to `since`, because it scanned.
      if (sequence > since) live.push_back(sequence);
    }
    // Nothing after `since` is missing or doubled; the inbox was read later and may hold more.
    REQUIRE(live.size() >= after.size());
    live.resize(after.size());
    REQUIRE_EQ(live, after);
    // The scan shows the last one before, unless a newer one took its place meanwhile.
    const auto scan = by_scan.find(topic);
    if (scan != by_scan.end()) {
      REQUIRE_EQ(scan->second, last_before);
    } else if (last_before != 0) {
      REQUIRE(!after.empty());
    }
  }
}

STMQTT_TEST("concurrency: a retained message is scanned or comes live, never both, never neither") {
  RetainedWorld world;
  std::thread publishers[2];
  for (unsigned i = 0; i < 2; ++i) {
    publishers[i] = std::thread(publish_retained, std::ref(world), i);
  }
  const std::string filters[] = {"#", "r0/+", "r1/3", "+/2"};
  const auto until = Clock::now() + kRun;
  std::uint32_t slot = 0;
  for (; slot < 64 && Clock::now() < until; ++slot) {
    subscribe_once(world, slot, filters[slot % 4]);
  }
  world.stop = true;
  for (std::thread& publisher : publishers) publisher.join();
  CHECK_GT(slot, 3);
}

}  // namespace
