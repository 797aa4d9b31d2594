// stream/websocket_upgrade.hpp: which requests are taken, and what the others are told.
#include <string>

#include "runner.hpp"
#include "stream/sha1.hpp"
#include "stream/websocket_upgrade.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::stream;
using enum Upgrade::Status;

const UpgradeRules kAny;

std::string request(std::string_view fields = "", std::string_view line = "GET /mqtt HTTP/1.1") {
  std::string text(line);
  text += "\r\nHost: broker.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
          "Sec-WebSocket-Protocol: mqtt\r\n";
  text += fields;
  return text + "\r\n";
}
std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  CHECK(at != std::string::npos);
  return text.replace(at, from.size(), to);
}
Upgrade parse(std::string_view text, const UpgradeRules& rules = kAny) {
  return parse_upgrade(as_bytes(text), rules);
}
std::string answer(const Upgrade& upgrade) {
  std::uint8_t out[kMaxAnswerBytes];
  return std::string(as_text({out, write_answer(upgrade, out)}));
}
void check_refused(std::string_view text, UpgradeRefusal refusal, unsigned http_status,
                   const UpgradeRules& rules = kAny) {
  const test::Context context("request", text);
  const Upgrade found = parse(text, rules);
  CHECK(found.status == refused);
  CHECK(found.refusal == refusal);
  CHECK_EQ(found.http_status, http_status);
  const std::string said = answer(found);
  CHECK(said.starts_with("HTTP/1.1 " + std::to_string(http_status) + " "));
  CHECK(said.find(std::string("\r\n\r\n") + found.fault + "\n") != std::string::npos);
  const std::size_t body = said.find("\r\n\r\n") + 4;
  CHECK(said.find("\r\nContent-Length: " + std::to_string(said.size() - body) + "\r\n") !=
        std::string::npos);
  CHECK(said.size() + 60 < kMaxAnswerBytes);
}

