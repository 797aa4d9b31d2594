// native/io: TLS that fails: handshakes by cause, floods of them, contexts with something wrong.
#include "io_tls_fixture.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::test;

STMQTT_TEST("io tls: a certificate of a CA that is not trusted lets nobody in, asked for or required") {
  if (skipped()) return;
  for (const TlsVerify verify : {TlsVerify::optional, TlsVerify::require}) {
    TlsOptions options = server_options();
    options.ca.push_back(kServerCertificate);  // not who issued the client's
    options.verify = verify;
    Server server(options);
    server.start();
    TlsClient foreign(server.listener.port(), {0, true, nullptr});
    REQUIRE(server.failed(TlsFailureCause::certificate, "issuer"));
    CHECK(foreign.read(1).empty());
    CHECK_EQ(server.certificate_bytes, 0U);
  }
}

STMQTT_TEST("io tls: failures name their cause") {
  if (skipped()) return;
  TlsOptions options = server_options();
  options.ca.push_back(kCa);
  options.verify = TlsVerify::require;
  options.tls13_only = true;
  Server server(options);
  server.open_by_ms = 300;
  server.start();
  const std::uint16_t port = server.listener.port();
  {
    TlsClient good(port, {0, true, nullptr});
    REQUIRE(good.send(frame_of("x")));
    REQUIRE(good.read(5) == frame_of("x"));
    CHECK_GT(server.certificate_bytes, 100U);
  }
  {
    Client plain(port);
    REQUIRE(plain.send(std::string("\x10\x0C\0\4MQTT\4\2\0\0\0\0", 14)));
    CHECK(plain.at_end());
    CHECK(server.failed(TlsFailureCause::not_tls, "MQTT without TLS"));
  }
  {
    Client http(port);
    REQUIRE(http.send("GET / HTTP/1.1\r\n\r\n"));
    CHECK(http.at_end());
    CHECK(server.failed(TlsFailureCause::not_tls, "HTTP without TLS"));
  }
  {
    TlsClient old(port, {kTls12, true, nullptr});
    CHECK(!old.connected());
    CHECK(server.failed(TlsFailureCause::version, "no TLS version"));
  }
  {
    TlsClient nameless(port, {0, false, nullptr});
    CHECK(server.failed(TlsFailureCause::certificate, "sent no certificate"));
    CHECK(nameless.read(1).empty());
  }
  {
    Client rubbish(port);
    REQUIRE(rubbish.send("\x16\x03\x01\x40\x01" + std::string(20'000, 'x')));
    CHECK(server.failed(TlsFailureCause::protocol, "the handshake failed"));
  }
  {
    Client silent(port);
    CHECK(silent.at_end());
    CHECK(server.failed(TlsFailureCause::unfinished, "began no TLS handshake"));
  }
  {
    Client slow(port);
    REQUIRE(slow.send("\x16\x03\x01\x01"));
    CHECK(slow.at_end());
    CHECK(server.failed(TlsFailureCause::unfinished, "did not end its TLS handshake"));
  }
}

STMQTT_TEST("io tls: a flood of broken handshakes, while others talk") {
  if (skipped()) return;
  Server server;
  server.start();
  TlsClient client(server.listener.port());
  REQUIRE(client.connected());
  const std::string frame = frame_of(pattern(300));
  for (int i = 0; i < 200; i++) {
    Client bad(server.listener.port());
    REQUIRE(bad.send("\x16\x03\x01\x00\x05" "hello"));
    if (i % 2 == 0) bad.reset();
    REQUIRE(client.send(frame));
    REQUIRE(client.read(frame.size()) == frame);
  }
  CHECK(eventually([&] { return server.count(Counter::connections_closed) >= 200; }));
  CHECK(eventually([&] { return server.count(Counter::outbound_bytes) == 0; }));
}

STMQTT_TEST("io tls: what is wrong with a context is said of the right item") {
  if (skipped()) return;
  using Item = TlsFailure::Item;
  const auto failure_of = [](const TlsOptions& options) {
    TlsFailure failure;
    TlsContext* context = TlsContext::make(options, failure);
    CHECK(context == nullptr);
    return failure;
  };
  const auto is_taken = [](const TlsOptions& options) {
    TlsFailure failure;
    TlsContext* context = TlsContext::make(options, failure);
    if (context != nullptr) context->release();
    return context != nullptr;
  };
  TlsOptions options = server_options();
  options.identities[0].key = kClientKey;
  CHECK(failure_of(options).item == Item::key);
  options = server_options();
  options.identities[0].certificate = "no PEM";
  CHECK(failure_of(options).item == Item::certificate);
  options = server_options();
  options.identities[0].certificate += "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  CHECK(failure_of(options).text.find("CERTIFICATE 2") != std::string::npos);
  options = server_options();
  options.identities[0].pkcs12 = "xx";
  CHECK(failure_of(options).item == Item::pkcs12);
  options = server_options();
  options.ca.push_back(kCa);
  options.ca.push_back("");
  CHECK(failure_of(options).item == Item::ca);
  CHECK_EQ(failure_of(options).index, 1U);
  options = server_options();
  options.crl.push_back(kCa);
  CHECK(failure_of(options).item == Item::crl);
  options = server_options();
  options.ciphers = "NO-SUCH-CIPHER";
  CHECK(failure_of(options).item == Item::ciphers);
  // Beside one that is known OpenSSL itself would pass over it.
  options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:NO-SUCH-CIPHER";
  CHECK(failure_of(options).item == Item::ciphers);
  CHECK(failure_of(options).text == "has \"NO-SUCH-CIPHER\", which OpenSSL does not know");
  // What is taken away need not exist.
  options.ciphers = "HIGH:MEDIUM:ECDHE+AESGCM:!aNULL:!NO-SUCH-CIPHER:-RC4:+SHA1:@SECLEVEL=1";
  CHECK(is_taken(options));
  options = server_options();
  options.ciphersuites = "NO_SUCH_SUITE";
  CHECK(failure_of(options).item == Item::ciphersuites);
  options.ciphersuites = "TLS_AES_128_GCM_SHA256:NO_SUCH_SUITE";
  CHECK(failure_of(options).item == Item::ciphersuites);
  CHECK(failure_of(options).text == "has \"NO_SUCH_SUITE\", which OpenSSL does not know");
  options.ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
  CHECK(is_taken(options));
}

}  // namespace
