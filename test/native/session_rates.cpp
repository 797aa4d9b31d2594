// Bounded rates: the buckets, and what becomes of a client that is faster.
#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session/rate_bucket.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;

constexpr std::uint64_t kSecond = 1'000'000'000;

ConnectText client(const std::string& id, Version version = Version::v5) {
  ConnectText text;
  text.client_id = id;
  text.version = version;
  return text;
}

STMQTT_TEST("rate: a second's worth passes at once, then one by one") {
  RateBucket bucket;
  const std::uint64_t start = 7 * kSecond;
  for (int at = 0; at < 10; ++at) CHECK_EQ(bucket.take(10, 1, start), 0U);
  CHECK_EQ(bucket.wait_ns(10, 1, start), kSecond / 10);
  CHECK_EQ(bucket.wait_ns(10, 1, start + kSecond / 10 - 1), 1U);
  CHECK_EQ(bucket.wait_ns(10, 1, start + kSecond / 10), 0U);
  // Ten seconds of silence save up one second's worth, not ten.
  const std::uint64_t later = start + 20 * kSecond;
  int passed = 0;
  while (bucket.take(10, 1, later) == 0) ++passed;
  CHECK_EQ(passed, 10);
}

STMQTT_TEST("rate: over any time no more passes than the rate and one burst") {
  RateBucket bucket;
  constexpr std::uint32_t kRate = 250;
  std::uint64_t now = kSecond;
  std::uint64_t passed = 0;
  for (int step = 0; step < 10'000; ++step) {
    now += kSecond / 1000;
    while (bucket.wait_ns(kRate, 1, now) == 0) {
      static_cast<void>(bucket.take(kRate, 1, now));
      ++passed;
    }
  }
  CHECK(passed <= kRate * 10 + kRate);
  CHECK(passed >= kRate * 10);
}

STMQTT_TEST("rate: what is larger than the bucket passes, and is made up for") {
  RateBucket bucket;
  CHECK_EQ(bucket.take(1000, 5000, kSecond), 0U);
  CHECK_EQ(bucket.wait_ns(1000, 1000, kSecond), 5 * kSecond);
  CHECK_EQ(bucket.wait_ns(1000, 9000, 5 * kSecond), kSecond);  // full by then
  CHECK_EQ(bucket.wait_ns(1000, 1000, 6 * kSecond), 0U);
}

STMQTT_TEST("rate: nobody waits longer than a minute, and nothing overflows") {
  RateBucket bucket;
  CHECK_EQ(bucket.take(1, 268'435'460, kSecond), 0U);
  CHECK_EQ(bucket.wait_ns(1, 1, kSecond), kMaxRateWaitNs);
  CHECK_EQ(bucket.wait_ns(1, 1, kSecond + kMaxRateWaitNs + kRateBurstNs), 0U);
  CHECK_EQ(rate_cost_ns(UINT32_MAX, 0), 0U);
}

STMQTT_TEST("rate: a shared bucket gives each that waits a place of its own, on any thread") {
  SharedRate shared;
  CHECK_EQ(shared.take(1000, kSecond), 0U);  // no bound yet
  shared.set(100);
  constexpr unsigned kThreads = 4;
  constexpr unsigned kEach = 100;
  std::vector<std::uint64_t> waits[kThreads];
  {
    std::vector<std::jthread> threads;
    for (auto& mine : waits) {
      threads.emplace_back([&mine, &shared] {
        for (unsigned at = 0; at < kEach; ++at) mine.push_back(shared.take(1, kSecond));
      });
    }
  }
  std::vector<std::uint64_t> all;
  for (auto& mine : waits) all.insert(all.end(), mine.begin(), mine.end());
  std::ranges::sort(all);
  CHECK_EQ(std::ranges::count(all, 0U), 100);
  for (std::size_t at = 101; at < all.size(); ++at) {
    CHECK_EQ(all[at] - all[at - 1], kSecond / 100);
  }
}

