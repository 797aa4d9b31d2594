// Commands that do not fit are refused whole, whatever they hold; those that fit but name nobody
// are counted no-ops; disconnect finds its client on any thread.
#include <random>
#include <thread>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::CloseCause;
using contract::Counter;

struct Raw {
  contract::RecordHeader header;
  std::uint8_t rest[64];
};

bool submit_raw(Javascript& javascript, const Raw& record, std::size_t bytes) {
  return javascript.engine.submit({reinterpret_cast<const std::uint8_t*>(&record), bytes});
}

STMQTT_TEST("engine: commands whose lengths do not fit are refused") {
  Javascript javascript(engine_options(2));
  javascript.start();
  Raw raw{};
  CHECK(submit_raw(javascript, raw, 0));   // nothing is no error
  CHECK(!submit_raw(javascript, raw, 4));  // not even a header
  CHECK(!submit_raw(javascript, raw, 8));  // a length of 0
  raw.header.record_bytes = 72;
  for (const std::uint16_t kind : {0, 10, 255, 65535}) {
    raw.header.kind = kind;
    CHECK(!submit_raw(javascript, raw, sizeof raw));
  }
  for (std::uint16_t kind = 1; kind <= 9; kind++) {
    const Context context("kind", kind);
    raw.header.kind = kind;
    raw.header.record_bytes = 80;  // more than there is
    CHECK(!submit_raw(javascript, raw, sizeof raw));
    raw.header.record_bytes = 20;  // not a multiple of 8
    CHECK(!submit_raw(javascript, raw, sizeof raw));
    raw.header.record_bytes = 8;  // less than the fixed part
    CHECK(!submit_raw(javascript, raw, sizeof raw));
  }
  // Strings that reach beyond the record, also by sums that do not fit into 32 bits.
  contract::Verdict verdict{};
  contract::Disconnect disconnect{};
  contract::LinkBytes link{};
  for (const std::uint32_t beyond : {std::uint32_t{8}, std::uint32_t{0x80000000}, UINT32_MAX}) {
    verdict.client_id_bytes = beyond;
    CHECK(!javascript.submit(Commands().add(CommandKind::verdict, verdict)));
    verdict.username_bytes = verdict.reason_text_bytes = 0 - beyond;
    CHECK(!javascript.submit(Commands().add(CommandKind::verdict, verdict)));
    disconnect.client_id_bytes = beyond;
    disconnect.reason_text_bytes = 0 - beyond;
    CHECK(!javascript.submit(Commands().add(CommandKind::disconnect, disconnect)));
    link.data_bytes = beyond;
    CHECK(!javascript.submit(Commands().add(CommandKind::link_bytes, link)));
  }
  // What stood before the bad one was taken.
  contract::LinkOpen open{};
  open.link_id = 5;
  open.credit_bytes = 1000;
  link = {};
  link.link_id = 5;
  link.data_bytes = 100;
  CHECK(!javascript.submit(
      Commands().add(CommandKind::link_open, open).add(CommandKind::link_bytes, link)));
  javascript.link_send(5, connect_of({.id = "still"}));
  CHECK(javascript.until([&] { return javascript.alive["still"] == 1; }));
}

STMQTT_TEST("engine: commands of random content end nothing but what they name") {
  Javascript javascript(engine_options(3));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer peer(port, Version::v5);
  REQUIRE(peer.open_session({.id = "untouched"}));
  javascript.reuses_link_ids = true;
  std::mt19937_64 random(seed());
  for (int turn = 0; turn < 5'000; turn++) {
    std::vector<std::uint8_t> bytes(8 * (1 + random() % 9));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : 0);
    contract::RecordHeader header{};
    header.record_bytes = static_cast<std::uint32_t>(bytes.size());
    // No drain: that would name everybody.
    header.kind = static_cast<std::uint16_t>(1 + random() % 6);
    std::memcpy(bytes.data(), &header, sizeof header);
    static_cast<void>(javascript.engine.submit(bytes));
    if (turn % 64 == 0) javascript.serve();
  }
  javascript.serve();
  CHECK(peer.exchange(publish_of(peer.version, {"t", "x", 2, 7}), 7));
  CHECK_EQ(javascript.alive["untouched"], 1);
}

STMQTT_TEST("engine: disconnect finds a client on any thread, says why, and counts if there is none") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    std::vector<std::unique_ptr<Peer>> peers;
    for (int n = 0; n < 6; n++) {
      peers.push_back(std::make_unique<Peer>(port, n == 5 ? Version::v311 : Version::v5));
      REQUIRE(peers.back()->open_session(
          {.id = "p" + std::to_string(n), .version = peers.back()->version}));
    }
    for (int n = 0; n < 6; n++) {
      const std::string text = n % 2 == 0 ? "reason number " + std::to_string(n) : "";
      javascript.disconnect("p" + std::to_string(n), ReasonCode::use_another_server, text);
      Peer& peer = *peers[static_cast<std::size_t>(n)];
      CHECK(peer.wait_end());
      if (n == 5) continue;  // 3.1.1 knows no DISCONNECT from a server
      CHECK_EQ(peer.said_goodbye, ReasonCode::use_another_server);
      if (!text.empty()) CHECK_EQ(peer.goodbye_text, text);
    }
    CHECK(javascript.until([&] { return javascript.disconnected[CloseCause::administrative] == 6; }));
    const std::int64_t stale = javascript.count(Counter::commands_stale);
    javascript.disconnect("p1", ReasonCode::administrative_action);
    javascript.disconnect("", ReasonCode::administrative_action);
    CHECK(javascript.until([&] { return javascript.count(Counter::commands_stale) == stale + 2; }));
  }
}

STMQTT_TEST("engine: texts too long for MQTT are refused, the longest ones are told") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer peer(port, Version::v5);
  REQUIRE(peer.open_session({.id = "a"}));
  const std::string text(65'536, 'r');
  contract::Verdict verdict{};
  verdict.reason_text_bytes = 65'536;
  CHECK(!javascript.submit(Commands().add(CommandKind::verdict, verdict, text)));
  contract::Disconnect disconnect{};
  disconnect.reason_code = static_cast<std::uint8_t>(ReasonCode::administrative_action);
  disconnect.client_id_bytes = 1;
  disconnect.reason_text_bytes = 65'536;
  CHECK(!javascript.submit(Commands().add(CommandKind::disconnect, disconnect, "a" + text)));
  disconnect.reason_text_bytes = 65'535;
  CHECK(javascript.submit(Commands().add(CommandKind::disconnect, disconnect, "a" + text)));
  CHECK(peer.wait_end());
  CHECK_EQ(peer.said_goodbye, ReasonCode::administrative_action);
  CHECK_EQ(peer.goodbye_text.size(), 65'535U);
}

}  // namespace
}  // namespace stmqtt::test
