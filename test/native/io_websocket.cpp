// native/io: PROXY headers and WebSocket between a socket and its handler: however bytes are cut,
// what is refused, who the peer is, how frames go out and how they end.
#include "io/proxy_channel.hpp"
#include "io/websocket_channel.hpp"
#include "io_fixture.hpp"
#include "stream_frames.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

const std::string kRequest =
    "GET /mqtt HTTP/1.1\r\nHost: broker.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n";

/// A listener's settings, and its connections' stacks.
struct Stack {
  ProxySettings proxy{stream::ProxyVersions::any, {parse_ip_network("127.0.0.1")}};
  WebSocketSettings websocket{{"", {}}, {parse_ip_network("127.0.0.1")}};
  std::atomic<int> end_kind{-1};
  std::string end_text;

  void serve(IoFixture& io, bool behind_proxy = false, std::uint64_t open_by_ms = 0) {
    io.handler.accepted = [this, &io, behind_proxy, open_by_ms](int fd, ListenerId id,
                                                                const PeerAddress& peer) {
      DetachedConnection from(fd, 1, id, peer);
      from.channel = make_websocket_channel(websocket);
      if (behind_proxy) {
        Channel* above = std::exchange(from.channel, make_proxy_channel(proxy));
        from.channel->set_above(above);
      }
      if (open_by_ms > 0) from.open_by_ms = io.io.turn_ms() + open_by_ms;
      static_cast<void>(io.io.adopt(std::move(from), &io.handler));
    };
    io.handler.ended = [this, &io](Connection& connection, EndReason reason) {
      end_text = reason.text;
      end_kind = static_cast<int>(reason.kind);
      io.io.release(connection);
    };
    io.start();
  }
  [[nodiscard]] bool ended(EndKind kind) {
    return eventually([&] { return end_kind.load() >= 0; }) &&
           end_kind.load() == static_cast<int>(kind);
  }
};

struct Frame {
  unsigned first = 0;  ///< 0 = the stream ended
  std::string payload;
};
Frame read_ws(Client& client) {
  const std::string head = client.read(2);
  if (head.size() < 2) return {};
  Frame frame{static_cast<std::uint8_t>(head[0]), ""};
  std::uint64_t bytes = static_cast<std::uint8_t>(head[1]);
  CHECK(bytes < 128);  // not masked
  if (bytes >= 126) {
    const std::string more = client.read(bytes == 126 ? 2 : 8);
    const std::size_t least = bytes == 126 ? 126 : 65536;
    bytes = 0;
    for (const char c : more) bytes = bytes << 8 | static_cast<std::uint8_t>(c);
    CHECK(bytes >= least);
  }
  frame.payload = client.read(bytes);
  return frame;
}
/// Payload of binary frames until there are `count` bytes; none of them is empty.
std::string read_payload(Client& client, std::size_t count) {
  std::string text;
  while (text.size() < count) {
    const Frame frame = read_ws(client);
    if (frame.first != kBinaryFrame) break;
    CHECK(!frame.payload.empty());
    text += frame.payload;
  }
  return text;
}
std::string read_head(Client& client) {
  std::string answer;
  while (!answer.ends_with("\r\n\r\n")) {
    const std::string byte = client.read(1);
    if (byte.empty()) return answer;
    answer += byte;
  }
  return answer;
}
bool upgraded(Client& client, const std::string& fields = "") {
  return client.send(kRequest + fields + "\r\n") &&
         read_head(client).starts_with("HTTP/1.1 101 ");
}
std::string read_all(Client& client) {
  std::string all;
  for (;;) {
    const std::string byte = client.read(1);
    if (byte.empty()) return all;
    all += byte;
  }
}

STMQTT_TEST("io websocket: request, frames and a packet over frames, one byte at a time") {
  IoFixture io;
  Stack stack;
  stack.serve(io);
  Client client(io.listener.port());
  const std::string packets = frame_of("first") + frame_of("") + frame_of(pattern(200));
  const std::string bytes = kRequest + "\r\n" + client_frame(0x02, packets.substr(0, 7)) +
                            client_frame(kPingFrame, "?") + client_frame(0x00, "") +
                            client_frame(0x80, packets.substr(7, 100)) +
                            client_frame(kBinaryFrame, packets.substr(107));
  for (const char byte : bytes) REQUIRE(client.send({&byte, 1}));
  const std::string head = read_head(client);
  CHECK(head.starts_with("HTTP/1.1 101 "));
  std::string text;
  int pongs = 0;
  while (text.size() < packets.size()) {
    const Frame frame = read_ws(client);
    REQUIRE(frame.first != 0);
    if (frame.first == kPongFrame) {
      CHECK_EQ(frame.payload, "?");
      pongs++;
    } else {
      CHECK_EQ(frame.first, kBinaryFrame);
      text += frame.payload;
    }
  }
  CHECK(text == packets);
  CHECK_EQ(pongs, 1);
  CHECK_EQ(io.count(Counter::websocket_upgrades), 1);
}