STMQTT_TEST("stream upgrade: the example of RFC 6455, 1.3, however its bytes arrive") {
  const std::string text = request();
  for (std::size_t there = 0; there < text.size(); ++there) {
    CHECK(parse(std::string_view(text).substr(0, there)).status == incomplete);
  }
  const Upgrade found = parse(text + "\x82\x80");
  CHECK(found.status == accepted);
  CHECK_EQ(found.bytes, text.size());
  CHECK_EQ(answer(found),
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
           "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
}

STMQTT_TEST("stream upgrade: SHA-1 and base64 as RFC 3174 and RFC 4648 have them") {
  const auto of = [](std::string_view text) {
    const auto encoded = base64(sha1(text));
    return std::string(encoded.data(), encoded.size());
  };
  CHECK_EQ(of("abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
  CHECK_EQ(of(""), "2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
  CHECK_EQ(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "hJg+RBw70m66rkqh+VEp5eVGcPE=");
}

STMQTT_TEST("stream upgrade: names and lists are read as HTTP has them") {
  std::string text = request();
  text = replaced(text, "Upgrade: websocket", "uPGRADE:h2c , WebSocket\t");
  text = replaced(text, "Connection: Upgrade", "CONNECTION:  keep-alive, ,upgrade");
  CHECK(parse(text).status == accepted);
  CHECK(parse(replaced(request(), "Upgrade: websocket\r\n",
                       "Upgrade: h2c\r\nUpgrade: websocket\r\n")).status == accepted);
  CHECK(parse(request("", "GET /mqtt?token=1%20/x HTTP/1.1")).status == accepted);
  CHECK(parse(request("", "GET http://broker.example:8083/mqtt?a HTTP/1.1")).status == accepted);
  CHECK(parse(request("X-Empty:\r\nContent-Length: 0\r\nCookie: a=b; c=\"d\"\r\n")).status ==
        accepted);
  CHECK(parse(request("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"))
            .status == accepted);
}

STMQTT_TEST("stream upgrade: [MQTT-6.0.0-3] [MQTT-6.0.0-4] mqtt before mqttv3.1, and nothing else") {
  const auto offering = [](std::string_view field) {
    return parse(replaced(request(), "Sec-WebSocket-Protocol: mqtt\r\n", field));
  };
  CHECK(offering("Sec-WebSocket-Protocol: mqttv3.1\r\n").subprotocol == Subprotocol::mqttv31);
  CHECK(answer(offering("Sec-WebSocket-Protocol: mqttv3.1\r\n")).find("Protocol: mqttv3.1\r\n") !=
        std::string::npos);
  for (const char* both : {"Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n",
                           "Sec-WebSocket-Protocol: x,mqttv3.1\r\nSec-WebSocket-Protocol: mqtt\r\n"}) {
    CHECK(offering(both).status == accepted);
    CHECK(offering(both).subprotocol == Subprotocol::mqtt);
  }
  for (const char* none : {"", "Sec-WebSocket-Protocol: MQTT\r\n", "Sec-WebSocket-Protocol:\r\n",
                           "Sec-WebSocket-Protocol: mqttv3.1.1, chat\r\n"}) {
    check_refused(replaced(request(), "Sec-WebSocket-Protocol: mqtt\r\n", none),
                  UpgradeRefusal::subprotocol, 400);
  }
}

STMQTT_TEST("stream upgrade: what is no handshake is told so") {
  using enum UpgradeRefusal;
  check_refused("\x10\x0C", malformed, 400);
  check_refused("\x16\x03\x01", malformed, 400);
  check_refused(std::string("\0", 1), malformed, 400);
  check_refused("GET / HTTP/1.1\r\nHost: a\r\n\r\n", not_upgrade, 426);
  check_refused(replaced(request(), "Upgrade: websocket\r\n", "Upgrade: h2c\r\n"), not_upgrade, 426);
  check_refused(replaced(request(), "Connection: Upgrade\r\n", ""), not_upgrade, 426);
  check_refused(replaced(request(), "Version: 13", "Version: 8"), version, 426);
  check_refused(replaced(request(), "Sec-WebSocket-Version: 13\r\n", ""), version, 426);
  CHECK(answer(parse(replaced(request(), "Version: 13", "Version: 8")))
            .find("\r\nSec-WebSocket-Version: 13\r\n") != std::string::npos);
  check_refused(request("", "POST /mqtt HTTP/1.1"), malformed, 405);
  check_refused(request("", "GET /mqtt HTTP/1.0"), malformed, 505);
  check_refused(request("", "GET /mqtt HTTP/2.0"), malformed, 505);
  for (const char* line : {"GET /mqtt", "GET  HTTP/1.1", "GET /a b HTTP/1.1", "GET /mqtt HTTP/1.x",
                           "GET /mqtt http/1.1", "GET mqtt HTTP/1.1", "G(T /mqtt HTTP/1.1",
                           " GET /mqtt HTTP/1.1", "GET /mqtt HTTP/1.1 "}) {
    check_refused(request("", line), malformed, 400);
  }
  check_refused(replaced(request(), "Host: broker.example\r\n", ""), malformed, 400);
  for (const char* field : {"Host: b\r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                            "Sec-WebSocket-Version: 13\r\n", "Content-Length: 5\r\n",
                            "Transfer-Encoding: chunked\r\n", " folded\r\n", ": x\r\n", "nothing\r\n",
                            "a b: c\r\n", "a : b\r\n", "a: b\rc\r\n", "a: b\nc: d\r\n", "a: \x7F\r\n",
                            "Origin: a\r\nOrigin: a\r\n"}) {
    check_refused(request(field), malformed, 400);
  }
  check_refused(request(std::string_view("a: \0\r\n", 6)), malformed, 400);
  for (const char* key : {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
                          "dGhlIHNhbXBsZSBub25jZQAA", "dGhlIHNhbXBsZSBub25j-Q=="}) {
    check_refused(replaced(request(), "dGhlIHNhbXBsZSBub25jZQ==", key), malformed, 400);
  }
}

STMQTT_TEST("stream upgrade: bytes and fields are bounded, and nobody reads beyond") {
  std::string fields;
  for (std::size_t i = 7; i <= kMaxUpgradeFields; ++i) fields += "X-" + std::to_string(i) + ": y\r\n";
  CHECK(parse(request(fields)).status == accepted);
  check_refused(request(fields + "Z: y\r\n"), UpgradeRefusal::malformed, 400);
  const std::size_t room = kMaxUpgradeBytes - request().size() - 5;
  const std::string longest = request("X: " + std::string(room, 'y') + "\r\n");
  CHECK_EQ(longest.size(), kMaxUpgradeBytes);
  CHECK(parse(longest).status == accepted);
  CHECK(parse(longest + std::string(9000, 'x')).status == accepted);
  const std::string longer = request("X: " + std::string(room + 1, 'y') + "\r\n");
  CHECK(parse(std::string_view(longer).substr(0, kMaxUpgradeBytes - 1)).status == incomplete);
  check_refused(std::string_view(longer).substr(0, kMaxUpgradeBytes), UpgradeRefusal::too_large, 431);
  check_refused(longer, UpgradeRefusal::too_large, 431);
}

STMQTT_TEST("stream upgrade: a path is the path, with any query") {
  const UpgradeRules rules{"/mqtt", {}};
  for (const char* line : {"GET /mqtt HTTP/1.1", "GET /mqtt?x=/y HTTP/1.1",
                           "GET ws://broker.example/mqtt HTTP/1.1"}) {
    CHECK(parse(request("", line), rules).status == accepted);
  }
  for (const char* line : {"GET / HTTP/1.1", "GET /mqtt/ HTTP/1.1", "GET /MQTT HTTP/1.1",
                           "GET /?/mqtt HTTP/1.1", "GET ws://mqtt?/mqtt HTTP/1.1"}) {
    check_refused(request("", line), UpgradeRefusal::path, 404, rules);
  }
}

STMQTT_TEST("stream upgrade: origins of browsers, where a listener names some") {
  const UpgradeRules rules{"", {"https://app.example", "http://localhost:5173",
                                "https://*.plant.example"}};
  for (const char* origin : {"https://app.example", "HTTPS://APP.Example", "http://localhost:5173",
                             "https://a.plant.example", "https://a-1.b.plant.example"}) {
    CHECK(parse(request("Origin: " + std::string(origin) + "\r\n"), rules).status == accepted);
  }
  CHECK(parse(request(), rules).status == accepted);  // not a browser
  for (const char* origin : {"http://app.example", "https://app.example:8443", "null", "",
                             "https://app.example.evil", "http://localhost", "https://plant.example",
                             "https://.plant.example.evil", "https://evil/.plant.example",
                             "https://x@evil:1/.plant.example"}) {
    check_refused(request("Origin: " + std::string(origin) + "\r\n"), UpgradeRefusal::origin, 403,
                  rules);
  }
  CHECK(parse(request("Origin: null\r\n"), UpgradeRules{"", {"*"}}).status == accepted);
}

STMQTT_TEST("stream upgrade: X-Forwarded-For is believed as far as trusted proxies wrote it") {
  const std::vector<IpNetwork> trusted = {parse_ip_network("10.0.0.0/8"),
                                          parse_ip_network("2001:db8:1::/48")};
  const auto named = [&](std::string_view fields) {
    const std::string text = request(fields);  // the views of the result point into it
    const Upgrade found = parse(text);
    CHECK(found.status == accepted);
    return forwarded_for(found, trusted);
  };
  const auto is = [](const Forwarded& found, const char* address, unsigned port = 0) {
    CHECK(found.address == parse_ip_address(address));
    CHECK_EQ(found.port, port);
  };
  is(named("X-Forwarded-For: 192.0.2.1\r\n"), "192.0.2.1");
  is(named("X-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n"), "192.0.2.1");
  is(named("X-Forwarded-For: 203.0.113.9, 192.0.2.1 , 10.1.1.1,10.2.2.2\r\n"), "192.0.2.1");
  is(named("X-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 192.0.2.1, 10.1.1.1\r\n"), "192.0.2.1");
  is(named("X-Forwarded-For: 10.3.3.3, 10.1.1.1\r\n"), "10.3.3.3");
  is(named("X-Forwarded-For: 192.0.2.1:4711, 10.1.1.1:80\r\n"), "192.0.2.1", 4711);
  is(named("X-Forwarded-For: [2001:db8::7]:4711\r\n"), "2001:db8::7", 4711);
  is(named("X-Forwarded-For: 2001:db8::7, [2001:db8:1::1]\r\n"), "2001:db8::7");
  is(named("X-Forwarded-For: ::ffff:192.0.2.1, ::ffff:10.0.0.1\r\n"), "192.0.2.1");
  is(named("X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.1\r\n"), "10.1.1.1");
  for (const char* nobody : {"", "X-Forwarded-For:\r\n", "X-Forwarded-For: ,\r\n",
                             "X-Forwarded-For: unknown\r\n", "X-Forwarded-For: 1.2.3.4, x\r\n",
                             "X-Forwarded-For: [1.2.3.4]\r\n", "X-Forwarded-For: [::1\r\n",
                             "X-Forwarded-For: [::1]x\r\n", "X-Forwarded-For: 1.2.3.4:99999\r\n"}) {
    CHECK(!named(nobody).address.known());
  }
  std::string many;
  for (int i = 1; i <= 20; ++i) {
    many += "X-Forwarded-For: 192.0.2." + std::to_string(i) + ", 10.0.0.1\r\n";
  }
  is(named(many), "192.0.2.20");
}

}  // namespace
