// The retained index: set, clear, sequence numbers, resumable scans, expiry, limits.
#include "route/retained_index.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "route/topic_seek.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

MessageRef message(std::string_view topic, std::string_view payload, std::uint64_t expires = 0) {
  MessageParts parts;
  parts.topic = as_bytes(topic);
  parts.payload = as_bytes(payload);
  parts.expires_at_ms = expires;
  parts.retain = true;
  return MessageRef::adopt(Message::make(parts));
}

std::vector<std::string> topics_of(const std::vector<MessageRef>& messages) {
  std::vector<std::string> topics;
  for (const MessageRef& each : messages) topics.emplace_back(as_text(each->topic()));
  return topics;
}

std::vector<MessageRef> scan_all(const RetainedIndex& index, std::string_view filter,
                                 std::uint64_t since, std::size_t chunk = 10,
                                 std::uint64_t now = 0) {
  std::vector<MessageRef> out;
  RetainedCursor cursor;
  for (int guard = 0; !cursor.done; ++guard) {
    const std::size_t before = out.size();
    index.scan(as_bytes(filter), since, now, chunk, cursor, out);
    CHECK_LE(out.size() - before, chunk);
    if (guard > 100000) {
      FAIL("the scan does not end");
      break;
    }
  }
  return out;
}

STMQTT_TEST("[MQTT-3.3.1-5] retained: the last message of a topic is kept") {
  RetainedIndex index;
  CHECK_EQ(index.set(message("a", "1")), 1);
  const RetainedChange change = index.put(message("a", "22"));
  CHECK(change.existed);
  CHECK(change.stored);
  CHECK_EQ(change.sequence, 2);
  CHECK_EQ(index.sequence(), 2);
  CHECK_EQ(index.count(), 1);
  CHECK_EQ(index.bytes(), 3);
  const auto found = scan_all(index, "a", index.sequence());
  REQUIRE_EQ(found.size(), 1);
  CHECK_EQ(as_text(found[0]->payload()), "22");
  CHECK_EQ(found[0]->retain_sequence(), 2);
  CHECK_EQ(as_text(index.get(as_bytes("a"))->payload()), "22");
  CHECK(!index.get(as_bytes("b")));
}

STMQTT_TEST("[MQTT-3.3.1-6] retained: clearing removes, and takes a number") {
  RetainedIndex index;
  index.set(message("a", "1"));
  const RetainedChange cleared = index.clear(as_bytes("a"));
  CHECK(cleared.existed);
  CHECK_EQ(cleared.sequence, 2);
  const RetainedChange nothing = index.clear(as_bytes("a"));
  CHECK(!nothing.existed);
  CHECK_EQ(nothing.sequence, 3);
  CHECK_EQ(index.count(), 0);
  CHECK_EQ(index.bytes(), 0);
  CHECK(scan_all(index, "#", index.sequence()).empty());
}

STMQTT_TEST("retained: a scan shows nothing that is newer than it was told") {
  RetainedIndex index;
  index.set(message("a", "1"));
  index.set(message("b", "1"));
  const std::uint64_t since = index.sequence();
  index.set(message("b", "2"));
  index.set(message("c", "1"));
  // b's new message and c reach the subscriber live.
  CHECK_EQ(topics_of(scan_all(index, "#", since)), std::vector<std::string>{"a"});
  CHECK_EQ(scan_all(index, "#", index.sequence()).size(), 3);
}

STMQTT_TEST("retained: a scan goes on where it was, whatever comes and goes meanwhile") {
  RetainedIndex index;
  for (int i = 10; i < 60; ++i) index.set(message("t/" + std::to_string(i), "x"));
  const std::uint64_t since = index.sequence();
  std::vector<MessageRef> out;
  RetainedCursor cursor;
  index.scan(as_bytes("t/+"), since, 0, 20, cursor, out);
  REQUIRE_EQ(out.size(), 20);
  CHECK(!cursor.done);
  index.clear(as_bytes("t/30"));                      // the one it stands at
  index.clear(as_bytes("t/10"));                      // behind it
  index.clear(as_bytes("t/45"));                      // ahead
  for (int i = 0; i < 300; ++i) index.set(message("t/3" + std::to_string(i), "new"));
  while (!cursor.done) index.scan(as_bytes("t/+"), since, 0, 20, cursor, out);
  std::vector<std::string> expected;
  for (int i = 10; i < 60; ++i) {
    // 30 and 45 are cleared, 31 to 39 replaced: the live message is theirs.
    if (i < 30 || (i >= 40 && i != 45)) expected.push_back("t/" + std::to_string(i));
  }
  CHECK_EQ(topics_of(out), expected);
}

