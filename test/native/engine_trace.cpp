// What an operator sees of single clients while the engine runs: packets of those that are traced,
// log records by module and client, and the latency of deliveries.
#include <algorithm>

#include "contract/latency.hpp"
#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::LogLevel;
using contract::LogModule;

TraceSpec trace_of(std::uint32_t id, const std::string& client_id) {
  TraceSpec spec;
  spec.id = id;
  spec.client_id = client_id;
  spec.max_per_s = 1000;
  return spec;
}

/// "in CONNECT, out CONNACK, …" of what a trace showed.
std::string seen(const Javascript& javascript, std::uint32_t id) {
  std::string text;
  for (const TracedPacket& each : javascript.traced) {
    if (each.trace_id != id) continue;
    if (!text.empty()) text += ", ";
    text += each.direction == 0 ? "in " : "out ";
    text += wire::packet_name(wire::packet_type(static_cast<std::uint8_t>(each.packet[0])));
  }
  return text;
}

STMQTT_TEST("trace: every packet of a client, both ways and in order, and of nobody else") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    CHECK(javascript.engine.trace(trace_of(1, "dev-1")));
    Peer other(port, Version::v5);
    REQUIRE(other.open_session({.id = "other"}));
    Peer dev(port, Version::v311);
    REQUIRE(dev.open_session({.id = "dev-1", .version = Version::v311}));
    CHECK(dev.exchange(subscribe_of(dev.version, 1, {"t"}, 1), 1));
    CHECK(other.exchange(publish_of(other.version, {"t", "hello", 1, 2}), 2));
    CHECK(dev.until([&] { return dev.messages == 1; }));
    CHECK(dev.send(std::string("\xC0\0", 2)) && dev.until([&] { return dev.pings == 1; }));
    CHECK(dev.send(std::string("\xE0\0", 2)) && dev.wait_end());
    CHECK(javascript.until([&] { return javascript.traced.size() == 9; }));
    CHECK_EQ(seen(javascript, 1),
             "in CONNECT, out CONNACK, in SUBSCRIBE, out SUBACK, out PUBLISH, in PUBACK, "
             "in PINGREQ, out PINGRESP, in DISCONNECT");
    for (const TracedPacket& each : javascript.traced) {
      CHECK_EQ(each.client_id, "dev-1");
      CHECK_EQ(each.packet.size(), each.length);
    }
    CHECK_NE(javascript.traced[4].packet.find("hello"), std::string::npos);
    javascript.engine.untrace(1);
    CHECK(javascript.until([&] { return javascript.traces_ended[1] == 1; }));
    CHECK_EQ(javascript.trace_end_cause, 2);
    Peer again(port, Version::v5);
    REQUIRE(again.open_session({.id = "dev-1"}));
    javascript.run(50);
    CHECK_EQ(javascript.traced.size(), 9U);
  }
}

STMQTT_TEST("trace: the server's last packet before it closes is shown") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  CHECK(javascript.engine.trace(trace_of(1, "dev-1")));
  Peer dev(port, Version::v5);
  REQUIRE(dev.open_session({.id = "dev-1"}));
  javascript.disconnect("dev-1", ReasonCode::administrative_action);
  CHECK(javascript.until([&] { return dev.wait_end(1); }));
  Peer refused(port, Version::v5);
  CHECK(refused.connect({.id = "dev-1", .will_topic = std::string(200, '/')}) &&
        refused.wait_end());
  CHECK(javascript.until([&] { return javascript.traced.size() >= 5; }));
  CHECK_EQ(seen(javascript, 1),
           "in CONNECT, out CONNACK, out DISCONNECT, in CONNECT, out CONNACK");
}

STMQTT_TEST("trace: a password is never shown, not even of a packet that is broken") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  TraceSpec spec;
  spec.id = 3;
  spec.address = "127.0.0.1:";
  CHECK(javascript.engine.trace(spec));
  wire::ConnectOut out;
  out.version = Version::v311;
  out.clean_start = true;
  out.client_id = as_bytes(std::string_view("dev"));
  out.has_username = true;
  out.username = as_bytes(std::string_view("user-1"));
  out.has_password = true;
  out.password = as_bytes(std::string_view("sesame-opens"));
  std::string connect =
      encoded(wire::size_connect(out), [&](std::uint8_t* at) { wire::encode_connect(out, at); });
  Peer peer(port, Version::v311);
  CHECK(peer.send(connect) && peer.until([&] { return peer.connected; }));
  connect[connect.size() - 13] = 1;  // the password's length no longer fits
  Peer broken(port, Version::v311);
  CHECK(broken.send(connect) && broken.wait_end());
  CHECK(javascript.until([&] { return javascript.traced.size() >= 3; }));
  int shown = 0;
  for (const TracedPacket& each : javascript.traced) {
    CHECK_EQ(each.packet.find("sesame"), std::string::npos);
    if (each.packet.find("user-1") != std::string::npos) shown++;
  }
  CHECK_EQ(shown, 1);
}