STMQTT_TEST("io websocket: cut in two at every byte, request and frames come to the same") {
  IoFixture io;
  Stack stack;
  stack.serve(io);
  const std::string packets = frame_of("one") + frame_of("two");
  const std::string bytes =
      kRequest + "\r\n" + client_frame(0x02, packets.substr(0, 9)) + client_frame(0x80, packets.substr(9));
  std::int64_t received = 0;
  for (std::size_t cut = 1; cut < bytes.size(); cut++) {
    const Context context("cut", cut);
    Client client(io.listener.port());
    REQUIRE(client.send(bytes.substr(0, cut)));
    received += static_cast<std::int64_t>(cut);
    REQUIRE(io.received(received));
    REQUIRE(client.send(bytes.substr(cut)));
    received += static_cast<std::int64_t>(bytes.size() - cut);
    REQUIRE(read_head(client).starts_with("HTTP/1.1 101 "));
    REQUIRE(read_payload(client, packets.size()) == packets);
  }
}

STMQTT_TEST("io websocket: one flush is one frame, small and large, and none is empty") {
  IoFixture io;
  Stack stack;
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    for (int i = 0; i < 50; i++) io.handler.echo(connection, payload);
  };
  stack.serve(io);
  Client client(io.listener.port());
  REQUIRE(upgraded(client));
  for (const std::size_t bytes : {0U, 1U, 3U, 4U, 100U, 1000U}) {
    REQUIRE(client.send(client_frame(kBinaryFrame, frame_of(pattern(bytes)))));
    const Frame frame = read_ws(client);
    CHECK_EQ(frame.first, kBinaryFrame);
    CHECK_EQ(frame.payload.size(), 50 * (bytes + 4));
  }
}

STMQTT_TEST("io websocket: a slow reader gets large frames whole, and is not read from meanwhile") {
  IoFixture io;
  Stack stack;
  stack.serve(io);
  Client client(io.listener.port(), 4096);
  REQUIRE(upgraded(client));
  const std::string big = frame_of(pattern(3'000'000));
  const std::string cut = client_frame(0x02, big.substr(0, 1'000'001)) +
                          client_frame(0x80, big.substr(1'000'001));
  for (int round = 0; round < 2; round++) REQUIRE(client.send(cut));
  REQUIRE(eventually([&] { return io.count(Counter::outbound_bytes) > 1'000'000; }));
  REQUIRE(read_payload(client, big.size() * 2) == big + big);
  CHECK(eventually([&] { return io.count(Counter::outbound_bytes) == 0; }));
}

