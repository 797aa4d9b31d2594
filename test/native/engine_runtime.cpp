// What can be changed while the engine runs: listeners, limits, options; and counters by thread.
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

STMQTT_TEST("engine: an address is free again when unlisten() returns") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    std::uint16_t port = javascript.listen();
    javascript.engine.unlisten(javascript.last_listener);  // before the threads run
    port = javascript.listen_at(port);
    javascript.start();
    ListenerId before = 0;
    std::vector<std::unique_ptr<Peer>> peers;
    for (int turn = 0; turn < 50; turn++) {
      const ListenerId id = javascript.last_listener;
      CHECK_GT(id, before);  // never used again
      before = id;
      peers.push_back(std::make_unique<Peer>(port, Version::v5));
      REQUIRE(peers.back()->open_session({.id = "p" + std::to_string(turn)}));
      javascript.engine.unlisten(id);
      CHECK(!Client(port).connected());
      CHECK_EQ(javascript.listen_at(port), port);
    }
    for (auto& peer : peers) {
      CHECK(peer->send(std::string("\xC0\0", 2)) && peer->until([&] { return peer->pings == 1; }));
    }
    javascript.drain(1000);
    CHECK(javascript.until([&] { return javascript.drained == 1; }));
    javascript.engine.unlisten(javascript.last_listener);  // closed already
    CHECK(!Client(port).connected());
  }
}

STMQTT_TEST("engine: more listeners over its life than one table of them holds") {
  Javascript javascript(engine_options(1));
  javascript.start();
  std::uint16_t port = 0;
  for (int n = 0; n < 600; n++) {
    if (n > 0) javascript.engine.unlisten(javascript.last_listener);
    port = javascript.listen();
  }
  Peer peer(port, Version::v5);
  CHECK(peer.open_session({.id = "a"}));
}

STMQTT_TEST("engine: new limits of a listener are for new connections only") {
  Javascript javascript(engine_options(2));
  Limits limits;
  limits.max_packet_size = 1000;
  const std::uint16_t port = javascript.listen(limits);
  const std::uint16_t other_port = javascript.listen(limits);
  const ListenerId id = javascript.last_listener - 1;
  javascript.start();
  Peer old_client(port, Version::v5);
  REQUIRE(old_client.open_session({.id = "old"}));
  const std::string large = publish_of(Version::v5, {"t", std::string(500, 'x'), 1, 1});
  for (int turn = 0; turn < 10; turn++) {  // equal ones do not add up
    limits.max_packet_size = turn % 2 == 0 ? 100 : 2000;
    CHECK(javascript.engine.set_limits(id, limits, 0));
    CHECK_EQ(javascript.engine.limits_of(id)->max_packet_size, limits.max_packet_size);
  }
  const Limits* kept = javascript.engine.limits_of(id);
  CHECK(javascript.engine.set_limits(id, limits, 0));
  CHECK(javascript.engine.limits_of(id) == kept);
  limits.max_packet_size = 100;
  CHECK(javascript.engine.set_limits(id, limits, 2));
  Peer new_client(port, Version::v5);
  REQUIRE(new_client.open_session({.id = "new"}));
  CHECK(new_client.send(large) && new_client.wait_end());
  CHECK_EQ(new_client.said_goodbye, ReasonCode::packet_too_large);
  CHECK(old_client.exchange(large, 1));
  Peer other(other_port, Version::v5);
  REQUIRE(other.open_session({.id = "other"}));
  CHECK(other.exchange(large, 1));
  // Its number of connections: two, of which one is left.
  CHECK(javascript.until([&] { return javascript.disconnected[CloseCause::packet_too_large] == 1; }));
  std::unique_ptr<Peer> second;
  CHECK(eventually([&] {
    second = std::make_unique<Peer>(port, Version::v5);
    return second->connect({.id = "second"}) && second->until([&] { return second->connected; });
  }));
  CHECK(Peer(port, Version::v5).wait_end());
  CHECK(!javascript.engine.set_limits(99, limits, 0));
  javascript.engine.unlisten(id);
  CHECK(!javascript.engine.set_limits(id, limits, 0));
  CHECK(old_client.exchange(large, 1));  // what it has outlives its listener
}

