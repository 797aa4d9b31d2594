// Who is served first: established connections before newcomers and ends, which stand in line and get
// a bounded part of each turn. The clock is a fake: each look at it spends the second line's time, so
// that it gets one step per turn, unless a test says otherwise.
#include <sys/ioctl.h>

#include <algorithm>

#include "io_fixture.hpp"
#include "io_test_channels.hpp"

namespace stmqtt::test {
namespace {

constexpr std::uint64_t kHourNs = 3'600'000'000'000;
constexpr std::uint64_t kSpent = 2 * kHourNs;  // one look is more than the second line's time

std::atomic<std::uint64_t> step_ns{0};
std::atomic<std::uint64_t> ahead_ns{0};

std::uint64_t stepping_clock() noexcept {
  return now_ns() + (ahead_ns += step_ns.load());
}

/// Frames are names: "n3" is newcomer 3's, "e" is of the established one.
struct Ordered : IoFixture {
  std::vector<std::string> served;   // I/O thread
  std::vector<Connection*> adopted;  // likewise, in the order of accept
  std::vector<std::int64_t> closed_by_turn;
  std::int64_t turn = 0;
  std::atomic<std::uint32_t> arrived{0};

  explicit Ordered(std::uint64_t step) : IoFixture(options()) {
    step_ns = step;
    handler.accepted = [this](int fd, ListenerId id, const PeerAddress& peer) {
      // The first is the established one.
      adopted.push_back(io.adopt({fd, handler.next_id++, id, peer}, &handler,
                                 adopted.empty() ? Standing::established : Standing::newcomer));
      arrived++;
    };
    handler.frame = [this](Connection& connection, std::string_view name) {
      served.emplace_back(name);
      if (frame) frame(connection, name);
    };
    handler.turn_end = [this] {
      turn++;
      closed_by_turn.push_back(count(Counter::connections_closed));
    };
    start();
  }
  ~Ordered() { stop(); }
  static IoThreadOptions options() {
    IoThreadOptions made;
    made.second_ns = kHourNs;
    made.clock_ns = &stepping_clock;
    return made;
  }
  std::function<void(Connection&, std::string_view)> frame;

  std::vector<Client> connect(std::uint32_t count) {
    std::vector<Client> clients;
    for (std::uint32_t n = 0; n < count; n++) {
      clients.emplace_back(listener.port());
      CHECK(eventually([&] { return arrived.load() == n + 1; }));
    }
    return clients;
  }
  /// Runs on the I/O thread, and keeps it until what was sent has arrived: the next poll tells it all.
  void at_once(const std::function<void()>& work, const std::vector<std::uint32_t>& expected) {
    handler.call([&] {
      work();
      for (const std::uint32_t index : expected) CHECK(has_unread(*adopted[index]));
    });
  }
  static bool has_unread(Connection& connection) {
    return eventually([&] {
      int unread = 0;
      return ::ioctl(connection.fd(), FIONREAD, &unread) == 0 && unread > 0;
    });
  }
  [[nodiscard]] std::vector<std::string> told() {
    std::vector<std::string> copy;
    handler.call([&] { copy = served; });
    return copy;
  }
};

/// Established, then newcomers 1 to `last`.
std::vector<std::uint32_t> everybody(std::uint32_t last) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t n = 0; n <= last; n++) all.push_back(n);
  return all;
}

STMQTT_TEST("order: an established connection comes before newcomers that were ready earlier") {
  Ordered fixture(0);
  auto clients = fixture.connect(4);
  fixture.at_once(
      [&] {
        for (const int n : {3, 1, 2}) {
          CHECK(clients[static_cast<std::size_t>(n)].send(frame_of("n" + std::to_string(n))));
        }
        CHECK(clients[0].send(frame_of("e")));
      },
      everybody(3));
  CHECK(eventually([&] { return fixture.told().size() == 4; }));
  const auto served = fixture.told();
  CHECK_EQ(served.front(), "e");
  CHECK_EQ(fixture.count(Counter::connections_put_off), 0);  // there was time for all
}

