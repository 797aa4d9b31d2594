// native/io: how connections end: by the peer, by us, with bytes left on either side.
#include "io_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

STMQTT_TEST("io close: the peer's end and the peer's reset are told apart") {
  IoFixture io;
  std::vector<EndReason> reasons;
  io.handler.ended = [&](Connection& connection, EndReason reason) {
    reasons.push_back(reason);
    io.io.release(connection);
    CHECK_EQ(connection.fd(), -1);
  };
  io.start();
  Client first(io.listener.port());
  CHECK(first.send(frame_of("x")));
  CHECK_EQ(first.read_frame(), "x");
  first.close();
  REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
  Client second(io.listener.port());
  CHECK(second.send(frame_of("y")));
  CHECK_EQ(second.read_frame(), "y");
  second.reset();
  REQUIRE(eventually([&] { return io.handler.ends.load() == 2; }));
  io.stop();
  REQUIRE_EQ(reasons.size(), 2);
  CHECK(reasons[0].kind == EndKind::peer_closed);
  CHECK(reasons[1].kind == EndKind::socket_error);
  CHECK_EQ(reasons[1].error, ECONNRESET);
  CHECK_EQ(io.count(Counter::connections_accepted), 2);
  CHECK_EQ(io.count(Counter::connections_closed), 2);
}

STMQTT_TEST("io close: frames sent right before the peer's end are handled first") {
  IoFixture io;
  std::atomic<int> frames{0};
  io.handler.frame = [&](Connection&, std::string_view) { frames++; };
  io.start();
  Client client(io.listener.port());
  CHECK(client.send(frame_of("1") + frame_of("2") + std::string("\0\0", 2)));
  client.close();
  REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
  CHECK_EQ(frames.load(), 2);
}

// What a client sends before it resets must not be lost to our own failing send: it may be its
// DISCONNECT, and without it the Will would be published.
STMQTT_TEST("io close: what came before a reset is read although a send fails first") {
  IoFixture io;
  Connection* connection = nullptr;
  std::vector<std::string> frames;
  std::atomic<int> count{0};
  io.handler.frame = [&](Connection& at, std::string_view payload) {
    connection = &at;
    frames.emplace_back(payload);
    count++;
    if (payload == "pause") io.io.pause(at, PauseCause::verdict);
  };
  EndReason reason{EndKind::flushed};
  io.handler.ended = [&](Connection& at, EndReason why) {
    reason = why;
    io.io.release(at);
  };
  io.start();
  Client client(io.listener.port());
  CHECK(client.send(frame_of("pause")));
  REQUIRE(eventually([&] { return count.load() == 1; }));
  CHECK(client.send(frame_of("goodbye")));
  client.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_EQ(io.handler.ends.load(), 0);
  io.handler.call([&] { io.handler.echo(*connection, "into the void"); });
  io.handler.call([&] { io.handler.echo(*connection, "again"); });
  CHECK_EQ(io.handler.ends.load(), 0);
  io.handler.call([&] { io.io.resume(*connection, PauseCause::verdict); });
  REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
  io.stop();
  CHECK(frames == std::vector<std::string>({"pause", "goodbye"}));
  CHECK(reason.kind == EndKind::socket_error);
  CHECK_EQ(io.count(Counter::outbound_bytes), 0);
}

STMQTT_TEST("io close: a paused peer that resets with nothing unread ends at once") {
  IoFixture io;
  io.handler.frame = [&](Connection& at, std::string_view) {
    io.io.pause(at, PauseCause::verdict);
  };
  io.start();
  Client client(io.listener.port());
  CHECK(client.send(frame_of("pause")));
  REQUIRE(io.received(9));
  client.reset();
  CHECK(eventually([&] { return io.handler.ends.load() == 1; }));
}

STMQTT_TEST("io close: a paused peer that closes ends after its last frames were handled") {
  const std::string path = "/tmp/st-mqttd-test-" + std::to_string(::getpid()) + ".sock";
  for (const bool over_unix : {false, true}) {
    const Context context("unix", over_unix);
    IoFixture io;
    Connection* connection = nullptr;
    std::atomic<int> frames{0};
    io.handler.frame = [&](Connection& at, std::string_view) {
      connection = &at;
      if (frames++ == 0) io.io.pause(at, PauseCause::verdict);
    };
    if (over_unix) io.listen({"", 0, path, 0600, 16, Ipv6Scope::dual_stack});
    io.start();
    Client client = over_unix ? Client(path) : Client(io.listener.port());
    CHECK(client.send(frame_of("pause")));
    REQUIRE(eventually([&] { return frames.load() == 1; }));
    CHECK(client.send(frame_of("2") + frame_of("3")));
    client.close();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::int64_t turns = io.count(Counter::loop_turns);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    CHECK_EQ(io.count(Counter::loop_turns), turns);
    CHECK_EQ(io.handler.ends.load(), 0);
    io.handler.call([&] { io.io.resume(*connection, PauseCause::verdict); });
    REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
    CHECK_EQ(frames.load(), 3);
  }
}

