// Bounds and bans of addresses on a listener behind a proxy: they are about the address that the
// PROXY header names, never about the proxy's own, which all its clients have in common.
#include <memory>
#include <string>
#include <vector>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

std::string header_of(const std::string& source) {
  return "PROXY TCP4 " + source + " 198.51.100.7 56324 1883\r\n";
}

/// A listener whose clients come through a proxy on this machine.
std::uint16_t listen_proxied(Javascript& javascript, const AddressBounds& addresses,
                             std::uint32_t handshake_timeout_ms = 10'000) {
  EngineListenSpec spec;
  spec.socket.host = "127.0.0.1";
  spec.channels.proxy.emplace().trusted = {parse_ip_network("127.0.0.0/8")};
  spec.addresses = addresses;
  spec.handshake_timeout_ms = handshake_timeout_ms;
  const ListenResult result = javascript.engine.listen(spec);
  CHECK_EQ(result.error.code, 0);
  return result.port;
}

std::unique_ptr<Peer> come(std::uint16_t port, const std::string& source, const std::string& id) {
  auto peer = std::make_unique<Peer>(port, Version::v5);
  if (peer->send(header_of(source))) static_cast<void>(peer->connect({.id = id}));
  static_cast<void>(peer->until([&] { return peer->connected; }));
  return peer;
}

STMQTT_TEST("proxied: max_connections_per_address is about whom the header names") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = listen_proxied(javascript, {1, 0});
    javascript.start();
    // Those who have not said yet who they are count for nobody: not for the proxy, above all.
    std::vector<std::unique_ptr<Peer>> silent;
    for (int at = 0; at < 5; ++at) silent.push_back(std::make_unique<Peer>(port, Version::v5));
    auto first = come(port, "192.0.2.1", "a");
    const auto second = come(port, "192.0.2.2", "b");
    const auto third = come(port, "192.0.2.3", "c");
    CHECK(first->connected && second->connected && third->connected);
    const auto refused = come(port, "192.0.2.1", "d");
    CHECK(!refused->connected);
    CHECK(refused->ended());
    CHECK(eventually([&] { return javascript.count(Counter::refused_address_connections) == 1; }));
    // One of the silent ones speaks: it is somebody by then.
    CHECK(silent[0]->send(header_of("192.0.2.9")) && silent[0]->open_session({.id = "e"}));
    first->close();
    CHECK(eventually([&] { return come(port, "192.0.2.1", "f")->connected; }));
  }
}

STMQTT_TEST("proxied: max_connect_rate_per_address is about whom the header names") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = listen_proxied(javascript, {0, 1});
  javascript.start();
  for (int at = 0; at < 8; ++at) {
    const std::string source = "192.0.2." + std::to_string(at + 1);
    CHECK(come(port, source, "c" + std::to_string(at))->connected);
  }
  int refused = 0;
  for (int at = 0; at < 8; ++at) refused += come(port, "203.0.113.1", "d")->connected ? 0 : 1;
  CHECK(refused > 0);
  CHECK(eventually([&] { return javascript.count(Counter::refused_address_rate) == refused; }));
}

STMQTT_TEST("proxied: a ban is about whom the header names; the proxy's own shuts all out") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = listen_proxied(javascript, {});
    javascript.start();
    const auto bad = come(port, "192.0.2.66", "bad");
    const auto good = come(port, "192.0.2.1", "good");
    CHECK(bad->connected && good->connected);
    Ban ban;
    ban.kind = BanKind::address;
    ban.value = "192.0.2.66";
    CHECK_EQ(javascript.engine.ban(ban), BanTable::Added::added);
    CHECK(bad->wait_end());
    CHECK_EQ(bad->said_goodbye, ReasonCode::administrative_action);
    const auto again = come(port, "192.0.2.66", "bad");
    CHECK(!again->connected);
    CHECK(again->ended());
    // Before its CONNECT was looked at.
    CHECK(javascript.until([&] { return javascript.refused[CloseCause::banned] == 1; }));
    CHECK(come(port, "192.0.2.2", "other")->connected);
    CHECK(good->send(std::string("\xC0\0", 2)) && good->until([&] { return good->pings == 1; }));
    ban.value = "127.0.0.0/8";
    CHECK_EQ(javascript.engine.ban(ban), BanTable::Added::added);
    CHECK(!come(port, "192.0.2.2", "other")->connected);
    CHECK(eventually([&] { return javascript.count(Counter::refused_banned) == 2; }));
  }
}

STMQTT_TEST("proxied: a header that never comes costs a place only until the deadline") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = listen_proxied(javascript, {1, 0}, 100);
  javascript.start();
  std::vector<std::unique_ptr<Peer>> silent;
  for (int at = 0; at < 5; ++at) silent.push_back(std::make_unique<Peer>(port, Version::v5));
  for (auto& peer : silent) CHECK(peer->wait_end());
  CHECK(come(port, "192.0.2.1", "a")->connected);
  CHECK_EQ(javascript.count(Counter::refused_address_connections), 0);
}

}  // namespace
}  // namespace stmqtt::test
