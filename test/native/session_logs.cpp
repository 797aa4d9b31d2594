// Logs of messages that nobody has subscribed to: when there is one, where it lives, what bounds it,
// who is told.
#include <memory>
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;

ConnectText client(const std::string& id) {
  ConnectText text;
  text.client_id = id;
  return text;
}

/// Three threads; publishers on listeners with and without dynamic filters.
struct Scene {
  explicit Scene(LogOptions options = {}, unsigned shards = 3) : bed(net_options(shards)) {
    set(std::move(options));
    dynamic = bed.limits;
    dynamic.dynamic_filters = true;
    publisher = &bed.ready(client("publisher"), 0, &dynamic);
  }
  static NetOptions net_options(unsigned shards) {
    NetOptions options;
    options.shards = shards;
    return options;
  }
  void set(LogOptions options) {
    options.settle();
    const auto shared = std::make_shared<const LogOptions>(std::move(options));
    for (unsigned shard = 0; shard < bed.net().shards(); ++shard) {
      bed.net().shard(shard).set_now(bed.net().now_ms());
      bed.net().shard(shard).logs().set_options(shared);
    }
    bed.settle();
  }
  std::string publish(const std::string& topic, const std::string& payload, std::uint8_t qos = 1) {
    publisher->publish(topic, payload, qos, qos == 0 ? 0 : 7);
    bed.settle();
    return publisher->took();
  }
  /// Messages in the log of the filter; -1 = it has none.
  [[nodiscard]] std::int64_t messages_in(const std::string& filter) {
    JsonWriter row;
    Shard& home = bed.net().shard(
        bed.net().shard(0).logs().home_of(as_bytes(filter)));
    if (!home.logs().describe(as_bytes(filter), {}, row)) return -1;
    const std::string text(as_text(row.bytes()));
    return std::stoll(text.substr(text.find("\"messages\":") + 11));
  }
  [[nodiscard]] std::int64_t count(Counter name) const { return bed.counter(name); }
  [[nodiscard]] std::uint64_t cost() { return bed.net().tables().logs.cost.load(); }

  Bed bed;
  Limits dynamic;
  Peer* publisher;
};

STMQTT_TEST("dynamic filters: a monitor gets messages and is no subscriber") {
  Scene scene;
  Limits looks_on = scene.bed.limits;
  looks_on.monitors = true;
  Peer& monitor = scene.bed.ready(client("monitor"), 1, &looks_on);
  monitor.subscribe("#", 1, 5);
  scene.bed.settle();
  CHECK_EQ(monitor.took(), "SUBACK id 5");
  CHECK_EQ(scene.publish("a", "1"), "PUBACK id 7 no_matching_subscribers");
  CHECK_EQ(monitor.payloads(), "1");
  CHECK_EQ(scene.messages_in("a"), 1);
  Peer& subscriber = scene.bed.ready(client("subscriber"), 2);
  subscriber.subscribe("a", 1);
  scene.bed.settle();
  CHECK_EQ(scene.publish("a", "2"), "PUBACK id 7");
  CHECK_EQ(monitor.payloads(), "2");
  CHECK_EQ(subscriber.payloads(), "2");
  CHECK_EQ(scene.messages_in("a"), 1);
}

STMQTT_TEST("dynamic filters: off, a message without a subscriber is dropped and counted") {
  Scene scene;
  Peer& plain = scene.bed.ready(client("plain"), 1);
  plain.publish("a", "1", 1, 7);
  scene.bed.settle();
  CHECK_EQ(plain.took(), "PUBACK id 7 no_matching_subscribers");
  CHECK_EQ(scene.count(Counter::publish_unmatched), 1);
  CHECK_EQ(scene.count(Counter::publish_logged), 0);
  CHECK_EQ(scene.messages_in("a"), -1);
  CHECK_EQ(scene.cost(), 0U);
}

STMQTT_TEST("dynamic filters: on, it makes the log of its topic; a tail is no receiver") {
  Scene scene;
  CHECK_EQ(scene.publish("a", "1"), "PUBACK id 7 no_matching_subscribers");
  static_cast<void>(scene.publish("a", "2", 0));
  CHECK_EQ(scene.messages_in("a"), 2);
  CHECK_EQ(scene.count(Counter::publish_logged), 2);
  CHECK_EQ(scene.count(Counter::publish_unmatched), 0);
  CHECK_EQ(scene.count(Counter::log_messages), 2);
  CHECK_EQ(scene.count(Counter::log_bytes), 2 * 6);
  Peer& subscriber = scene.bed.ready(client("subscriber"), 2);
  subscriber.subscribe("a", 1);
  scene.bed.settle();
  CHECK_EQ(scene.publish("a", "3"), "PUBACK id 7");
  CHECK_EQ(subscriber.payloads(), "3");  // from the tail
  CHECK_EQ(scene.messages_in("a"), 2);   // somebody has it
}

