// Logs by themselves: segments against a model of them, the table, and which filter is the most
// specific.
#include <deque>
#include <string>
#include <vector>

#include "route/log_table.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;

Message* message_of(const std::string& topic, const std::string& payload) {
  MessageParts parts;
  parts.topic = as_bytes(topic);
  parts.payload = as_bytes(payload);
  return Message::make(parts);
}

/// What rumqttd's commit log does, told with lists.
struct ModelLog {
  struct Entry {
    std::uint64_t sequence;
    std::string topic;
    std::uint64_t size;
  };
  SegmentBounds bounds;
  std::deque<std::deque<Entry>> segments{{}};

  [[nodiscard]] static std::uint64_t bytes_of(const std::deque<Entry>& segment) {
    std::uint64_t bytes = 0;
    for (const Entry& entry : segment) bytes += entry.size;
    return bytes;
  }
  std::uint64_t append(const Entry& entry) {
    std::uint64_t lost = 0;
    if (bytes_of(segments.back()) >= bounds.bytes) {
      segments.emplace_back();
      while (segments.size() > bounds.count) {
        lost += segments.front().size();
        segments.pop_front();
      }
    }
    segments.back().push_back(entry);
    return lost;
  }
  std::vector<std::uint64_t> take(const std::string& topic) {
    std::vector<std::uint64_t> taken;
    for (auto& segment : segments) {
      std::erase_if(segment, [&](const Entry& entry) {
        if (entry.topic != topic) return false;
        taken.push_back(entry.sequence);
        return true;
      });
    }
    // A full segment of which nothing is left is none any more.
    const auto last = std::move(segments.back());
    segments.pop_back();
    std::erase_if(segments, [](const auto& segment) { return segment.empty(); });
    segments.push_back(last);
    return taken;
  }
  [[nodiscard]] std::uint64_t messages() const {
    std::uint64_t count = 0;
    for (const auto& segment : segments) count += segment.size();
    return count;
  }
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& segment : segments) bytes += bytes_of(segment);
    return bytes;
  }
};

STMQTT_TEST("logs: segments are what a model of them is, whatever comes and is taken") {
  const std::int64_t bytes_before = Message::thread_bytes();
  for (std::uint64_t seed = test::seed(); seed < test::seed() + 300 / naive::kSlowdown; ++seed) {
    test::Context context("seed", seed);
    naive::Rng rng(seed);
    const SegmentBounds bounds{20 + rng.below(200), 1 + rng.below(5)};
    TopicLog* log = TopicLog::make(as_bytes(std::string("t/#")), 1, bounds);
    ModelLog model{bounds, {{}}};
    std::uint64_t appended = 0;
    std::int64_t cost = 0;
    for (int step = 0; step < 400; ++step) {
      const std::string topic = "t/" + std::to_string(rng.below(3));
      if (!rng.one_in(20)) {
        const std::string payload(rng.below(60), 'x');
        Message* message = message_of(topic, payload);
        cost += static_cast<std::int64_t>(log_cost(*message));
        const LogLoss loss = log->append({message, ++appended});
        cost -= static_cast<std::int64_t>(loss.cost);
        CHECK_EQ(loss.messages, model.append({appended, topic, 4 + topic.size() + payload.size()}));
      } else {
        PoolVector<LogEntry> taken;
        const LogLoss gone = log->take_if(
            [&](const Message& message) { return as_text(message.topic()) == topic; }, taken);
        cost -= static_cast<std::int64_t>(gone.cost);
        std::vector<std::uint64_t> sequences;
        for (const LogEntry& entry : taken) {
          sequences.push_back(entry.sequence);
          entry.message->release();
        }
        CHECK_EQ(sequences, model.take(topic));
        CHECK_EQ(gone.messages, sequences.size());
      }
      CHECK_EQ(log->messages(), model.messages());
      CHECK_EQ(log->bytes(), model.bytes());
      CHECK_EQ(log->segments(), model.segments.size());
      CHECK_LE(log->segments(), bounds.count);
    }
    const std::uint64_t left = log->messages();
    const LogLoss rest = log->clear();
    CHECK_EQ(rest.messages, left);
    CHECK_EQ(cost, static_cast<std::int64_t>(rest.cost));
    TopicLog::destroy(log);
  }
  CHECK_EQ(Message::thread_bytes(), bytes_before);
}

