// Long batches of commands: a bounded share of them in each turn of a thread, in order, none lost, also
// at the end.
#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::Counter;

/// For connections that are not there: each costs a turn's share what others do.
Commands& add_stale(Commands& commands, int count) {
  contract::Verdict verdict{};
  verdict.connection_id = 0x00FF'FFFF'FFFF'FF00;
  for (int n = 0; n < count; ++n) commands.add(CommandKind::verdict, verdict);
  return commands;
}

STMQTT_TEST("engine: a long batch of verdicts is spread over turns") {
  Javascript javascript(engine_options(1));
  javascript.start();
  const std::int64_t turns = javascript.count(Counter::loop_turns);
  Commands commands;
  CHECK(javascript.submit(add_stale(commands, 6400)));
  CHECK(javascript.until([&] { return javascript.count(Counter::verdicts_stale) == 6400; }));
  CHECK_EQ(javascript.count(Counter::commands_received), 6400);
  // 64 in each; a turn's own count comes at its end.
  CHECK(javascript.count(Counter::loop_turns) - turns >= 99);
}

STMQTT_TEST("engine: what is cut by a turn's end goes on in order, before what came later") {
  for (const unsigned threads : {1U, 3U}) {
    const Context context("threads", threads);
    Javascript javascript(engine_options(threads));
    javascript.start();
    constexpr std::uint32_t kLinks = 500;
    for (std::uint32_t id = 1; id <= kLinks; ++id) javascript.links[id].gives_credit = false;
    Commands opened;
    for (std::uint32_t id = 1; id <= kLinks; ++id) {
      contract::LinkOpen open{};
      open.link_id = id;
      open.credit_bytes = 1 << 20;
      opened.add(CommandKind::link_open, open);
      // In two parts: bytes that come before their link, or before their first half, would show.
      const std::string text = connect_of({.id = "l" + std::to_string(id)});
      for (const std::string& part : {text.substr(0, 5), text.substr(5)}) {
        contract::LinkBytes bytes{};
        bytes.link_id = id;
        bytes.data_bytes = static_cast<std::uint32_t>(part.size());
        opened.add(CommandKind::link_bytes, bytes, part);
      }
    }
    Commands closed;
    for (std::uint32_t id = 1; id <= kLinks; id += 2) {
      contract::LinkClose close{};
      close.link_id = id;
      closed.add(CommandKind::link_close, close);
    }
    CHECK(javascript.submit(opened));
    CHECK(javascript.submit(closed));
    CHECK(javascript.until([&] {
      std::uint32_t alive = 0;
      std::uint32_t ended = 0;
      for (const auto& [id, link] : javascript.links) ended += link.closed ? 1 : 0;
      for (const auto& [id, count] : javascript.alive) alive += static_cast<std::uint32_t>(count);
      return ended == kLinks / 2 && alive == kLinks / 2;
    }));
    for (const auto& [id, link] : javascript.links) CHECK_EQ(link.closed, id % 2 == 1);
    CHECK_EQ(javascript.count(Counter::commands_stale), 0);
  }
}

STMQTT_TEST("engine: drain comes behind what was asked for before it") {
  Javascript javascript(engine_options(1));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer peer(port, Version::v5);
  REQUIRE(peer.open_session({.id = "a"}));
  REQUIRE(peer.exchange(subscribe_of(peer.version, 1, {"t"}, 0), 1));
  std::vector<std::string> texts;
  peer.message = [&](std::string_view, std::string_view text) { texts.emplace_back(text); };
  Commands commands;
  for (int n = 0; n < 20; ++n) {
    add_stale(commands, 100);
    contract::Publish publish{};
    const std::string text = std::to_string(n);
    publish.topic_bytes = 1;
    publish.payload_bytes = static_cast<std::uint32_t>(text.size());
    commands.add(CommandKind::publish, publish, "t" + text);
  }
  contract::Drain drain{};
  drain.deadline_ms = 5'000;
  CHECK(javascript.submit(commands.add(CommandKind::drain, drain)));
  CHECK(peer.wait_end());
  CHECK_EQ(peer.said_goodbye, ReasonCode::server_shutting_down);
  REQUIRE(texts.size() == 20U);
  for (int n = 0; n < 20; ++n) CHECK_EQ(texts[static_cast<std::size_t>(n)], std::to_string(n));
  CHECK(javascript.until([&] { return javascript.drained == 1; }));
  CHECK_EQ(javascript.count(Counter::verdicts_stale), 2000);
}

STMQTT_TEST("engine: stop with a batch under way leaves nothing behind") {
  for (int round = 0; round < 10; ++round) {
    Javascript javascript(engine_options(2));
    const std::uint16_t port = javascript.listen();
    javascript.start();
    Peer peer(port, Version::v5);
    Commands commands;
    CHECK(javascript.submit(add_stale(commands, 20'000)));
    static_cast<void>(peer.send(connect_of({.id = "a"})));
  }  // ~Javascript stops it
}

}  // namespace
}  // namespace stmqtt::test