STMQTT_TEST("[MQTT-4.7.2-1] retained: wildcards at the first level do not find '$' topics") {
  RetainedIndex index;
  for (const std::string_view topic : {"$SYS/a", "$", "!", "%", "a", "/"}) {
    index.set(message(topic, "x"));
  }
  CHECK_EQ(topics_of(scan_all(index, "#", 99)), (std::vector<std::string>{"!", "%", "/", "a"}));
  CHECK_EQ(topics_of(scan_all(index, "+", 99)), (std::vector<std::string>{"!", "%", "a"}));
  CHECK_EQ(topics_of(scan_all(index, "$SYS/#", 99)), std::vector<std::string>{"$SYS/a"});
}

STMQTT_TEST("[MQTT-3.3.2-5] retained: what expired is not shown, and is swept") {
  RetainedIndex index;
  for (int i = 0; i < 1000; ++i) {
    index.set(message("t/" + std::to_string(i), "x", i % 2 == 0 ? 500 + static_cast<unsigned>(i) : 0));
  }
  CHECK_EQ(scan_all(index, "#", 9999, 10, 499).size(), 1000);
  CHECK_EQ(scan_all(index, "#", 9999, 10, 500).size(), 999);
  CHECK_EQ(scan_all(index, "#", 9999, 10, 5000).size(), 500);
  CHECK_EQ(index.count(), 1000);
  CHECK_EQ(index.expire(499, 5000), 0);
  std::size_t swept = 0;
  for (int turn = 0; turn < 12; ++turn) swept += index.expire(5000, 100);
  CHECK_EQ(swept, 500);
  CHECK_EQ(index.count(), 500);
  CHECK_EQ(index.expire(5000, 5000), 0);
  CHECK_EQ(scan_all(index, "#", 9999, 10, 5000).size(), 500);
}

STMQTT_TEST("retained: limits refuse new topics and growth, and the number is given all the same") {
  RetainedIndex index({.max_messages = 2, .max_bytes = 20});
  CHECK(index.put(message("a", "12345")).stored);
  CHECK(index.put(message("b", "1")).stored);
  const RetainedChange third = index.put(message("c", "1"));
  CHECK(!third.stored);
  CHECK_EQ(third.sequence, 3);
  CHECK_EQ(index.count(), 2);
  CHECK(index.put(message("a", "123456")).stored);
  CHECK(!index.put(message("b", std::string(100, 'x'))).stored);
  CHECK_EQ(as_text(index.get(as_bytes("b"))->payload()), "1");
  index.clear(as_bytes("b"));
  CHECK(index.put(message("c", "1")).stored);
}

// Characters around '/' (0x2F), so that byte order and level order differ.
std::string random_level(Rng& rng) {
  static constexpr std::string_view kLevels[] = {"",  "a", "b", "a-", "a0", "a.", "ab", "-",
                                                 "0", "$", "!", "é",  "aa", "b!", "/"};
  const std::string_view level = kLevels[rng.below(14)];
  return std::string(level);
}
std::string random_topic(Rng& rng) {
  std::string topic = random_level(rng);
  for (std::uint32_t more = rng.below(4); more > 0; --more) topic += "/" + random_level(rng);
  return topic.empty() ? "a" : topic;
}
std::string random_filter(Rng& rng) {
  std::string filter;
  const std::uint32_t levels = 1 + rng.below(4);
  for (std::uint32_t i = 0; i < levels; ++i) {
    if (i > 0) filter += '/';
    if (i + 1 == levels && rng.one_in(4)) {
      filter += '#';
    } else if (rng.one_in(3)) {
      filter += '+';
    } else {
      filter += random_level(rng);
    }
  }
  return filter.empty() ? "#" : filter;
}

