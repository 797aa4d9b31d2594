// native/io: channels between socket and handler: order of a stack, records in pieces, slow readers,
// pauses, ends, moves between threads, the deadline.
#include "io_test_channels.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

/// Connections with a record channel; `open_by_ms` from now, 0 = any time.
void with_records(IoFixture& io, std::uint64_t open_by_ms = 0) {
  io.handler.accepted = [&io, open_by_ms](int fd, ListenerId id, const PeerAddress& peer) {
    DetachedConnection from(fd, 1, id, peer);
    from.channel = pool_new<RecordChannel>();
    if (open_by_ms > 0) from.open_by_ms = io.io.turn_ms() + open_by_ms;
    static_cast<void>(io.io.adopt(std::move(from), &io.handler));
  };
}

STMQTT_TEST("io channel: frames in records, cut in two at every byte, come back whole") {
  IoFixture io;
  with_records(io);
  io.start();
  Client client(io.listener.port());
  REQUIRE(greet(client));
  const std::string plain = frame_of("first") + frame_of("") + frame_of(pattern(70));
  const std::string text = records(plain, 31);
  std::int64_t sent = 3;
  for (std::size_t cut = 0; cut <= text.size(); cut++) {
    const Context context("cut", cut);
    REQUIRE(client.send(text.substr(0, cut)));
    sent += static_cast<std::int64_t>(cut);
    REQUIRE(io.received(sent));
    REQUIRE(client.send(text.substr(cut)));
    sent += static_cast<std::int64_t>(text.size() - cut);
    REQUIRE(read_data(client, plain.size()) == plain);
  }
}

STMQTT_TEST("io channel: head, records and frames on each other; the head tells the peer") {
  IoFixture io;
  io.handler.accepted = [&](int fd, ListenerId id, const PeerAddress& peer) {
    DetachedConnection from(fd, 1, id, peer);
    from.channel = pool_new<HeadChannel>();
    auto* middle = pool_new<RecordChannel>();
    from.channel->set_above(middle);
    middle->set_above(pool_new<FrameChannel>());
    static_cast<void>(io.io.adopt(std::move(from), &io.handler));
  };
  std::atomic<int> port{0};
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    port = connection.peer().port;
    CHECK(connection.channel()->kind() == ChannelKind::tls);
    io.handler.echo(connection, payload);
  };
  io.start();
  Client client(io.listener.port());
  const std::string frame = frame_of("seventeen letters");
  const std::string inner = static_cast<char>(frame.size()) + frame;
  // All in one send: what lies behind the head belongs to the next.
  REQUIRE(client.send("4711\n" + record(RecordChannel::kHello) + records(inner, 5)));
  CHECK(read_record(client).first == RecordChannel::kHello);
  CHECK(read_data(client, inner.size()) == inner);
  CHECK_EQ(port.load(), 4711);
  // A head that is none.
  Client other(io.listener.port());
  REQUIRE(other.send("47x1\n"));
  CHECK(other.at_end());
}

STMQTT_TEST("io channel: large frames, and a slow reader for whom little is made at once") {
  RecordChannel::most_out = 0;
  IoFixture io;
  with_records(io);
  io.start();
  Client client(io.listener.port(), 4096);
  REQUIRE(greet(client));
  const std::string big = frame_of(pattern(3'000'000));
  for (int round = 0; round < 3; round++) {
    REQUIRE(client.send(records(big)));
    REQUIRE(io.received(3'000'000 * (round + 1)));
  }
  REQUIRE(eventually([&] { return io.count(Counter::outbound_bytes) > 1'000'000; }));
  REQUIRE(read_data(client, big.size() * 3) == big + big + big);
  CHECK(RecordChannel::most_out.load() < 200'000);
  CHECK(eventually([&] { return io.count(Counter::outbound_bytes) == 0; }));
}

STMQTT_TEST("io channel: what came before the end is handled first, however long reading pauses") {
  IoFixture io;
  with_records(io);
  std::string seen;
  Connection* paused = nullptr;
  std::atomic<bool> is_paused{false};
  std::atomic<int> kind{-1};
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    seen += payload;
    if (payload != "one") return;
    paused = &connection;
    io.io.pause(connection, PauseCause::verdict);
    is_paused = true;
  };
  io.handler.ended = [&](Connection& connection, EndReason reason) {
    kind = static_cast<int>(reason.kind);
    io.io.release(connection);
  };
  io.start();
  Client client(io.listener.port());
  REQUIRE(greet(client));
  REQUIRE(client.send(records(frame_of("one") + frame_of("two")) + record(RecordChannel::kEnd)));
  REQUIRE(eventually([&] { return is_paused.load(); }));
  CHECK_EQ(kind.load(), -1);
  io.handler.call([&] { io.io.resume(*paused, PauseCause::verdict); });
  REQUIRE(eventually([&] { return kind.load() >= 0; }));
  CHECK_EQ(kind.load(), static_cast<int>(EndKind::peer_closed));
  CHECK_EQ(seen, "onetwo");
  CHECK(read_record(client).first == RecordChannel::kEnd);
  CHECK(client.at_end());
}

