// Logs for their first subscriber: properties over random interleavings of threads.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "route_naive.hpp"
#include "session_handovers_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using Scene = BacklogScene;

/// Publishers, subscribers and threads in an order that the seed chooses.
class Race {
 public:
  explicit Race(std::uint64_t seed) : rng_(seed), scene_(1 + rng_.below(4)) {
    Bed& bed = scene_.bed;
    for (unsigned at = 0; at < 3; ++at) {
      publishers_.push_back(&bed.ready(client("p" + std::to_string(at)), at % shards()));
      sent_.emplace_back();
    }
    for (unsigned at = 0; at < 2; ++at) {
      subscribers_.push_back(&bed.ready(client("s" + std::to_string(at)), rng_.below(shards())));
      got_.emplace_back();
    }
    filter_ = rng_.one_in(3) ? "t/1" : rng_.one_in(2) ? "#" : "t/+";
  }

  void run() {
    const unsigned steps = 100 + rng_.below(300);
    const unsigned first = rng_.below(steps);
    const unsigned second = rng_.below(steps);
    for (unsigned step = 0; step < steps; ++step) {
      if (step == first) subscribers_[0]->subscribe(filter_, 1, 1);
      if (step == second) subscribers_[1]->subscribe(filter_, 1, 1);
      act();
    }
    finish();
  }

 private:
  using Key = std::pair<unsigned, unsigned>;  // publisher, topic
  [[nodiscard]] unsigned shards() { return scene_.bed.net().shards(); }

