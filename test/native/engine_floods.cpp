// JavaScript does not read while clients come by the hundred: what waits for it has a bound, and when
// it reads again, each connection that it is told of is told of to the end.
#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;

/// A CONNECT with a username so long that few of them fill the event buffer.
std::string large_connect(const std::string& name) {
  const std::string username(60'000, 'u');
  wire::ConnectOut out;
  out.client_id = as_bytes(name);
  out.has_username = true;
  out.username = as_bytes(username);
  return encoded(wire::size_connect(out),
                 [&](std::uint8_t* at) { wire::encode_connect(out, at); });
}

STMQTT_TEST("engine: a flood of connects and disconnects nobody reads of takes bounded memory") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    const auto come_and_go = [&](int times) {
      for (int n = 0; n < times; n++) {
        Peer peer(port, Version::v5);
        CHECK(peer.send(large_connect("flood" + std::to_string(n))));
        CHECK(peer.until([&] { return peer.connected; }));
        CHECK(peer.send(disconnect_of(peer.version)) && peer.wait_end());
      }
    };
    const int count = 150 * static_cast<int>(threads);
    come_and_go(count);
    // Each thread: the bound, and the ends of those whose beginning is within it.
    CHECK_GT(javascript.count(Counter::events_dropped), 0);
    CHECK_LT(javascript.count(Counter::event_bytes), (std::int64_t{18} << 20) * threads);
    const std::int64_t told = javascript.count(Counter::events_sent);
    javascript.serve();  // which checks that each end has its beginning
    CHECK_EQ(static_cast<std::int64_t>(javascript.records), told);
    CHECK(javascript.open.empty());
    CHECK_LT(javascript.ever.size(), static_cast<std::size_t>(count));
    // JavaScript is back, and hears of everything again.
    const std::size_t before = javascript.ever.size();
    come_and_go(20);
    CHECK(javascript.until([&] { return javascript.ever.size() == before + 20; }));
    CHECK(javascript.until([&] { return javascript.open.empty(); }));
  }
}

// Each asks, and none is answered: what waits for JavaScript must not grow without end.
STMQTT_TEST("engine: a flood of CONNECTs while JavaScript is blocked takes bounded memory") {
  EngineOptions options = engine_options(1);
  options.authenticate = true;
  Javascript javascript(options);
  const std::uint16_t port = javascript.listen();
  javascript.start();
  const std::string connect = large_connect("asks");
  int busy = 0;
  for (int n = 0; n < 400; n++) {
    Peer peer(port, Version::v5);
    CHECK(peer.send(connect));
    // Once the buffer is full, the answer comes without JavaScript.
    if (n >= 200 && peer.wait_end() && peer.refusal == ReasonCode::server_busy) busy++;
    if (n < 200) {
      CHECK(eventually([&] { return javascript.count(Counter::bytes_received) >=
                                    static_cast<std::int64_t>(connect.size()) * (n + 1); }));
    }
  }
  CHECK_EQ(busy, 200);
  CHECK_LT(javascript.count(Counter::event_bytes), 10 << 20);
  // JavaScript is back: everything is served again.
  javascript.judge = [](std::string_view) { return Judgement{}; };
  javascript.serve();
  Peer peer(port, Version::v5);
  CHECK(peer.connect({.id = "after"}));
  CHECK(javascript.until([&] { return javascript.alive["after"] == 1; }));
}

}  // namespace
}  // namespace stmqtt::test