STMQTT_TEST("io channel: a broken record ends it with the channel's words, after what was good") {
  IoFixture io;
  with_records(io);
  std::atomic<bool> ended{false};
  std::string seen;
  std::string words;
  io.handler.frame = [&](Connection&, std::string_view payload) { seen += payload; };
  io.handler.ended = [&](Connection& connection, EndReason reason) {
    if (reason.kind == EndKind::channel_failed && reason.channel == ChannelKind::tls) {
      words = reason.text;
    }
    io.io.release(connection);
    ended = true;
  };
  io.start();
  Client client(io.listener.port());
  REQUIRE(greet(client));
  REQUIRE(client.send(records(frame_of("good")) + "?\xFF\xFF"));
  REQUIRE(eventually([&] { return ended.load(); }));
  CHECK_EQ(seen, "good");
  CHECK_EQ(words, "not a record");
  CHECK(read_record(client).first == RecordChannel::kEnd);  // last words
  CHECK(client.at_end());
  CHECK(eventually([] { return RecordChannel::live.load() == 0; }));
}

STMQTT_TEST("io channel: a hello that does not come in time ends that connection, and no other") {
  IoFixture io;
  with_records(io, 100);
  std::atomic<int> late{0};
  io.handler.ended = [&](Connection& connection, EndReason reason) {
    if (reason.kind == EndKind::channel_failed && reason.text == "no hello in time") late++;
    io.io.release(connection);
  };
  io.start();
  Client good(io.listener.port());
  REQUIRE(greet(good));
  Client silent(io.listener.port());
  Client slow(io.listener.port());
  REQUIRE(slow.send("H"));
  CHECK(silent.at_end());
  CHECK(slow.at_end());
  CHECK_EQ(late.load(), 2);
  REQUIRE(good.send(records(frame_of("still here"))));
  CHECK(read_data(good, 14) == frame_of("still here"));
}

STMQTT_TEST("io channel: closing after a flush sends all, then the last words, then the end") {
  IoFixture io;
  with_records(io);
  std::atomic<int> kind{-1};
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    for (int i = 0; i < 100; i++) io.handler.echo(connection, payload);
    io.io.close_after_flush(connection, io.io.turn_ms() + 60'000);
    io.handler.gone = true;
  };
  io.handler.ended = [&](Connection& connection, EndReason reason) {
    kind = static_cast<int>(reason.kind);
    io.io.release(connection);
  };
  io.start();
  Client client(io.listener.port(), 4096);
  REQUIRE(greet(client));
  const std::string frame = frame_of(pattern(50'000));
  REQUIRE(client.send(records(frame)));
  std::string all;
  while (true) {
    const auto [type, payload] = read_record(client);
    if (type != RecordChannel::kData) {
      CHECK(type == RecordChannel::kEnd);
      break;
    }
    all += payload;
  }
  CHECK_EQ(all.size(), frame.size() * 100);
  CHECK(client.at_end());
  CHECK(eventually([&] { return kind.load() == static_cast<int>(EndKind::flushed); }));
  client.close();
  CHECK(eventually([&] { return io.count(Counter::connections_closed) == 1; }));
  CHECK(eventually([&] { return io.count(Counter::outbound_bytes) == 0; }));
}

STMQTT_TEST("io channel: closing before the hello does not wait for it") {
  IoFixture io;
  with_records(io);
  std::atomic<int> kind{-1};
  io.handler.accepted = [&](int fd, ListenerId id, const PeerAddress& peer) {
    DetachedConnection from(fd, 1, id, peer);
    from.channel = pool_new<RecordChannel>();
    Connection* connection = io.io.adopt(std::move(from), &io.handler);
    io.handler.echo(*connection, "cannot be sent");
    io.io.close_after_flush(*connection, io.io.turn_ms() + 60'000);
  };
  io.handler.ended = [&](Connection& connection, EndReason reason) {
    kind = static_cast<int>(reason.kind);
    io.io.release(connection);
  };
  io.start();
  Client client(io.listener.port());
  CHECK(client.at_end());
  CHECK_EQ(kind.load(), static_cast<int>(EndKind::flushed));
}

STMQTT_TEST("io channel: moves to another thread in the middle of a record, with unsent records") {
  IoFixture first;
  IoFixture second({}, 1);
  with_records(first);
  std::atomic<int> moved{0};
  first.handler.frame = [&](Connection& connection, std::string_view payload) {
    for (int i = 0; i < 40; i++) first.handler.echo(connection, payload);
    // Later, when the socket is full and half a record lies in the channel.
    if (payload.size() < 1000) return;
    first.handler.post([&] {
      Connection& at = *first.io.connection_at(0);
      auto away = std::make_shared<DetachedConnection>(first.io.detach(at, {}));
      second.handler.post([&, away] {
        static_cast<void>(second.io.adopt(std::move(*away), &second.handler));
        moved++;
      });
    });
  };
  first.start();
  second.start();
  Client client(first.listener.port(), 4096);
  REQUIRE(greet(client));
  const std::string big = frame_of(pattern(100'000));
  const std::string last = records(frame_of("behind the move"));
  REQUIRE(client.send(records(big) + last.substr(0, last.size() / 2)));
  REQUIRE(eventually([&] { return moved.load() == 1; }));
  REQUIRE(client.send(last.substr(last.size() / 2)));
  std::string all;
  const std::size_t expected = big.size() * 40 + frame_of("behind the move").size();
  while (all.size() < expected) {
    const std::string more = read_data(client, 1);
    if (more.empty()) break;
    all += more;
  }
  REQUIRE(all.size() == expected);
  for (std::size_t i = 0; i < 40; i++) CHECK(all.compare(i * big.size(), big.size(), big) == 0);
  CHECK_EQ(all.substr(40 * big.size()), frame_of("behind the move"));
  CHECK(eventually([&] { return second.count(Counter::outbound_bytes) == 0; }));
  CHECK_EQ(first.count(Counter::outbound_bytes), 0);
  CHECK_EQ(first.io.connection_count(), 0U);
  first.stop();  // it may still be waking the second
}

}  // namespace