/// A subscriber without a bound, and a publisher with `limits`.
struct Scene {
  explicit Scene(const Limits& limits, Version version = Version::v5) {
    subscriber = &bed.ready(client("subscriber"));
    subscriber->subscribe("t", 2);
    bed.settle();
    static_cast<void>(subscriber->take());
    publisher = &bed.ready(client("publisher", version), 0, &limits);
  }
  void pass(std::uint64_t ms) {
    for (std::uint64_t at = 0; at < ms; at += 8) {
      bed.net().advance(8);
      bed.settle();
    }
  }
  Bed bed;
  Peer* subscriber = nullptr;
  Peer* publisher = nullptr;
};

std::size_t count(const std::string& words) {
  return words.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(words, ' ')) + 1;
}

STMQTT_TEST("rate: a client beyond it is not read from, and loses nothing") {
  for (const std::uint8_t qos : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}) {
    const test::Context context("qos", static_cast<int>(qos));
    Limits limits;
    limits.max_messages_per_s = 10;
    Scene scene(limits);
    std::string expected;
    for (int at = 1; at <= 25; ++at) {
      scene.publisher->publish("t", std::to_string(at), qos, static_cast<std::uint16_t>(at));
      expected += (at == 1 ? "" : " ") + std::to_string(at);
    }
    scene.bed.settle();
    std::string got = scene.subscriber->payloads();
    CHECK_EQ(count(got), 10U);
    CHECK_EQ(scene.bed.counter(Counter::publish_received_qos0) +
                 scene.bed.counter(Counter::publish_received_qos1) +
                 scene.bed.counter(Counter::publish_received_qos2),
             10);
    scene.pass(500);
    got += " " + scene.subscriber->payloads();
    CHECK(count(got) >= 14U && count(got) <= 15U);
    scene.pass(1200);
    got += " " + scene.subscriber->payloads();
    CHECK_EQ(got, expected);
    CHECK(!scene.publisher->closed());
  }
}

STMQTT_TEST("rate: 3.1.1 likewise, and neighbours are not held up") {
  Limits limits;
  limits.max_messages_per_s = 2;
  Scene scene(limits, Version::v311);
  Peer& neighbour = scene.bed.ready(client("neighbour"));
  for (int at = 0; at < 6; ++at) scene.publisher->publish("t", "slow", 1, 1);
  for (int at = 0; at < 50; ++at) neighbour.publish("t", "fast");
  scene.bed.settle();
  CHECK_EQ(count(scene.subscriber->payloads()), 52U);
  scene.pass(2200);
  CHECK_EQ(scene.subscriber->payloads(), "slow slow slow slow");
}

STMQTT_TEST("rate: bytes are those of all packets; other packets than PUBLISH are no messages") {
  Limits limits;
  limits.max_messages_per_s = 1;
  Scene scene(limits);
  for (int at = 0; at < 20; ++at) scene.publisher->say(std::string("\xC0\x00", 2));
  scene.bed.settle();
  CHECK_EQ(scene.publisher->take().size(), 20U);
  Limits bytes;
  bytes.max_bytes_per_s = 20;
  Scene other(bytes);
  for (int at = 0; at < 20; ++at) other.publisher->say(std::string("\xC0\x00", 2));
  other.bed.settle();
  CHECK_EQ(other.publisher->take().size(), 10U);
  other.pass(1100);
  CHECK_EQ(other.publisher->take().size(), 10U);
}

STMQTT_TEST("rate: Keep Alive does not run while it is us who do not read") {
  Limits limits;
  limits.max_bytes_per_s = 10;
  Bed bed;
  ConnectText connect = client("publisher");
  connect.keep_alive_s = 2;
  Peer& publisher = bed.ready(connect, 0, &limits);
  publisher.publish("t", std::string(200, 'x'));
  publisher.say(std::string("\xC0\x00", 2));
  for (int at = 0; at < 15; ++at) {
    bed.net().advance(1000);
    bed.settle();
    CHECK(!publisher.closed());
  }
  CHECK_EQ(publisher.take().size(), 0U);
  for (int at = 0; at < 6; ++at) {
    bed.net().advance(1000);
    bed.settle();
  }
  CHECK_EQ(publisher.took(), "PINGRESP");
}