STMQTT_TEST("engine: new limits of links") {
  Javascript javascript(engine_options(2));
  Limits limits;
  limits.max_packet_size = 60;
  CHECK(javascript.engine.set_limits(0, limits, 0));
  javascript.start();
  LinkEnd& link = javascript.open_link(1);
  javascript.link_send(1, connect_of({.id = "link"}));
  CHECK(javascript.until([&] { return link.connected; }));
  javascript.link_send(1, publish_of(Version::v5, {"t", std::string(100, 'x'), 0, 0}));
  CHECK(javascript.until([&] { return link.closed; }));
}

STMQTT_TEST("engine: the number of connections changes while it runs") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int n = 0; n < 3; n++) {
    peers.push_back(std::make_unique<Peer>(port, Version::v5));
    REQUIRE(peers.back()->open_session({.id = "p" + std::to_string(n)}));
  }
  LiveOptions live = javascript.engine.live();
  live.max_connections = 2;
  javascript.engine.configure(live);
  CHECK(Peer(port, Version::v5).wait_end());
  for (auto& peer : peers) {  // those who are there stay
    CHECK(peer->send(std::string("\xC0\0", 2)) && peer->until([&] { return peer->pings == 1; }));
  }
  live.max_connections = 4;
  javascript.engine.configure(live);
  Peer fourth(port, Version::v5);
  CHECK(fourth.open_session({.id = "fourth"}));
}

STMQTT_TEST("engine: watermarks, budget, cache and events change under traffic") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    std::atomic<bool> stop{false};
    std::atomic<int> rounds{0};
    std::thread traffic([&] {
      Peer a(port, Version::v5);
      Peer b(port, Version::v5);
      CHECK(a.open_session({.id = "a"}) && b.open_session({.id = "b"}));
      CHECK(b.exchange(subscribe_of(b.version, 1, {"$share/g/#"}, 1), 1));
      while (!stop.load()) {
        const std::string topic = "t/" + std::to_string(rounds % 50);
        CHECK(a.exchange(publish_of(a.version, {topic, std::string(300, 'x'), 1, 7}), 7));
        rounds++;
      }
      CHECK(b.until([&] { return b.messages == rounds.load(); }));
    });
    LiveOptions live = javascript.engine.live();
    for (int turn = 0; turn < 40; turn++) {
      live.outbound_high_watermark_bytes = turn % 2 == 0 ? 1024 : 1 << 20;
      live.outbound_low_watermark_bytes = live.outbound_high_watermark_bytes / 4;
      live.match_cache_bytes = turn % 3 == 0 ? 0 : 1 << 20;
      live.max_memory_bytes = turn % 4 == 0 ? 100'000'000 : 0;
      live.event_mask = turn % 2 == 0 ? 0 : 0xFFFFFFFF;
      live.verdict_timeout_ms = 1000U + static_cast<unsigned>(turn);
      live.shared_strategy = static_cast<SharedStrategy>(turn % 5);
      live.max_connections = turn % 2 == 0 ? 0 : 1000;
      javascript.engine.configure(live);
      const int before = rounds.load();
      CHECK(javascript.until([&] { return rounds.load() > before; }));
    }
    stop.store(true);
    traffic.join();
  }
}

