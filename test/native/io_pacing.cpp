// Accept pacing: how fast a listener's connections come in, and that those who wait are not lost.
#include "io_fixture.hpp"

namespace stmqtt::test {
namespace {

/// A listener with pacing, and when each connection was accepted.
struct Paced : IoFixture {
  std::mutex mutex;
  std::vector<std::uint64_t> accepted_ms;

  explicit Paced(const AcceptPacing& pacing) {
    handler.accepted = [this](int fd, ListenerId id, const PeerAddress& peer) {
      {
        const std::lock_guard lock(mutex);
        accepted_ms.push_back(now_ms());
      }
      static_cast<void>(io.adopt({fd, handler.next_id++, id, peer}, &handler));
    };
    CHECK_EQ(listener.open({"127.0.0.1", 0, "", 0660, 4096, Ipv6Scope::dual_stack}).code, 0);
    CHECK_EQ(io.add_listener(listener, pacing).code, 0);
    start();
  }
  [[nodiscard]] std::size_t accepted() {
    const std::lock_guard lock(mutex);
    return accepted_ms.size();
  }
};

std::vector<Client> connect_many(std::uint16_t port, std::size_t count) {
  std::vector<Client> clients;
  for (std::size_t n = 0; n < count; n++) {
    clients.emplace_back(port);
    CHECK(clients.back().connected());  // the backlog takes it
  }
  return clients;
}

void expect_all_served(std::vector<Client>& clients) {
  for (Client& client : clients) {
    CHECK(client.send(frame_of("x")));
    CHECK_EQ(client.read_frame(), "x");
  }
}

STMQTT_TEST("pacing: a delay of 0 or 1 is none") {
  for (const std::uint32_t delay_ms : {0U, 1U}) {
    Paced fixture({delay_ms, 0});
    const std::uint64_t start = now_ms();
    auto clients = connect_many(fixture.listener.port(), 300);
    expect_all_served(clients);
    CHECK_EQ(fixture.count(Counter::accepts_paced), 0);
    CHECK_LT(now_ms() - start, 10'000U);
  }
}

STMQTT_TEST("pacing: at most one accept in each delay, and none is lost") {
  Paced fixture({20, 0});
  auto clients = connect_many(fixture.listener.port(), 15);
  expect_all_served(clients);
  CHECK_EQ(fixture.accepted(), 15U);
  for (std::size_t n = 1; n < 15; n++) {
    CHECK_GE(fixture.accepted_ms[n] - fixture.accepted_ms[n - 1], 19U);
  }
  CHECK_GE(fixture.count(Counter::accepts_paced), 14);
}

STMQTT_TEST("pacing: one that comes after the delay does not wait, nor is it counted") {
  Paced fixture({20, 0});
  for (int n = 0; n < 3; n++) {
    Client client(fixture.listener.port());
    CHECK(client.send(frame_of("x")));
    CHECK_EQ(client.read_frame(), "x");
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
  }
  CHECK_EQ(fixture.count(Counter::accepts_paced), 0);
}

STMQTT_TEST("pacing: a second's worth at once, then the rate") {
  Paced fixture({0, 100});
  const std::uint64_t start = now_ms();
  auto clients = connect_many(fixture.listener.port(), 160);
  expect_all_served(clients);
  // The sixty beyond the burst come at a hundred a second.
  const std::uint64_t took = fixture.accepted_ms.back() - start;
  CHECK_GE(took, 590U);
  CHECK_LT(took, 10'000U);
  CHECK_GE(fixture.count(Counter::accepts_paced), 1);
  for (std::size_t n = 100; n < 160; n++) {
    CHECK_GE(fixture.accepted_ms[n] - start, (n - 99) * 10 - 2);
  }
}

STMQTT_TEST("pacing: fast rates are kept too") {
  Paced fixture({0, 2000});
  auto clients = connect_many(fixture.listener.port(), 900);
  clients.clear();
  const std::uint64_t start = now_ms();
  clients = connect_many(fixture.listener.port(), 900);
  expect_all_served(clients);
  CHECK_LT(now_ms() - start, 10'000U);
}

STMQTT_TEST("pacing: a listener can be removed while it waits") {
  Paced fixture({1000, 0});
  auto clients = connect_many(fixture.listener.port(), 3);
  CHECK(eventually([&] { return fixture.count(Counter::accepts_paced) > 0; }));
  fixture.handler.call([&] {
    fixture.io.remove_listener(fixture.listener);
    fixture.listener.close();
  });
  CHECK(clients[0].send(frame_of("x")));
  CHECK_EQ(clients[0].read_frame(), "x");
  CHECK_EQ(fixture.accepted(), 1U);
}

}  // namespace
}  // namespace stmqtt::test
