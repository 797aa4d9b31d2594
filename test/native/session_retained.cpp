// Retained messages and live ones of the same topics: each exactly once, whoever is faster.
#include <deque>
#include <string>

#include "base/schedule_point.hpp"
#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;

ConnectText client(const std::string& id, std::uint32_t expiry_s = 0) {
  ConnectText text;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

struct Scene {
  explicit Scene(NetOptions options = {}) : bed(with_threads(options)) {
    publisher = &bed.ready(client("publisher"), 0);
    subscriber = &bed.ready(client("subscriber"), 1);
  }
  static NetOptions with_threads(NetOptions options) {
    options.shards = 2;
    return options;
  }
  Scene& retain(const std::string& topic, const std::string& payload, std::uint8_t qos = 0) {
    publisher->publish(topic, payload, qos, qos == 0 ? 0 : 1, true);
    bed.settle();
    static_cast<void>(publisher->take());
    return *this;
  }
  std::string subscribe(const std::vector<FilterText>& filters, std::uint32_t id = 0) {
    subscriber->say(subscribe_packet(Version::v5, 5, filters, id));
    bed.settle();
    return subscriber->took();
  }

  Bed bed;
  Peer* publisher;
  Peer* subscriber;
};

STMQTT_TEST("retained: sent after SUBACK, by topic, with RETAIN and at most the granted QoS") {
  Scene scene;
  scene.retain("r/b", "1", 1).retain("r/a", "2").retain("r/c/d", "3", 2).retain("x", "no");
  CHECK_EQ(scene.subscribe({{"r/#", 1}}, 7),
           "SUBACK id 5; PUBLISH qos 0 RETAIN r/a '2'; PUBLISH id 1 qos 1 RETAIN r/b '1'; "
           "PUBLISH id 2 qos 1 RETAIN r/c/d '3'");
  scene.retain("r/a", "live", 1);
  CHECK_EQ(scene.subscriber->took(), "PUBLISH id 3 qos 1 r/a 'live'");
}

STMQTT_TEST("retained: Retain Handling, replacement, clearing, Shared Subscriptions") {
  Scene scene;
  scene.retain("r", "1");
  CHECK_EQ(scene.subscribe({{"r", 0, false, false, 2}}), "SUBACK id 5");
  CHECK_EQ(scene.subscribe({{"r", 0, false, false, 1}}), "SUBACK id 5");  // not new any more
  CHECK_EQ(scene.subscribe({{"+", 0, false, false, 1}}),
           "SUBACK id 5; PUBLISH qos 0 RETAIN r '1'");
  CHECK_EQ(scene.subscribe({{"r", 0}}), "SUBACK id 5; PUBLISH qos 0 RETAIN r '1'");
  CHECK_EQ(scene.subscribe({{"$share/g/r", 0}}), "SUBACK id 5");
  scene.retain("r", "2");
  CHECK_EQ(scene.subscriber->took(), "PUBLISH qos 0 r '2'; PUBLISH qos 0 r '2'");
  scene.retain("r", "");
  static_cast<void>(scene.subscriber->take());
  CHECK_EQ(scene.subscribe({{"r", 0}}), "SUBACK id 5");
}

STMQTT_TEST("retained: a publish between filter and scan comes once") {
  // Another thread's publish in each gap that a lock leaves in SUBSCRIBE, and the other way round.
  static Scene* scene;
  static int gap;
  static int wanted;
  static bool publishing;
  for (const bool inner_publishes : {true, false}) {
    for (wanted = 0; wanted < 8; ++wanted) {
      test::Context context("gap", wanted);
      Scene fresh;
      scene = &fresh;
      gap = 0;
      publishing = inner_publishes;
      // From the other thread: the publisher's has no match for this topic yet and must lock.
      scene->subscriber->publish("r", "old", 0, 0, true);
      scene->bed.settle();
      static const auto publish = [] {
        scene->publisher->publish("r", "new", 1, 1, true);
        scene->bed.net().feed(scene->publisher->conn());
      };
      static const auto subscribe = [] {
        scene->subscriber->subscribe("r", 1);
        scene->bed.net().feed(scene->subscriber->conn());
      };
      schedule_hook = []() noexcept {
        if (gap++ != wanted) return;
        schedule_hook = nullptr;
        publishing ? publish() : subscribe();
      };
      inner_publishes ? subscribe() : publish();
      const bool met = schedule_hook == nullptr;
      schedule_hook = nullptr;
      if (!met) break;
      fresh.bed.settle();
      std::string got;
      for (const Packet& packet : fresh.subscriber->take()) {
        if (packet.type == PacketType::publish) got += packet.payload + " ";
      }
      CHECK(got == "new " || got == "old new ");
    }
    CHECK_GT(wanted, 1);
  }
}

STMQTT_TEST("retained: a live copy that crosses threads while its topic is scanned is skipped") {
  Scene scene;
  scene.subscriber->subscribe("other", 1);
  scene.bed.settle();
  // The publish takes its number, then the filter comes in, then the publish matches.
  static Scene* at;
  at = &scene;
  static int gap;
  gap = 0;
  schedule_hook = []() noexcept {
    if (++gap != 2) return;  // before the trie's lock
    schedule_hook = nullptr;
    at->subscriber->subscribe("r", 1);
    at->bed.net().feed(at->subscriber->conn());
  };
  scene.publisher->publish("r", "m", 1, 1, true);
  scene.bed.net().feed(scene.publisher->conn());
  schedule_hook = nullptr;
  scene.bed.settle();
  CHECK_EQ(scene.bed.counter(Counter::messages_crossed), 1);
  CHECK_EQ(scene.subscriber->took(),
           "SUBACK id 900; SUBACK id 900; PUBLISH id 1 qos 1 RETAIN r 'm'");
}

STMQTT_TEST("retained: subscribing again loses no live message [MQTT-3.8.4-4]") {
  Scene scene;
  scene.subscriber->subscribe("r", 1);
  scene.bed.settle();
  static_cast<void>(scene.subscriber->take());
  const auto between_threads = [&](const std::string& payload, std::uint16_t id) {
    scene.publisher->publish("r", payload, 1, id, true);
    scene.bed.net().feed(scene.publisher->conn());
    scene.bed.net().end_turn(0);
  };
  between_threads("first", 1);
  scene.subscriber->subscribe("r", 1, 6);  // it had the filter all the time
  scene.bed.net().feed(scene.subscriber->conn());
  scene.bed.settle();
  CHECK_EQ(scene.subscriber->took(),
           "SUBACK id 6; PUBLISH id 1 qos 1 RETAIN r 'first'; PUBLISH id 2 qos 1 r 'first'");
  // The message is not retained any more when it could be scanned.
  between_threads("", 2);
  scene.subscriber->subscribe("r", 1, 7);
  scene.bed.net().feed(scene.subscriber->conn());
  scene.bed.settle();
  CHECK_EQ(scene.subscriber->took(), "SUBACK id 7; PUBLISH id 3 qos 1 r ''");
}

STMQTT_TEST("retained: many of them obey window and watermark, and live ones follow") {
  NetOptions options;
  options.high_bytes = 600;
  options.low_bytes = 100;
  Scene scene(options);
  for (int i = 100; i < 300; ++i) scene.retain("r/" + std::to_string(i), "x", i % 3 == 0 ? 0 : 1);
  ConnectText text = client("slow", 100);
  text.receive_maximum = 3;
  Peer& slow = scene.bed.ready(text, 1);
  slow.subscribe("r/+", 1);
  scene.bed.net().feed(slow.conn());
  CHECK_LE(slow.conn().outlet->queue.bytes(), 700);
  scene.publisher->publish("r/100", "live", 1, 1).publish("r/100", "live too", 0);
  scene.bed.settle();
  int next = 100;
  std::string live;
  std::deque<std::uint16_t> unacknowledged;
  do {
    for (const Packet& packet : slow.take()) {
      if (packet.type != PacketType::publish) continue;
      if (packet.retain) {
        CHECK_EQ(live, "");
        CHECK_EQ(packet.topic, "r/" + std::to_string(next++));
      } else {
        live += packet.payload + ";";
      }
      if (packet.qos != 0) unacknowledged.push_back(packet.packet_id);
    }
    CHECK_LE(unacknowledged.size(), 3);
    if (unacknowledged.empty()) break;
    slow.ack(PacketType::puback, unacknowledged.front());
    unacknowledged.pop_front();
    scene.bed.settle();
  } while (next <= 300);
  CHECK_EQ(next, 300);
  CHECK(live == "live;live too;" || live == "live too;live;");  // of different QoS
  CHECK_EQ(scene.bed.counter(Counter::dropped_outbound_watermark), 0);
}

STMQTT_TEST("retained: QoS 0 that waited for a scan is not overtaken, and waits for no window") {
  for (const std::size_t high_bytes : {std::size_t{1} << 20, std::size_t{30}}) {
    NetOptions options;
    options.high_bytes = high_bytes;
    options.low_bytes = high_bytes / 3;
    Scene scene(options);
    scene.retain("r", "old", 1);
    ConnectText text = client("slow", 100);
    text.receive_maximum = 1;
    Peer& slow = scene.bed.ready(text, 1);
    slow.subscribe("q", 1);
    scene.bed.settle();
    scene.publisher->publish("q", "a", 1, 1);
    scene.bed.settle();
    slow.subscribe("r", 1);  // its scan waits for the window
    scene.bed.settle();
    scene.publisher->publish("q", "b", 1, 1).publish("q", "0", 0).publish("q", "c", 1, 2);
    scene.publisher->publish("q", "1", 0);
    scene.bed.settle();
    slow.ack(PacketType::puback, 1);  // "old" goes out, the scan is over, "b" waits
    scene.publisher->publish("q", "2", 0);
    scene.bed.settle();
    CHECK_EQ(slow.payloads(), "a old 0 1 2");
    scene.publisher->publish("q", "3", 0);
    scene.bed.settle();
    slow.ack(PacketType::puback, 2);
    scene.bed.settle();
    CHECK_EQ(slow.payloads(), "3 b");
  }
}

STMQTT_TEST("retained: a scan goes on where it was after a reconnect") {
  Scene scene;
  for (int i = 0; i < 5; ++i) scene.retain("r/" + std::to_string(i), std::to_string(i), 1);
  ConnectText text = client("slow", 100);
  text.receive_maximum = 2;
  Peer& first = scene.bed.ready(text, 1);
  first.subscribe("r/+", 1);
  scene.bed.settle();
  CHECK_EQ(first.payloads(), "0 1");
  first.ack(PacketType::puback, 1);
  first.cut();
  scene.bed.settle();
  scene.publisher->publish("r/0", "live", 1, 1);
  scene.bed.settle();
  text.receive_maximum = 10;
  Peer& second = scene.bed.connect(text, 1);
  CHECK_EQ(second.payloads(), "1 2 3 4 live");
}

}  // namespace