STMQTT_TEST("engine: above a watermark that was lowered QoS 0 is dropped, and counted") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer slow(port, Version::v5, 4096);
  REQUIRE(slow.open_session({.id = "slow"}));
  REQUIRE(slow.exchange(subscribe_of(slow.version, 1, {"t"}, 0), 1));
  Peer fast(port, Version::v5);
  REQUIRE(fast.open_session({.id = "fast"}));
  LiveOptions live = javascript.engine.live();
  live.outbound_high_watermark_bytes = 10'000;
  live.outbound_low_watermark_bytes = 1'000;
  javascript.engine.configure(live);
  const std::string message = publish_of(fast.version, {"t", std::string(10'000, 'x'), 0, 0});
  // Less than the high watermark that it was built with, beyond what the sockets take.
  const auto sends = [&](std::size_t count) {
    for (std::size_t n = 0; n < count; n++) CHECK(fast.send(message));
    CHECK(fast.exchange(publish_of(fast.version, {"end", "", 1, 3}), 3));
  };
  CHECK(eventually([&] {
    sends(10);
    return javascript.count(Counter::dropped_outbound_watermark) > 0;
  }));
  CHECK_LT(javascript.count(Counter::outbound_bytes), 40'000);
}

STMQTT_TEST("engine: the memory budget changes while it runs") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer keeper(port, Version::v5);
  REQUIRE(keeper.open_session({.id = "keeper"}));
  CHECK(keeper.exchange(
      publish_of(keeper.version, {"r", std::string(50'000, 'x'), 1, 1, true}), 1));
  LiveOptions live = javascript.engine.live();
  live.max_memory_bytes = 48'000;
  javascript.engine.configure(live);
  CHECK(eventually([&] {
    CHECK(keeper.send(publish_of(keeper.version, {"t", "x", 0, 0})));
    return javascript.count(Counter::dropped_memory_budget) > 0;
  }));
  live.max_memory_bytes = 0;
  javascript.engine.configure(live);
  CHECK(keeper.exchange(publish_of(keeper.version, {"t", "x", 1, 4}), 4));
  const std::int64_t dropped = javascript.count(Counter::dropped_memory_budget);
  CHECK(keeper.send(publish_of(keeper.version, {"t", "x", 0, 0})));
  CHECK(keeper.exchange(publish_of(keeper.version, {"t", "x", 1, 5}), 5));
  CHECK_EQ(javascript.count(Counter::dropped_memory_budget), dropped);
}

STMQTT_TEST("engine: the event mask and the time for a verdict change while it runs") {
  EngineOptions options = engine_options(2);
  options.authenticate = true;
  Javascript javascript(options);
  javascript.judge = [](std::string_view id) { return Judgement{.answer = id != "silence"}; };
  const std::uint16_t port = javascript.listen();
  javascript.start();
  LiveOptions live = javascript.engine.live();
  live.event_mask = 0;
  live.verdict_timeout_ms = 200;
  javascript.engine.configure(live);
  Peer unseen(port, Version::v5);
  CHECK(unseen.connect({.id = "unseen"}));
  CHECK(javascript.until([&] { return unseen.until([&] { return unseen.connected; }, 1); }));
  CHECK(javascript.ever.empty());
  const std::uint64_t start = now_ms();
  Peer silence(port, Version::v5);
  CHECK(silence.connect({.id = "silence"}));
  CHECK(javascript.until([&] { return silence.wait_end(1); }));
  CHECK_LT(now_ms() - start, 5000U);  // the default is ten seconds
  CHECK_EQ(silence.refusal, ReasonCode::server_unavailable);
  live.event_mask = 0xFFFFFFFF;
  javascript.engine.configure(live);
  Peer seen(port, Version::v5);
  CHECK(seen.connect({.id = "seen"}));
  CHECK(javascript.until([&] {
    return seen.until([&] { return seen.connected; }, 1) && javascript.ever.size() == 1;
  }));
}

STMQTT_TEST("engine: the counters of all threads add up to the broker's") {
  Javascript javascript(engine_options(3));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  CHECK_EQ(javascript.engine.io_threads(), 3U);
  for (int n = 0; n < 6; n++) {
    Peer peer(port, Version::v5);
    REQUIRE(peer.open_session({.id = "p" + std::to_string(n)}));
    CHECK(peer.exchange(publish_of(peer.version, {"t", "x", 1, 1}), 1));
  }
  std::int64_t sum = 0;
  int busy = 0;
  std::int64_t one[contract::kCounterCount];
  for (std::size_t thread = 0; thread < 3; thread++) {
    CHECK(javascript.engine.thread_counters(thread, one));
    const std::int64_t here = one[static_cast<std::size_t>(Counter::publish_received_qos1)];
    sum += here;
    if (here > 0) busy++;
    CHECK_GT(one[static_cast<std::size_t>(Counter::loop_turns)], 0);
    CHECK_GT(one[static_cast<std::size_t>(Counter::busy_ns)], 0);
  }
  CHECK_EQ(sum, 6);
  CHECK_EQ(busy, 3);  // connections go round
  CHECK(!javascript.engine.thread_counters(3, one));
  CHECK(std::ranges::all_of(one, [](std::int64_t value) { return value == 0; }));
}

}  // namespace
}  // namespace stmqtt::test
