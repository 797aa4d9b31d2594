// The end of an engine: drain (say goodbye, flush, report) and stop (join, whatever goes on).
#include <random>
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

/// Clients that come, talk and go until told to stop. Their sockets may break at any time.
class Crowd {
 public:
  Crowd(std::uint16_t port, int threads) {
    for (int n = 0; n < threads; n++) threads_.emplace_back([this, port, n] { run(port, n); });
  }
  ~Crowd() {
    stop_.store(true);
    for (auto& thread : threads_) thread.join();
  }
  std::atomic<int> turns{0};

 private:
  void run(std::uint16_t port, int n) {
    std::mt19937 random(static_cast<unsigned>(seed()) + static_cast<unsigned>(n));
    while (!stop_.load()) {
      const Version version = random() % 2 == 0 ? Version::v5 : Version::v311;
      Peer peer(port, version);
      if (!peer.opened()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      // Names are shared: takeovers and moves between threads are part of it.
      const std::string name = "crowd" + std::to_string(random() % 4);
      std::string bytes = connect_of({.id = name, .version = version, .will_topic = "c/will"});
      bytes += subscribe_of(version, 1, {"c/#"}, 1);
      for (std::uint16_t at = 2; at < 12; at++) {
        bytes += publish_of(version, {"c/" + std::to_string(at % 3), std::string(random() % 300, 'x'),
                                      static_cast<std::uint8_t>(random() % 3), at});
      }
      static_cast<void>(peer.send(bytes));
      peer.idle(random() % 10);
      if (random() % 2 == 0) static_cast<void>(peer.send(disconnect_of(version)));
      turns++;
    }
  }

  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

STMQTT_TEST("engine: drain tells 0x8B, flushes what is queued, and reports once") {
  for (const unsigned threads : {1U, 2U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    Peer five(port, Version::v5);
    Peer three(port, Version::v311);
    Peer silent(port, Version::v5);  // no CONNECT yet
    REQUIRE(five.open_session({.id = "five"}));
    REQUIRE(three.open_session({.id = "three", .version = Version::v311}));
    CHECK(five.exchange(subscribe_of(five.version, 1, {"t"}, 0), 1));
    javascript.open_link(1);
    javascript.link_send(1, connect_of({.id = "link"}));
    CHECK(javascript.until([&] { return javascript.open.size() == 3; }));
    for (int at = 0; at < 100; at++) {
      CHECK(three.send(publish_of(three.version, {"t", std::string(3000, 'x'), 0, 0})));
    }
    CHECK(three.exchange(publish_of(three.version, {"other", "x", 1, 9}), 9));
    javascript.drain(5'000);
    CHECK(five.wait_end());
    CHECK_EQ(five.said_goodbye, ReasonCode::server_shutting_down);
    CHECK_EQ(five.messages, 100);
    CHECK(three.wait_end() && silent.wait_end());
    CHECK(javascript.until([&] { return javascript.drained == 1; }));
    CHECK_EQ(javascript.unflushed, 0U);
    CHECK(javascript.links[1].closed);
    CHECK_EQ(javascript.links[1].said_goodbye, ReasonCode::server_shutting_down);
    CHECK(javascript.open.empty());
    CHECK(!Client(port).connected());
    // Once is enough.
    javascript.drain(0);
    javascript.run(20);
    CHECK_EQ(javascript.drained, 1);
  }
}

STMQTT_TEST("engine: drain loses nothing that was acknowledged: across threads, behind a window") {
  for (const unsigned threads : {1U, 2U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    // Sessions that end with their connections, on all threads.
    std::vector<std::unique_ptr<Peer>> subscribers;
    std::vector<std::set<std::string>> got(6);
    for (std::size_t n = 0; n < 6; n++) {
      auto peer = std::make_unique<Peer>(port, n % 2 == 0 ? Version::v5 : Version::v311);
      REQUIRE(peer->open_session({.id = "s" + std::to_string(n), .version = peer->version}));
      CHECK(peer->exchange(subscribe_of(peer->version, 1, {"t"}, 1), 1));
      peer->message = [&got, n](std::string_view, std::string_view text) {
        got[n].emplace(text);
      };
      subscribers.push_back(std::move(peer));
    }
    std::mutex mutex;
    std::set<std::string> acknowledged;  // guarded by mutex
    std::vector<std::thread> publishers;
    for (int number = 0; number < 3; number++) {
      publishers.emplace_back([&, number] {
        Peer peer(port, Version::v5);
        CHECK(peer.open_session({.id = "p" + std::to_string(number)}));
        // Fewer than a session's queue takes: none is dropped by its bound.
        for (int turn = 0; turn < 60; turn++) {
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          std::string bytes;
          std::map<std::uint16_t, std::string> sent;
          for (std::uint16_t id = 1; id <= 50; id++) {
            sent[id] = std::to_string(number) + " " + std::to_string(turn * 50 + id);
            bytes += publish_of(peer.version, {"t", sent[id], 1, id});
          }
          peer.finished.clear();
          const bool whole =
              peer.send(bytes) && peer.until([&] { return peer.finished.size() == 50; }, 2'000);
          const std::lock_guard lock(mutex);
          for (const auto& [id, text] : sent) {
            if (peer.finished.contains(id)) acknowledged.insert(text);
          }
          if (!whole) return;
        }
      });
    }
    // They read only now and then, so that much waits behind their windows.
    for (int turn = 0; turn < 10; turn++) {
      for (auto& peer : subscribers) peer->idle(2);
    }
    javascript.drain(20'000);
    std::vector<std::thread> readers;
    for (auto& peer : subscribers) {
      readers.emplace_back([&peer] { CHECK(peer->wait_end(20'000)); });
    }
    CHECK(javascript.until([&] { return javascript.drained == 1; }));
    for (auto& reader : readers) reader.join();
    for (auto& publisher : publishers) publisher.join();
    CHECK_EQ(javascript.unflushed, 0U);
    CHECK_GT(acknowledged.size(), 100U);
    for (const auto& texts : got) {
      std::size_t missing = 0;
      for (const std::string& text : acknowledged) missing += texts.contains(text) ? 0 : 1;
      CHECK_EQ(missing, 0U);
    }
  }
}

STMQTT_TEST("engine: drain waits no longer than it may for one that never acknowledges") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Client mute(port);  // reads nothing and answers nothing
  CHECK(mute.send(connect_of({.id = "mute"}) + subscribe_of(Version::v5, 1, {"t"}, 1)));
  CHECK(javascript.until([&] { return javascript.alive["mute"] == 1; }));
  Peer publisher(port, Version::v5);
  REQUIRE(publisher.open_session({.id = "publisher"}));
  CHECK(eventually([&] { return javascript.count(Counter::subscriptions_added) == 1; }));
  CHECK(publisher.exchange(publish_of(publisher.version, {"t", "x", 1, 9}), 9));
  javascript.drain(400);
  CHECK(javascript.until([&] { return javascript.drained == 1; }));
  CHECK_EQ(javascript.unflushed, 1U);
}

STMQTT_TEST("engine: drain cuts at its deadline whoever does not read") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    Peer stuck(port, Version::v5, 4096);
    REQUIRE(stuck.open_session({.id = "stuck"}));
    CHECK(stuck.exchange(subscribe_of(stuck.version, 1, {"t"}, 0), 1));
    Peer kicked(port, Version::v5, 4096);  // is being closed already when the drain comes
    REQUIRE(kicked.open_session({.id = "kicked"}));
    CHECK(kicked.exchange(subscribe_of(kicked.version, 1, {"t"}, 0), 1));
    Peer publisher(port, Version::v5);
    REQUIRE(publisher.open_session({.id = "publisher"}));
    const std::string message = publish_of(publisher.version, {"t", std::string(60'000, 'x'), 0, 0});
    for (int at = 0; at < 200; at++) CHECK(publisher.send(message));
    CHECK(publisher.exchange(publish_of(publisher.version, {"other", "x", 1, 9}), 9));
    CHECK(eventually([&] { return javascript.count(Counter::outbound_bytes) > 100'000; }));
    javascript.disconnect("kicked", ReasonCode::administrative_action);
    CHECK(javascript.until([&] { return javascript.alive["kicked"] == 0; }));
    const std::uint64_t start = now_ms();
    javascript.drain(300);
    CHECK(javascript.until([&] { return javascript.drained == 1; }));
    const std::uint64_t took = now_ms() - start;
    CHECK_GE(took, 280U);
    CHECK_LT(took, 2'500U);
    CHECK_EQ(javascript.unflushed, 2U);
    CHECK(publisher.wait_end());
    CHECK_EQ(publisher.said_goodbye, ReasonCode::server_shutting_down);
  }
}

STMQTT_TEST("engine: drain under traffic ends, and every connection has had its end") {
  for (int turn = 0; turn < 6; turn++) {
    const unsigned threads = 1 + static_cast<unsigned>(turn) % 3;
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    Crowd crowd(port, 3);
    // Links that move while it drains.
    std::uint32_t link = 1;
    const auto open_links = [&] {
      for (int n = 0; n < 3; n++, link++) {
        javascript.open_link(link);
        javascript.link_send(link, connect_of({.id = "crowd" + std::to_string(link % 4),
                                               .expiry_s = 30}));
      }
    };
    CHECK(javascript.until([&] { return crowd.turns.load() > 10; }));
    open_links();
    javascript.drain(1'000);
    open_links();
    CHECK(javascript.until([&] { return javascript.drained == 1; }));
    CHECK(javascript.open.empty());
    // Those that were opened behind the drain end too, though it need not wait for them.
    CHECK(javascript.until([&] {
      for (auto& [id, end] : javascript.links) {
        if (!end.closed) return false;
      }
      return true;
    }));
    javascript.engine.stop();
    javascript.serve();
    CHECK(javascript.open.empty());
    CHECK_EQ(javascript.drained, 1);
  }
}

STMQTT_TEST("engine: stop in the middle of everything") {
  std::mt19937 random(static_cast<unsigned>(seed()));
  for (int turn = 0; turn < 12; turn++) {
    const Context context("turn", turn);
    EngineOptions options = engine_options(1 + static_cast<unsigned>(turn) % 3);
    options.authenticate = turn % 4 == 3;
    if (turn % 4 == 2) {
      options.store = StoreKind::trial;
      options.trial_store.delay_ms = 3;
    }
    Javascript javascript(options);
    const std::uint16_t port = javascript.listen();
    javascript.start();
    Crowd crowd(port, 3);
    for (std::uint32_t id = 1; id < 4; id++) {
      javascript.open_link(id);
      javascript.link_send(id, connect_of({.id = "crowd" + std::to_string(id)}) +
                                   subscribe_of(Version::v5, 1, {"c/#"}, 2));
    }
    javascript.run(random() % 60);
    if (turn % 3 == 0) javascript.drain(random() % 20);
    static_cast<void>(javascript.listen());
    const std::uint64_t start = now_ms();
    javascript.engine.stop();
    CHECK_LT(now_ms() - start, 3'000U);
    javascript.engine.stop();  // idempotent
    CHECK_NE(javascript.engine.listen({}).error.code, 0);
    javascript.disconnect("nobody", ReasonCode::administrative_action);  // for nobody any more
    javascript.serve();
  }
}

STMQTT_TEST("engine: built and destroyed, with and without a start, with work waiting") {
  for (int turn = 0; turn < 20; turn++) {
    Javascript javascript(engine_options(1 + static_cast<unsigned>(turn) % 3));
    const std::uint16_t port = javascript.listen();
    Peer peer(port, Version::v5);
    CHECK(peer.connect({.id = "a"}));
    javascript.open_link(1);
    javascript.link_send(1, connect_of({.id = "b"}));
    if (turn % 2 == 0) javascript.start();
    if (turn % 4 == 0) javascript.run(static_cast<std::uint64_t>(turn) / 4);
  }
}

STMQTT_TEST("engine: events that were written before the threads ended can still be read") {
  Javascript javascript(engine_options(3));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int n = 0; n < 9; n++) {
    peers.push_back(std::make_unique<Peer>(port, Version::v5));
    REQUIRE(peers.back()->open_session({.id = "p" + std::to_string(n)}));
  }
  javascript.drain(500);
  for (auto& peer : peers) CHECK(peer->wait_end());
  javascript.engine.stop();
  CHECK(javascript.ever.empty());
  javascript.serve();
  CHECK_EQ(javascript.ever.size(), 9U);
  CHECK(javascript.open.empty());
}

}  // namespace
}  // namespace stmqtt::test