STMQTT_TEST("order: whose time is spent waits in line, first come first served, one per turn at least") {
  Ordered fixture(kSpent);
  constexpr std::uint32_t kLast = 20;
  auto clients = fixture.connect(kLast + 1);
  std::vector<std::int64_t> turns;
  std::uint32_t after = 0;
  fixture.frame = [&](Connection&, std::string_view name) {
    if (name == "e") {
      after = static_cast<std::uint32_t>(fixture.served.size());
      return;
    }
    turns.push_back(fixture.turn);
    // In the middle of the storm the established one has something to say: it is next.
    if (fixture.served.size() == 8) {
      CHECK(clients[0].send(frame_of("e")));
      CHECK(Ordered::has_unread(*fixture.adopted[0]));
    }
  };
  std::vector<std::uint32_t> newcomers = everybody(kLast);
  newcomers.erase(newcomers.begin());
  fixture.at_once(
      [&] {
        for (std::uint32_t n = 1; n <= kLast; n++) {
          CHECK(clients[n].send(frame_of("n" + std::to_string(n))));
        }
      },
      newcomers);
  CHECK(eventually([&] { return fixture.told().size() == kLast + 1; }));
  fixture.handler.call([&] {
    CHECK_EQ(after, 9U);
    for (std::size_t n = 1; n < turns.size(); n++) CHECK_LT(turns[n - 1], turns[n]);
    std::vector<std::string> line;
    for (const std::string& name : fixture.served) {
      if (name != "e") line.push_back(name);
    }
    // The order in which the poller told them, which is that in which they sent.
    for (std::uint32_t n = 1; n <= kLast; n++) CHECK_EQ(line[n - 1], "n" + std::to_string(n));
  });
  CHECK_EQ(fixture.count(Counter::connections_put_off), kLast - 1);
  // They are watched again.
  for (std::uint32_t n = 1; n <= kLast; n++) CHECK(clients[n].send(frame_of("again")));
  CHECK(eventually([&] { return fixture.told().size() == 2 * kLast + 1; }));
}

STMQTT_TEST("order: established connections that are always ready do not starve newcomers") {
  Ordered fixture(kSpent);
  constexpr std::uint32_t kLast = 10;
  auto clients = fixture.connect(kLast + 1);
  std::uint32_t newcomers = 0;
  fixture.frame = [&](Connection&, std::string_view name) {
    if (name != "e") {
      newcomers++;
    } else if (newcomers < kLast) {
      CHECK(clients[0].send(frame_of("e")));
      CHECK(Ordered::has_unread(*fixture.adopted[0]));
    }
  };
  fixture.at_once(
      [&] {
        for (std::uint32_t n = 0; n <= kLast; n++) {
          CHECK(clients[n].send(frame_of(n == 0 ? "e" : "n")));
        }
      },
      everybody(kLast));
  CHECK(eventually([&] {
    const auto served = fixture.told();
    return std::count(served.begin(), served.end(), "n") == kLast;
  }));
  const auto served = fixture.told();
  // One of each in each turn.
  for (std::size_t n = 0; n < 2 * kLast; n++) CHECK_EQ(served[n], n % 2 == 0 ? "e" : "n");
}

STMQTT_TEST("order: a newcomer that is established stands in line no more") {
  Ordered fixture(kSpent);
  auto clients = fixture.connect(4);
  fixture.handler.call([&] { fixture.io.establish(*fixture.adopted[3]); });
  fixture.at_once(
      [&] {
        for (const int n : {1, 2, 3}) {
          CHECK(clients[static_cast<std::size_t>(n)].send(frame_of("n" + std::to_string(n))));
        }
      },
      {1, 2, 3});
  CHECK(eventually([&] { return fixture.told().size() == 3; }));
  CHECK_EQ(fixture.told().front(), "n3");
}

STMQTT_TEST("order: who is released, closed or paused while in line is not served") {
  Ordered fixture(kSpent);
  auto clients = fixture.connect(6);
  fixture.frame = [&](Connection&, std::string_view name) {
    if (name != "n1") return;
    fixture.io.release(*fixture.adopted[2]);
    fixture.io.close_after_flush(*fixture.adopted[3], now_ms() + 5000);
    fixture.io.pause(*fixture.adopted[4], PauseCause::verdict);
  };
  fixture.at_once(
      [&] {
        for (std::uint32_t n = 1; n <= 5; n++) {
          CHECK(clients[n].send(frame_of("n" + std::to_string(n))));
        }
      },
      {1, 2, 3, 4, 5});
  CHECK(eventually([&] { return fixture.told().size() == 2; }));
  CHECK_EQ(fixture.told()[1], "n5");
  fixture.handler.call([&] { fixture.io.resume(*fixture.adopted[4], PauseCause::verdict); });
  CHECK(eventually([&] { return fixture.told().size() == 3; }));
  CHECK_EQ(fixture.told()[2], "n4");
  clients[2].close();
  clients[3].close();
  CHECK(eventually([&] { return fixture.count(Counter::connections_closed) == 2; }));
}