STMQTT_TEST("retained model: scans find exactly what a walk through all would, in byte order") {
  Rng rng(test::seed());
  RetainedIndex index;
  std::map<std::string, MessageRef> model;  // std::string orders by unsigned bytes
  std::uint64_t now = 1000;
  for (int step = 0; step < 12000 / naive::kSlowdown; ++step) {
    const std::string topic = random_topic(rng);
    const bool grow = step / 2000 % 2 == 0 ? !rng.one_in(5) : rng.one_in(3);
    if (grow) {
      MessageRef fresh =
          message(topic, std::to_string(step), rng.one_in(4) ? now + rng.below(500) : 0);
      const RetainedChange change = index.put(fresh);
      REQUIRE_EQ(change.existed, model.contains(topic));
      model[topic] = std::move(fresh);
    } else {
      REQUIRE_EQ(index.clear(as_bytes(topic)).existed, model.erase(topic) == 1);
    }
    now += rng.below(2);
    if (rng.one_in(20)) {
      const std::size_t gone = index.expire(now, 1 << 20);
      const std::size_t again = index.expire(now, 1 << 20);  // the sweep may have begun midway
      REQUIRE_EQ(gone + again, std::erase_if(model, [&](const auto& entry) {
        const std::uint64_t at = entry.second->expires_at_ms();
        return at != 0 && at <= now;
      }));
    }
    REQUIRE_EQ(index.count(), model.size());
    if (step % 4 != 0) continue;
    const std::string filter = random_filter(rng);
    const std::uint64_t since = index.sequence() - std::min<std::uint64_t>(rng.below(40), index.sequence());
    std::vector<std::string> expected;
    for (const auto& [each, kept] : model) {
      const bool fresh = kept->expires_at_ms() == 0 || kept->expires_at_ms() > now;
      if (fresh && kept->retain_sequence() <= since && naive::matches(filter, each)) {
        expected.push_back(each);
      }
    }
    test::Context context("filter", filter);
    REQUIRE_EQ(topics_of(scan_all(index, filter, since, 1 + rng.below(30), now)), expected);
  }
  std::uint64_t bytes = 0;
  for (const auto& [topic, kept] : model) bytes += kept->logical_bytes();
  CHECK_EQ(index.bytes(), bytes);
}

STMQTT_TEST("retained: a seek passes over nothing that matches, and only goes forward") {
  Rng rng(test::seed());
  for (int round = 0; round < 400 / naive::kSlowdown; ++round) {
    const std::string filter = random_filter(rng);
    test::Context context("filter", filter);
    std::vector<std::string> topics;
    for (int i = 0; i < 60; ++i) topics.push_back(random_topic(rng));
    std::sort(topics.begin(), topics.end());
    TopicSeek seek(as_bytes(filter));
    for (const std::string& from : topics) {
      test::Context at("topic", from);
      if (naive::matches(filter, from)) REQUIRE(from >= seek.start());
      const TopicSeek::Step step = seek.step(as_bytes(from));
      REQUIRE_EQ(step == TopicSeek::Step::match, naive::matches(filter, from));
      if (step == TopicSeek::Step::seek) REQUIRE(from < seek.target());
      if (step != TopicSeek::Step::seek && step != TopicSeek::Step::done) continue;
      for (const std::string& other : topics) {
        const bool passed =
            other > from && (step == TopicSeek::Step::done || other < seek.target());
        if (passed) REQUIRE(!naive::matches(filter, other));
      }
    }
  }
}

STMQTT_TEST("retained: a scan looks at few of the entries that do not match") {
  RetainedIndex index;
  for (int plant = 0; plant < 100; ++plant) {
    for (int sensor = 0; sensor < 200; ++sensor) {
      index.set(message("p/" + std::to_string(plant) + "/s" + std::to_string(sensor), "x"));
    }
    index.set(message("p/" + std::to_string(plant) + "/state", "x"));
  }
  // A call may look at 4 * 100 + 64 entries: it finds all 100 among 20,100 because it skips.
  std::vector<MessageRef> out;
  RetainedCursor cursor;
  index.scan(as_bytes("p/+/state"), index.sequence(), 0, 100, cursor, out);
  CHECK_EQ(out.size(), 100);
  out.clear();
  cursor = {};
  index.scan(as_bytes("p/42/s7"), index.sequence(), 0, 100, cursor, out);
  CHECK_EQ(out.size(), 1);
  CHECK(cursor.done);
}

}  // namespace