  void act() {
    Net& net = scene_.bed.net();
    switch (rng_.below(6)) {
      case 0:
      case 1: {
        const unsigned by = rng_.below(3);
        const unsigned topic = rng_.below(3);
        const int number = ++sent_[by][topic];
        publishers_[by]->publish("t/" + std::to_string(topic),
                                 std::to_string(by) + ":" + std::to_string(number), 1,
                                 static_cast<std::uint16_t>(++packet_id_ % 60'000 + 1));
        net.feed(publishers_[by]->conn());
        break;
      }
      case 2:
        net.feed(subscribers_[rng_.below(2)]->conn());
        break;
      case 3: {
        const unsigned from = rng_.below(shards());
        const unsigned to = rng_.below(shards());
        if (from != to) net.take_crossed(from, to, 1 + rng_.below(4));
        break;
      }
      case 4:
        net.end_turn(rng_.below(shards()));
        break;
      case 5:
        take(rng_.below(2));
        break;
    }
  }

  void take(unsigned at) {
    Peer& peer = *subscribers_[at];
    scene_.bed.net().flush(peer.conn());
    for (const Packet& packet : peer.take()) {
      if (packet.type != PacketType::publish) continue;
      const auto colon = packet.payload.find(':');
      const Key key{static_cast<unsigned>(std::stoul(packet.payload.substr(0, colon))),
                    static_cast<unsigned>(packet.topic.back() - '0')};
      got_[at][key].push_back(std::stoi(packet.payload.substr(colon + 1)));
      peer.ack(PacketType::puback, packet.packet_id);
    }
  }

  void finish() {
    for (int round = 0; round < 200; ++round) {
      scene_.bed.settle();
      take(0);
      take(1);
    }
    for (unsigned by = 0; by < 3; ++by) {
      for (const auto& [topic, count] : sent_[by]) {
        if (filter_ == "t/1" && topic != 1) continue;
        const Key key{by, topic};
        Context context("publisher, topic", key);
        int earliest = count + 1;
        for (auto& got : got_) {
          const std::vector<int>& numbers = got[key];
          for (std::size_t at = 1; at < numbers.size(); ++at) {
            CHECK_EQ(numbers[at], numbers[at - 1] + 1);  // no gap, duplicate or other order
          }
          if (!numbers.empty()) {
            CHECK_EQ(numbers.back(), count);
            earliest = std::min(earliest, numbers.front());
          }
        }
        CHECK_EQ(earliest, 1);  // the first subscriber has it from the beginning
      }
    }
    CHECK_EQ(scene_.bed.counter(Counter::dropped_log_overrun), 0);
    if (filter_ != "t/1") CHECK_EQ(scene_.cost(), 0U);
  }

  naive::Rng rng_;
  Scene scene_;
  std::vector<Peer*> publishers_;
  std::vector<Peer*> subscribers_;
  std::vector<std::map<unsigned, int>> sent_;
  std::vector<std::map<Key, std::vector<int>>> got_;
  std::string filter_;
  unsigned packet_id_ = 0;
};

STMQTT_TEST("backlog: no gap, duplicate or other order, however threads, publishers and subscribers meet") {
  const std::int64_t bytes = Message::thread_bytes();
  for (std::uint64_t seed = test::seed(); seed < test::seed() + 600 / naive::kSlowdown; ++seed) {
    Context context("seed", seed);
    Race(seed).run();
  }
  CHECK_EQ(Message::thread_bytes(), bytes);
}

/// Subscribers one after the other, each leaves at some time, acknowledging all it got: together they
/// have everything once, in order.
STMQTT_TEST("backlog: from subscriber to subscriber everything comes once and in order") {
  for (std::uint64_t seed = test::seed(); seed < test::seed() + 300 / naive::kSlowdown; ++seed) {
    Context context("seed", seed);
    naive::Rng rng(seed);
    Scene scene(1 + rng.below(4));
    Net& net = scene.bed.net();
    const unsigned shards = net.shards();
    Peer& other = scene.bed.ready(client("other"), 1 % shards);
    std::map<std::string, int> sent;
    std::map<std::string, std::vector<int>> got;
    std::uint16_t packet_id = 0;
    Peer* peer = nullptr;
    const auto take = [&] {
      net.flush(peer->conn());
      for (const Packet& packet : peer->take()) {
        if (packet.type != PacketType::publish) continue;
        const auto colon = packet.payload.find(':');
        got[packet.topic + packet.payload.substr(0, colon)].push_back(
            std::stoi(packet.payload.substr(colon + 1)));
        peer->ack(PacketType::puback, packet.packet_id);
      }
    };
    for (int round = 0; round < 8; ++round) {
      peer = &scene.bed.ready(client("s" + std::to_string(round)), rng.below(shards));
      const unsigned steps = 20 + rng.below(60);
      const unsigned at = rng.below(steps);
      for (unsigned step = 0; step < steps; ++step) {
        if (step == at) peer->subscribe("t/#", 1, 1);
        if (rng.one_in(2)) {
          Peer& by = rng.one_in(2) ? other : *scene.publisher;
          const std::string name = &by == &other ? "o" : "p";
          const std::string topic = "t/" + std::to_string(rng.below(3));
          by.publish(topic, name + ":" + std::to_string(++sent[topic + name]), 1,
                     static_cast<std::uint16_t>(++packet_id % 60'000 + 1));
          net.feed(by.conn());
        }
        if (rng.one_in(2)) net.feed(peer->conn());
        const unsigned from = rng.below(shards);
        const unsigned to = rng.below(shards);
        if (from != to && rng.one_in(2)) net.take_crossed(from, to, 1 + rng.below(4));
        if (rng.one_in(3)) net.end_turn(rng.below(shards));
        if (rng.one_in(4)) take();
      }
      // It gets all there is, so that nothing of it is on its way when it leaves.
      const bool last = round == 7;
      for (int i = 0; i < 60; ++i) {
        scene.bed.settle();
        take();
      }
      if (!last) {
        peer->say(unsubscribe_packet(Version::v5, 2, {"t/#"}));
        scene.bed.settle();
        take();
        scene.bed.settle();
      }
    }
    for (const auto& [key, count] : sent) {
      Context key_context("topic and publisher", key);
      std::vector<int> wanted;
      for (int i = 1; i <= count; ++i) wanted.push_back(i);
      CHECK_EQ(got[key], wanted);
    }
    CHECK_EQ(scene.cost(), 0U);
  }
}

}  // namespace
}  // namespace stmqtt::test
