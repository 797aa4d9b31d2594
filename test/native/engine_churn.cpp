// The whole engine under churn: clients on several threads connect, subscribe, publish with every
// QoS, take each other over, break off; JavaScript judges, kicks and runs links meanwhile. At the
// end nothing may be left: no connection, no session, no message, no byte.
// ST_MQTTD_CHURN_S makes it last longer. Made for the sanitizers; finds plenty without them.
#include <cstdlib>
#include <random>
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;

std::uint64_t churn_ms(std::uint64_t usual_ms) {
  const char* seconds = std::getenv("ST_MQTTD_CHURN_S");
  return seconds == nullptr ? usual_ms : std::strtoull(seconds, nullptr, 10) * 1000;
}

constexpr int kNames = 8;
const char* const kFilters[] = {"c/0",        "c/1",   "c/+",      "c/#", "$share/g/c/+",
                                "$share/h/#", "wills", "retained/#"};
const char* const kTopics[] = {"c/0", "c/1", "c/2/deep", "retained/a", "retained/b", "nobody"};

/// One client thread: many short lives, most of them rude.
class Churner {
 public:
  Churner(std::uint16_t port, unsigned number) : port_(port), random_(seed() * 31 + number) {}

  void run(const std::atomic<bool>& stop) {
    while (!stop.load()) live();
  }

 private:
  std::uint32_t one_in(std::uint32_t n) { return random_() % n == 0; }

  void live() {
    const Version version = one_in(3) ? Version::v311 : one_in(5) ? Version::v31 : Version::v5;
    Peer peer(port_, version, one_in(10) ? 2048 : 0);
    if (!peer.opened()) return;
    if (one_in(20)) {  // not even a whole CONNECT
      static_cast<void>(peer.send(connect_of({.id = "half"}).substr(0, 1 + random_() % 10)));
      return;
    }
    ConnectSpec spec;
    spec.id = "churn" + std::to_string(random_() % kNames);
    spec.version = version;
    spec.clean = one_in(2);
    spec.expiry_s = one_in(2) ? 30 : 0;
    spec.receive_maximum = one_in(3) ? 3 : 0;
    spec.aliases = one_in(3) ? 4 : 0;
    if (one_in(3)) spec.will_topic = "wills";
    if (one_in(3)) spec.will_delay_s = 1;
    std::string bytes = connect_of(spec);
    if (one_in(2)) bytes += subscriptions(version);
    while (!one_in(6)) bytes += publish(version);
    // Most say something before they know whether they are let in.
    if (!peer.send(bytes)) return;
    if (one_in(8)) return one_in(2) ? peer.reset() : peer.close();
    if (!peer.until([&] { return peer.connected || peer.ended(); }) || peer.ended()) return;
    while (!peer.ended() && !one_in(8)) {
      switch (random_() % 6) {
        case 0:
          static_cast<void>(peer.send(subscriptions(version)));
          break;
        case 1:
          static_cast<void>(peer.send(
              unsubscribe_of(version, next_id(), kFilters[random_() % std::size(kFilters)])));
          break;
        case 2:
          static_cast<void>(peer.send(std::string("\xC0\0", 2)));
          break;
        case 3:
          peer.idle(random_() % 8);
          break;
        default: {
          std::string burst;
          for (std::uint32_t n = random_() % 40; n > 0; n--) burst += publish(version);
          static_cast<void>(peer.send(burst));
          break;
        }
      }
      peer.idle(0);
    }
    if (one_in(12)) static_cast<void>(peer.send("\x00\xFF nonsense"));
    if (one_in(3)) static_cast<void>(peer.send(disconnect_of(version)));
    if (one_in(3)) peer.idle(3);
    if (one_in(3)) peer.reset();
  }
  std::string subscriptions(Version version) {
    std::vector<std::string> filters;
    do {
      filters.emplace_back(kFilters[random_() % std::size(kFilters)]);
    } while (one_in(2));
    return subscribe_of(version, next_id(), filters, static_cast<std::uint8_t>(random_() % 3));
  }
  std::string publish(Version version) {
    PublishSpec spec;
    spec.topic = kTopics[random_() % std::size(kTopics)];
    spec.payload = std::string(one_in(20) ? 5'000 : random_() % 100, 'p');
    spec.qos = static_cast<std::uint8_t>(random_() % 3);
    spec.packet_id = spec.qos == 0 ? std::uint16_t{0} : next_id();
    spec.retain = spec.topic.starts_with("retained");
    return publish_of(version, spec);
  }
  std::uint16_t next_id() {
    if (++last_id_ == 0) ++last_id_;
    return last_id_;
  }

  const std::uint16_t port_;
  std::mt19937_64 random_;
  std::uint16_t last_id_ = 0;
};

/// What JavaScript does meanwhile: links that come and go, clients that are told to leave.
class Meddler {
 public:
  /// `max_expiry_s`: of the sessions of links. Where clients are judged nobody else could end them: a
  /// session is resumed, and ended, only by whom it belongs to.
  Meddler(Javascript& javascript, std::uint32_t max_expiry_s)
      : javascript_(javascript), random_(seed()), max_expiry_s_(max_expiry_s) {}