STMQTT_TEST("io close: close_after_flush sends everything, then ends the stream") {
  IoFixture io;
  std::atomic<int> flushed{0};
  const std::string farewell = pattern(3'000'000);
  io.handler.frame = [&](Connection& at, std::string_view payload) {
    if (payload == "bulk") at.queue.append(as_bytes(farewell));
    io.io.close_after_flush(at, now_ms() + 60000);
    CHECK(at.closing());
    at.queue.append(as_bytes("bye"));  // may still be written to in the same turn
  };
  io.handler.ended = [&](Connection& at, EndReason reason) {
    if (reason.kind == EndKind::flushed) flushed++;
    io.io.release(at);
  };
  io.start();
  Client small(io.listener.port());
  CHECK(small.send(frame_of("x") + frame_of("ignored")));
  CHECK_EQ(small.read(3), "bye");
  CHECK(small.at_end());
  Client bulk(io.listener.port(), 8192);
  CHECK(bulk.send(frame_of("bulk")));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(bulk.read(farewell.size()) == farewell);
  CHECK_EQ(bulk.read(3), "bye");
  CHECK(bulk.at_end());
  CHECK_EQ(flushed.load(), 2);
  small.close();
  bulk.close();
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 2; }));
}

STMQTT_TEST("io close: the last bytes reach a client that goes on sending") {
  IoFixture io;
  const std::string noise = pattern(900'000);
  io.handler.frame = [&](Connection& at, std::string_view) {
    at.queue.append(as_bytes("refused"));
    io.io.close_after_flush(at, now_ms() + 60000);
  };
  io.start();
  for (int round = 0; round < 20; round++) {
    Client client(io.listener.port());
    // More than one read takes: a plain close() would find the rest unread and reset.
    CHECK(client.send(frame_of("x") + noise));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(client.send("more"));
    CHECK_EQ(client.read(7), "refused");
    CHECK(client.at_end());
  }
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 20; }));
}

STMQTT_TEST("io close: at the deadline what is left is cut") {
  IoFixture io;
  std::vector<EndKind> kinds;
  std::uint64_t asked_ms = 0;
  std::uint64_t ended_ms = 0;
  io.handler.frame = [&](Connection& at, std::string_view) {
    at.queue.append(as_bytes(pattern(20'000'000)));
    asked_ms = now_ms();
    io.io.close_after_flush(at, asked_ms + 60);
    io.io.close_after_flush(at, asked_ms + 90000);  // the first one holds
  };
  io.handler.ended = [&](Connection& at, EndReason reason) {
    ended_ms = now_ms();
    kinds.push_back(reason.kind);
    io.io.release(at);
  };
  io.start();
  Client client(io.listener.port(), 8192);
  CHECK(client.send(frame_of("x")));
  REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
  io.stop();
  REQUIRE_EQ(kinds.size(), 1);
  CHECK(kinds[0] == EndKind::deadline_passed);
  CHECK_GE(ended_ms, asked_ms + 60);
  CHECK_EQ(io.count(Counter::connections_closed), 1);
  CHECK_EQ(io.count(Counter::outbound_bytes), 0);
}

STMQTT_TEST("io close: a closed peer that never closes its side is let go after a moment") {
  IoFixture io;
  io.handler.frame = [&](Connection& at, std::string_view) {
    io.io.close_after_flush(at, now_ms() + 60000);
  };
  io.start();
  std::vector<Client> clients;
  for (int i = 0; i < 10; i++) {
    clients.emplace_back(io.listener.port());
    CHECK(clients.back().send(frame_of("x")));
  }
  REQUIRE(eventually([&] { return io.handler.ends.load() == 10; }));
  CHECK_EQ(io.count(Counter::connections_closed), 0);
  const std::uint64_t before = now_ms();
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 10; }));
  CHECK_LT(now_ms() - before, 5000);
}

STMQTT_TEST("io close: a reset during close_after_flush ends it as an error") {
  IoFixture io;
  std::vector<EndKind> kinds;
  io.handler.frame = [&](Connection& at, std::string_view) {
    at.queue.append(as_bytes(pattern(20'000'000)));
    io.io.close_after_flush(at, now_ms() + 60000);
  };
  io.handler.ended = [&](Connection& at, EndReason reason) {
    kinds.push_back(reason.kind);
    io.io.release(at);
  };
  io.start();
  Client client(io.listener.port(), 8192);
  CHECK(client.send(frame_of("x")));
  REQUIRE(eventually([&] { return io.count(Counter::bytes_sent) > 0; }));
  client.reset();
  REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
  io.stop();
  CHECK(kinds == std::vector<EndKind>({EndKind::socket_error}));
}

