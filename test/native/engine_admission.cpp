// Who may come, how many and how fast: by address, by listener, by ban; what a flood of them costs.
#include <atomic>
#include <thread>
#include <vector>

#include "engine/address_table.hpp"
#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;
using Answer = AddressTable::Answer;

constexpr std::uint64_t kSecond = 1'000'000'000;

STMQTT_TEST("addresses: connections and connects of one, by listener; IPv6 by /64") {
  AddressTable table;
  const AddressBounds bounds{2, 0};
  const IpAddress a = parse_ip_address("192.0.2.1");
  CHECK_EQ(table.come(1, a, bounds, kSecond), Answer::counted);
  CHECK_EQ(table.come(1, a, bounds, kSecond), Answer::counted);
  CHECK_EQ(table.come(1, a, bounds, kSecond), Answer::too_many);
  CHECK_EQ(table.come(2, a, bounds, kSecond), Answer::counted);
  CHECK_EQ(table.come(1, parse_ip_address("192.0.2.2"), bounds, kSecond), Answer::counted);
  table.leave(1, a, kSecond);
  CHECK_EQ(table.come(1, a, bounds, kSecond), Answer::counted);
  CHECK_EQ(table.come(1, parse_ip_address("2001:db8::1"), bounds, kSecond), Answer::counted);
  CHECK_EQ(table.come(1, parse_ip_address("2001:db8::ffff:2"), bounds, kSecond), Answer::counted);
  CHECK_EQ(table.come(1, parse_ip_address("2001:db8::3"), bounds, kSecond), Answer::too_many);
  CHECK_EQ(table.come(1, parse_ip_address("2001:db8:0:1::1"), bounds, kSecond), Answer::counted);
  const AddressBounds rate{0, 3};
  const IpAddress b = parse_ip_address("192.0.2.9");
  for (int at = 0; at < 3; ++at) CHECK_EQ(table.come(1, b, rate, kSecond), Answer::counted);
  CHECK_EQ(table.come(1, b, rate, kSecond), Answer::too_fast);
  CHECK_EQ(table.come(1, b, rate, kSecond + kSecond / 3 + 1), Answer::counted);
}

STMQTT_TEST("addresses: bounded; room comes from those who are gone") {
  AddressTable table(100);
  const AddressBounds bounds{1, 1};
  const auto address = [](std::uint32_t number) {
    const std::uint8_t bytes[] = {10, 0, static_cast<std::uint8_t>(number >> 8),
                                  static_cast<std::uint8_t>(number)};
    return IpAddress::v4(bytes);
  };
  for (std::uint32_t at = 0; at < 100; ++at) {
    CHECK_EQ(table.come(1, address(at), bounds, kSecond), Answer::counted);
  }
  CHECK_EQ(table.come(1, address(200), bounds, kSecond), Answer::uncounted);
  CHECK_EQ(table.come(1, address(7), bounds, kSecond), Answer::too_many);
  for (std::uint32_t at = 0; at < 50; ++at) table.leave(1, address(at), kSecond);
  CHECK_EQ(table.size(), 100U);  // their rates still say something
  CHECK_EQ(table.come(1, address(201), bounds, 3 * kSecond), Answer::counted);
  CHECK_EQ(table.size(), 100U);
  for (std::uint32_t at = 50; at < 100; ++at) table.leave(1, address(at), 3 * kSecond);
  CHECK_EQ(table.size(), 50U);
}

STMQTT_TEST("addresses: many threads come and go, and nobody is left counted") {
  AddressTable table;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&table] {
        const IpAddress address = parse_ip_address("192.0.2.1");
        for (std::uint64_t at = 1; at < 2000; ++at) {
          if (table.come(1, address, {3, 0}, at * kSecond) == Answer::counted) {
            table.leave(1, address, (at + 2) * kSecond);
          }
        }
      });
    }
  }
  CHECK_EQ(table.size(), 0U);
}

std::uint16_t listen(Javascript& javascript, const EngineListenSpec& bounds) {
  EngineListenSpec spec = bounds;
  spec.socket.host = "127.0.0.1";
  const ListenResult result = javascript.engine.listen(spec);
  CHECK_EQ(result.error.code, 0);
  return result.port;
}

STMQTT_TEST("admission: an address has its bound of connections, and gets room as they end") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    EngineListenSpec spec;
    spec.addresses.max_connections = 2;
    const std::uint16_t port = listen(javascript, spec);
    javascript.start();
    auto first = std::make_unique<Peer>(port, Version::v5);
    Peer second(port, Version::v5);
    REQUIRE(first->open_session({.id = "a"}) && second.open_session({.id = "b"}));
    Peer third(port, Version::v5);
    static_cast<void>(third.connect({.id = "c"}));
    CHECK(third.wait_end());
    CHECK(!third.connected);
    CHECK(eventually([&] { return javascript.count(Counter::refused_address_connections) == 1; }));
    first->close();
    CHECK(javascript.until([&] { return javascript.open.size() == 1; }));
    CHECK(eventually([&] {
      Peer again(port, Version::v5);
      return again.open_session({.id = "d"});
    }));
  }
}