STMQTT_TEST("order: ends are bounded per turn, whether the peer goes or the handler closes") {
  for (const bool by_peer : {true, false}) {
    Ordered fixture(kSpent);
    constexpr std::uint32_t kMany = 40;
    auto clients = fixture.connect(kMany + 1);
    fixture.handler.call([&] {
      for (Connection* connection : fixture.adopted) fixture.io.establish(*connection);
    });
    fixture.handler.call([&] {
      for (std::uint32_t n = 1; n <= kMany; n++) {
        if (by_peer) {
          clients[n].close();
        } else {
          fixture.io.release(*fixture.adopted[n]);
          CHECK_EQ(fixture.adopted[n]->fd(), -1);
        }
      }
      // Behind all of that:
      CHECK(clients[0].send(frame_of("e")));
      CHECK(Ordered::has_unread(*fixture.adopted[0]));
    });
    CHECK(eventually([&] { return fixture.count(Counter::connections_closed) == kMany; }));
    CHECK_EQ(fixture.handler.ends.load(), by_peer ? static_cast<int>(kMany) : 0);
    fixture.handler.call([&] {
      CHECK_EQ(fixture.served.size(), 1U);
      for (std::size_t n = 1; n < fixture.closed_by_turn.size(); n++) {
        CHECK_LE(fixture.closed_by_turn[n] - fixture.closed_by_turn[n - 1], 1);
      }
    });
  }
}

/// All but the first say "bye" and "behind" at once, being established.
void say_goodbye(Ordered& fixture, std::vector<Client>& clients) {
  fixture.handler.call([&] {
    for (std::uint32_t n = 1; n < clients.size(); n++) {
      fixture.io.establish(*fixture.adopted[n]);
      CHECK(clients[n].send(frame_of("bye") + frame_of("behind")));
      CHECK(Ordered::has_unread(*fixture.adopted[n]));
    }
    CHECK(clients[0].send(frame_of("e")));
    CHECK(Ordered::has_unread(*fixture.adopted[0]));
  });
}

STMQTT_TEST("order: ends that the handler puts off come behind the established, one per turn") {
  Ordered fixture(kSpent);
  constexpr std::uint32_t kMany = 20;
  const unsigned at_once = IoThreadOptions{}.ends_per_turn;
  auto clients = fixture.connect(kMany + 1);
  std::vector<std::int64_t> turns;
  std::uint32_t before = 0;
  fixture.handler.put_off = [&](Connection& connection) {
    turns.push_back(fixture.turn);
    CHECK(!fixture.io.put_off_end(connection));  // it is its time
    fixture.io.release(connection);
  };
  fixture.frame = [&](Connection& connection, std::string_view name) {
    if (name == "e") {
      before = static_cast<std::uint32_t>(turns.size());
      return;
    }
    CHECK_EQ(name, "bye");  // and nothing behind it
    if (fixture.io.put_off_end(connection)) {
      CHECK(connection.closing());
      return;
    }
    fixture.io.release(connection);
    fixture.handler.gone = true;
  };
  say_goodbye(fixture, clients);
  CHECK(eventually([&] { return fixture.count(Counter::connections_closed) == kMany; }));
  fixture.handler.call([&] {
    CHECK_EQ(turns.size(), kMany - at_once);
    CHECK_EQ(before, 0U);
    for (std::size_t n = 1; n < turns.size(); n++) CHECK_LT(turns[n - 1], turns[n]);
  });
  CHECK_EQ(fixture.handler.ends.load(), 0);
}

STMQTT_TEST("order: an end that was put off may come earlier, with or without a flush") {
  Ordered fixture(kSpent);
  constexpr std::uint32_t kMany = 12;
  auto clients = fixture.connect(kMany + 1);
  std::vector<Connection*> waiting;
  int told = 0;
  fixture.handler.put_off = [&](Connection& connection) {
    told++;
    fixture.io.release(connection);
  };
  fixture.frame = [&](Connection& connection, std::string_view name) {
    if (name != "e" && fixture.io.put_off_end(connection)) {
      waiting.push_back(&connection);
      if (waiting.size() < 8) return;
      for (std::size_t n = 0; n < 8; n++) {
        if (n % 2 == 0) {
          fixture.io.release(*waiting[n]);
        } else {
          waiting[n]->queue.append(as_bytes(frame_of("last")));
          fixture.io.close_after_flush(*waiting[n], now_ms() + kHourNs / 1'000'000 * 100);
        }
      }
    } else if (name != "e") {
      fixture.io.release(connection);
      fixture.handler.gone = true;
    }
  };
  say_goodbye(fixture, clients);
  CHECK(eventually([&] { return fixture.handler.ends.load() == 4; }));  // flushed
  for (auto& client : clients) client.close();
  CHECK(eventually([&] { return fixture.count(Counter::connections_closed) == kMany + 1; }));
  fixture.handler.call([&] { CHECK_EQ(told, 0); });
}

