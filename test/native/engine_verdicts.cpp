// CONNECTs that TypeScript judges: late, never, twice, for connections that are gone; with packets
// behind CONNECT; with a Client Identifier whose session lives on another thread.
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

EngineOptions judging(unsigned threads) {
  EngineOptions options = engine_options(threads);
  options.authenticate = true;
  return options;
}

contract::Verdict accept(std::uint64_t connection_id) {
  contract::Verdict verdict{};
  verdict.connection_id = connection_id;
  return verdict;
}

STMQTT_TEST("engine: accepted or refused after a while; what lies behind CONNECT waits in order") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(judging(threads));
    javascript.judge = [](std::string_view id) {
      return Judgement{id.starts_with("bad") ? ReasonCode::bad_user_name_or_password
                                             : ReasonCode::success,
                       30};
    };
    const std::uint16_t port = javascript.listen();
    javascript.start();
    std::thread clients[6];
    std::atomic<int> done{0};
    for (int n = 0; n < 6; n++) {
      clients[n] = std::thread([&, n] {
        const bool bad = n % 3 == 2;
        const std::string topic = "own/" + std::to_string(n);
        const Version version = n % 2 == 0 ? Version::v5 : Version::v311;
        for (int turn = 0; turn < 4; turn++) {
          Peer peer(port, version);
          std::string bytes = connect_of(
              {.id = (bad ? "bad" : "good") + std::to_string(n), .version = version});
          bytes += subscribe_of(version, 1, {topic}, 2);
          for (std::uint16_t at = 0; at < 20; at++) {
            bytes += publish_of(
                version, {topic, std::to_string(at), static_cast<std::uint8_t>(at % 3),
                          static_cast<std::uint16_t>(at % 3 == 0 ? 0 : 10 + at)});
          }
          std::vector<std::string> texts;
          peer.message = [&](std::string_view, std::string_view text) { texts.emplace_back(text); };
          // In two parts, so that a frame is cut while the verdict is waited for.
          CHECK(peer.send(std::string_view(bytes).substr(0, bytes.size() / 2)));
          CHECK(peer.send(std::string_view(bytes).substr(bytes.size() / 2)));
          if (bad) {
            CHECK(peer.wait_end());
            CHECK(!peer.connected);
            CHECK_NE(peer.refusal, ReasonCode::success);
            continue;
          }
          CHECK(peer.until([&] { return texts.size() == 20; }));
          // Each QoS keeps its order; the flows end.
          for (int qos = 0; qos < 3; qos++) {
            int last = -1;
            for (const std::string& text : texts) {
              const int at = std::stoi(text);
              if (at % 3 != qos) continue;
              CHECK_LT(last, at);
              last = at;
            }
          }
          CHECK(peer.until([&] { return peer.finished.size() == 14; }));
          CHECK(peer.send(disconnect_of(version)) && peer.wait_end());
        }
        done++;
      });
    }
    CHECK(javascript.until([&] { return done.load() == 6; }));
    for (auto& client : clients) client.join();
    CHECK(javascript.until([&] { return javascript.open.empty(); }));
    CHECK_EQ(javascript.asked, 24);
    CHECK_EQ(javascript.refused[CloseCause::refused], 8);
    CHECK_EQ(javascript.ever.size(), 16U);
  }
}

STMQTT_TEST("engine: without a verdict in time a CONNECT is refused, whatever JavaScript does") {
  EngineOptions options = judging(2);
  options.verdict_timeout_ms = 200;
  Javascript javascript(options);
  const std::uint16_t port = javascript.listen();
  javascript.start();
  // JavaScript serves nothing meanwhile.
  Peer five(port, Version::v5);
  Peer three(port, Version::v311);
  CHECK(five.connect({.id = "five"}));
  CHECK(three.connect({.id = "three", .version = Version::v311}));
  CHECK(five.wait_end() && three.wait_end());
  CHECK_EQ(five.refusal, ReasonCode::server_unavailable);
  CHECK_EQ(three.refusal, ReasonCode::server_unavailable);
  // Now it answers: too late, which is counted and harmless.
  CHECK(javascript.until([&] { return javascript.refused[CloseCause::refused] == 2; }));
  CHECK(javascript.until([&] { return javascript.count(Counter::verdicts_stale) == 2; }));
  CHECK(javascript.open.empty());
}

