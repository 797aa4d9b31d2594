// Connections and sessions across threads: takeover, moves, races for one Client Identifier, Wills,
// expiry, Keep Alive, verdicts, commands.
#include <algorithm>
#include <string>

#include "model/bed.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using contract::CloseCause;
using contract::Counter;

ConnectText client(const std::string& id, std::uint32_t expiry_s = 0) {
  ConnectText text;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

ConnectText with_will(const std::string& id, std::uint32_t expiry_s, std::uint32_t delay_s) {
  ConnectText text = client(id, expiry_s);
  text.has_will = true;
  text.will_topic = "will";
  text.will_payload = "of " + id;
  text.will_delay_s = delay_s;
  return text;
}

NetOptions threads(unsigned count) {
  NetOptions options;
  options.shards = count;
  return options;
}

Peer& watcher(Bed& bed) {
  Peer& peer = bed.ready(client("watcher"));
  peer.subscribe("will");
  bed.settle();
  static_cast<void>(peer.take());
  return peer;
}

STMQTT_TEST("lifecycle: a session is resumed on its home thread, with what lies behind CONNECT") {
  Bed bed(threads(3));
  Peer& first = bed.ready(client("c", 100), 1);
  first.subscribe("t", 1);
  bed.settle();
  first.cut();
  bed.settle();
  Peer& second = bed.dial(client("c", 100), 2);
  second.subscribe("u", 1, 5).publish("u", "own", 0);
  bed.settle();
  CHECK_EQ(second.took(), "CONNACK session present; SUBACK id 5; PUBLISH qos 0 u 'own'");
  CHECK_EQ(second.conn().shard, 1);
  CHECK_EQ(bed.counter(Counter::connections_migrated), 1);
  CHECK_EQ(bed.net().shard(1).session_count(), 1);
  CHECK_EQ(bed.net().shard(2).session_count(), 0);
}

STMQTT_TEST("lifecycle: takeover from another thread loses nothing and tells the old one") {
  Bed bed(threads(2));
  Peer& old = bed.ready(client("c", 100), 0);
  old.subscribe("t", 1);
  bed.settle();
  static_cast<void>(old.take());
  Peer& publisher = bed.ready(client("p"), 1);
  publisher.publish("t", "before", 1, 1);
  bed.net().feed(publisher.conn());
  bed.net().end_turn(1);  // "before" is between the threads
  Peer& young = bed.dial(client("c", 100), 1);
  bed.net().feed(young.conn());  // and now so is the connection
  publisher.publish("t", "after", 1, 2);
  bed.settle();
  CHECK(old.closed());
  CHECK_EQ(old.took(), "DISCONNECT session_taken_over");
  CHECK_EQ(young.took(),
           "CONNACK session present; PUBLISH id 1 qos 1 t 'before'; PUBLISH id 2 qos 1 t 'after'");
  CHECK_EQ(bed.counter(Counter::takeovers), 1);
  CHECK_EQ(std::count(bed.events.begin(), bed.events.end(), "disconnected 9"), 1);
}

STMQTT_TEST("lifecycle: CONNECTs of one identifier on all threads leave one session, one client") {
  Bed bed(threads(4));
  std::vector<Peer*> peers;
  for (unsigned shard = 0; shard < 4; ++shard) {
    peers.push_back(&bed.dial(client("c", 100), shard));
  }
  // The second one finds the session that the first one made, and so on.
  for (Peer* peer : peers) bed.net().feed(peer->conn());
  bed.settle();
  CHECK_EQ(bed.net().tables().directory.size(), 1);
  CHECK_EQ(bed.net().shard(0).session_count(), 1);
  CHECK_EQ(bed.net().shard(0).client_count(), 1);
  CHECK_EQ(std::count_if(peers.begin(), peers.end(), [](Peer* p) { return !p->closed(); }), 1);
  CHECK_EQ(bed.counter(Counter::takeovers), 3);
}

STMQTT_TEST("lifecycle: a session that ends while a connection moves to it is looked up again") {
  Bed bed(threads(3));
  Peer& old = bed.ready(client("c"), 0);  // ends with its connection
  Peer& moving = bed.dial(client("c", 100), 1);
  bed.net().feed(moving.conn());
  CHECK_EQ(bed.net().arrivals(0), 1);
  old.cut();
  bed.net().end_of_stream(old.conn(), CloseCause::peer_closed);
  // Meanwhile a third connection makes the session anew, elsewhere.
  Peer& other = bed.dial(client("c", 100), 2);
  bed.net().feed(other.conn());
  bed.net().end_turn(2);
  bed.settle();  // the first one arrives and has to move on
  CHECK_EQ(other.took(), "CONNACK; DISCONNECT session_taken_over");
  CHECK_EQ(moving.took(), "CONNACK session present");
  CHECK_EQ(moving.conn().shard, 2);
  CHECK_EQ(bed.net().tables().directory.size(), 1);
}

STMQTT_TEST("lifecycle: what a client publishes does not overtake what it published on its last one") {
  Bed bed(threads(3));
  Peer& watcher = bed.ready(client("w", 100), 2);
  watcher.subscribe("t", 1);
  bed.settle();
  static_cast<void>(watcher.take());
  Peer& first = bed.ready(client("c"), 0);  // its session ends with its connection
  first.publish("t", "first", 1, 1);
  bed.net().feed(first.conn());
  first.cut();
  bed.net().end_of_stream(first.conn(), CloseCause::peer_closed);
  bed.net().end_turn(0);
  CHECK_EQ(bed.net().tables().directory.size(), 1);  // the watcher's alone
  // "first" is still on its way from thread 0 to thread 2.
  Peer& second = bed.dial(client("c"), 1);
  second.publish("t", "second", 1, 1);
  bed.net().feed(second.conn());
  bed.net().end_turn(1);
  bed.net().take_crossed(1, 2);
  bed.settle();
  CHECK_EQ(watcher.payloads(), "first second");
  CHECK_EQ(second.conn().shard, 0);
  CHECK_EQ(bed.net().tables().directory.size(), 2);
  // All has arrived, and the Client Identifier belongs to nobody.
  second.cut();
  bed.net().end_of_stream(second.conn(), CloseCause::peer_closed);
  bed.net().end_turn(0);
  bed.settle();
  Peer& third = bed.connect(client("c"), 1);
  CHECK_EQ(third.took(), "CONNACK");
  CHECK_EQ(third.conn().shard, 1);
}

STMQTT_TEST("lifecycle: a drain takes no PUBLISH, and closes whoever has got everything") {
  Bed bed;
  Peer& subscriber = bed.ready(client("s"));
  subscriber.subscribe("t", 1);
  Peer& publisher = bed.ready(client("p"));
  publisher.publish("t", "before", 1, 1);
  bed.settle();
  static_cast<void>(publisher.take());
  Shard& shard = bed.net().shard(0);
  shard.begin_drain();
  publisher.publish("t", "late", 1, 2);
  bed.settle();
  CHECK_EQ(publisher.took(), "");  // not acknowledged
  CHECK_EQ(bed.counter(Counter::dropped_shutting_down), 1);
  CHECK_EQ(shard.close_finished(), 1U);  // the subscriber's PUBACK is awaited
  bed.settle();
  CHECK(publisher.closed());
  CHECK(!subscriber.closed());
  subscriber.ack(PacketType::puback, 1);
  bed.settle();
  CHECK_EQ(shard.close_finished(), 0U);
  bed.settle();
  CHECK(subscriber.closed());
  CHECK_EQ(subscriber.payloads(), "before");
}

STMQTT_TEST("lifecycle: Clean Start ends the old session; what was on its way to it is counted") {
  Bed bed(threads(2));
  Peer& old = bed.ready(client("c", 100), 0);
  old.subscribe("t", 1);
  bed.settle();
  Peer& publisher = bed.ready(client("p"), 1);
  publisher.publish("t", "for the old one", 1, 1);
  bed.net().feed(publisher.conn());
  bed.net().end_turn(1);
  ConnectText text = client("c", 100);
  text.clean_start = true;
  Peer& young = bed.dial(text, 0);
  bed.net().feed(young.conn());
  young.subscribe("t", 1);
  bed.net().feed(young.conn());
  bed.settle();
  CHECK_EQ(young.took(), "CONNACK; SUBACK id 900");
  CHECK_EQ(bed.counter(Counter::dropped_stale_receiver), 1);
  CHECK_EQ(bed.events[bed.events.size() - 2], "ended c 2");
}

STMQTT_TEST("lifecycle: when a Will is published, and when not") {
  Bed bed(threads(2));
  Peer& watch = watcher(bed);
  bed.ready(with_will("cut", 0, 0), 1).cut();
  bed.settle();
  CHECK_EQ(watch.payloads(), "of cut");
  bed.ready(with_will("polite", 100, 0), 1).say(disconnect_packet(Version::v5));
  bed.settle();
  CHECK_EQ(watch.payloads(), "");
  bed.ready(with_will("asks", 100, 0), 1)
      .say(disconnect_packet(Version::v5, ReasonCode::disconnect_with_will_message));
  bed.settle();
  CHECK_EQ(watch.payloads(), "of asks");
  bed.ready(with_will("taken", 100, 0), 1);
  bed.ready(client("taken", 100), 0);
  CHECK_EQ(watch.payloads(), "of taken");
  // The session ends before the delay does.
  bed.ready(with_will("short", 0, 50), 1).cut();
  bed.settle();
  CHECK_EQ(watch.payloads(), "of short");
}

STMQTT_TEST("lifecycle: a delayed Will is published on time, or not at all") {
  Bed bed(threads(2));
  Peer& watch = watcher(bed);
  bed.ready(with_will("late", 100, 10), 1).cut();
  bed.ready(with_will("back", 100, 10), 1).cut();
  bed.ready(with_will("ends", 5, 10), 1).cut();
  bed.settle();
  bed.net().advance(4'992);
  bed.settle();
  CHECK_EQ(watch.payloads(), "");
  bed.net().advance(8);
  bed.settle();
  CHECK_EQ(watch.payloads(), "of ends");
  bed.ready(client("back", 100), 0);
  bed.net().advance(4'992);
  bed.settle();
  CHECK_EQ(watch.payloads(), "");
  bed.net().advance(8);
  bed.settle();
  CHECK_EQ(watch.payloads(), "of late");
  bed.net().advance(60'000);
  bed.settle();
  CHECK_EQ(watch.payloads(), "");
  // Taken over with a delay: not published, unless the session is discarded.
  bed.ready(with_will("moved", 100, 10), 1);
  bed.ready(with_will("moved", 100, 10), 0);
  CHECK_EQ(watch.payloads(), "");
  ConnectText clean = with_will("moved", 100, 10);
  clean.clean_start = true;
  bed.ready(clean, 0);
  CHECK_EQ(watch.payloads(), "of moved");
}

STMQTT_TEST("lifecycle: a Will's expiry counts from its publication") {
  Bed bed;
  Peer& watch = watcher(bed);
  ConnectText text = with_will("w", 100, 10);
  text.will_expiry_s = 7;
  bed.ready(text).cut();
  bed.settle();
  bed.net().advance(10'000);
  bed.settle();
  const auto packets = watch.take();
  REQUIRE_EQ(packets.size(), 1);
  CHECK_EQ(packets[0].expiry_s, 7);
}

STMQTT_TEST("lifecycle: sessions expire on time, and their interval may change at DISCONNECT") {
  Bed bed;
  bed.ready(client("short", 10)).cut();
  bed.ready(client("never", kNeverExpires));
  bed.ready(client("longer", 10)).say(disconnect_packet(Version::v5, ReasonCode::success, 20));
  bed.ready(client("now", 10)).say(disconnect_packet(Version::v5, ReasonCode::success, 0));
  Peer& wrong = bed.ready(client("wrong"));
  wrong.say(disconnect_packet(Version::v5, ReasonCode::success, 5));
  bed.settle();
  CHECK_EQ(wrong.took(), "DISCONNECT protocol_error");
  CHECK_EQ(bed.net().tables().directory.size(), 3);
  bed.net().advance(9'992);
  bed.settle();
  CHECK_EQ(bed.net().tables().directory.size(), 3);
  bed.net().advance(8);
  bed.settle();
  CHECK_EQ(bed.events.back(), "ended short 1");
  bed.net().advance(10'000);
  bed.settle();
  CHECK_EQ(bed.events.back(), "ended longer 1");
  CHECK_EQ(bed.net().tables().directory.size(), 1);
  CHECK_EQ(bed.counter(Counter::sessions_created) - bed.counter(Counter::sessions_ended), 1);
}

STMQTT_TEST("lifecycle: Keep Alive is one and a half times, counted from any packet") {
  Bed bed;
  ConnectText text = client("k");
  text.keep_alive_s = 10;
  Peer& peer = bed.ready(text);
  bed.net().advance(14'000);
  bed.settle();
  peer.say(pingreq_packet());
  bed.settle();
  CHECK_EQ(peer.took(), "PINGRESP");
  bed.net().advance(14'992);
  bed.settle();
  CHECK(!peer.closed());
  bed.net().advance(8);
  bed.settle();
  CHECK_EQ(peer.took(), "DISCONNECT keep_alive_timeout");
}

STMQTT_TEST("lifecycle: Keep Alive does not run while it is us who do not read") {
  NetOptions options = threads(2);
  Bed bed(options);
  ConnectText text = client("k");
  text.keep_alive_s = 10;
  Peer& peer = bed.ready(text);
  bed.net().set_congested(0, true);
  peer.publish("t", "waits", 0);
  bed.settle();
  for (int step = 0; step < 10; ++step) {
    bed.net().advance(5'000);
    bed.settle();
  }
  CHECK(!peer.closed());
  bed.net().uncongested(0);
  bed.settle();
  bed.net().advance(5'000);
  bed.settle();
  CHECK(!peer.closed());
  bed.net().advance(60'000);
  bed.settle();
  CHECK(peer.closed());
}

STMQTT_TEST("lifecycle: CONNECT must come in time, and first, and once") {
  Bed bed;
  Conn& silent = bed.net().open(0, bed.limits);
  Peer& other = bed.ready(client("c"));
  other.say(connect_packet(client("c")));
  bed.settle();
  CHECK_EQ(other.took(), "DISCONNECT protocol_error");
  Conn& wrong = bed.net().open(0, bed.limits);
  wrong.to_broker = "\x30";  // one byte of anything else is enough
  bed.settle();
  CHECK(wrong.closed);
  CHECK(!silent.closed);
  bed.net().advance(bed.limits.connect_timeout_ms);
  bed.settle();
  CHECK(silent.closed);
  CHECK_EQ(bed.net().shard(0).client_count(), 0);
}

STMQTT_TEST("lifecycle: verdicts, late ones too; nothing behind CONNECT is read before") {
  NetOptions options = threads(2);
  options.authenticate = true;
  Bed bed(options);
  Peer& peer = bed.dial(client("c", 100));
  peer.publish("t", "early", 1, 1);
  bed.settle();
  CHECK_EQ(peer.took(), "");
  contract::Verdict verdict{};
  bed.net().verdict(peer.conn(), verdict);
  bed.settle();
  CHECK_EQ(peer.took(), "CONNACK; PUBACK id 1 no_matching_subscribers");
  bed.net().verdict(peer.conn(), verdict);  // once more: nothing waits for it
  CHECK_EQ(bed.counter(Counter::verdicts_stale), 1);
  Peer& refused = bed.dial(client("d"));
  bed.settle();
  verdict.reason_code = static_cast<std::uint8_t>(ReasonCode::not_authorized);
  bed.net().verdict(refused.conn(), verdict);
  bed.settle();
  CHECK_EQ(refused.took(), "CONNACK not_authorized");
  Peer& forgotten = bed.dial(client("e"));
  bed.settle();
  bed.net().advance(10'000);
  bed.settle();
  CHECK_EQ(forgotten.took(), "CONNACK server_unavailable");
}

STMQTT_TEST("lifecycle: a session belongs to the user who was authenticated for it") {
  NetOptions options = threads(2);
  options.authenticate = true;
  Bed bed(options);
  contract::Verdict verdict{};
  const auto join = [&](const std::string& user, unsigned shard) -> Peer& {
    ConnectText text = client("c", 100);
    text.username = user;
    Peer& peer = bed.dial(text, shard);
    bed.settle();
    bed.net().verdict(peer.conn(), verdict);
    bed.settle();
    return peer;
  };
  Peer& alice = join("alice", 0);
  CHECK_EQ(alice.took(), "CONNACK");
  CHECK_EQ(join("bob", 1).took(), "CONNACK not_authorized");
  CHECK(!alice.closed());
  CHECK_EQ(join("alice", 1).took(), "CONNACK session present");
}

STMQTT_TEST("lifecycle: the disconnect command finds its client on any thread") {
  Bed bed(threads(3));
  Peer& peer = bed.ready(client("c", 100), 2);
  bed.net().shard(0).disconnect(as_bytes("c"), contract::kAnyInstance, ReasonCode::administrative_action, {});
  bed.settle();
  CHECK_EQ(peer.took(), "DISCONNECT administrative_action");
  CHECK_EQ(bed.net().tables().directory.size(), 1);
  bed.net().shard(0).disconnect(as_bytes("nobody"), contract::kAnyInstance, ReasonCode::administrative_action, {});
  CHECK_EQ(bed.counter(Counter::commands_stale), 1);
}

STMQTT_TEST("lifecycle: goodbye to all, and one disconnected event for each connected one") {
  Bed bed(threads(2));
  Peer& v5 = bed.ready(client("five", 100));
  ConnectText text = client("four");
  text.version = Version::v311;
  text.clean_start = true;
  Peer& v3 = bed.ready(text, 1);
  for (unsigned shard = 0; shard < 2; ++shard) bed.net().shard(shard).close_all();
  bed.settle();
  CHECK_EQ(v5.took(), "DISCONNECT server_shutting_down");
  CHECK_EQ(v3.took(), "");
  CHECK(v3.closed());
  const auto count = [&](std::string_view word) {
    return std::count_if(bed.events.begin(), bed.events.end(),
                         [&](const std::string& event) { return event.starts_with(word); });
  };
  CHECK_EQ(count("connected"), 2);
  CHECK_EQ(count("disconnected 15"), 2);
}

}  // namespace