STMQTT_TEST("trace: PUBLISH packets of a Topic Filter, also behind aliases; payloads cut short") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  TraceSpec spec;
  spec.id = 7;
  spec.topic_filter = "plant/+/temperature";
  spec.max_per_s = 1000;
  spec.payload_bytes = 10;
  CHECK(javascript.engine.trace(spec));
  Peer receiver(port, Version::v5);
  REQUIRE(receiver.open_session({.id = "receiver", .aliases = 5}));
  CHECK(receiver.exchange(subscribe_of(receiver.version, 1, {"#"}, 0), 1));
  Peer sender(port, Version::v5);
  REQUIRE(sender.open_session({.id = "sender"}));
  for (std::uint16_t n = 1; n <= 4; n++) {
    CHECK(sender.exchange(
        publish_of(sender.version, {"plant/a/temperature", std::string(5000, 'x'), 1, n}), n));
    CHECK(sender.exchange(publish_of(sender.version, {"plant/a/pressure", "y", 1, n}), n));
  }
  CHECK(receiver.until([&] { return receiver.messages == 8; }));
  CHECK(javascript.until([&] { return javascript.traced.size() == 8; }));
  for (const TracedPacket& each : javascript.traced) {
    CHECK_GT(each.length, 5000U);
    CHECK_LT(each.packet.size(), 60U);
    CHECK_EQ(std::ranges::count(each.packet, 'x'), 10);
  }
}

STMQTT_TEST("trace: packets that wait for a verdict are shown once") {
  EngineOptions options = engine_options(2);
  options.authenticate = true;
  Javascript javascript(options);
  javascript.judge = [](std::string_view) { return Judgement{.after_ms = 50}; };
  const std::uint16_t port = javascript.listen();
  javascript.start();
  CHECK(javascript.engine.trace(trace_of(1, "dev")));
  Peer dev(port, Version::v5);
  CHECK(dev.send(connect_of({.id = "dev"}) + subscribe_of(dev.version, 1, {"t"}, 0)));
  CHECK(javascript.until([&] { return dev.until([&] { return dev.finished.contains(1); }, 1); }));
  CHECK(javascript.until([&] { return javascript.traced.size() >= 4; }));
  CHECK_EQ(seen(javascript, 1), "in CONNECT, out CONNACK, in SUBSCRIBE, out SUBACK");
}

STMQTT_TEST("trace: links too; too many in a second are counted; it ends by itself") {
  Javascript javascript(engine_options(3));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  TraceSpec spec = trace_of(5, "");
  spec.address = "link";
  CHECK(javascript.engine.trace(spec));
  LinkEnd& link = javascript.open_link(1);
  javascript.link_send(1, connect_of({.id = "link"}));
  CHECK(javascript.until([&] { return link.connected; }));
  CHECK(javascript.until([&] { return seen(javascript, 5) == "in CONNECT, out CONNACK"; }));
  javascript.engine.untrace(5);
  CHECK(javascript.until([&] { return javascript.traces_ended[5] == 1; }));

  spec = trace_of(6, "dev");
  spec.max_per_s = 3;
  spec.seconds = 2;
  CHECK(javascript.engine.trace(spec));
  javascript.traced.clear();
  Peer dev(port, Version::v5);
  REQUIRE(dev.open_session({.id = "dev"}));
  for (std::uint16_t n = 1; n <= 40; n++) {
    CHECK(dev.exchange(publish_of(dev.version, {"t", "x", 1, n}), n));
  }
  javascript.run(1100);
  CHECK(dev.exchange(publish_of(dev.version, {"t", "x", 1, 50}), 50));
  CHECK(javascript.until([&] { return javascript.traces_ended[6] == 1; }));
  CHECK_EQ(javascript.trace_end_cause, 1);
  CHECK_LE(javascript.traced.size(), 9U);
  std::uint32_t suppressed = 0;
  for (const TracedPacket& each : javascript.traced) suppressed += each.suppressed;
  CHECK_GE(suppressed, 60U);
}