STMQTT_TEST("engine: the client leaves before its verdict; the verdict comes twice; for nobody") {
  Javascript javascript(judging(2));
  javascript.judge = [](std::string_view) { return Judgement{ReasonCode::success, 100}; };
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer leaving(port, Version::v5);
  CHECK(leaving.connect({.id = "leaving"}));
  CHECK(javascript.until([&] { return javascript.asked == 1; }));
  leaving.reset();
  CHECK(javascript.until([&] { return javascript.count(Counter::verdicts_stale) == 1; }));
  CHECK_EQ(javascript.refused[CloseCause::socket_error], 1);
  Peer peer(port, Version::v5);
  CHECK(peer.connect({.id = "staying"}));
  CHECK(javascript.until([&] { return javascript.open.size() == 1; }));
  contract::Verdict again = accept(*javascript.open.begin());
  again.reason_code = 0x87;
  Commands commands;
  commands.add(CommandKind::verdict, again).add(CommandKind::verdict, again);
  for (const std::uint64_t nobody :
       {std::uint64_t{0}, UINT64_MAX, std::uint64_t{0x00FFFFFF00000001}, std::uint64_t{1} << 56}) {
    commands.add(CommandKind::verdict, accept(nobody));
  }
  CHECK(javascript.submit(commands));
  CHECK(javascript.until([&] { return javascript.count(Counter::verdicts_stale) == 7; }));
  CHECK(peer.until([&] { return peer.connected; }));
  CHECK(peer.exchange(publish_of(peer.version, {"t", "x", 1, 2}), 2));
}

STMQTT_TEST("engine: a verdict that names another Client Identifier takes over that session") {
  Javascript javascript(judging(3));
  javascript.judge = [](std::string_view) {
    return Judgement{ReasonCode::success, 5, "the one"};
  };
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int n = 0; n < 6; n++) {
    peers.push_back(std::make_unique<Peer>(port, Version::v5));
    Peer& peer = *peers.back();
    CHECK(peer.connect({.id = "name " + std::to_string(n), .expiry_s = 60}));
    CHECK(javascript.until([&] {
      static_cast<void>(peer.until([&] { return peer.connected; }, 5));
      return peer.connected;
    }));
    if (n == 0) continue;
    Peer& before = *peers[static_cast<std::size_t>(n) - 1];
    CHECK(before.wait_end());
    CHECK_EQ(before.said_goodbye, ReasonCode::session_taken_over);
  }
  CHECK(javascript.until([&] { return javascript.open.size() == 1; }));
  CHECK_EQ(javascript.alive["the one"], 1);
  CHECK_GT(javascript.count(Counter::connections_migrated), 0);
}

STMQTT_TEST("engine: CONNECTs of an open listener are nobody's business but the I/O thread's") {
  Javascript javascript(judging(2));
  const std::uint16_t guarded = javascript.listen();
  const std::uint16_t open = javascript.listen();  // its id is 2
  CHECK(javascript.engine.set_admission(2, Admission::open));
  CHECK(!javascript.engine.set_admission(77, Admission::open));
  javascript.start();
  Peer first(open, Version::v5);
  CHECK(first.connect({.id = "first"}));
  CHECK(first.until([&] { return first.connected; }));  // JavaScript serves nothing meanwhile
  CHECK_EQ(javascript.asked, 0);
  Peer asked(guarded, Version::v5);
  CHECK(asked.connect({.id = "asked"}));
  CHECK(javascript.until([&] { return javascript.asked == 1; }));
  // What was accepted before counts by what holds when its CONNECT comes.
  Peer early(open, Version::v311);
  CHECK(javascript.engine.set_admission(2, Admission::judged));
  CHECK(early.connect({.id = "early", .version = Version::v311}));
  CHECK(javascript.until([&] { return javascript.asked == 2; }));
  CHECK(first.exchange(publish_of(first.version, {"t", "x", 1, 2}), 2));
  CHECK(javascript.engine.set_admission(2, Admission::open));
  Peer late(open, Version::v5);
  CHECK(late.connect({.id = "late"}));
  CHECK(late.until([&] { return late.connected; }));
  CHECK_EQ(javascript.count(Counter::verdicts_waited), 2U);
  javascript.engine.unlisten(2);
  CHECK(!javascript.engine.set_admission(2, Admission::open));
}

}  // namespace
}  // namespace stmqtt::test
