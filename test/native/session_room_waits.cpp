// Publishers that wait for room in the memory budget: for a while, not for ever, because what would
// make the room may stand behind what waits.
#include <thread>

#include "model/bed.hpp"
#include "runner.hpp"
#include "session/room_waits.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::Counter;

constexpr std::uint16_t kHeld = 8;
constexpr std::uint16_t kWaits = 100;

/// On a thread of its own: what earlier tests' messages took is in the sum of theirs.
template <class Scene>
void alone(Scene&& scene) {
  std::thread(scene).join();
}

ConnectText both(Version version) {
  ConnectText text;
  text.client_id = "both";
  text.version = version;
  text.clean_start = false;
  text.session_expiry_s = 3600;
  return text;
}

void pass(Bed& bed, std::uint64_t ms) {
  for (std::uint64_t at = 0; at < ms; at += RoomWaits::kRetryMs) {
    bed.net().advance(RoomWaits::kRetryMs);
    bed.settle();
  }
}

/// A client that has not acknowledged what it sent to itself; that is more than the budget now.
Peer& over_budget(Bed& bed, Version version) {
  Peer& peer = bed.ready(both(version));
  peer.subscribe("t", 1);
  for (std::uint16_t id = 1; id <= kHeld; ++id) peer.publish("t", std::string(1'000, 'x'), 1, id);
  bed.settle();
  static_cast<void>(peer.take());
  bed.net().tables().max_memory_bytes.store(4'000);
  CHECK_EQ(static_cast<int>(bed.net().tables().pressure()),
           static_cast<int>(MemoryPressure::pause));
  return peer;
}

/// Its acknowledgements stand behind a PUBLISH that waits.
void publish_then_acknowledge(Bed& bed, Peer& peer) {
  peer.publish("t", "waits", 1, kWaits);
  for (std::uint16_t id = 1; id <= kHeld; ++id) peer.ack(PacketType::puback, id);
  bed.settle();
  pass(bed, 9'000);
  CHECK_EQ(peer.took(), "");
  CHECK_EQ(bed.counter(Counter::messages_in_flight), kHeld);
}

STMQTT_TEST("memory: a 5.0 publisher waits for 10 s, is refused, and what it says behind that is heard") {
  alone([] {
    Bed bed;
    Peer& peer = over_budget(bed, Version::v5);
    publish_then_acknowledge(bed, peer);
    pass(bed, 1'300);
    CHECK_EQ(peer.took(), "PUBACK id 100 quota_exceeded");
    CHECK_EQ(bed.counter(Counter::messages_in_flight), 0);
    CHECK_EQ(bed.counter(Counter::publish_refused_quota), 1);
    CHECK(!peer.closed());
    // There is room again.
    peer.publish("u", "taken", 1, kWaits);
    bed.settle();
    CHECK_EQ(peer.took(), "PUBACK id 100 no_matching_subscribers");
  });
}

STMQTT_TEST("memory: a 5.0 publisher that has waited is refused at once until there is room, then waits anew") {
  alone([] {
    Bed bed;
    Peer& peer = over_budget(bed, Version::v5);
    peer.publish("t", "1", 1, 100).publish("t", "2", 2, 101).publish("t", "3", 0);
    pass(bed, 10'300);
    CHECK_EQ(peer.took(), "PUBACK id 100 quota_exceeded; PUBREC id 101 quota_exceeded");
    CHECK_EQ(bed.counter(Counter::dropped_memory_budget), 1);
    peer.publish("t", "4", 1, 102);
    bed.settle();
    CHECK_EQ(peer.took(), "PUBACK id 102 quota_exceeded");
    bed.net().tables().max_memory_bytes.store(0);
    peer.publish("u", "5", 1, 103);
    bed.settle();
    CHECK_EQ(peer.took(), "PUBACK id 103 no_matching_subscribers");
    bed.net().tables().max_memory_bytes.store(4'000);
    peer.publish("t", "6", 1, 104);
    pass(bed, 9'000);
    CHECK_EQ(peer.took(), "");
    // What is there in time is enough.
    bed.net().tables().max_memory_bytes.store(0);
    pass(bed, 50);
    CHECK_EQ(peer.took(), "PUBLISH id 9 qos 1 t '6'; PUBACK id 104");
  });
}

STMQTT_TEST("memory: a 3.x publisher gets no acknowledgement, is heard, and sends it again on its next connection") {
  alone([] {
    Bed bed;
    Peer& peer = over_budget(bed, Version::v311);
    publish_then_acknowledge(bed, peer);
    peer.publish("t", "behind", 1, kWaits + 1);
    pass(bed, 1'300);
    CHECK_EQ(peer.took(), "");
    CHECK_EQ(bed.counter(Counter::messages_in_flight), 0);
    CHECK_EQ(bed.counter(Counter::publish_refused_quota), 2);
    CHECK(peer.closed());
    CHECK_EQ(bed.counter(Counter::closed_quota_exceeded), 1);
    Peer& again = bed.ready(both(Version::v311));
    again.publish("u", "waits", 1, kWaits).publish("u", "behind", 1, kWaits + 1);
    bed.settle();
    CHECK_EQ(again.took(), "PUBACK id 100; PUBACK id 101");
  });
}

STMQTT_TEST("memory: a 3.x publisher without anything to acknowledge ends two seconds later") {
  alone([] {
    Bed bed;
    Peer& peer = over_budget(bed, Version::v311);
    peer.publish("t", "waits", 1, kWaits).say("\xC0");
    peer.say(std::string(1, '\0'));
    pass(bed, 10'300);
    CHECK_EQ(peer.took(), "PINGRESP");
    CHECK(!peer.closed());
    pass(bed, 2'300);
    CHECK(peer.closed());
    CHECK_EQ(bed.counter(Counter::messages_in_flight), kHeld);
  });
}

}  // namespace