STMQTT_TEST("rate: refuse answers QoS 1 and 2 of MQTT 5.0 with 0x97; others wait") {
  Limits limits;
  limits.max_messages_per_s = 1;
  limits.on_rate_exceeded = RateExceeded::refuse;
  Scene scene(limits);
  scene.publisher->publish("t", "1", 1, 1).publish("t", "2", 1, 2).publish("t", "3", 2, 3);
  scene.bed.settle();
  CHECK_EQ(scene.subscriber->payloads(), "1");
  const std::vector<Packet> answers = scene.publisher->take();
  CHECK_EQ(answers.size(), 3U);
  if (answers.size() == 3) {
    CHECK_EQ(answers[0].reason, ReasonCode::success);
    CHECK_EQ(answers[1].reason, ReasonCode::quota_exceeded);
    CHECK_EQ(answers[2].type, PacketType::pubrec);
    CHECK_EQ(answers[2].reason, ReasonCode::quota_exceeded);
  }
  CHECK_EQ(scene.bed.counter(Counter::publish_refused_rate), 2);
  scene.publisher->publish("t", "4");
  scene.bed.settle();
  CHECK_EQ(scene.subscriber->payloads(), "");
  scene.pass(1100);
  CHECK_EQ(scene.subscriber->payloads(), "4");
  // A neighbour's is not refused in its stead.
  Peer& neighbour = scene.bed.ready(client("neighbour"));
  scene.publisher->publish("t", "5", 1, 5);
  neighbour.publish("t", "6", 1, 6);
  scene.bed.settle();
  CHECK_EQ(scene.subscriber->payloads(), "6");
}

STMQTT_TEST("rate: disconnect says 0x96") {
  for (const Version version : {Version::v5, Version::v311}) {
    Limits limits;
    limits.max_messages_per_s = 1;
    limits.on_rate_exceeded = RateExceeded::disconnect;
    Scene scene(limits, version);
    scene.publisher->publish("t", "1").publish("t", "2");
    scene.bed.settle();
    CHECK_EQ(scene.subscriber->payloads(), "1");
    CHECK(scene.publisher->closed());
    const std::vector<Packet> last = scene.publisher->take();
    CHECK_EQ(last.size(), version == Version::v5 ? 1U : 0U);
    if (!last.empty()) CHECK_EQ(last[0].reason, ReasonCode::message_rate_too_high);
  }
}

STMQTT_TEST("rate: clients of one listener share its bound, each in its turn") {
  SharedRates together;
  together.messages.set(10);
  Limits limits;
  limits.together = &together;
  Scene scene(limits);
  Peer& second = scene.bed.ready(client("second"), 0, &limits);
  for (int at = 0; at < 10; ++at) {
    scene.publisher->publish("t", "a");
    second.publish("t", "b");
  }
  scene.bed.settle();
  CHECK_EQ(count(scene.subscriber->payloads()), 10U);
  scene.pass(1100);
  const std::string rest = scene.subscriber->payloads();
  CHECK_EQ(count(rest), 10U);
  CHECK_EQ(std::ranges::count(rest, 'b'), 10);
}

STMQTT_TEST("rate: a client that goes while it is paused leaves no timer behind") {
  Limits limits;
  limits.max_messages_per_s = 1;
  Scene scene(limits);
  scene.publisher->publish("t", "1").publish("t", "2");
  scene.bed.settle();
  Peer& again = scene.bed.ready(client("publisher"));  // takes it over
  scene.pass(3000);
  again.publish("t", "3");
  scene.bed.settle();
  CHECK_EQ(scene.subscriber->payloads(), "1 3");
}

}  // namespace