STMQTT_TEST("io close: writing to a peer that is gone raises no signal and ends the connection") {
  IoFixture io;
  const std::string bulk = pattern(5'000'000);
  io.handler.frame = [&](Connection& at, std::string_view) {
    at.queue.append(as_bytes(bulk));
    at.mark();
  };
  io.start();
  for (int round = 0; round < 30; round++) {
    Client client(io.listener.port());
    CHECK(client.send(frame_of("x")));
    if (round % 3 == 0) CHECK_EQ(client.read(10).size(), 10);
    if (round % 2 == 0) {
      client.close();  // with unread bytes: a reset
    } else {
      client.reset();
    }
    REQUIRE(eventually([&] { return io.handler.ends.load() == round + 1; }));
  }
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 30; }));
  CHECK_EQ(io.count(Counter::outbound_bytes), 0);
}

STMQTT_TEST("io close: one connection may release others, ready in the same turn or left over") {
  IoFixture io;
  std::vector<Connection*> all;
  int frames = 0;
  io.handler.accepted = [&](int fd, ListenerId listener, const PeerAddress& peer) {
    all.push_back(io.io.adopt({fd, io.handler.next_id++, listener, peer}, &io));
  };
  io.handler.frame = [&](Connection& at, std::string_view) {
    frames++;
    for (Connection* other : all) {
      if (other != &at) {
        other->queue.append(as_bytes("lost"));
        other->mark();
        io.io.release(*other);
        io.io.release(*other);
      }
    }
    all.assign(1, &at);
    io.handler.echo(at, "survivor");
  };
  io.start();
  std::vector<Client> clients;
  for (int i = 0; i < 20; i++) clients.emplace_back(io.listener.port());
  REQUIRE(eventually([&] { return io.count(Counter::connections_accepted) == 20; }));
  // The thread is kept busy while all of them send, so that they are ready in one turn.
  io.handler.call([&] {
    for (Client& client : clients) CHECK(client.send(frame_of("a") + frame_of("b")));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  REQUIRE(eventually([&] { return io.count(Counter::connections_closed) == 19; }));
  int survivors = 0;
  for (Client& client : clients) survivors += client.read_frame() == "survivor" ? 1 : 0;
  CHECK_EQ(survivors, 1);
  CHECK_EQ(io.handler.ends.load(), 0);
  io.stop();
  CHECK_EQ(frames, 2);
}

STMQTT_TEST("io close: a handler may release long after the end, without the loop spinning") {
  IoFixture io;
  Connection* ended = nullptr;
  io.handler.ended = [&](Connection& at, EndReason) { ended = &at; };
  io.start();
  Client client(io.listener.port());
  CHECK(client.send(frame_of("x")));
  CHECK_EQ(client.read_frame(), "x");
  client.reset();
  REQUIRE(eventually([&] { return io.handler.ends.load() == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const std::int64_t turns = io.count(Counter::loop_turns);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK_EQ(io.count(Counter::loop_turns), turns);
  io.handler.call([&] {
    io.handler.echo(*ended, "nothing happens");
    io.io.resume(*ended, PauseCause::verdict);
    io.io.close_after_flush(*ended, 0);
  });
  io.handler.call([&] { io.io.release(*ended); });
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 1; }));
  CHECK_EQ(io.handler.ends.load(), 1);
  // The same after a flush, when the descriptor is still watched.
  io.handler.call([&] {
    io.handler.frame = [&](Connection& at, std::string_view) {
      io.io.close_after_flush(at, now_ms() + 60000);
    };
  });
  Client second(io.listener.port());
  CHECK(second.send(frame_of("x")));
  REQUIRE(eventually([&] { return io.handler.ends.load() == 2; }));
  second.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const std::int64_t turns_now = io.count(Counter::loop_turns);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  CHECK_EQ(io.count(Counter::loop_turns), turns_now);
  io.handler.call([&] { io.io.release(*ended); });
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 2; }));
}

STMQTT_TEST("io close: a connection that waits for its next turn may be released by another") {
  IoFixture io;
  Connection* first = nullptr;
  std::vector<std::string> order;
  io.handler.frame = [&](Connection& at, std::string_view payload) {
    order.emplace_back(payload);
    if (payload == "a1") first = &at;
    if (payload == "b2") io.io.release(*first);
    at.want(4);  // one frame a turn: both wait for the next one
    io.handler.gone = true;
  };
  io.start();
  Client a(io.listener.port());
  Client b(io.listener.port());
  REQUIRE(eventually([&] { return io.count(Counter::connections_accepted) == 2; }));
  io.handler.call([&] {
    CHECK(a.send(frame_of("a1") + frame_of("a2") + frame_of("a3") + frame_of("a4")));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    CHECK(b.send(frame_of("b1") + frame_of("b2") + frame_of("b3") + frame_of("b4")));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  });
  CHECK(a.at_end());
  b.close();
  REQUIRE(eventually([&] { return io.count(Counter::connections_closed) == 2; }));
  io.stop();
  CHECK(order == std::vector<std::string>({"a1", "b1", "a2", "b2", "b3", "b4"}));
}

}  // namespace
