// native/base: timer wheel against a sorted model, hashing, random numbers, counters.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/counter_block.hpp"
#include "base/hash.hpp"
#include "base/random.hpp"
#include "base/timer_wheel.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;

STMQTT_TEST("timer wheel: never early, at most a tick late, in order of ticks, next_due never late") {
  constexpr std::uint64_t kTick = TimerWheel::kTickMs;
  constexpr int kTimers = 200;
  Xoshiro random(test::seed());
  for (int round = 0; round < 20; round++) {
    std::uint64_t now = round < 10 ? random.next() >> 24 : random.below(100000);
    TimerWheel wheel(now);
    std::vector<std::unique_ptr<TimerNode>> nodes;
    for (int i = 0; i < kTimers; i++) nodes.push_back(std::make_unique<TimerNode>());
    std::map<TimerNode*, std::uint64_t> model;  // in which tick each must fire
    const auto schedule = [&](TimerNode& node, std::uint64_t current_tick) {
      const unsigned bits = random.below(round % 2 == 0 ? 24 : 41);
      const std::uint64_t at =
          random.below(20) == 0 ? now / 2 : now + (random.next() & ((1ULL << bits) - 1));
      wheel.schedule(node, at);
      model[&node] = std::max((at + kTick - 1) / kTick, current_tick + 1);
    };
    for (int step = 0; step < 2000; step++) {
      TimerNode& node = *nodes[random.below(kTimers)];
      const std::uint32_t choice = random.below(4);
      if (choice < 2) {
        schedule(node, now / kTick);
      } else if (choice == 2) {
        wheel.cancel(node);
        model.erase(&node);
      } else {
        std::uint64_t earliest = UINT64_MAX;
        for (const auto& [timer, tick] : model) earliest = std::min(earliest, tick);
        if (model.empty()) {
          CHECK_EQ(wheel.next_due_ms(), TimerWheel::kNever);
        } else {
          CHECK_LE(wheel.next_due_ms(), earliest * kTick);
        }
        now += random.next() & ((1ULL << random.below(30)) - 1);
        std::uint64_t last_tick = 0;
        wheel.advance(now, [&](TimerNode& fired) {
          CHECK(!fired.scheduled());
          REQUIRE(model.count(&fired) == 1);
          CHECK_EQ(model[&fired], fired.tick);
          CHECK_LE(last_tick, fired.tick);
          last_tick = fired.tick;
          model.erase(&fired);
          if (random.below(8) == 0) schedule(fired, last_tick);
          if (random.below(8) == 0) {
            TimerNode& other = *nodes[random.below(kTimers)];
            wheel.cancel(other);
            model.erase(&other);
          }
        });
        CHECK_LE(last_tick * kTick, now);
        for (const auto& [timer, tick] : model) CHECK_GT(tick * kTick, now);
      }
    }
    // Woken only when next_due_ms says so, each timer fires in its tick.
    int wakes = 0;
    while (!model.empty()) {
      REQUIRE_NE(wheel.next_due_ms(), TimerWheel::kNever);
      now = std::max(now, wheel.next_due_ms());
      wheel.advance(now, [&](TimerNode& fired) {
        CHECK_EQ(model[&fired], now / kTick);
        model.erase(&fired);
      });
      wakes++;
      REQUIRE(wakes < kTimers * 9);
    }
    CHECK_EQ(wheel.next_due_ms(), TimerWheel::kNever);
  }
}

STMQTT_TEST("timer wheel: far, past and absurd times") {
  TimerWheel wheel(1000);
  TimerNode past, zero, century, never;
  wheel.schedule(past, 900);
  wheel.schedule(zero, 0);
  wheel.schedule(century, 1000 + std::uint64_t{0xFFFFFFFE} * 1000);  // Session Expiry of 136 years
  wheel.schedule(never, UINT64_MAX);
  int fired = 0;
  wheel.advance(1000, [&](TimerNode&) { fired++; });
  CHECK_EQ(fired, 0);
  wheel.advance(1008, [&](TimerNode&) { fired++; });
  CHECK_EQ(fired, 2);
  const std::uint64_t due = 1000 + std::uint64_t{0xFFFFFFFE} * 1000;
  wheel.advance(due - 8, [&](TimerNode&) { fired++; });
  CHECK_EQ(fired, 2);
  wheel.advance(due + 8, [&](TimerNode& node) {
    CHECK(&node == &century);
    fired++;
  });
  CHECK_EQ(fired, 3);
  CHECK(never.scheduled());
}

STMQTT_TEST("timer wheel: a node that dies or moves leaves nothing behind") {
  TimerWheel wheel(0);
  {
    TimerNode gone;
    wheel.schedule(gone, 100);
  }
  auto kept = std::make_unique<TimerNode>();
  wheel.schedule(*kept, 100);
  wheel.schedule(*kept, 5000);
  int fired = 0;
  wheel.advance(4000, [&](TimerNode&) { fired++; });
  CHECK_EQ(fired, 0);
  wheel.advance(5000, [&](TimerNode& node) {
    fired++;
    wheel.schedule(node, 5000);  // for now: in the next tick, not in this one for ever
  });
  CHECK_EQ(fired, 1);
  wheel.advance(5008, [&](TimerNode&) {
    fired++;
    kept.reset();
  });
  CHECK_EQ(fired, 2);
  CHECK_EQ(wheel.next_due_ms(), TimerWheel::kNever);
  TimerNode orphan;
  {
    TimerWheel other(0);
    other.schedule(orphan, 10);
  }
  CHECK(!orphan.scheduled());
  static_assert(sizeof(void*) != 8 || sizeof(TimerNode) == 32);
}