STMQTT_TEST("admission: faster than the rate of one address is closed at accept") {
  Javascript javascript(engine_options(1));
  EngineListenSpec spec;
  spec.addresses.max_connects_per_s = 1;
  const std::uint16_t port = listen(javascript, spec);
  javascript.start();
  Peer first(port, Version::v5);
  REQUIRE(first.open_session({.id = "a"}));
  std::vector<std::unique_ptr<Peer>> crowd;
  for (int at = 0; at < 20; ++at) crowd.push_back(std::make_unique<Peer>(port, Version::v5));
  CHECK(eventually([&] {
    return javascript.count(Counter::refused_address_rate) >= 10 &&
           javascript.count(Counter::refused_rate_exceeded) >= 10;
  }));
  CHECK(first.send(std::string("\xC0\0", 2)) && first.until([&] { return first.pings == 1; }));
}

STMQTT_TEST("admission: max_handshakes leaves the rest in the backlog; nobody is refused") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    EngineListenSpec spec;
    spec.max_handshakes = 2;
    const std::uint16_t port = listen(javascript, spec);
    javascript.start();
    Peer established(port, Version::v5);
    REQUIRE(established.open_session({.id = "established"}));
    auto silent = std::make_unique<Peer>(port, Version::v5);
    Peer other(port, Version::v5);
    CHECK(eventually([&] { return javascript.count(Counter::connections_accepted) == 3; }));
    std::vector<std::unique_ptr<Peer>> waiting;
    for (int at = 0; at < 5; ++at) {
      waiting.push_back(std::make_unique<Peer>(port, Version::v5));
      REQUIRE(waiting.back()->connect({.id = "w" + std::to_string(at)}));
    }
    CHECK(eventually([&] { return javascript.count(Counter::accepts_held) > 0; }));
    CHECK(established.exchange(publish_of(Version::v5, {"t", "x", 1, 2}), 2));
    CHECK_EQ(javascript.count(Counter::connections_accepted), 3);
    // One handshake ends by CONNACK, one by its end: those who wait come, two at a time.
    CHECK(other.open_session({.id = "other"}));
    silent->close();
    for (auto& peer : waiting) CHECK(peer->until([&] { return peer->connected; }));
    // The silent one alone.
    CHECK(eventually([&] { return javascript.count(Counter::connections_refused) == 1; }));
  }
}

STMQTT_TEST("admission: a CONNECT byte by byte gets no more time than another") {
  Javascript javascript(engine_options(1));
  EngineListenSpec spec;
  spec.limits.connect_timeout_ms = 150;
  spec.max_handshakes = 1;
  const std::uint16_t port = listen(javascript, spec);
  javascript.start();
  Peer slow(port, Version::v5);
  std::string packet = connect_of({.id = std::string(200, 'x')});
  std::size_t sent = 0;
  CHECK(eventually([&] {
    if (sent + 1 < packet.size()) static_cast<void>(slow.send(packet.substr(sent++, 1)));
    slow.idle(10);
    return slow.ended();
  }));
  CHECK(javascript.until([&] { return javascript.refused[CloseCause::connect_timeout] == 1; }));
  CHECK(sent + 1 < packet.size());
  Peer next(port, Version::v5);
  CHECK(next.open_session({.id = "next"}));
}

STMQTT_TEST("bans: an address is refused at accept, and who is connected from it goes") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    Peer connected(port, Version::v5);
    REQUIRE(connected.open_session({.id = "a"}));
    Ban ban;
    ban.kind = BanKind::address;
    ban.value = "127.0.0.0/8";
    CHECK_EQ(javascript.engine.ban(ban), BanTable::Added::added);
    CHECK(connected.wait_end());
    CHECK_EQ(connected.said_goodbye, ReasonCode::administrative_action);
    Peer later(port, Version::v5);
    static_cast<void>(later.connect({.id = "b"}));
    CHECK(later.wait_end());
    CHECK(!later.connected);
    CHECK(eventually([&] { return javascript.count(Counter::refused_banned) == 1; }));
    CHECK(javascript.engine.unban(BanKind::address, "127.0.0.0/8"));
    Peer again(port, Version::v5);
    CHECK(again.open_session({.id = "c"}));
  }
}

STMQTT_TEST("bans: a client on any thread goes, whoever was asked") {
  Javascript javascript(engine_options(3));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int at = 0; at < 6; ++at) {
    peers.push_back(std::make_unique<Peer>(port, Version::v5));
    REQUIRE(peers.back()->open_session({.id = "c" + std::to_string(at)}));
  }
  Ban ban;
  ban.value = "c4";
  CHECK_EQ(javascript.engine.ban(ban), BanTable::Added::added);
  CHECK(peers[4]->wait_end());
  CHECK(javascript.until([&] { return javascript.open.size() == 5; }));
  Peer again(port, Version::v5);
  static_cast<void>(again.connect({.id = "c4"}));
  CHECK(again.wait_end());
  CHECK_EQ(again.refusal, ReasonCode::banned);
}

}  // namespace
}  // namespace stmqtt::test
