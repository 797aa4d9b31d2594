// native/io: bytes in and out on real sockets: frames in pieces, large frames, slow readers,
// pauses, many slices.
#include "io_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

STMQTT_TEST("io bytes: three frames cut in two at every byte come back whole") {
  IoFixture io;
  io.start();
  Client client(io.listener.port());
  const std::string text = frame_of("first") + frame_of("") + frame_of(pattern(70));
  std::int64_t sent = 0;
  for (std::size_t cut = 0; cut <= text.size(); cut++) {
    const Context context("cut", cut);
    REQUIRE(client.send(text.substr(0, cut)));
    sent += static_cast<std::int64_t>(cut);
    REQUIRE(io.received(sent));
    REQUIRE(client.send(text.substr(cut)));
    sent += static_cast<std::int64_t>(text.size() - cut);
    REQUIRE(client.read(text.size()) == text);
  }
}

STMQTT_TEST("io bytes: frames that trickle in byte by byte, at want and one beyond") {
  IoFixture io;
  io.start();
  Client client(io.listener.port());
  const std::string text = frame_of("abc") + frame_of(pattern(33));
  std::int64_t sent = 0;
  for (const char byte : text) {
    REQUIRE(client.send({&byte, 1}));
    REQUIRE(io.received(++sent));
  }
  CHECK(client.read(text.size()) == text);
}

STMQTT_TEST("io bytes: large frames, cut around the limit of the joined ones") {
  IoFixture io;
  io.start();
  Client client(io.listener.port());
  std::int64_t sent = 0;
  for (const std::size_t bytes : {32763UL, 32764UL, 32765UL, 65536UL, 200000UL, 300000UL}) {
    const std::string text = frame_of("before") + frame_of(pattern(bytes)) + frame_of("after");
    for (const std::size_t cut : {1UL, 11UL, 14UL, 15UL, 5000UL, 32768UL, 32778UL, bytes, bytes + 14,
                                  bytes + 15, text.size() - 1}) {
      if (cut >= text.size()) continue;
      const Context context("cut", cut);
      REQUIRE(client.send(text.substr(0, cut)));
      sent += static_cast<std::int64_t>(cut);
      REQUIRE(io.received(sent));
      REQUIRE(client.send(text.substr(cut)));
      sent += static_cast<std::int64_t>(text.size() - cut);
      REQUIRE(client.read(text.size()) == text);
    }
  }
}

STMQTT_TEST("io bytes: a frame of 10 MB arrives in one piece, and its memory follows what came") {
  IoFixture io;
  Connection* connection = nullptr;
  io.handler.frame = [&](Connection& at, std::string_view payload) {
    connection = &at;
    io.handler.echo(at, payload);
  };
  io.start();
  Client client(io.listener.port());
  CHECK(client.send(frame_of("hello")));
  CHECK_EQ(client.read_frame(), "hello");
  // A claim of 200 MB with 100 bytes behind it must not take 200 MB.
  const std::string claim("\x0c\x00\x00\x00", 4);
  CHECK(client.send(claim + pattern(100)));
  REQUIRE(io.received(9 + 104));
  CHECK(client.send(pattern(50000)));
  REQUIRE(io.received(9 + 104 + 50000));
  std::uint32_t capacity = 0;
  io.handler.call([&] {
    CHECK_EQ(connection->pending_bytes(), 50104);
    const DetachedConnection away = io.io.detach(*connection, {});
    capacity = away.unread->capacity;
  });
  CHECK_GE(capacity, 50104);
  CHECK_LE(capacity, 150000);
  Client other(io.listener.port());
  const std::string big = pattern(10'000'000);
  std::string back;
  std::thread reader([&] { back = other.read_frame(); });
  CHECK(other.send(frame_of(big)));
  reader.join();
  CHECK(back == big);
}

STMQTT_TEST("io bytes: pipelined frames, many per read, stay in order") {
  IoFixture io;
  io.start();
  Client client(io.listener.port());
  constexpr int kFrames = 20000;
  std::thread sender([&] {
    std::string batch;
    for (int i = 0; i < kFrames; i++) {
      batch += frame_of(std::to_string(i) + std::string(static_cast<std::size_t>(i % 90), 'x'));
      if (batch.size() > 10000 + static_cast<std::size_t>(i % 977) || i + 1 == kFrames) {
        CHECK(client.send(batch));
        batch.clear();
      }
    }
  });
  bool in_order = true;
  for (int i = 0; i < kFrames && in_order; i++) {
    in_order = client.read_frame() ==
               std::to_string(i) + std::string(static_cast<std::size_t>(i % 90), 'x');
  }
  CHECK(in_order);
  sender.join();
  CHECK_EQ(io.count(Counter::bytes_sent), io.count(Counter::bytes_received));
}