STMQTT_TEST("trace: eight at most, each number once, and none is left behind") {
  Javascript javascript(engine_options(2));
  javascript.start();
  for (std::uint32_t id = 1; id <= 8; id++) CHECK(javascript.engine.trace(trace_of(id, "a")));
  CHECK(!javascript.engine.trace(trace_of(9, "a")));
  javascript.engine.untrace(3);
  javascript.engine.untrace(77);  // nobody's
  CHECK(javascript.until([&] { return javascript.traces_ended[3] == 1; }));
  CHECK(!javascript.engine.trace(trace_of(4, "a")));
  CHECK(javascript.engine.trace(trace_of(3, "a")));
}

STMQTT_TEST("log: levels by module and client change while it runs") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  const auto session_of = [&](const std::string& id) {
    Peer peer(port, Version::v5);
    CHECK(peer.open_session({.id = id}));
    CHECK(peer.exchange(subscribe_of(peer.version, 1, {"a/" + id}, 1), 1));
    CHECK(peer.exchange(unsubscribe_of(peer.version, 2, "a/" + id), 2));
    CHECK(peer.exchange(publish_of(peer.version, {"t", "x", 1, 3}), 3));
  };
  const auto count = [&](const std::string& id, LogLevel level) {
    return std::ranges::count_if(javascript.logs, [&](const LogText& log) {
      return log.client_id == id && log.level == level && log.module == LogModule::session;
    });
  };
  session_of("quiet");
  LiveOptions live = javascript.engine.live();
  live.log.clients = {{"loud", 5}, {"middle", 4}};
  javascript.engine.configure(live);
  session_of("quiet");
  session_of("loud");
  session_of("middle");
  CHECK(javascript.until([&] { return count("middle", LogLevel::debug) == 3; }));
  CHECK_EQ(count("quiet", LogLevel::debug), 0);
  CHECK_EQ(count("loud", LogLevel::debug), 3);
  CHECK_EQ(count("loud", LogLevel::trace), 8);  // four packets in, four out
  CHECK_EQ(count("middle", LogLevel::trace), 0);
  CHECK(std::ranges::any_of(javascript.logs, [](const LogText& log) {
    return log.text == "SUBSCRIBE 'a/loud' QoS 1, granted 1";
  }));
  CHECK(std::ranges::any_of(javascript.logs, [](const LogText& log) {
    return log.text == "in PUBLISH 't' QoS 1 id 3, 1 bytes";
  }));
  live.log.clients.clear();
  live.log.modules[static_cast<std::size_t>(LogModule::session)] = 4;
  javascript.engine.configure(live);
  javascript.logs.clear();
  session_of("anybody");
  CHECK(javascript.until([&] { return count("anybody", LogLevel::debug) == 3; }));
  live.log = {};
  live.log.level = 0;
  javascript.engine.configure(live);
  javascript.run(20);
  javascript.logs.clear();
  session_of("nobody");
  Peer wrong(port, Version::v5);
  CHECK(wrong.send("GET / HTTP/1.1\r\n\r\n") && wrong.wait_end());
  javascript.run(30);
  CHECK(javascript.logs.empty());
}

STMQTT_TEST("session_ended with its connection comes where it is asked for") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  {
    Peer peer(port, Version::v5);
    REQUIRE(peer.open_session({.id = "a"}));
  }
  CHECK(javascript.until([&] { return javascript.ever.size() == 1 && javascript.open.empty(); }));
  CHECK_EQ(javascript.sessions_ended, 0);
  LiveOptions live = javascript.engine.live();
  live.event_mask |= contract::kMaskEndsWithConnection;
  javascript.engine.configure(live);
  {
    Peer peer(port, Version::v5);
    REQUIRE(peer.open_session({.id = "b"}));
  }
  CHECK(javascript.until([&] { return javascript.sessions_ended == 1; }));
}

// ---- latency ----

