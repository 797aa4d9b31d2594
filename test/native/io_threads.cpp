// native/io: the loop itself: wake-ups, timers, stopping, moving connections between threads.
#include "io_fixture.hpp"

#include <dirent.h>
#include <signal.h>

#include "base/outlet.hpp"
#include "base/random.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

int open_descriptors() {
  int count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) count++;
  ::closedir(folder);
  return count;
}

STMQTT_TEST("io loop: idle threads do not turn, and a timer wakes them on time") {
  IoFixture io;
  TimerNode node;
  std::atomic<std::uint64_t> fired_ms{0};
  io.handler.timer = [&](TimerNode&) { fired_ms = now_ms(); };
  io.start();
  io.handler.call([] {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::int64_t turns = io.count(Counter::loop_turns);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  CHECK_EQ(io.count(Counter::loop_turns), turns);
  const std::uint64_t due = now_ms() + 40;
  io.handler.call([&] { io.handler.wheel.schedule(node, due); });
  REQUIRE(eventually([&] { return fired_ms.load() != 0; }));
  CHECK_GE(fired_ms.load(), due);
  CHECK_LT(fired_ms.load(), due + 1000);
  CHECK_LE(io.count(Counter::loop_turns), turns + 6);
  CHECK_GT(io.count(Counter::busy_ns), 0);
  io.stop();
}

STMQTT_TEST("io loop: no wake-up is lost, whoever comes first") {
  IoFixture io;
  io.start();
  // One in flight at a time: each must arrive by itself, with the thread asleep, about to sleep or
  // just awake.
  std::atomic<int> done{0};
  for (int i = 0; i < 3000; i++) {
    io.handler.post([&] { done++; });
    if (i % 3 == 0) continue;
    const std::uint64_t limit = now_ms() + kPatienceMs;
    while (done.load() < i && now_ms() < limit) {
      if (i % 2 == 0) std::this_thread::yield();
    }
    REQUIRE(done.load() >= i);
  }
  CHECK(eventually([&] { return done.load() == 3000; }));
  CHECK_LE(io.count(Counter::wakeups), io.handler.wakes.load() + 3000);
}

STMQTT_TEST("io loop: wake-ups from several threads while the loop is busy") {
  IoFixture io;
  io.start();
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; i++) io.handler.post([&] { done++; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(eventually([&] { return done.load() == 6000; }));
}

STMQTT_TEST("io loop: links are flushed by the handler, once per turn, in the order of marking") {
  IoFixture io;
  std::vector<Outlet*> flushed;
  std::atomic<std::size_t> seen_by_turn_end{0};
  io.handler.turn_end = [&] { seen_by_turn_end = flushed.size(); };
  io.handler.link = [&](Outlet& outlet) {
    flushed.push_back(&outlet);
    // Marked again from within: the next turn's, not an endless one.
    if (flushed.size() < 4) outlet.mark();
  };
  {
    Outlet first(io.io.flush_list(), Outlet::Kind::link);
    Outlet second(io.io.flush_list(), Outlet::Kind::link);
    io.start();
    io.handler.call([&] {
      second.mark();
      first.mark();
      second.mark();
    });
    io.handler.call([] {});
    CHECK(eventually([&] {
      bool quiet = false;
      io.handler.call([&] { quiet = !first.marked() && !second.marked(); });
      return quiet;
    }));
    CHECK(eventually([&] { return seen_by_turn_end.load() == 5; }));
    io.stop();
    REQUIRE_EQ(flushed.size(), 5);
    CHECK(flushed[0] == &second && flushed[1] == &first && flushed[2] == &second);
  }
}

STMQTT_TEST("io loop: a stop with connections in every state closes them all") {
  const int before = open_descriptors();
  {
    IoFixture io;
    io.handler.frame = [&](Connection& at, std::string_view payload) {
      if (payload == "pause") io.io.pause(at, PauseCause::store);
      if (payload == "linger") io.io.close_after_flush(at, now_ms() + 60000);
      if (payload == "block") {
        at.queue.append(as_bytes(pattern(20'000'000)));
        at.mark();
      }
      if (payload == "close") {
        at.queue.append(as_bytes(pattern(20'000'000)));
        io.io.close_after_flush(at, now_ms() + 60000);
      }
    };
    io.start();
    std::vector<Client> clients;
    for (const char* what : {"pause", "linger", "block", "close", "idle"}) {
      clients.emplace_back(io.listener.port(), 8192);
      CHECK(clients.back().send(frame_of(what) + std::string("\0\0\1", 3)));
    }
    REQUIRE(io.received(9 + 10 + 9 + 9 + 8));
    REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
    io.stop();
    CHECK_EQ(io.handler.stops.load(), 1);
    CHECK_EQ(io.handler.ends.load(), 1);
    CHECK_EQ(io.count(Counter::connections_closed), 5);
    CHECK_EQ(io.count(Counter::outbound_bytes), 0);
    CHECK_EQ(io.io.connection_count(), 0);
  }
  CHECK_EQ(open_descriptors(), before);
}

STMQTT_TEST("io loop: 1,000 starts and stops leave no descriptor behind") {
  const int before = open_descriptors();
  for (int round = 0; round < 1000; round++) {
    IoFixture io;
    io.start();
    if (round % 10 == 0) {
      Client client(io.listener.port());
      CHECK(client.send(frame_of("x")));
      if (round % 20 == 0) CHECK_EQ(client.read_frame(), "x");
      io.stop();
    }
  }
  CHECK_EQ(open_descriptors(), before);
}

STMQTT_TEST("io loop: threads that wake each other are stopped and joined before they go") {
  for (int round = 0; round < 50; round++) {
    IoFixture first({}, 0);
    IoFixture second({}, 1);
    first.handler.turn_end = [&] { second.io.wake(); };
    second.handler.turn_end = [&] { first.io.wake(); };
    first.start();
    second.start();
    first.io.wake();
    if (round % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    // Both are joined before either is destroyed: each writes the other's wake-up descriptor.
    first.io.request_stop();
    second.io.request_stop();
    first.stop();
    second.stop();
  }
}

STMQTT_TEST("io loop: an I/O thread blocks all signals and has a name") {
  IoFixture io({}, 5);
  io.start();
  bool blocked = false;
  char name[16] = "";
  io.handler.call([&] {
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, nullptr, &set);
    blocked = sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGINT) == 1;
    pthread_getname_np(pthread_self(), name, sizeof name);
  });
  CHECK(blocked);
  CHECK_EQ(std::string(name), "st-mqttd/5");
}

// Connections wander between two threads while their clients send: nothing is lost, doubled or out
// of order, in either direction.
void move_under_traffic(bool within_on_bytes) {
  IoFixture fixtures[2] = {IoFixture({}, 0), IoFixture({}, 1)};
  std::atomic<int> moves{0};
  std::atomic<std::int64_t> misplaced{0};
  struct Moving {
    DetachedConnection detached;
  };
  const auto send_to = [&](int to, DetachedConnection&& detached) {
    auto moving = std::make_shared<Moving>();
    moving->detached = std::move(detached);
    fixtures[to].handler.post([&, moving, to] {
      moves++;
      CHECK(fixtures[to].io.adopt(std::move(moving->detached), &fixtures[to].handler) != nullptr);
    });
  };
  for (int here = 0; here < 2; here++) {
    IoFixture& io = fixtures[here];
    auto random = std::make_shared<Xoshiro>(test::seed() + static_cast<std::uint64_t>(here));
    auto leaving = std::make_shared<std::vector<Connection*>>();
    io.handler.frame = [&, here, random, leaving](Connection& at, std::string_view payload) {
      if (at.user != &io.handler) misplaced++;
      io.handler.echo(at, payload);
      if (random->below(40) != 0) return;
      if (within_on_bytes) {
        send_to(1 - here, io.io.detach(at, io.handler.behind));
        io.handler.gone = true;
      } else {
        io.io.pause(at, PauseCause::verdict);
        leaving->push_back(&at);
      }
    };
    io.handler.turn_end = [&, here, leaving] {
      for (Connection* connection : *leaving) {
        send_to(1 - here, io.io.detach(*connection, {}));
      }
      leaving->clear();
    };
    // A connection that ends while it waits to leave must not leave.
    io.handler.ended = [&, leaving](Connection& at, EndReason) {
      std::erase(*leaving, &at);
      io.io.release(at);
    };
  }
  fixtures[0].start();
  fixtures[1].start();
  constexpr int kClients = 4;
  constexpr int kFrames = 1500;
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; c++) {
    clients.emplace_back([&, c] {
      Client client(fixtures[c % 2].listener.port());
      const auto payload = [&](int i) {
        return std::to_string(c) + ":" + std::to_string(i) +
               std::string(static_cast<std::size_t>(i * 7 % 400), 'z');
      };
      std::thread sender([&] {
        std::string batch;
        for (int i = 0; i < kFrames; i++) {
          batch += frame_of(payload(i));
          if (i % 17 == 0 || i + 1 == kFrames) {
            // Often in the middle of a frame.
            const std::size_t cut = i + 1 == kFrames ? batch.size() : batch.size() * 2 / 3;
            CHECK(client.send(batch.substr(0, cut)));
            batch.erase(0, cut);
          }
        }
      });
      bool in_order = true;
      for (int i = 0; i < kFrames && in_order; i++) in_order = client.read_frame() == payload(i);
      CHECK(in_order);
      sender.join();
    });
  }
  for (std::thread& client : clients) client.join();
  CHECK_GT(moves.load(), 20);
  CHECK_EQ(misplaced.load(), 0);
  CHECK(eventually([&] {
    return fixtures[0].count(Counter::connections_closed) +
               fixtures[1].count(Counter::connections_closed) ==
           kClients;
  }));
  fixtures[0].io.request_stop();
  fixtures[1].io.request_stop();
  fixtures[0].stop();
  fixtures[1].stop();
  CHECK_EQ(fixtures[0].count(Counter::outbound_bytes) + fixtures[1].count(Counter::outbound_bytes),
           0);
}

STMQTT_TEST("io move: connections change threads within on_bytes, under traffic") {
  move_under_traffic(true);
}
STMQTT_TEST("io move: connections change threads while paused, under traffic") {
  move_under_traffic(false);
}

STMQTT_TEST("io move: what was queued and not sent goes along") {
  IoFixture first({}, 0);
  IoFixture second({}, 1);
  const std::string bulk = pattern(6'000'000);
  first.handler.frame = [&](Connection& at, std::string_view) {
    at.queue.append(as_bytes(bulk));
    at.mark();
  };
  Connection* connection = nullptr;
  first.handler.accepted = [&](int fd, ListenerId listener, const PeerAddress& peer) {
    connection = first.io.adopt({fd, 77, listener, peer}, &first);
  };
  first.start();
  second.start();
  Client client(first.listener.port(), 8192);
  CHECK(client.send(frame_of("go")));
  REQUIRE(eventually([&] { return first.count(Counter::outbound_bytes) > 0; }));
  DetachedConnection moving;
  first.handler.call([&] {
    moving = first.io.detach(*connection, {});
    CHECK_EQ(connection->fd(), -1);
  });
  CHECK_EQ(first.count(Counter::outbound_bytes), 0);
  CHECK_EQ(moving.id, 77);
  second.handler.call([&] {
    Connection* here = second.io.adopt(std::move(moving), &second);
    REQUIRE(here != nullptr);
    CHECK_EQ(here->id(), 77);
    CHECK_EQ(here->listener(), 7U);
    CHECK(here->peer().family == PeerAddress::Family::ipv4);
  });
  CHECK(client.read(bulk.size()) == bulk);
  // One that nobody adopts closes its descriptor.
  second.handler.call([&] {
    DetachedConnection dropped = second.io.detach(*second.io.connection_at(0), {});
  });
  CHECK(client.at_end());
  first.io.request_stop();
  second.io.request_stop();
  first.stop();
  second.stop();
}

}  // namespace