STMQTT_TEST("dynamic filters: QoS 2, Wills and '$' topics") {
  Scene scene;
  CHECK_EQ(scene.publish("a", "1", 2), "PUBREC id 7 no_matching_subscribers");
  CHECK_EQ(scene.messages_in("a"), 1);
  ConnectText mortal = client("mortal");
  mortal.has_will = true;
  mortal.will_topic = "will";
  mortal.will_payload = "x";
  Peer& peer = scene.bed.ready(mortal, 1, &scene.dynamic);
  peer.cut();
  scene.bed.settle();
  CHECK_EQ(scene.messages_in("will"), 1);
  scene.publisher->ack(PacketType::pubrel, 7);
  scene.bed.settle();
  static_cast<void>(scene.publisher->take());
  CHECK_EQ(scene.publish("$x", "1"), "PUBACK id 7 no_matching_subscribers");
  CHECK_EQ(scene.messages_in("$x"), -1);
}

STMQTT_TEST("initialized filters: there from the start, on every listener; the most specific gets it") {
  LogOptions options;
  options.initialized = {"a/#", "a/b/+", "never"};
  Scene scene(options);
  CHECK_EQ(scene.messages_in("never"), 0);
  CHECK_EQ(scene.messages_in("a/#"), 0);
  Peer& plain = scene.bed.ready(client("plain"), 1);
  for (const char* topic : {"a/b/c", "a/b/d", "a/x", "other"}) plain.publish(topic, "1");
  scene.bed.settle();
  CHECK_EQ(scene.messages_in("a/b/+"), 2);
  CHECK_EQ(scene.messages_in("a/#"), 1);
  CHECK_EQ(scene.messages_in("a/b/c"), -1);
  CHECK_EQ(scene.count(Counter::publish_unmatched), 1);
  // They are no dynamic filters, so they count in no bound of these, and deleting empties them.
  CHECK_EQ(scene.bed.net().tables().logs.filters.load(), 0U);
  LogTotals& totals = scene.bed.net().tables().logs;
  for (unsigned shard = 0; shard < 3; ++shard) {
    static_cast<void>(scene.bed.net().shard(shard).logs().erase(as_bytes(std::string("a/#"))));
  }
  CHECK_EQ(scene.messages_in("a/#"), 0);
  CHECK_EQ(scene.count(Counter::dropped_log_deleted), 1);
  // Taken out of the configuration they go, the one that holds something when its turn comes.
  scene.set({});
  CHECK_EQ(scene.messages_in("never"), -1);
  CHECK_EQ(scene.messages_in("a/b/+"), 2);
  CHECK_EQ(totals.filters.load(), 1U);
}