STMQTT_TEST("hash: every length and every byte counts, and the seed") {
  std::set<std::uint64_t> seen;
  std::string text(200, '\0');
  std::size_t hashes = 0;
  for (std::size_t size = 0; size <= text.size(); size++, hashes++) {
    seen.insert(hash_bytes(as_bytes(std::string_view(text).substr(0, size)), 1));
  }
  for (std::size_t at = 0; at < text.size(); at++) {
    for (std::size_t size : {at + 1, at + 2, at + 9, text.size()}) {
      if (size > text.size()) continue;
      for (const char bit : {'\x01', '\x80'}) {
        text[at] = bit;
        seen.insert(hash_bytes(as_bytes(std::string_view(text).substr(0, size)), 1));
        hashes++;
        text[at] = 0;
      }
    }
  }
  seen.insert(hash_bytes({}, 2));
  hashes++;
  CHECK_GE(seen.size() + 500, hashes);  // the same (at, size) pair may come twice at the end
  CHECK_NE(hash_bytes(as_bytes("a"), 1), hash_bytes(as_bytes("a"), 2));
  CHECK_EQ(hash_bytes(as_bytes("topic/1"), 9), hash_bytes(as_bytes("topic/1"), 9));
  CHECK_EQ(process_seed(), process_seed());
}

STMQTT_TEST("hash: low bits of like topics spread evenly over a table") {
  constexpr unsigned kBuckets = 1024;
  std::vector<unsigned> buckets(kBuckets);
  for (int i = 0; i < 100 * static_cast<int>(kBuckets); i++) {
    const std::string topic = "plant/line" + std::to_string(i % 97) + "/device/" + std::to_string(i);
    buckets[hash_bytes(as_bytes(topic), 12345) % kBuckets]++;
  }
  const auto [least, most] = std::minmax_element(buckets.begin(), buckets.end());
  CHECK_GT(*least, 50);
  CHECK_LT(*most, 160);
  std::set<std::uint64_t> mixed;
  for (std::uint64_t i = 0; i < 10000; i++) mixed.insert(mix64(i) & 0xFFFFFFFF);
  CHECK_GT(mixed.size(), 9990);
}

STMQTT_TEST("hash: the portable multiplication agrees with the wide one") {
  Xoshiro random(test::seed());
  for (int i = 0; i < 1000; i++) {
    const std::uint64_t a = random.next();
    const std::uint64_t b = random.next();
    CHECK_EQ(multiply_fold(a, b), multiply_fold_portable(a, b));
  }
}

STMQTT_TEST("random: bounds are kept and every value occurs; UUIDs are well-formed and differ") {
  std::vector<int> counts(7);
  for (int i = 0; i < 7000; i++) counts[random_below(7)]++;
  for (const int count : counts) CHECK_GT(count, 700);
  CHECK_EQ(random_below(1), 0U);
  std::set<std::string> uuids;
  for (int i = 0; i < 100; i++) {
    char text[36];
    make_uuid(text);
    const std::string uuid(text, sizeof text);
    CHECK_EQ(uuid[8], '-');
    CHECK_EQ(uuid[13], '-');
    CHECK_EQ(uuid[14], '4');
    CHECK_EQ(uuid[18], '-');
    CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
    CHECK_EQ(uuid[23], '-');
    CHECK_EQ(uuid.find_first_not_of("0123456789abcdef-"), std::string::npos);
    uuids.insert(uuid);
  }
  CHECK_EQ(uuids.size(), 100);
  // xoshiro256++ seeded by splitmix64(0): fixed, so that seeded tests repeat on every machine.
  Xoshiro fixed(0);
  CHECK_EQ(fixed.next(), 0x53175D61490B23DFULL);
}

STMQTT_TEST("counters: the owner adds, anybody reads") {
  enum class Name : std::uint8_t { first, second };
  CounterBlock<Name, 2> block;
  block.add(Name::second, 5);
  block.add(Name::second, -2);
  block.add(Name::first);
  CHECK_EQ(block.read(Name::second), 3);
  CHECK_EQ(block.read(std::size_t{0}), 1);
}

STMQTT_TEST("clock: monotonic, and both units agree") {
  const std::uint64_t ns = now_ns();
  const std::uint64_t ms = now_ms();
  CHECK_LE(ns / 1000000, ms);
  CHECK_LE(ns, now_ns());
  CHECK_LT(ms, ns / 1000000 + 5000);
}

STMQTT_TEST("timer wheel: some of those that are due at once, the others next time, before later ones") {
  TimerWheel wheel(0);
  TimerNode nodes[6];
  for (std::size_t n = 0; n < 5; n++) wheel.schedule(nodes[n], 80);
  wheel.schedule(nodes[5], 160);
  std::vector<const TimerNode*> fired;
  const auto fire = [&](TimerNode& node) { fired.push_back(&node); };
  CHECK(!wheel.advance_some(200, 2, fire));
  CHECK_EQ(fired.size(), 2U);
  CHECK_LE(wheel.next_due_ms(), 200U);
  wheel.cancel(nodes[2]);
  nodes[3].unlink();
  CHECK(!wheel.advance_some(200, 1, fire));
  CHECK_EQ(fired.size(), 3U);
  CHECK(fired.back() == &nodes[4]);
  // Moved while it is due.
  wheel.schedule(nodes[5], 400);
  CHECK(wheel.advance_some(200, 1, fire));
  CHECK_EQ(fired.size(), 3U);
  wheel.advance(408, fire);
  CHECK(fired.back() == &nodes[5]);
  CHECK_EQ(wheel.next_due_ms(), TimerWheel::kNever);
}

}  // namespace