STMQTT_TEST("order: accepting is bounded too, and goes on however long the line is") {
  Ordered fixture(0);
  auto clients = fixture.connect(1);
  // The thread is held while 100 come.
  std::vector<std::int64_t> turns;
  const auto adopt = fixture.handler.accepted;
  fixture.handler.call([&] {
    fixture.handler.accepted = [&, adopt](int fd, ListenerId id, const PeerAddress& peer) {
      turns.push_back(fixture.turn);
      adopt(fd, id, peer);
    };
    step_ns = kSpent;
    for (int n = 0; n < 100; n++) {
      clients.emplace_back(fixture.listener.port());
      CHECK(clients.back().send(frame_of("n")));
    }
  });
  CHECK(eventually([&] { return fixture.told().size() == 100; }));
  fixture.handler.call([&] {
    CHECK_EQ(turns.size(), 100U);
    for (std::size_t n = 1; n < turns.size(); n++) CHECK_LT(turns[n - 1], turns[n]);
  });
}

constexpr std::uint64_t kHourMs = 3'600'000;
// The tests' clock goes on by some eight hours per turn.
constexpr std::uint64_t kShakeMs = 60 * kHourMs;

/// From now on those who come have a handshake to end within kShakeMs. Told: when they came.
void shaking(Ordered& fixture, std::vector<std::uint64_t>& came_ms) {
  fixture.handler.call([&] {
    fixture.handler.accepted = [&](int fd, ListenerId id, const PeerAddress& peer) {
      DetachedConnection socket(fd, fixture.handler.next_id++, id, peer);
      socket.channel = pool_new<RecordChannel>();
      socket.open_by_ms = fixture.io.turn_ms() + kShakeMs;
      came_ms.push_back(fixture.io.turn_ms());
      fixture.adopted.push_back(
          fixture.io.adopt(std::move(socket), &fixture.handler, Standing::newcomer));
      fixture.arrived++;
    };
  });
}

STMQTT_TEST("order: time in line is not taken from a handshake") {
  Ordered fixture(0);
  constexpr std::uint32_t kMany = 12;
  std::vector<std::uint64_t> came_ms;
  shaking(fixture, came_ms);
  auto clients = fixture.connect(kMany);
  std::vector<std::uint32_t> all = everybody(kMany - 1);
  std::uint64_t last_ms = 0;
  fixture.frame = [&](Connection&, std::string_view) { last_ms = fixture.io.turn_ms(); };
  fixture.at_once(
      [&] {
        for (auto& client : clients) {
          CHECK(client.send(record(RecordChannel::kHello) + records(frame_of("n"))));
        }
        step_ns = kSpent;
      },
      all);
  CHECK(eventually([&] { return fixture.told().size() == kMany; }));
  CHECK_EQ(fixture.handler.ends.load(), 0);
  fixture.handler.call([&] { CHECK_LT(came_ms.back() + kShakeMs, last_ms); });
  fixture.stop();
}

STMQTT_TEST("order: whoever sees to it that its bytes always wait has twice its time, not more") {
  Ordered fixture(0);
  constexpr std::uint32_t kMany = 8;
  std::vector<std::uint64_t> came_ms;
  shaking(fixture, came_ms);
  auto clients = fixture.connect(kMany);
  // A hello of 16 KiB, a byte per turn.
  fixture.handler.call([&] {
    for (auto& client : clients) CHECK(client.send(std::string("H\x3F\xFF")));
    fixture.handler.turn_end = [&] {
      for (auto& client : clients) static_cast<void>(client.send("x"));
    };
    fixture.handler.ended = [&](Connection& connection, EndReason reason) {
      CHECK(reason.kind == EndKind::channel_failed);
      const auto at = std::find(fixture.adopted.begin(), fixture.adopted.end(), &connection);
      REQUIRE(at != fixture.adopted.end());
      const auto index = static_cast<std::size_t>(at - fixture.adopted.begin());
      const std::uint64_t stayed_ms = fixture.io.turn_ms() - came_ms[index];
      CHECK_LE(kShakeMs, stayed_ms);
      // And some turns until it is noticed.
      CHECK_LT(stayed_ms, 2 * kShakeMs + 40 * kHourMs);
      *at = nullptr;
      fixture.io.release(connection);
    };
    step_ns = kSpent;
  });
  CHECK(eventually([&] { return fixture.handler.ends.load() == static_cast<int>(kMany); }));
  fixture.stop();
}

STMQTT_TEST("order: a thread that stops with connections in line frees them") {
  Ordered fixture(kSpent);
  auto clients = fixture.connect(30);
  fixture.frame = [&](Connection&, std::string_view) { fixture.io.request_stop(); };
  fixture.at_once(
      [&] {
        for (std::uint32_t n = 1; n < 30; n++) CHECK(clients[n].send(frame_of("n")));
      },
      {1, 29});
  fixture.stop();
  CHECK_EQ(fixture.served.size(), 1U);
  CHECK_EQ(fixture.count(Counter::connections_closed), 30);
}

}  // namespace
}  // namespace stmqtt::test
