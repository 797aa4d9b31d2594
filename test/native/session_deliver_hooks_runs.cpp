// Deliveries that wait for hooks, in random runs: publishes of every QoS, verdicts in any order and
// after any time, receivers with small windows that come and go. Held against a model: to each
// receiver, what it gets is in the order of publishing, nothing comes twice, and what its hooks let
// pass is not lost.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "runner.hpp"
#include "session_deliver_hooks_fixture.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;
using wire::PacketType;

enum class Fate { none, passed, changed, dropped };

struct Reader {
  std::string name;
  std::uint8_t qos = 0;
  Peer* peer = nullptr;
  bool connected = true;
  std::map<unsigned, Fate> fates;        ///< of hooked messages, by number
  std::vector<unsigned> got;             ///< first sendings, in order
  std::map<unsigned, unsigned> times;    ///< how often without DUP
  std::map<unsigned, bool> changed;
};

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed), bed_({on_deliver("h/#", 60'000)}, threads(2)) {
    bed_.limits.max_queued_messages = 100'000;
    for (unsigned at = 0; at < 3; ++at) {
      Reader reader;
      reader.name = "r" + std::to_string(at);
      reader.qos = static_cast<std::uint8_t>(at);
      reader.peer = &bed_.connect(text_of(reader), at % 2);
      reader.peer->subscribe("#", reader.qos);
      bed_.settle();
      readers_.push_back(reader);
    }
    sender_ = &bed_.ready(named("s"));
  }

  void go(unsigned steps) {
    for (unsigned at = 0; at < steps; ++at) step();
    // Everybody is back, and all verdicts come.
    for (Reader& reader : readers_) {
      if (!reader.connected) reconnect(reader);
    }
    bool any = true;
    while (any) {
      any = judge_some(1000);
      any = read_all() || any;
    }
    check();
  }

 private:
  [[nodiscard]] unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  [[nodiscard]] static ConnectText text_of(const Reader& reader) {
    ConnectText text = persistent(reader.name);
    text.receive_maximum = static_cast<std::uint16_t>(2 + reader.qos);
    return text;
  }

  void step() {
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        return publish();
      case 3:
      case 4:
        static_cast<void>(judge_some(1 + below(4)));
        return;
      case 5:
      case 6:
        static_cast<void>(read_all());
        return;
      default:
        if (below(4) == 0) come_or_go(readers_[below(3)]);
    }
  }

  void publish() {
    const unsigned number = ++published_;
    const bool hooked = below(2) == 0;
    const auto qos = static_cast<std::uint8_t>(below(3));
    const auto id = static_cast<std::uint16_t>(number % 60'000 + 1);
    sender_->publish(hooked ? "h/" + std::to_string(below(3)) : "free", std::to_string(number), qos,
                     qos == 0 ? std::uint16_t{0} : id);
    bed_.settle();
    if (qos == 2) sender_->ack(PacketType::pubrel, id);
    bed_.settle();
    static_cast<void>(sender_->take());
    for (Reader& reader : readers_) {
      const std::uint8_t granted = std::min(qos, reader.qos);
      if (granted > 0) must_[reader.name].push_back(number);  // QoS 0 may be lost with a connection
      qos_[reader.name][number] = granted;
    }
  }

  /// Of those that are asked about, some, in any order. False: there is none.
  bool judge_some(unsigned count) {
    bool any = false;
    for (; count > 0; --count) {
      std::vector<std::string> open;
      for (const auto& [name, id] : bed_.hook_ids) open.push_back(name);
      if (open.empty()) return any;
      const std::string name = open[below(static_cast<unsigned>(open.size()))];
      const std::uint64_t id = bed_.hook_ids.at(name);
      bed_.hook_ids.erase(name);
      const std::int64_t late = bed_.counter(Counter::hook_verdicts_late);
      const auto fate = static_cast<Fate>(1 + below(3));
      const std::size_t space = name.find(' ');
      const auto number = static_cast<unsigned>(std::stoul(name.substr(space + 1)));
      if (fate == Fate::changed) {
        bed_.judge(id, HookAction::change, "c" + std::to_string(number));
      } else {
        bed_.judge(id, fate == Fate::passed ? HookAction::pass : HookAction::drop);
      }
      any = true;
      if (bed_.counter(Counter::hook_verdicts_late) > late) continue;
      Reader& reader = *std::find_if(readers_.begin(), readers_.end(), [&](const Reader& one) {
        return one.name == name.substr(0, space);
      });
      CHECK(reader.fates[number] == Fate::none);  // asked about once, as far as it counts
      reader.fates[number] = fate;
    }
    return any;
  }

  /// False: nobody got anything.
  bool read_all() {
    bool any = false;
    for (Reader& reader : readers_) {
      if (reader.connected) any = read(reader) || any;
    }
    bed_.settle();
    return any;
  }

  bool read(Reader& reader) {
    const auto packets = reader.peer->take();
    for (const Packet& packet : packets) {
      if (packet.type == PacketType::pubrel) {
        reader.peer->ack(PacketType::pubcomp, packet.packet_id);
      }
      if (packet.type != PacketType::publish) continue;
      const bool changed = packet.payload[0] == 'c';
      const auto number =
          static_cast<unsigned>(std::stoul(changed ? packet.payload.substr(1) : packet.payload));
      reader.changed[number] = changed;
      if (!packet.dup) {
        reader.got.push_back(number);
        CHECK_EQ(++reader.times[number], 1U);
      }
      if (packet.qos == 1) reader.peer->ack(PacketType::puback, packet.packet_id);
      if (packet.qos == 2) reader.peer->ack(PacketType::pubrec, packet.packet_id);
    }
    return !packets.empty();
  }

  void come_or_go(Reader& reader) {
    if (!reader.connected) return reconnect(reader);
    static_cast<void>(read(reader));
    bed_.settle();
    static_cast<void>(read(reader));  // what came by then; the rest is lost with the connection, or sent again
    reader.peer->cut();
    bed_.settle();
    reader.connected = false;
  }
  void reconnect(Reader& reader) {
    reader.peer = &bed_.connect(text_of(reader), below(2));
    reader.connected = true;
  }

  void check() {
    CHECK_EQ(bed_.asked_now(), 0);
    CHECK_EQ(bed_.counter(Counter::messages_queued), 0);
    CHECK_EQ(bed_.counter(Counter::messages_in_flight), 0);
    for (Reader& reader : readers_) {
      // The order within each QoS, whatever waited for whatever.
      unsigned last[3] = {};
      for (const unsigned number : reader.got) {
        unsigned& before = last[qos_[reader.name][number]];
        CHECK(number > before);
        before = number;
      }
      for (const unsigned number : must_[reader.name]) {
        const auto fate = reader.fates.find(number);
        const bool dropped = fate != reader.fates.end() && fate->second == Fate::dropped;
        CHECK_EQ(reader.changed.contains(number), !dropped);
      }
      for (const auto& [number, changed] : reader.changed) {
        const auto fate = reader.fates.find(number);
        CHECK_EQ(changed, fate != reader.fates.end() && fate->second == Fate::changed);
        CHECK(fate == reader.fates.end() || fate->second != Fate::dropped);
      }
    }
  }

  std::mt19937_64 random_;
  DeliverBed bed_;
  std::vector<Reader> readers_;
  Peer* sender_ = nullptr;
  unsigned published_ = 0;
  std::map<std::string, std::vector<unsigned>> must_;  ///< what may not be lost, by reader
  std::map<std::string, std::map<unsigned, std::uint8_t>> qos_;
};

STMQTT_TEST("deliver hooks: random runs keep the order, lose nothing and repeat nothing") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) Run(seed).go(300);
}

}  // namespace
STMQTT_TEST("deliver hooks: a live message that no hook wants waits for all retained ones") {
  DeliverBed bed({on_deliver("h/#")});
  Peer& sender = bed.ready(named("s"));
  constexpr unsigned kMany = 3 * DeliverDesk::kMaxOfReceiver;
  std::string wanted;
  for (unsigned at = 1000; at < 1000 + kMany; ++at) {
    sender.publish("h/" + std::to_string(at), std::to_string(at), 0, 0, true);
    wanted += std::to_string(at) + " ";
  }
  bed.settle();
  Peer& receiver = bed.ready(v3("r"));
  receiver.subscribe("#", 0);
  bed.settle();
  sender.publish("z", "live");
  bed.settle();
  // The first one's answer comes last each time, so that all of them go out in one go.
  for (std::size_t from = 0; from < bed.deliveries.size();) {
    const std::size_t to = bed.deliveries.size();
    for (std::size_t at = to; at-- > from;) {
      const std::string& one = bed.deliveries[at];
      bed.judge("r", one.substr(one.rfind(' ') + 1));
    }
    from = to;
  }
  CHECK_EQ(receiver.payloads(), wanted + "live");
}

}  // namespace stmqtt::test
