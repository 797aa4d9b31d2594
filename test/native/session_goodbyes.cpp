// Clients that take their leave while the thread is busy: DISCONNECT holds at once, and what their end
// costs comes later.
#include <algorithm>
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::CloseCause;
using contract::Counter;

ConnectText with_will(const std::string& id, std::uint32_t expiry_s) {
  ConnectText text;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  text.has_will = true;
  text.will_topic = "will";
  text.will_payload = "of " + id;
  return text;
}

struct Goodbyes {
  Bed bed{[] {
    NetOptions options;
    options.shards = 2;
    return options;
  }()};
  Peer& watch = [this]() -> Peer& {
    ConnectText text;
    text.client_id = "watcher";
    Peer& peer = bed.ready(text);
    peer.subscribe("will").subscribe("t");
    bed.settle();
    static_cast<void>(peer.take());
    return peer;
  }();

  Peer& leaver(const std::string& id, std::uint32_t expiry_s = 100) {
    Peer& peer = bed.ready(with_will(id, expiry_s), 1);
    peer.conn().puts_off = true;
    return peer;
  }
  void say(Peer& peer, const std::string& bytes) {
    peer.say(bytes);
    bed.settle();
  }
  void its_turn(Peer& peer) {
    bed.net().end_of_stream(peer.conn(), CloseCause::client_disconnect);
    bed.settle();
  }
  [[nodiscard]] std::int64_t polite() const {
    return bed.counter(Counter::closed_client_disconnect);
  }
  [[nodiscard]] std::int64_t wills() { return static_cast<std::int64_t>(watch.payloads().size()); }
};

STMQTT_TEST("goodbyes: nothing behind DISCONNECT is read, and the end comes in its turn") {
  Goodbyes all;
  Peer& peer = all.leaver("c");
  PublishText behind;
  behind.topic = "t";
  all.say(peer, disconnect_packet(Version::v5, ReasonCode::success, 7) +
                    publish_packet(behind));
  CHECK(peer.conn().left);
  CHECK(!peer.conn().closed);
  CHECK_EQ(all.polite(), 0);
  all.its_turn(peer);
  CHECK(peer.conn().closed);
  CHECK_EQ(all.polite(), 1);
  CHECK_EQ(all.wills(), 0);  // [MQTT-3.14.4-3]
  CHECK_EQ(all.bed.net().shard(1).session_count(), 1);
  all.bed.net().advance(7'000);  // as DISCONNECT says, not CONNECT
  all.bed.settle();
  CHECK_EQ(all.bed.net().shard(1).session_count(), 0);
}

STMQTT_TEST("goodbyes: who comes back before that finds its session, and no Will was published") {
  for (const unsigned shard : {0U, 1U}) {
    Goodbyes all;
    Peer& peer = all.leaver("c");
    all.say(peer, disconnect_packet(Version::v5));
    CHECK(peer.conn().left);
    static_cast<void>(peer.take());
    Peer& again = all.bed.dial(with_will("c", 100), shard);
    all.bed.settle();
    CHECK_EQ(again.took(), "CONNACK session present");
    CHECK_EQ(peer.took(), "");  // [MQTT-3.14.4-1]
    CHECK(peer.conn().closed);
    CHECK_EQ(all.polite(), 1);
    CHECK_EQ(all.bed.counter(Counter::closed_taken_over), 0);
    CHECK_EQ(all.wills(), 0);
  }
}

STMQTT_TEST("goodbyes: neither Keep Alive nor a broken socket makes something else of it") {
  Goodbyes all;
  ConnectText text = with_will("k", 100);
  text.keep_alive_s = 1;
  Peer& silent = all.bed.ready(text, 1);
  silent.conn().puts_off = true;
  Peer& broken = all.leaver("b");
  all.say(silent, disconnect_packet(Version::v5));
  all.say(broken, disconnect_packet(Version::v5));
  all.bed.net().advance(2'000);
  all.bed.settle();
  CHECK(silent.conn().closed);
  all.bed.net().end_of_stream(broken.conn(), CloseCause::socket_error);
  all.bed.settle();
  CHECK(broken.conn().closed);
  CHECK_EQ(all.polite(), 2);
  CHECK_EQ(all.wills(), 0);
}

STMQTT_TEST("goodbyes: a Will that was asked for is published when the end comes") {
  Goodbyes all;
  Peer& peer = all.leaver("c");
  all.say(peer, disconnect_packet(Version::v5, ReasonCode::disconnect_with_will_message));
  CHECK_EQ(all.wills(), 0);
  all.its_turn(peer);
  CHECK_EQ(all.watch.payloads(), "of c");
}

STMQTT_TEST("goodbyes: what was promised before DISCONNECT still goes out first") {
  Goodbyes all;
  Peer& peer = all.leaver("c");
  all.say(peer, pingreq_packet() + disconnect_packet(Version::v5));
  CHECK(!peer.conn().left);
  CHECK_EQ(peer.took(), "PINGRESP");
  CHECK_EQ(all.polite(), 1);
}

}  // namespace
