// native/io: TLS between socket and handler: both versions, records in pieces, resumption, slow
// readers, ends, moves between threads.
#include "io_tls_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

STMQTT_TEST("io tls: both versions echo frames, small and of many records") {
  if (skipped()) return;
  Server server;
  server.start();
  for (const long version : {kTls12, kTls13}) {
    TlsClient client(server.listener.port(), {version, false, nullptr});
    REQUIRE(client.connected());
    CHECK_EQ(std::string(library().version(client.ssl())), version == kTls12 ? "TLSv1.2" : "TLSv1.3");
    for (const std::size_t bytes : {0U, 1U, 100U, 16'384U, 40'000U, 200'000U}) {
      const Context context("bytes", bytes);
      const std::string frame = frame_of(pattern(bytes));
      REQUIRE(client.send(frame));
      REQUIRE(client.read(frame.size()) == frame);
    }
  }
  CHECK_EQ(server.opened.load(), 2);
  CHECK_EQ(server.certificate_bytes, 0U);
}

// Between client and server, to cut and hold what they say.
STMQTT_TEST("io tls: a handshake and records that come byte by byte") {
  if (skipped()) return;
  Server server;
  server.start();
  Listener relay(9);
  REQUIRE_EQ(relay.open({"127.0.0.1", 0, "", 0660, 8, Ipv6Scope::dual_stack}).code, 0);
  std::thread middle([&] {
    pollfd ready{relay.fd(), POLLIN, 0};
    CHECK_EQ(::poll(&ready, 1, static_cast<int>(kPatienceMs)), 1);
    const int near = ::accept(relay.fd(), nullptr, nullptr);
    Client far(server.listener.port());
    pollfd both[2] = {{near, POLLIN, 0}, {far.fd(), POLLIN, 0}};
    while (::poll(both, 2, static_cast<int>(kPatienceMs)) > 0) {
      char buffer[4096];
      if (both[0].revents != 0) {
        const ssize_t got = ::recv(near, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        for (ssize_t i = 0; i < got; i++) CHECK(far.send({buffer + i, 1}));
      }
      if (both[1].revents != 0) {
        const ssize_t got = ::recv(far.fd(), buffer, sizeof buffer, 0);
        if (got <= 0) break;
        CHECK_EQ(::send(near, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL), got);
      }
    }
    ::close(near);
  });
  {
    TlsClient client(relay.port());
    REQUIRE(client.connected());
    const std::string frame = frame_of(pattern(20'000));
    REQUIRE(client.send(frame));
    CHECK(client.read(frame.size()) == frame);
  }
  middle.join();
}

STMQTT_TEST("io tls: a session is resumed, in both versions, and by a context made again") {
  if (skipped()) return;
  TlsOptions options = server_options();
  options.ca.push_back(kCa);
  options.verify = TlsVerify::require;
  Server server(options);
  server.start();
  for (const long version : {kTls12, kTls13}) {
    void* session = nullptr;
    {
      TlsClient client(server.listener.port(), {version, true, nullptr});
      REQUIRE(client.connected());
      REQUIRE(client.send(frame_of("a")));
      REQUIRE(client.read(5) == frame_of("a"));  // the ticket of 1.3 comes before it
      session = library().get1_session(client.ssl());
      functions()->SSL_shutdown(client.ssl());  // else OpenSSL does not use it again
    }
    // As a reload does.
    TlsFailure failure;
    TlsContext* again = TlsContext::make(options, failure);
    REQUIRE(again != nullptr);
    server.handler.call([&] { std::swap(server.context, again); });
    again->release();
    const int before = server.resumed.load();
    TlsClient client(server.listener.port(), {version, true, session});
    REQUIRE(client.connected());
    REQUIRE(client.send(frame_of("b")));
    REQUIRE(client.read(5) == frame_of("b"));
    CHECK_EQ(server.resumed.load(), before + 1);
    CHECK_GT(server.certificate_bytes, 100U);  // known from the ticket
    // Other CRLs or CAs: whoever was let in under the old ones shakes hands anew.
    TlsOptions other = options;
    other.ca.push_back(kServerCertificate);
    TlsContext* changed = TlsContext::make(other, failure);
    REQUIRE(changed != nullptr);
    server.handler.call([&] { std::swap(server.context, changed); });
    TlsClient anew(server.listener.port(), {version, true, session});
    REQUIRE(anew.connected());
    REQUIRE(anew.send(frame_of("c")));
    REQUIRE(anew.read(5) == frame_of("c"));
    CHECK_EQ(server.resumed.load(), before + 1);
    server.handler.call([&] { std::swap(server.context, changed); });
    changed->release();
    library().session_free(session);
  }
}

STMQTT_TEST("io tls: a slow reader, then a close after the flush with close_notify") {
  if (skipped()) return;
  Server server;
  server.handler.frame = [&](Connection& connection, std::string_view payload) {
    for (int i = 0; i < 60; i++) server.handler.echo(connection, payload);
    server.io.close_after_flush(connection, server.io.turn_ms() + 60'000);
    server.handler.gone = true;
  };
  server.start();
  TlsClient client(server.listener.port(), {}, 4096);
  REQUIRE(client.connected());
  const std::string frame = frame_of(pattern(100'000));
  REQUIRE(client.send(frame));
  for (int i = 0; i < 60; i++) REQUIRE(client.read(frame.size()) == frame);
  CHECK(client.at_proper_end());
  CHECK(eventually([&] { return server.count(Counter::outbound_bytes) == 0; }));
}

STMQTT_TEST("io tls: the peer's close_notify ends it after what it sent before") {
  if (skipped()) return;
  Server server;
  std::string seen;
  std::atomic<int> kind{-1};
  server.handler.frame = [&](Connection&, std::string_view payload) { seen += payload; };
  server.handler.ended = [&](Connection& connection, EndReason reason) {
    kind = static_cast<int>(reason.kind);
    server.io.release(connection);
  };
  server.start();
  TlsClient client(server.listener.port());
  REQUIRE(client.send(frame_of("last words")));
  functions()->SSL_shutdown(client.ssl());
  REQUIRE(eventually([&] { return kind.load() >= 0; }));
  CHECK_EQ(kind.load(), static_cast<int>(EndKind::peer_closed));
  CHECK_EQ(seen, "last words");
  CHECK(client.at_proper_end());
}

STMQTT_TEST("io tls: key updates, asked for again and again") {
  if (skipped()) return;
  Server server;
  server.start();
  TlsClient client(server.listener.port());
  for (int i = 0; i < 50; i++) {
    REQUIRE_EQ(library().key_update(client.ssl(), 1), 1);
    const std::string frame = frame_of(pattern(100));
    REQUIRE(client.send(frame));
    REQUIRE(client.read(frame.size()) == frame);
  }
}

STMQTT_TEST("io tls: a flood of key updates ends it; some between messages are welcome") {
  if (skipped()) return;
  Server server;
  server.start();
  TlsClient client(server.listener.port());
  const std::string frame = frame_of(pattern(100));
  const auto update = [&] {
    REQUIRE_EQ(library().key_update(client.ssl(), 1), 1);
    REQUIRE_EQ(functions()->SSL_do_handshake(client.ssl()), 1);
  };
  // The thread is held, so that all of it comes at once.
  server.handler.call([&] {
    for (int i = 0; i < 20; i++) {
      update();
      REQUIRE(client.send(frame));
    }
  });
  for (int i = 0; i < 20; i++) REQUIRE(client.read(frame.size()) == frame);
  server.handler.call([&] {
    for (int i = 0; i < 100; i++) update();
  });
  CHECK(server.failed(TlsFailureCause::protocol, "changes keys without need"));
}

STMQTT_TEST("io tls: moves between threads again and again, in the middle of records") {
  if (skipped()) return;
  Server first;
  Server second(server_options(), 1);
  Server* servers[2] = {&first, &second};
  for (int here = 0; here < 2; here++) {
    Server& at = *servers[here];
    Server& other = *servers[1 - here];
    at.handler.frame = [&](Connection& connection, std::string_view payload) {
      at.handler.echo(connection, payload);
      auto away =
          std::make_shared<DetachedConnection>(at.io.detach(connection, at.handler.behind));
      at.handler.gone = true;
      other.handler.post([&other, away] {
        CHECK(other.io.adopt(std::move(*away), &other.handler) != nullptr);
      });
    };
  }
  first.start();
  second.start();
  TlsClient client(first.listener.port());
  REQUIRE(client.connected());
  for (int round = 0; round < 20; round++) {
    std::string all;
    for (std::size_t i = 0; i < 20; i++) all += frame_of(pattern(i * 997 + 3));
    // In pieces that are no frames.
    for (std::size_t at = 0; at < all.size(); at += 1777) REQUIRE(client.send(all.substr(at, 1777)));
    REQUIRE(client.read(all.size()) == all);
  }
  CHECK(eventually([&] {
    return first.count(Counter::outbound_bytes) + second.count(Counter::outbound_bytes) == 0;
  }));
}

}  // namespace