STMQTT_TEST("io bytes: a slow reader gets everything, on_writable comes once below the low mark") {
  IoThreadOptions options;
  options.outbound_high_watermark_bytes = 500'000;
  options.outbound_low_watermark_bytes = 100'000;
  IoFixture io(options);
  std::atomic<int> writable{0};
  std::size_t left_at_writable = 0;
  const std::string payload = pattern(1000);
  io.handler.frame = [&](Connection& connection, std::string_view) {
    for (int i = 0; i < 8000; i++) connection.queue.append(as_bytes(frame_of(payload)));
    connection.mark();
    CHECK(connection.above_high());
  };
  io.handler.writable = [&](Connection& connection) {
    left_at_writable = connection.queue.bytes();
    writable++;
  };
  io.start();
  Client client(io.listener.port(), 8192);
  CHECK(client.send(frame_of("go")));
  REQUIRE(eventually([&] { return io.count(Counter::outbound_bytes) > 500'000; }));
  const std::int64_t turns = io.count(Counter::loop_turns);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_LE(io.count(Counter::loop_turns), turns + 20);  // it waits for room and does not spin
  CHECK_EQ(writable.load(), 0);
  bool whole = true;
  for (int i = 0; i < 8000 && whole; i++) whole = client.read_frame() == payload;
  CHECK(whole);
  CHECK(eventually([&] { return io.count(Counter::outbound_bytes) == 0; }));
  CHECK_EQ(writable.load(), 1);
  io.handler.call([&] { io.handler.frame = nullptr; });  // echoes
  CHECK(client.send(frame_of("small")));
  CHECK_EQ(client.read_frame(), "small");
  io.stop();
  CHECK_EQ(writable.load(), 1);
  CHECK_LE(left_at_writable, 100'000);
}

STMQTT_TEST("io bytes: what a handler does in on_writable is followed by a turn end") {
  IoThreadOptions options;
  options.outbound_high_watermark_bytes = 1000;
  options.outbound_low_watermark_bytes = 500;
  IoFixture io(options);
  std::atomic<int> writable{0};
  std::atomic<int> seen{0};
  io.handler.writable = [&](Connection&) { writable++; };
  io.handler.turn_end = [&] { seen = writable.load(); };
  io.start();
  Client client(io.listener.port());
  // Taken by the kernel at once: above the mark and below it again within one flush.
  const std::string text = frame_of(pattern(5000));
  CHECK(client.send(text));
  CHECK(client.read(text.size()) == text);
  CHECK(eventually([&] { return seen.load() == 1; }));
}

STMQTT_TEST("io bytes: shared payloads and more slices than one send takes") {
  std::int64_t before = 0;
  std::int64_t after = 1;
  IoFixture io;
  const std::string topic = "t";
  const std::string payload = pattern(3000);
  io.handler.frame = [&](Connection& connection, std::string_view) {
    MessageRef message = MessageRef::adopt(
        Message::make({as_bytes(topic), {}, as_bytes(payload), {}, 0, {}, 0, 0, false}));
    for (int i = 0; i < 300; i++) {
      connection.queue.append(as_bytes(std::string("\x00\x00\x0b\xb8", 4)));
      connection.queue.append_shared(message, message->payload());
    }
    connection.mark();
  };
  io.handler.timer = [](TimerNode&) {};
  io.start();
  // Bytes are counted by thread; on this one, other tests have left theirs.
  io.handler.call([&] { before = Message::thread_bytes(); });
  Client client(io.listener.port());
  CHECK(client.send(frame_of("go")));
  bool whole = true;
  for (int i = 0; i < 300 && whole; i++) whole = client.read_frame() == payload;
  CHECK(whole);
  CHECK(eventually([&] { return io.count(Counter::outbound_bytes) == 0; }));
  io.handler.call([&] { after = Message::thread_bytes(); });
  CHECK_EQ(after, before);
}

STMQTT_TEST("io bytes: a handler that takes one frame a turn, without pausing, gets them all") {
  IoFixture io;
  std::size_t most = 0;
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    io.handler.echo(connection, payload);
    most = std::max(most, io.handler.behind.size());
    connection.want(4);      // has it already: to be called again in the next turn
    io.handler.gone = true;  // stop after this one
  };
  io.start();
  Client client(io.listener.port());
  std::string text;
  for (int i = 0; i < 1500; i++) text += frame_of(pattern(1000, static_cast<std::uint32_t>(i)));
  std::thread sender([&] { CHECK(client.send(text)); });
  CHECK(client.read(text.size()) == text);
  sender.join();
  io.stop();
  // Nothing more was read while bytes were left over.
  CHECK_LE(most, (256U + 32U) << 10);
}

STMQTT_TEST("io pause: nothing is handed over while paused, all of it afterwards, in order") {
  IoFixture io;
  Connection* paused = nullptr;
  std::atomic<int> pauses{0};
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    io.handler.echo(connection, payload);
    io.io.pause(connection, PauseCause::verdict);
    io.io.pause(connection, PauseCause::store);
    io.io.pause(connection, PauseCause::store);
    paused = &connection;
    pauses++;
  };
  io.start();
  Client client(io.listener.port());
  std::string text;
  for (int i = 0; i < 40; i++) text += frame_of(pattern(20000, static_cast<std::uint32_t>(i)));
  std::thread sender([&] { CHECK(client.send(text)); });
  for (int i = 0; i < 40; i++) {
    REQUIRE(eventually([&] { return pauses.load() == i + 1; }));
    io.handler.call([&] { io.io.resume(*paused, PauseCause::verdict); });
    CHECK_EQ(pauses.load(), i + 1);  // one cause is left
    io.handler.call([&] {
      CHECK(paused->paused());
      io.io.resume(*paused, PauseCause::store);
      io.io.resume(*paused, PauseCause::store);
    });
  }
  CHECK(client.read(text.size()) == text);
  sender.join();
  CHECK_EQ(io.count(Counter::paused_verdict), 40);
  CHECK_EQ(io.count(Counter::paused_store), 40);
}

STMQTT_TEST("io pause: a paused connection with bytes waiting does not keep the loop awake") {
  IoFixture io;
  Connection* paused = nullptr;
  std::atomic<int> frames{0};
  io.handler.frame = [&](Connection& connection, std::string_view) {
    io.io.pause(connection, PauseCause::outbox);
    paused = &connection;
    frames++;
  };
  io.start();
  Client client(io.listener.port());
  CHECK(client.send(frame_of("1")));
  REQUIRE(eventually([&] { return frames.load() == 1; }));
  CHECK(client.send(frame_of("2")));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::int64_t turns = io.count(Counter::loop_turns);
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  CHECK_EQ(io.count(Counter::loop_turns), turns);
  CHECK_EQ(frames.load(), 1);
  // Writing still works, and a pause that ends before the poller noticed costs nothing.
  io.handler.call([&] { io.handler.echo(*paused, "written while paused"); });
  CHECK_EQ(client.read_frame(), "written while paused");
  io.handler.call([&] { io.io.resume(*paused, PauseCause::outbox); });
  CHECK(eventually([&] { return frames.load() == 2; }));
}

STMQTT_TEST("io pause: a partial frame stays put over a pause, and the rest of it is awaited") {
  IoFixture io;
  Connection* connection = nullptr;
  std::atomic<int> frames{0};
  io.handler.frame = [&](Connection& at, std::string_view payload) {
    connection = &at;
    io.handler.echo(at, payload);
    frames++;
    if (payload == "pause") io.io.pause(at, PauseCause::queue_full);
  };
  io.start();
  Client client(io.listener.port());
  const std::string partial = frame_of("partial frame");
  CHECK(client.send(frame_of("pause") + partial.substr(0, 6)));
  REQUIRE(eventually([&] { return frames.load() == 1; }));
  io.handler.call([&] { io.io.resume(*connection, PauseCause::queue_full); });
  io.handler.call([&] { CHECK_EQ(connection->pending_bytes(), 6); });
  CHECK(client.send(partial.substr(6)));
  CHECK_EQ(client.read_frame(), "pause");
  CHECK_EQ(client.read_frame(), "partial frame");
  io.handler.call([&] { CHECK_EQ(connection->pending_bytes(), 0); });
}

}  // namespace