STMQTT_TEST("logs: one that is cut to its last message has that") {
  TopicLog* log = TopicLog::make(as_bytes(std::string("t")), 1, {30, 3});
  for (int i = 1; i <= 9; ++i) {
    static_cast<void>(log->append({message_of("t", "0123456789"), static_cast<std::uint64_t>(i)}));
  }
  const std::uint64_t before = log->messages();
  CHECK_EQ(log->drop_to_last().messages, before - 1);
  CHECK_EQ(log->messages(), 1);
  CHECK_EQ(log->bytes(), 15);
  PoolVector<LogEntry> taken;
  static_cast<void>(log->take_if([](const Message&) { return true; }, taken));
  REQUIRE_EQ(taken.size(), 1U);
  CHECK_EQ(taken[0].sequence, 9);
  taken[0].message->release();
  TopicLog::destroy(log);
}

STMQTT_TEST("logs: the table finds by filter, and knows what was written to least recently") {
  LogTable table;
  std::vector<TopicLog*> logs;
  for (int i = 0; i < 1000; ++i) {
    const std::string filter = "f/" + std::to_string(i);
    // Few hashes, so that filters share a bucket and a hash.
    logs.push_back(&table.add(as_bytes(filter), static_cast<std::uint64_t>(i % 7), {}));
  }
  CHECK_EQ(table.oldest(), nullptr);
  for (int i = 0; i < 1000; ++i) table.touch(*logs[static_cast<std::size_t>(i)], 1);
  table.touch(*logs[0], 2);
  CHECK_EQ(table.oldest(), logs[1]);
  table.remove(*logs[1]);
  table.retire(*logs[2]);
  CHECK_EQ(table.oldest(), logs[3]);
  CHECK_EQ(table.find(as_bytes(std::string("f/1")), 1), nullptr);
  CHECK_EQ(table.find(as_bytes(std::string("f/999")), 999 % 7), logs[999]);
  CHECK_EQ(table.count(), 999U);
  TopicLog& again = table.add(as_bytes(std::string("f/1")), 1, {});
  CHECK_EQ(again.slot, 1U);  // slots are used again
  while (TopicLog* oldest = table.oldest()) table.remove(*oldest);
  CHECK_EQ(table.count(), 2U);  // one that was retired, and one that was never written to
}

STMQTT_TEST("logs: of several filters the most specific one counts") {
  LogOptions options;
  options.segments = {1, 1};
  for (const auto& [filter, bytes] : std::vector<std::pair<std::string, std::uint64_t>>{
           {"#", 2}, {"a/#", 3}, {"a/+/c", 4}, {"a/b/#", 5}, {"+/b/c", 6}, {"a/b/c", 7},
           {"a", 8}, {"/office/+/devices/status", 9}}) {
    options.custom.push_back({filter, {bytes, 1}});
    options.initialized.push_back(filter);
  }
  options.settle();
  const auto bytes_of = [&](const std::string& topic) {
    return options.segments_of(as_bytes(topic)).bytes;
  };
  CHECK_EQ(bytes_of("a/b/c"), 7U);
  CHECK_EQ(bytes_of("a/b/d"), 5U);
  CHECK_EQ(bytes_of("a/b"), 5U);
  CHECK_EQ(bytes_of("a/x/c"), 4U);
  CHECK_EQ(bytes_of("x/b/c"), 6U);
  CHECK_EQ(bytes_of("a"), 8U);
  CHECK_EQ(bytes_of("a/x"), 3U);
  CHECK_EQ(bytes_of("x"), 2U);
  CHECK_EQ(bytes_of("/office/1/devices/status"), 9U);
  CHECK_EQ(bytes_of("$SYS/x"), 1U);  // wildcards in the first level do not match it
  CHECK_EQ(*options.initialized_for(as_bytes(std::string("a/b/d"))), "a/b/#");
  CHECK_EQ(options.initialized_for(as_bytes(std::string("$x"))), nullptr);
}

}  // namespace