STMQTT_TEST("io websocket: Pings of a peer that reads nothing cost no memory; the newest is answered") {
  IoFixture io;
  Stack stack;
  stack.serve(io);
  Client client(io.listener.port(), 4096);
  REQUIRE(upgraded(client));
  // More than the socket takes, so that Pongs would have to wait.
  const std::string big = frame_of(pattern(4'000'000));
  REQUIRE(client.send(client_frame(kBinaryFrame, big)));
  REQUIRE(eventually([&] { return io.count(Counter::outbound_bytes) > 100'000; }));
  std::string pings;
  for (int i = 0; i < 5000; i++) pings += client_frame(kPingFrame, pattern(120, 1) + std::to_string(i));
  const std::int64_t before = io.count(Counter::bytes_received);
  REQUIRE(client.send(pings));
  REQUIRE(io.received(before + static_cast<std::int64_t>(pings.size())));
  CHECK(io.count(Counter::outbound_bytes) < 4'200'000);
  std::string text;
  std::string last_pong;
  while (text.size() < big.size()) {
    const Frame frame = read_ws(client);
    REQUIRE(frame.first != 0);
    (frame.first == kPongFrame ? last_pong = "" : text) += frame.payload;
  }
  CHECK(text == big);
  // Its turn comes with whatever is received next.
  REQUIRE(client.send(client_frame(kPingFrame, "now")));
  while (last_pong != "now") {
    const Frame frame = read_ws(client);
    REQUIRE(frame.first == kPongFrame);
    if (frame.payload != "now") last_pong = frame.payload;
    if (frame.payload == "now") break;
  }
  CHECK(last_pong.ends_with("4999"));
}

STMQTT_TEST("io websocket: what is no handshake is answered, counted, and ended with its reason") {
  struct Case {
    std::string sent;
    std::string answer;
    Counter counter;
  };
  const Case cases[] = {
      {"\x10\x0C", "HTTP/1.1 400 ", Counter::websocket_refused_malformed},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 ", Counter::websocket_refused_not_upgrade},
      {std::string(9000, 'x'), "HTTP/1.1 431 ", Counter::websocket_refused_too_large},
      {"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 ", Counter::websocket_refused_path},
      {kRequest + "Origin: https://evil.example\r\n\r\n", "HTTP/1.1 403 ",
       Counter::websocket_refused_origin},
  };
  for (const Case& each : cases) {
    const Context context("sent", each.sent.substr(0, 60));
    IoFixture io;
    Stack stack;
    if (each.counter == Counter::websocket_refused_path) stack.websocket.rules.path = "/mqtt";
    if (each.counter == Counter::websocket_refused_origin) {
      stack.websocket.rules.origins = {"https://app.example"};
    }
    stack.serve(io);
    Client client(io.listener.port());
    REQUIRE(client.send(each.sent));
    const std::string answer = read_all(client);
    CHECK(answer.starts_with(each.answer));
    CHECK(stack.ended(EndKind::channel_failed));
    CHECK(answer.ends_with(stack.end_text + "\n"));
    CHECK_EQ(io.count(each.counter), 1);
    CHECK_EQ(io.count(Counter::websocket_upgrades), 0);
  }
}

STMQTT_TEST("io websocket: [MQTT-6.0.0-1] a text frame ends it, after what was good, with status 1003") {
  IoFixture io;
  Stack stack;
  std::string seen;
  io.handler.frame = [&](Connection&, std::string_view payload) { seen += payload; };
  stack.serve(io);
  Client client(io.listener.port());
  REQUIRE(upgraded(client));
  REQUIRE(client.send(client_frame(kBinaryFrame, frame_of("good")) + client_frame(0x81, "text")));
  const Frame frame = read_ws(client);
  CHECK_EQ(frame.first, kCloseFrame);
  CHECK_EQ(frame.payload, std::string("\x03\xEB"));
  CHECK(client.at_end());
  CHECK(stack.ended(EndKind::channel_failed));
  CHECK_EQ(stack.end_text, "a text frame: MQTT goes in binary frames");
  CHECK_EQ(seen, "good");
}

STMQTT_TEST("io websocket: the peer's Close is answered with its status, and is its end") {
  IoFixture io;
  Stack stack;
  stack.serve(io);
  Client client(io.listener.port());
  REQUIRE(upgraded(client));
  REQUIRE(client.send(client_frame(kCloseFrame, "\x03\xE9")));
  const Frame frame = read_ws(client);
  CHECK_EQ(frame.first, kCloseFrame);
  CHECK_EQ(frame.payload, "\x03\xE9");
  CHECK(client.at_end());
  CHECK(stack.ended(EndKind::peer_closed));
}

STMQTT_TEST("io websocket: closing after a flush sends all, then a Close frame") {
  IoFixture io;
  Stack stack;
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    io.handler.echo(connection, payload);
    io.io.close_after_flush(connection, io.io.turn_ms() + 60'000);
    io.handler.gone = true;
  };
  stack.serve(io);
  Client client(io.listener.port());
  REQUIRE(upgraded(client));
  REQUIRE(client.send(client_frame(kBinaryFrame, frame_of(pattern(500'000)))));
  CHECK(read_payload(client, 500'004) == frame_of(pattern(500'000)));
  const Frame frame = read_ws(client);
  CHECK_EQ(frame.first, kCloseFrame);
  CHECK_EQ(frame.payload, std::string("\x03\xE8"));
  CHECK(client.at_end());
  CHECK(stack.ended(EndKind::flushed));
}

STMQTT_TEST("io websocket: a request or a PROXY header that does not come in time ends its connection") {
  for (const bool behind_proxy : {false, true}) {
    IoFixture io;
    Stack stack;
    stack.serve(io, behind_proxy, 50);
    Client client(io.listener.port());
    REQUIRE(client.send(behind_proxy ? "PROXY TCP4 " : "GET /mqtt HTTP/1.1\r\nHost"));
    CHECK(client.at_end());
    CHECK(stack.ended(EndKind::channel_failed));
    CHECK_EQ(stack.end_text,
             behind_proxy ? "no PROXY header in time" : "no WebSocket upgrade in time");
  }
}

STMQTT_TEST("io proxy: the peer is who the header names, however it is cut; the header leaves the stack") {
  IoFixture io;
  Stack stack;
  std::string peer;
  bool alone = false;
  io.handler.frame = [&](Connection& connection, std::string_view payload) {
    char text[PeerAddress::kMaxTextBytes];
    peer.assign(text, connection.peer().to_text(text));
    alone = connection.channel()->kind() == ChannelKind::websocket;
    io.handler.echo(connection, payload);
  };
  stack.serve(io, true);
  const std::string v2("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\2\1\xC6\x33\x64\7\xDC\4\7\x5B", 28);
  std::int64_t received = 0;
  for (const std::string& header :
       {std::string("PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n"), v2}) {
    const std::string behind = kRequest + "\r\n" + client_frame(kBinaryFrame, frame_of("x"));
    for (std::size_t cut = 1; cut <= header.size(); cut++) {
      const Context context("cut", cut);
      Client client(io.listener.port());
      REQUIRE(client.send(header.substr(0, cut)));
      received += static_cast<std::int64_t>(cut);
      REQUIRE(io.received(received));
      REQUIRE(client.send(header.substr(cut) + behind));
      received += static_cast<std::int64_t>(header.size() - cut + behind.size());
      REQUIRE(read_head(client).starts_with("HTTP/1.1 101 "));
      CHECK(read_payload(client, 5) == frame_of("x"));
      CHECK_EQ(peer, "192.0.2.1:56324");
      CHECK(alone);
    }
  }
}

STMQTT_TEST("io proxy: who is not trusted, and what is no header, is ended with its reason") {
  for (const auto& [trusted, sent, reason] :
       std::vector<std::tuple<const char*, std::string, const char*>>{
           {"10.0.0.0/8", "PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n",
            "the peer is not a trusted proxy (trusted_proxies)"},
           {"127.0.0.0/8", "GET /mqtt HTTP/1.1\r\n",
            "no PROXY header, or one of a version that is not taken here"},
           {"127.0.0.0/8", "PROXY TCP4 x\r\n", "PROXY v1: an address that does not fit its family"}}) {
    IoFixture io;
    Stack stack;
    stack.proxy.trusted = {parse_ip_network(trusted)};
    stack.serve(io, true);
    Client client(io.listener.port());
    REQUIRE(client.send(sent));
    CHECK(client.at_end());
    CHECK(stack.ended(EndKind::channel_failed));
    CHECK_EQ(stack.end_text, reason);
  }
}

STMQTT_TEST("io websocket: X-Forwarded-For from a trusted peer names the peer, from others it does not") {
  for (const bool trusted : {true, false}) {
    IoFixture io;
    Stack stack;
    if (!trusted) stack.websocket.trusted = {parse_ip_network("10.0.0.0/8")};
    std::string peer;
    io.handler.frame = [&](Connection& connection, std::string_view payload) {
      char text[PeerAddress::kMaxTextBytes];
      peer.assign(text, connection.peer().to_text(text));
      io.handler.echo(connection, payload);
    };
    stack.serve(io);
    Client client(io.listener.port());
    REQUIRE(upgraded(client, "X-Forwarded-For: 203.0.113.9, 2001:db8::5, 127.0.0.1\r\n"));
    REQUIRE(client.send(client_frame(kBinaryFrame, frame_of("x"))));
    CHECK(read_payload(client, 5) == frame_of("x"));
    CHECK(trusted ? peer == "[2001:db8::5]:0" : peer.starts_with("127.0.0.1:"));
  }
}

STMQTT_TEST("io websocket: moves to another thread within a frame, with frames unsent") {
  IoFixture first;
  IoFixture second({}, 1);
  Stack stack;
  std::atomic<int> moved{0};
  first.handler.frame = [&](Connection& connection, std::string_view payload) {
    for (int i = 0; i < 40; i++) first.handler.echo(connection, payload);
    first.handler.post([&] {
      auto away = std::make_shared<DetachedConnection>(first.io.detach(*first.io.connection_at(0), {}));
      second.handler.post([&, away] {
        static_cast<void>(second.io.adopt(std::move(*away), &second.handler));
        moved++;
      });
    });
  };
  stack.serve(first);
  second.start();
  Client client(first.listener.port(), 4096);
  REQUIRE(upgraded(client));
  const std::string big = frame_of(pattern(100'000));
  const std::string last = client_frame(kBinaryFrame, frame_of("behind the move"));
  REQUIRE(client.send(client_frame(kBinaryFrame, big) + last.substr(0, last.size() / 2)));
  REQUIRE(eventually([&] { return moved.load() == 1; }));
  REQUIRE(client.send(last.substr(last.size() / 2)));
  const std::size_t expected = big.size() * 40 + 19;
  const std::string all = read_payload(client, expected);
  REQUIRE(all.size() == expected);
  for (std::size_t i = 0; i < 40; i++) CHECK(all.compare(i * big.size(), big.size(), big) == 0);
  CHECK_EQ(all.substr(40 * big.size()), frame_of("behind the move"));
  first.stop();  // it may still be waking the second
}

}  // namespace
