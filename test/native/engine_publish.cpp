// The broker's own messages: they reach subscribers on every thread and the retained index, and are
// in no count of what clients did. Who may touch $SYS.
#include <vector>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;

struct Own {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;
};

bool publish(Javascript& javascript, const Own& own) {
  contract::Publish record{};
  record.qos = own.qos;
  record.retain = own.retain ? 1 : 0;
  record.topic_bytes = static_cast<std::uint32_t>(own.topic.size());
  record.payload_bytes = static_cast<std::uint32_t>(own.payload.size());
  return javascript.submit(
      Commands().add(contract::CommandKind::publish, record, own.topic + own.payload));
}

Limits readers() {
  Limits limits;
  limits.sys_read = true;
  return limits;
}

STMQTT_TEST("engine: the broker's own messages reach everybody and are counted as nobody's") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen(readers());
    javascript.start();
    std::vector<std::unique_ptr<Peer>> peers;
    std::vector<std::string> got(4);
    for (std::size_t n = 0; n < got.size(); n++) {
      peers.push_back(std::make_unique<Peer>(port, n == 3 ? Version::v311 : Version::v5));
      Peer& peer = *peers.back();
      peer.message = [&to = got[n]](std::string_view topic, std::string_view payload) {
        to += std::string(topic) + "=" + std::string(payload) + " ";
      };
      REQUIRE(peer.open_session({.id = "p" + std::to_string(n), .version = peer.version}));
      REQUIRE(peer.exchange(subscribe_of(peer.version, 1, {"$SYS/#", "own/+"}, 2), 1));
    }
    // In their order, whatever the QoS.
    for (std::uint8_t qos = 0; qos <= 2; qos++) {
      CHECK(publish(javascript, {"$SYS/a", std::to_string(qos), qos, qos == 2}));
    }
    CHECK(publish(javascript, {"own/b", "last"}));
    for (std::size_t n = 0; n < got.size(); n++) {
      CHECK(peers[n]->until([&] { return got[n].find("last") != std::string::npos; }));
      CHECK_EQ(got[n], "$SYS/a=0 $SYS/a=1 $SYS/a=2 own/b=last ");
    }
    // Retained for who comes later, until it is cleared.
    Peer late(port, Version::v5);
    REQUIRE(late.open_session({.id = "late"}));
    CHECK(late.exchange(subscribe_of(late.version, 1, {"$SYS/#"}, 1), 1));
    CHECK(late.until([&] { return late.messages == 1; }));
    CHECK(publish(javascript, {"$SYS/a", "", 1, true}));
    CHECK(late.until([&] { return late.messages == 2; }));
    Peer later(port, Version::v5);
    REQUIRE(later.open_session({.id = "later"}));
    CHECK(later.exchange(subscribe_of(later.version, 1, {"$SYS/#", "own/+"}, 1), 1));
    // What is no Topic Name goes nowhere; the next one does.
    for (const char* topic : {"", "own/+", "#", "own/\xFF"}) {
      CHECK(publish(javascript, {topic, "never", 0, true}));
    }
    CHECK(publish(javascript, {"own/c", "seen"}));
    CHECK(later.until([&] { return later.messages == 1; }));
    CHECK(publish(javascript, {"nobody/has/it", "x", 1}));
    CHECK_EQ(javascript.count(Counter::publish_received_qos0), 0);
    CHECK_EQ(javascript.count(Counter::publish_received_qos1), 0);
    CHECK_EQ(javascript.count(Counter::publish_received_qos2), 0);
    CHECK_EQ(javascript.count(Counter::publish_unmatched), 0);
    CHECK_EQ(javascript.count(Counter::sessions_created), 6);
    std::vector<std::int64_t> tables(Engine::kTableCounts);
    javascript.engine.table_counts(tables);
    CHECK_EQ(tables[0], 11);  // subscriptions
    CHECK_EQ(tables[3], 0);   // retained
  }
}

STMQTT_TEST("engine: own messages whose lengths or QoS do not fit are refused") {
  Javascript javascript(engine_options(1));
  javascript.start();
  contract::Publish record{};
  record.topic_bytes = 1;
  record.payload_bytes = 100;
  CHECK(!javascript.submit(Commands().add(contract::CommandKind::publish, record, "t")));
  record.payload_bytes = UINT32_MAX;
  CHECK(!javascript.submit(Commands().add(contract::CommandKind::publish, record, "t")));
  record = {};
  record.qos = 3;
  CHECK(!javascript.submit(Commands().add(contract::CommandKind::publish, record, "t")));
}

STMQTT_TEST("engine: $SYS is closed to a listener's clients unless its limits say otherwise") {
  Javascript javascript(engine_options(2));
  const std::uint16_t port = javascript.listen();  // neither reads nor writes
  const std::uint16_t open = javascript.listen(readers());
  javascript.start();
  Peer reader(open, Version::v5);
  REQUIRE(reader.open_session({.id = "reader"}));
  REQUIRE(reader.exchange(subscribe_of(reader.version, 1, {"$SYS/#"}, 2), 1));
  Peer stranger(port, Version::v5);
  REQUIRE(stranger.open_session({.id = "stranger"}));
  REQUIRE(stranger.exchange(subscribe_of(stranger.version, 1, {"$SYS/#", "#"}, 2), 1));
  CHECK(stranger.send(publish_of(stranger.version, {"$SYS/a", "0", 0, 0, true})));
  CHECK(stranger.exchange(publish_of(stranger.version, {"$SYS/a", "1", 1, 7, true}), 7));
  CHECK(publish(javascript, {"$SYS/a", "the broker's"}));
  CHECK(publish(javascript, {"open", "to all"}));
  CHECK(stranger.until([&] { return stranger.messages == 1; }));
  CHECK(reader.until([&] { return reader.messages == 1; }));
  // A link of the process may do both.
  Limits own = readers();
  own.sys_write = true;
  CHECK(javascript.engine.set_limits(0, own, 0));
  LinkEnd& link = javascript.open_link(1);
  javascript.link_send(1, connect_of({.id = "link"}) +
                              subscribe_of(Version::v5, 1, {"$SYS/#"}, 0) +
                              publish_of(Version::v5, {"$SYS/b", "a link's", 1, 2}));
  CHECK(javascript.until([&] { return link.messages == 1 && link.finished.contains(2); }));
  CHECK(reader.until([&] { return reader.messages == 2; }));
  CHECK_EQ(javascript.count(Counter::publish_refused_not_authorized), 2);
}

}  // namespace
}  // namespace stmqtt::test
