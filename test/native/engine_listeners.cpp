// The engine's listeners: bound before the threads run, opened and closed while they do, each with
// limits of its own; what a connection that never says CONNECT gets.
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

STMQTT_TEST("engine: what was bound and submitted before start is served from start on") {
  for (const unsigned threads : {1U, 2U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    Peer early(port, Version::v5);
    REQUIRE(early.connect({.id = "early"}));
    javascript.open_link(1);
    javascript.link_send(1, connect_of({.id = "link"}));
    javascript.start();
    CHECK(early.until([&] { return early.connected; }));
    CHECK(javascript.until([&] { return javascript.links[1].connected; }));
    CHECK(javascript.until([&] { return javascript.open.size() == 2; }));
  }
}

STMQTT_TEST("engine: listeners come and go while clients connect; others are not disturbed") {
  Javascript javascript(engine_options(3));
  const std::uint16_t steady_port = javascript.listen();
  javascript.start();
  Peer steady(steady_port, Version::v5);
  REQUIRE(steady.open_session({.id = "steady"}));

  std::atomic<std::uint16_t> port{0};
  std::atomic<bool> stop{false};
  std::atomic<int> served{0};
  std::thread clients[2];
  for (int n = 0; n < 2; n++) {
    clients[n] = std::thread([&, n] {
      while (!stop.load()) {
        const std::uint16_t to = port.load();
        if (to == 0) continue;
        Peer peer(to, Version::v311);
        if (!peer.opened()) continue;  // closed meanwhile
        static_cast<void>(peer.connect({.id = "c" + std::to_string(n), .version = Version::v311}));
        // A connection that the closing listener had not accepted yet is reset.
        if (peer.until([&] { return peer.connected; }, 2000)) served++;
      }
    });
  }
  for (int turn = 0; turn < 40; turn++) {
    port.store(javascript.listen());
    const ListenerId id = javascript.last_listener;
    const int before = served.load();
    CHECK(javascript.until([&] { return served.load() > before; }));
    javascript.engine.unlisten(id);
    javascript.engine.unlisten(id);  // once more is nothing
  }
  stop.store(true);
  for (auto& client : clients) client.join();
  CHECK(steady.send(std::string("\xC0\0", 2)) && steady.until([&] { return steady.pings == 1; }));
  CHECK(javascript.until([&] { return javascript.open.size() == 1; }));
  CHECK(eventually([&] { return !Client(port.load()).connected(); }));
}

STMQTT_TEST("engine: a connection of a closed listener lives on") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer peer(port, Version::v5);
  REQUIRE(peer.open_session({.id = "a"}));
  javascript.engine.unlisten(javascript.last_listener);
  CHECK(eventually([&] { return !Client(port).connected(); }));
  CHECK(peer.exchange(subscribe_of(peer.version, 1, {"t"}, 1), 1));
  CHECK(peer.exchange(publish_of(peer.version, {"t", "x", 1, 2}), 2));
  CHECK(peer.until([&] { return peer.messages == 1; }));
}

STMQTT_TEST("engine: each listener has its own limits") {
  Javascript javascript(engine_options(2));
  Limits small;
  small.max_packet_size = 100;
  small.max_qos = 0;
  const std::uint16_t small_port = javascript.listen(small, 1);
  const std::uint16_t large_port = javascript.listen();
  javascript.start();
  Peer a(small_port, Version::v5);
  REQUIRE(a.open_session({.id = "a"}));
  Peer b(large_port, Version::v5);
  REQUIRE(b.open_session({.id = "b"}));
  Peer second(small_port, Version::v5);  // beyond its max_connections
  CHECK(second.wait_end());
  const std::string large = publish_of(Version::v5, {"t", std::string(200, 'x'), 0, 0});
  CHECK(a.send(large) && a.wait_end());
  CHECK_EQ(a.said_goodbye, ReasonCode::packet_too_large);
  CHECK(b.send(large));
  CHECK(b.exchange(publish_of(b.version, {"t", "x", 2, 2}), 2));
  // Its place is free again.
  CHECK(javascript.until([&] { return javascript.disconnected[CloseCause::packet_too_large] == 1; }));
  CHECK(eventually([&] {
    Peer third(small_port, Version::v5);
    return third.connect({.id = "c"}) && third.until([&] { return third.connected; });
  }));
}

STMQTT_TEST("engine: max_connections of the broker counts all listeners and threads") {
  EngineOptions options = engine_options(3);
  options.max_connections = 5;
  Javascript javascript(options);
  const std::uint16_t one = javascript.listen();
  const std::uint16_t two = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int n = 0; n < 5; n++) {
    peers.push_back(std::make_unique<Peer>(n % 2 == 0 ? one : two, Version::v5));
    REQUIRE(peers.back()->open_session({.id = "p" + std::to_string(n)}));
  }
  Peer sixth(one, Version::v5);
  CHECK(sixth.wait_end());
  peers[2]->close();
  CHECK(eventually([&] {
    Peer next(two, Version::v5);
    return next.connect({.id = "next"}) && next.until([&] { return next.connected; });
  }));
}

STMQTT_TEST("engine: no CONNECT, or half of one, is closed on time") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    Limits limits;
    limits.connect_timeout_ms = 300;
    const std::uint16_t port = javascript.listen(limits);
    javascript.start();
    const std::uint64_t start = now_ms();
    Peer silent(port, Version::v5);
    Peer half(port, Version::v5);
    const std::string connect = connect_of({.id = "half"});
    CHECK(half.send(connect.substr(0, connect.size() / 2)));
    Peer dripping(port, Version::v5);  // each byte a little later: no more time for that
    CHECK(dripping.send("\x10"));
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    CHECK(dripping.send(connect.substr(1, 1)));
    CHECK(silent.wait_end() && half.wait_end() && dripping.wait_end());
    const std::uint64_t took = now_ms() - start;
    CHECK_GE(took, 290U);
    CHECK_LT(took, 3000U);
    CHECK(javascript.until([&] { return javascript.refused[CloseCause::connect_timeout] == 3; }));
    CHECK(javascript.open.empty());
    for (Peer* peer : {&silent, &half, &dripping}) peer->close();
    CHECK(eventually([&] {
      return javascript.count(Counter::connections_closed) ==
             javascript.count(Counter::connections_accepted);
    }));
  }
}

}  // namespace
}  // namespace stmqtt::test