struct Latency {
  std::int64_t numbers[contract::kLatencyNumbers] = {};
  explicit Latency(const Javascript& javascript) { javascript.engine.latency(numbers); }
  [[nodiscard]] std::int64_t deliveries() const { return numbers[contract::kLatencyBuckets]; }
  [[nodiscard]] std::int64_t sum_us() const { return numbers[contract::kLatencyBuckets + 1]; }
  [[nodiscard]] std::int64_t buckets() const {
    std::int64_t sum = 0;
    for (std::size_t at = 0; at < contract::kLatencyBuckets; at++) sum += numbers[at];
    return sum;
  }
  /// In buckets whose upper bound is above.
  [[nodiscard]] std::int64_t above_us(std::uint32_t bound) const {
    std::int64_t sum = 0;
    for (std::size_t at = 0; at < contract::kLatencyBuckets; at++) {
      if (at + 1 == contract::kLatencyBuckets || contract::kLatencyBoundsUs[at] > bound) {
        sum += numbers[at];
      }
    }
    return sum;
  }
};

STMQTT_TEST("latency: each delivery is measured once, on every thread, whatever its QoS") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    std::vector<std::unique_ptr<Peer>> receivers;
    for (int n = 0; n < 5; n++) {
      receivers.push_back(std::make_unique<Peer>(port, Version::v5));
      Peer& peer = *receivers.back();
      REQUIRE(peer.open_session({.id = "r" + std::to_string(n)}));
      CHECK(peer.exchange(
          subscribe_of(peer.version, 1, {"#"}, static_cast<std::uint8_t>(n % 3)), 1));
    }
    Peer sender(port, Version::v5);
    REQUIRE(sender.open_session({.id = "sender"}));
    for (std::uint16_t n = 1; n <= 60; n++) {
      CHECK(sender.exchange(publish_of(sender.version, {"t", "x", 2, n}), n));
    }
    for (auto& peer : receivers) CHECK(peer->until([&] { return peer->messages == 60; }));
    CHECK(eventually([&] { return Latency(javascript).deliveries() == 300; }));
    const Latency latency(javascript);
    CHECK_EQ(latency.buckets(), 300);
    CHECK_GT(latency.sum_us(), 0);
    CHECK_LT(latency.sum_us(), 300 * 5'000'000LL);
  }
}

STMQTT_TEST("latency: waiting in a queue counts; retained messages and resends do not") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer sender(port, Version::v5);
  REQUIRE(sender.open_session({.id = "sender"}));
  CHECK(sender.exchange(publish_of(sender.version, {"r", "kept", 1, 1, true}), 1));
  {
    Peer away(port, Version::v5);
    REQUIRE(away.open_session({.id = "away", .expiry_s = 100}));
    CHECK(away.exchange(subscribe_of(away.version, 1, {"#"}, 1), 1));
    CHECK(away.until([&] { return away.messages == 1; }));  // the retained one
  }
  CHECK(javascript.until([&] { return javascript.open.size() == 1; }));
  CHECK_EQ(Latency(javascript).deliveries(), 0);
  CHECK(sender.exchange(publish_of(sender.version, {"q", "x", 1, 2}), 2));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  Peer back(port, Version::v5);
  REQUIRE(back.open_session({.id = "away", .clean = false, .expiry_s = 100}));
  CHECK(back.until([&] { return back.messages >= 1; }));
  CHECK(eventually([&] { return Latency(javascript).deliveries() == 1; }));
  CHECK_EQ(Latency(javascript).above_us(200'000), 1);
  CHECK_GE(Latency(javascript).sum_us(), 290'000);
  CHECK_LT(Latency(javascript).sum_us(), 20'000'000);
}

STMQTT_TEST("latency: buckets take their upper bounds; stamps wrap") {
  LatencyHistogram histogram;
  histogram.add(0, 1);
  histogram.add(50'000, 2);
  histogram.add(50'001, 4);
  histogram.add(10'000'000'000, 8);
  histogram.add(10'000'000'001, 16);
  std::int64_t into[contract::kLatencyNumbers] = {};
  histogram.add_to(into);
  CHECK_EQ(into[0], 3);
  CHECK_EQ(into[1], 4);
  CHECK_EQ(into[contract::kLatencyBuckets - 2], 8);
  CHECK_EQ(into[contract::kLatencyBuckets - 1], 16);
  CHECK_EQ(into[contract::kLatencyBuckets], 31);
  const std::uint64_t wrap = std::uint64_t{1} << 46;  // of 32 bits of 2^14 ns
  CHECK_EQ(stamp_of(wrap), 1U);
  CHECK_EQ(since_stamp_ns(stamp_of(wrap - 1'000'000), wrap + 1'000'000) / 100'000, 20U);
}

}  // namespace
}  // namespace stmqtt::test