  void turn() {
    if (random_() % 4 == 0) {
      javascript_.disconnect("churn" + std::to_string(random_() % kNames),
                             ReasonCode::administrative_action);
    }
    if (javascript_.links.size() < 1'000 && random_() % 8 == 0) {
      const std::uint32_t id = ++last_link_;
      javascript_.open_link(id, random_() % 4 == 0 ? 500 : 100'000);
      javascript_.link_send(
          id, connect_of({.id = "churn" + std::to_string(random_() % kNames),
                          .clean = random_() % 2 == 0,
                          .expiry_s = random_() % 2 == 0 ? max_expiry_s_ : 0U,
                          .will_topic = random_() % 2 == 0 ? "wills" : ""}) +
                  subscribe_of(Version::v5, 1, {kFilters[random_() % std::size(kFilters)]}, 2) +
                  publish_of(Version::v5, {"c/0", "from a link", 2, 2}));
    }
    if (last_link_ > 0 && random_() % 8 == 0) {
      javascript_.link_close(1 + static_cast<std::uint32_t>(random_()) % last_link_);
    }
  }
  void end() {
    for (std::uint32_t id = 1; id <= last_link_; id++) javascript_.link_close(id);
  }

 private:
  Javascript& javascript_;
  std::mt19937_64 random_;
  const std::uint32_t max_expiry_s_;
  std::uint32_t last_link_ = 0;
};

/// Ends all sessions and retained messages. On a thread of its own: it may have to be judged here.
void clean(Javascript& javascript, std::uint16_t port) {
  std::atomic<bool> done{false};
  std::thread cleaner([&] {
    const auto serve = [&](const ConnectSpec& spec, const std::string& bytes, std::uint16_t id) {
      Peer peer(port, Version::v5);
      CHECK(peer.open_session(spec));
      if (id != 0) CHECK(peer.exchange(bytes, id));
      CHECK(peer.send(disconnect_of(Version::v5)) && peer.wait_end());
    };
    for (int n = 0; n < kNames; n++) serve({.id = "churn" + std::to_string(n)}, {}, 0);
    for (const char* topic : {"retained/a", "retained/b"}) {
      serve({.id = "cleaner"}, publish_of(Version::v5, {topic, "", 1, 1, true}), 1);
    }
    done.store(true);
  });
  CHECK(javascript.until([&] { return done.load(); }));
  cleaner.join();
}

/// Cleans, then looks whether anything is left.
void check_nothing_left(Javascript& javascript, std::uint16_t port) {
  CHECK(javascript.until([&] { return javascript.open.empty(); }));
  for (auto& [id, link] : javascript.links) CHECK(link.closed);
  const auto left = [&](Counter counter) { return javascript.count(counter); };
  const auto nothing = [&] {
    javascript.poke();
    return left(Counter::sessions_created) == left(Counter::sessions_ended) &&
           left(Counter::connections_accepted) == left(Counter::connections_closed) &&
           left(Counter::message_bytes) == 0;
  };
  // More than once, because a retained QoS 2 publish that waits for the store, its publisher long
  // gone, may reach the index behind the publish that clears it.
  for (const std::uint64_t wait_ms : {std::uint64_t{1'000}, std::uint64_t{1'000}, kPatienceMs}) {
    clean(javascript, port);
    if (javascript.until(nothing, wait_ms)) break;
  }
  CHECK_EQ(left(Counter::sessions_created), left(Counter::sessions_ended));
  CHECK_EQ(left(Counter::connections_accepted), left(Counter::connections_closed));
  CHECK_EQ(left(Counter::messages_queued), 0);
  CHECK_EQ(left(Counter::messages_in_flight), 0);
  CHECK_EQ(left(Counter::message_bytes), 0);
  CHECK_EQ(left(Counter::outbound_bytes), 0);
  CHECK_EQ(left(Counter::subscriptions_added), left(Counter::subscriptions_removed));
  CHECK(javascript.until([&] { return javascript.open.empty(); }));
}

void churn(EngineOptions options, std::uint64_t ms, bool expects_promises_kept = true) {
  const Context context("threads", options.io_threads);
  const std::uint32_t link_expiry_s = options.authenticate ? 0 : 30;
  Javascript javascript(std::move(options));
  std::mt19937 random(static_cast<unsigned>(seed()));
  javascript.judge = [&](std::string_view) {
    Judgement judgement;
    judgement.after_ms = random() % 8;
    judgement.answer = random() % 50 != 0;
    if (random() % 10 == 0) judgement.reason = ReasonCode::not_authorized;
    if (random() % 10 == 0) judgement.client_id = "churn" + std::to_string(random() % kNames);
    return judgement;
  };
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned n = 0; n < 4; n++) {
    threads.emplace_back([&stop, port, n] { Churner(port, n).run(stop); });
  }
  Meddler meddler(javascript, link_expiry_s);
  const std::uint64_t end = now_ms() + ms;
  while (now_ms() < end) {
    meddler.turn();
    javascript.run(2);
  }
  meddler.end();
  stop.store(true);
  // JavaScript goes on serving, or those that wait for a verdict would not end.
  std::atomic<bool> joined{false};
  std::thread joiner([&] {
    for (auto& thread : threads) thread.join();
    joined.store(true);
  });
  CHECK(javascript.until([&] { return joined.load(); }));
  joiner.join();
  javascript.judge = [](std::string_view) { return Judgement{}; };
  if (expects_promises_kept) {
    check_nothing_left(javascript, port);
  } else {
    CHECK(javascript.until([&] { return javascript.open.empty(); }));
  }
  CHECK_GT(javascript.ever.size(), 10U);
  CHECK_GT(javascript.count(Counter::takeovers), 0);
}

STMQTT_TEST("engine: churn leaves nothing behind, with 1, 2 and 3 I/O threads") {
  for (const unsigned threads : {1U, 2U, 3U}) churn(engine_options(threads), churn_ms(800));
}

STMQTT_TEST("engine: churn where JavaScript judges, late, harshly, under other names or never") {
  for (const unsigned threads : {1U, 3U}) {
    EngineOptions options = engine_options(threads);
    options.authenticate = true;
    options.verdict_timeout_ms = 100;
    churn(options, churn_ms(800));
  }
}

STMQTT_TEST("engine: churn over a slow store leaves nothing behind") {
  for (const unsigned threads : {1U, 3U}) {
    EngineOptions options = engine_options(threads);
    options.store = StoreKind::trial;
    options.trial_store.delay_ms = 4;
    churn(options, churn_ms(800));
  }
}

STMQTT_TEST("engine: churn over a store that fails ends connections and nothing else") {
  for (const std::uint64_t granted : {std::uint64_t{0}, std::uint64_t{100}}) {
    EngineOptions options = engine_options(2);
    options.store = StoreKind::trial;
    options.trial_store.granted_tickets = granted;
    churn(options, churn_ms(500), false);
  }
}

STMQTT_TEST("engine: churn with small bounds: queues, watermarks, memory, receive maximum") {
  EngineOptions options = engine_options(2);
  options.max_memory_bytes = 200'000;
  options.outbound_high_watermark_bytes = 4'000;
  options.outbound_low_watermark_bytes = 1'000;
  options.match_cache_bytes = 2'000;
  options.max_connections = 20;
  options.placement = Placement::least_connections;
  churn(options, churn_ms(800));
}

}  // namespace
}  // namespace stmqtt::test
