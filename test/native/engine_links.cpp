// In-process links over the engine: a client like any other, whose bytes go to TypeScript. Their
// sessions may live on another thread; credit bounds what TypeScript is sent.
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

STMQTT_TEST("engine: links publish and subscribe across threads, with sockets and each other") {
  for (const unsigned threads : {1U, 2U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    for (std::uint32_t id = 1; id <= 4; id++) {
      javascript.open_link(id);
      // The subscription lies behind CONNECT in the same bytes.
      javascript.link_send(id, connect_of({.id = "link" + std::to_string(id)}) +
                                   subscribe_of(Version::v5, 1, {"all/#"}, 2));
    }
    Peer peer(port, Version::v5);
    REQUIRE(peer.open_session({.id = "peer"}));
    CHECK(peer.exchange(subscribe_of(peer.version, 1, {"all/+"}, 2), 1));
    const auto subscribed = [&](std::uint32_t id) {
      return javascript.links[id].finished.contains(1);
    };
    CHECK(javascript.until(
        [&] { return subscribed(1) && subscribed(2) && subscribed(3) && subscribed(4); }));
    for (std::uint32_t id = 1; id <= 4; id++) {
      std::string packets;
      for (std::uint16_t at = 0; at < 30; at++) {
        packets += publish_of(Version::v5, {"all/x", std::to_string(at),
                                            static_cast<std::uint8_t>(at % 3),
                                            static_cast<std::uint16_t>(at % 3 == 0 ? 0 : 10 + at)});
      }
      javascript.link_send(id, packets);
    }
    CHECK(peer.exchange(publish_of(peer.version, {"all/y", "from the socket", 2, 2}), 2));
    CHECK(javascript.until([&] {
      int complete = 0;
      for (auto& [id, link] : javascript.links) complete += link.messages == 121 ? 1 : 0;
      return complete == 4;
    }));
    CHECK(peer.until([&] { return peer.messages == 121; }));
    // The publishers' own flows are finished as well: SUBSCRIBE and 20 publishes each.
    CHECK(javascript.until([&] { return javascript.links[4].finished.size() == 21; }));
  }
}

STMQTT_TEST("engine: a link whose session lives on another thread goes there, with what it sent") {
  for (const unsigned threads : {2U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    javascript.start();
    std::uint32_t id = 1;
    // Each of the names is taken over by links that begin on every thread in turn.
    for (int turn = 0; turn < 6; turn++) {
      id += 2;  // five a turn: not in step with two threads, nor with three
      for (int name = 0; name < 3; name++, id++) {
        LinkEnd& link = javascript.open_link(id);
        std::string packets = connect_of({.id = "n" + std::to_string(name),
                                          .clean = false,
                                          .expiry_s = 60,
                                          .will_topic = "wills"});
        packets += subscribe_of(Version::v5, 1, {"own/" + std::to_string(name)}, 1);
        for (std::uint16_t at = 0; at < 10; at++) {
          packets += publish_of(Version::v5, {"own/" + std::to_string(name), std::to_string(at), 1,
                                              static_cast<std::uint16_t>(2 + at)});
        }
        javascript.link_send(id, packets);
        CHECK(javascript.until([&] { return link.finished.size() == 11 && link.messages == 10; }));
        CHECK_EQ(link.session_present, turn > 0);
      }
    }
    CHECK(javascript.until([&] { return javascript.open.size() == 3; }));
    CHECK_EQ(javascript.disconnected[CloseCause::taken_over], 15);
    CHECK_GT(javascript.count(Counter::connections_migrated), 0);
    // Bytes for a link that has moved find it: what comes after CONNACK goes where it is.
    for (std::uint32_t last = id - 3; last < id; last++) {
      javascript.link_send(last, publish_of(Version::v5, {"other", "x", 2, 50}));
      CHECK(javascript.until([&] { return javascript.links[last].finished.contains(50); }));
      javascript.link_close(last);
      CHECK(javascript.until([&] { return javascript.links[last].closed; }));
    }
    CHECK(javascript.until([&] { return javascript.open.empty(); }));
    CHECK_EQ(javascript.disconnected[CloseCause::link_closed], 3);
  }
}

STMQTT_TEST("engine: a link that gives no credit is sent a bounded amount and disturbs nobody") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  LinkEnd& slow = javascript.open_link(1, 10'000);
  slow.gives_credit = false;
  javascript.link_send(1, connect_of({.id = "slow"}) + subscribe_of(Version::v5, 1, {"t"}, 0));
  CHECK(javascript.until([&] { return slow.finished.contains(1); }));
  Peer peer(port, Version::v5);
  REQUIRE(peer.open_session({.id = "fast"}));
  CHECK(peer.exchange(subscribe_of(peer.version, 1, {"t"}, 0), 1));
  const std::string message = publish_of(peer.version, {"t", std::string(1000, 'x'), 0, 0});
  for (int at = 0; at < 5'000; at++) CHECK(peer.send(message));
  CHECK(peer.until([&] { return peer.messages == 5'000; }));
  javascript.run(50);
  // All of what the queue held at once may come when the last byte of credit is spent.
  CHECK_LT(slow.received_bytes, 2U << 20);
  CHECK_GT(javascript.count(Counter::dropped_outbound_watermark), 0);
  // Credit comes: the rest of the queue does too, and new messages.
  slow.gives_credit = true;
  contract::LinkCredit credit{};
  credit.link_id = 1;
  credit.consumed_bytes = static_cast<std::uint32_t>(slow.received_bytes);
  CHECK(javascript.submit(Commands().add(CommandKind::link_credit, credit)));
  const int before = slow.messages;
  CHECK(javascript.until([&] { return slow.messages > before; }));
  bool found = false;
  slow.message = [&](std::string_view, std::string_view text) { found = found || text == "last"; };
  CHECK(javascript.until([&] {
    CHECK(peer.send(publish_of(peer.version, {"t", "last", 0, 0})));
    javascript.run(5);
    return found;
  }));
}

STMQTT_TEST("engine: a link's number used twice, closed twice, written to when it is gone") {
  Javascript javascript(engine_options(2));
  javascript.start();
  javascript.open_link(7);
  contract::LinkOpen again{};
  again.link_id = 7;
  again.credit_bytes = 100;
  CHECK(!javascript.submit(Commands().add(CommandKind::link_open, again)));
  javascript.link_send(7, connect_of({.id = "seven"}));
  CHECK(javascript.until([&] { return javascript.links[7].connected; }));
  javascript.link_close(7);
  javascript.link_close(7);
  javascript.link_send(7, publish_of(Version::v5, {"t", "x", 0, 0}));
  CHECK(javascript.until([&] { return javascript.links[7].closed; }));
  javascript.link_send(7, "anything");
  javascript.link_close(8);
  CHECK(javascript.until([&] { return javascript.open.empty(); }));
}

STMQTT_TEST("engine: bytes of a link that are no packets end that link only") {
  Javascript javascript(engine_options(2));
  javascript.start();
  javascript.open_link(1);
  javascript.open_link(2);
  javascript.link_send(1, connect_of({.id = "good"}));
  javascript.link_send(2, connect_of({.id = "bad"}));
  CHECK(javascript.until([&] { return javascript.open.size() == 2; }));
  javascript.link_send(2, "\xFF\xFF\xFF\xFF\xFF\xFF");
  CHECK(javascript.until([&] { return javascript.links[2].closed; }));
  CHECK_EQ(javascript.links[2].said_goodbye, ReasonCode::malformed_packet);
  javascript.link_send(1, publish_of(Version::v5, {"t", "x", 1, 5}));
  CHECK(javascript.until([&] { return javascript.links[1].finished.contains(5); }));
}

}  // namespace
}  // namespace stmqtt::test