STMQTT_TEST("segments: the oldest goes whole, and the alert tells filter and true number once a second") {
  LogOptions options;
  options.segments = {1'000'000, 10};
  options.custom = {{"s/#", {30, 2}}};
  Scene scene(options);
  // 4 + 3 + 3 bytes each: three to a segment.
  for (int i = 0; i < 100; ++i) static_cast<void>(scene.publish("s/t", "abc", 0));
  CHECK_EQ(scene.messages_in("s/t"), 4);
  CHECK_EQ(scene.count(Counter::dropped_log_overrun), 96);
  for (int i = 0; i < 100; ++i) static_cast<void>(scene.publish("t", "abc", 0));
  CHECK_EQ(scene.messages_in("t"), 100);
  std::int64_t told = 0;
  for (int second = 0; second < 3; ++second) {
    scene.bed.net().advance(1'100);
    scene.bed.settle();
    for (const std::string& event : scene.bed.events) {
      if (event.starts_with("alert s/t ")) told += std::stoll(event.substr(10));
    }
    CHECK_LE(scene.bed.events.size(), 2U);
    scene.bed.events.clear();
  }
  CHECK_EQ(told, 96);
}

STMQTT_TEST("logs: max_dynamic_filters lets the one go that was written to least recently") {
  LogOptions options;
  options.max_filters = 16;
  Scene scene(options);
  for (int i = 0; i < 16; ++i) static_cast<void>(scene.publish("t/" + std::to_string(i), "x"));
  static_cast<void>(scene.publish("t/0", "again"));
  CHECK_EQ(scene.count(Counter::logs), 16);
  static_cast<void>(scene.publish("t/16", "x"));
  CHECK_EQ(scene.count(Counter::logs), 16);
  CHECK_EQ(scene.messages_in("t/1"), -1);  // on whatever thread
  CHECK_EQ(scene.messages_in("t/0"), 2);
  CHECK_EQ(scene.messages_in("t/16"), 1);
  CHECK_EQ(scene.count(Counter::logs_evicted_filters), 1);
  CHECK_EQ(scene.count(Counter::dropped_log_filters), 1);
}

STMQTT_TEST("logs: max_dynamic_bytes holds for a hundred thousand topics, and for one") {
  LogOptions options;
  options.max_bytes = 256 * 1024;
  options.max_filters = 1'000'000;
  Scene scene(options);
  const std::int64_t before = Message::thread_bytes();
  for (int i = 0; i < 100'000; ++i) {
    scene.publisher->publish("device/" + std::to_string(i) + "/telemetry", "{\"t\":21.5}");
    if (i % 64 != 0) continue;
    scene.bed.settle();
    // What is asked of another thread comes a little later: an eighth more at most.
    if (scene.cost() > options.max_bytes + options.max_bytes / 8 + 1'000) FAIL("over the bound");
  }
  scene.bed.settle();
  CHECK_LE(scene.cost(), options.max_bytes);
  CHECK_LE(Message::thread_bytes() - before, static_cast<std::int64_t>(options.max_bytes));
  CHECK_GT(scene.count(Counter::logs), 500);
  CHECK_EQ(scene.count(Counter::logs_created) - scene.count(Counter::logs_evicted_bytes),
           scene.count(Counter::logs));
  CHECK_EQ(scene.count(Counter::publish_logged) - scene.count(Counter::dropped_log_bytes),
           scene.count(Counter::log_messages));
  // One log, larger than all may be: it keeps what it can.
  for (int i = 0; i < 1'000; ++i) {
    scene.publisher->publish("one", std::string(1'000, 'x'));
    if (i % 32 == 0) scene.bed.settle();
  }
  scene.bed.settle();
  CHECK_LE(scene.cost(), options.max_bytes);
  CHECK_GT(scene.messages_in("one"), 0);
  CHECK_EQ(scene.count(Counter::publish_logged) - scene.count(Counter::dropped_log_bytes),
           scene.count(Counter::log_messages));
}

STMQTT_TEST("logs: one message larger than all logs may be is not kept") {
  LogOptions options;
  options.max_bytes = 64 * 1024;
  Scene scene(options);
  static_cast<void>(scene.publish("large", std::string(100'000, 'x')));
  CHECK_EQ(scene.messages_in("large"), -1);
  CHECK_EQ(scene.cost(), 0U);
  CHECK_EQ(scene.count(Counter::dropped_log_bytes), 1);
}

STMQTT_TEST("logs: under the memory budget they go behind QoS 0 and before publishers pause") {
  Scene scene;
  for (int i = 0; i < 400; ++i) {
    scene.publisher->publish("t/" + std::to_string(i), std::string(1'000, 'x'));
    if (i % 32 == 0) scene.bed.settle();
  }
  scene.bed.settle();
  CHECK_EQ(scene.count(Counter::logs_evicted_memory), 0);
  const auto used = static_cast<std::uint64_t>(scene.bed.net().tables().memory_bytes.load());
  scene.bed.net().tables().max_memory_bytes.store(used / 2);
  CHECK_EQ(static_cast<int>(scene.bed.net().tables().pressure()),
           static_cast<int>(MemoryPressure::pause));
  for (int turn = 0; turn < 20; ++turn) scene.bed.settle();
  CHECK_EQ(static_cast<int>(scene.bed.net().tables().pressure()),
           static_cast<int>(MemoryPressure::none));
  CHECK_GT(scene.count(Counter::logs_evicted_memory), 100);
  CHECK_GT(scene.count(Counter::logs), 50);
  CHECK_EQ(scene.publish("t/new", "x", 1), "PUBACK id 7 no_matching_subscribers");
  CHECK_EQ(scene.count(Counter::paused_memory_budget), 0);
  scene.bed.net().tables().max_memory_bytes.store(0);
}

}  // namespace
