// One Client Identifier, many connections at the same time on different threads: connections move to
// the session's home with what lies behind their CONNECT, and nothing that was acknowledged is lost,
// doubled or out of order on the way.
#include <mutex>
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

/// What the storm's clients were told is taken, and what a watcher got.
struct Ledger {
  std::mutex mutex;
  std::set<std::string> acknowledged;  ///< guarded by mutex
};

/// Reads until told that it has everything; on its own thread and its own session.
class Watcher {
 public:
  Watcher(std::uint16_t port, int number) : peer_(port, Version::v5) {
    CHECK(peer_.open_session({.id = "watcher" + std::to_string(number)}));
    CHECK(peer_.exchange(subscribe_of(peer_.version, 1, {"log/#"}, 2), 1));
    peer_.message = [this](std::string_view topic, std::string_view text) {
      const std::string payload(text);
      CHECK(got_.insert(payload).second);  // once
      const int sequence = std::stoi(payload.substr(payload.find(' ') + 1));
      int& last = last_[std::string(topic)];
      CHECK_LT(last, sequence);  // in order, for each publisher
      last = sequence;
      count_.store(static_cast<int>(got_.size()));
    };
    thread_ = std::thread([this] {
      while (!stop_.load()) peer_.idle(5);
      peer_.idle(50);
    });
  }
  ~Watcher() { finish(); }
  /// Waits for what is still on its way, then returns all it got.
  const std::set<std::string>& finish() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
    return got_;
  }
  [[nodiscard]] int count() const { return count_.load(); }

 private:
  Peer peer_;
  std::set<std::string> got_;
  std::map<std::string, int> last_;
  std::atomic<int> count_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void storm_client(std::uint16_t port, int number, const ConnectSpec& spec, int pause_ms,
                  Ledger& ledger) {
  const std::string topic = "log/" + std::to_string(number);
  int sequence = 0;
  for (int turn = 0; turn < 30; turn++) {
    Peer peer(port, spec.version);
    if (!peer.opened()) continue;
    std::string bytes = connect_of(spec);
    std::map<std::uint16_t, std::string> sent;
    bytes += subscribe_of(spec.version, 1, {"own/#", "own/+"}, 1);
    for (std::uint16_t id = 2; id < 12; id++) {
      const std::string payload = std::to_string(number) + " " + std::to_string(++sequence);
      bytes += publish_of(spec.version, {topic, payload, 1, id});
      sent[id] = payload;
    }
    bytes += publish_of(spec.version, {"own/x", "mine", 1, 20});
    CHECK(peer.send(bytes));
    // Until all is done, or somebody takes over.
    peer.until([&] { return peer.finished.size() == 12; }, 2'000);
    peer.close();
    if (pause_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms * number));
    const std::lock_guard lock(ledger.mutex);
    for (const auto& [id, payload] : sent) {
      if (peer.finished.contains(id)) ledger.acknowledged.insert(payload);
    }
  }
}

void storm(EngineOptions options, const ConnectSpec& spec, int pause_ms = 0) {
  const Context context("threads", options.io_threads);
  Javascript javascript(std::move(options));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Watcher>> watchers;
  std::atomic<int> ready{0};
  // Watchers on each I/O thread. They may have to be judged, so not from this thread.
  std::thread maker([&] {
    for (int n = 0; n < 3; n++) watchers.push_back(std::make_unique<Watcher>(port, n));
    ready.store(1);
  });
  CHECK(javascript.until([&] { return ready.load() == 1; }));
  maker.join();
  Ledger ledger;
  std::vector<std::thread> clients;
  std::atomic<int> done{0};
  for (int n = 0; n < 4; n++) {
    clients.emplace_back([&, n] {
      storm_client(port, n, spec, pause_ms, ledger);
      done++;
    });
  }
  CHECK(javascript.until([&] { return done.load() == 4; }));
  for (auto& client : clients) client.join();
  // All that was acknowledged arrives everywhere.
  for (auto& watcher : watchers) {
    CHECK(javascript.until([&] {
      return watcher->count() >= static_cast<int>(ledger.acknowledged.size());
    }));
    const std::set<std::string>& got = watcher->finish();
    for (const std::string& payload : ledger.acknowledged) CHECK(got.contains(payload));
  }
  CHECK_GT(ledger.acknowledged.size(), 100U);
  CHECK_GT(javascript.count(Counter::takeovers), 10);
  if (javascript.engine.options().io_threads > 1) {
    CHECK_GT(javascript.count(Counter::connections_migrated), 10);
  }
  // One session at any time, and at the end it can be had and is whole.
  Peer last(port, spec.version);
  CHECK(last.connect(spec));
  CHECK(javascript.until([&] {
    last.idle(2);
    return last.connected;
  }));
  CHECK(javascript.until([&] { return javascript.alive[spec.id] == 1; }));
  last.messages = 0;
  CHECK(last.send(subscribe_of(spec.version, 1, {"after"}, 1) +
                  publish_of(spec.version, {"after", "x", 1, 2})));
  CHECK(last.until([&] { return last.finished.contains(2) && last.messages > 0; }));
}

STMQTT_TEST("engine: a storm on one Client Identifier, sessions that end with their connection") {
  for (const unsigned threads : {1U, 2U, 3U}) {
    storm(engine_options(threads), {.id = "storm"});
  }
}

STMQTT_TEST("engine: a storm on one Client Identifier, a persistent session") {
  for (const Version version : {Version::v5, Version::v311}) {
    storm(engine_options(3),
          {.id = "storm", .version = version, .clean = false, .expiry_s = 60, .will_topic = "w"});
  }
}

STMQTT_TEST("engine: a storm on one Client Identifier, every CONNECT judged after a while") {
  EngineOptions options = engine_options(3);
  options.authenticate = true;
  storm(options, {.id = "storm", .clean = false, .expiry_s = 60});
}

STMQTT_TEST("engine: a storm on one Client Identifier over a slow store") {
  EngineOptions options = engine_options(3);
  options.store = StoreKind::trial;
  options.trial_store.delay_ms = 2;
  // Without the pauses hardly anybody lives long enough to be granted something.
  storm(options, {.id = "storm", .clean = false, .expiry_s = 60}, 5);
}

}  // namespace
}  // namespace stmqtt::test
