// Queries through the engine: each is answered once, whatever is in it, on whatever thread; a reply
// is never left out where other events are.
#include <random>

#include "engine_javascript.hpp"

namespace stmqtt::test {
namespace {

using contract::Query;
using contract::QueryKind;
using contract::QueryStatus;

struct Question {
  QueryKind kind;
  std::string client_id = {};
  std::string text = {};
  std::string cursor = {};
  std::uint16_t thread = 0;
  std::uint32_t limit = 100;
  std::uint8_t options = 0;
};

Query record_of(std::uint64_t id, const Question& question) {
  Query query{};
  query.query_id = id;
  query.query = static_cast<std::uint16_t>(question.kind);
  query.thread = question.thread;
  query.limit = question.limit;
  query.options = question.options;
  query.client_id_bytes = static_cast<std::uint32_t>(question.client_id.size());
  query.text_bytes = static_cast<std::uint32_t>(question.text.size());
  query.cursor_bytes = static_cast<std::uint32_t>(question.cursor.size());
  return query;
}

bool ask(Javascript& javascript, std::uint64_t id, const Question& question) {
  return javascript.submit(Commands().add(CommandKind::query, record_of(id, question),
                                          question.client_id + question.text + question.cursor));
}

const ReplyText& answered(Javascript& javascript, std::uint64_t id, const Question& question) {
  CHECK(ask(javascript, id, question));
  CHECK(javascript.until([&] { return javascript.replies.contains(id); }));
  return javascript.replies[id];
}

STMQTT_TEST("engine: queries find their session on any thread, whichever is asked") {
  Javascript javascript(engine_options(3));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int n = 0; n < 6; n++) {
    peers.push_back(std::make_unique<Peer>(port, Version::v5));
    REQUIRE(peers.back()->open_session({.id = "peer" + std::to_string(n)}));
  }
  std::uint64_t id = 0;
  for (std::uint16_t thread = 0; thread < 5; thread++) {
    for (int n = 0; n < 6; n++) {
      const std::string name = "peer" + std::to_string(n);
      const ReplyText& reply =
          answered(javascript, ++id, {QueryKind::client, name, {}, {}, thread});
      CHECK_EQ(reply.status, static_cast<std::uint16_t>(QueryStatus::done));
      CHECK(reply.rows.find("\"id\":\"" + name + "\"") != std::string::npos);
    }
    const ReplyText& nobody =
        answered(javascript, ++id, {QueryKind::client, "nobody", {}, {}, thread});
    CHECK_EQ(nobody.status, static_cast<std::uint16_t>(QueryStatus::not_found));
  }
}

STMQTT_TEST("engine: a query whose strings do not fit is refused") {
  Javascript javascript(engine_options(1));
  Query query{};
  for (const std::uint32_t beyond : {std::uint32_t{8}, std::uint32_t{0x80000000}, UINT32_MAX}) {
    query = {};
    query.client_id_bytes = beyond;
    query.text_bytes = 0 - beyond;
    CHECK(!javascript.submit(Commands().add(CommandKind::query, query)));
    query = {};
    query.cursor_bytes = beyond;
    CHECK(!javascript.submit(Commands().add(CommandKind::query, query)));
  }
  query = {};
  query.cursor_bytes = contract::kMaxCursorBytes + 1;
  CHECK(!javascript.submit(Commands().add(CommandKind::query, query,
                                          std::string(contract::kMaxCursorBytes + 1, 'c'))));
}

STMQTT_TEST("engine: queries of random content are answered once each") {
  Javascript javascript(engine_options(3));
  const std::uint16_t port = javascript.listen();
  javascript.start();
  std::vector<std::unique_ptr<Peer>> peers;
  for (int n = 0; n < 6; n++) {
    peers.push_back(std::make_unique<Peer>(port, Version::v5));
    REQUIRE(peers.back()->open_session({.id = "p" + std::to_string(n)}));
  }
  std::mt19937_64 random(seed());
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  const auto bytes = [&](std::size_t most) {
    std::string text(below(most + 1), '\0');
    for (char& byte : text) byte = static_cast<char>(below(4) == 0 ? below(256) : 'a' + below(3));
    return text;
  };
  const std::string_view listings = "csurt";
  const std::string_view texts[] = {"", "a", "#", "+/b", "$share/g/a", "$share//", "1:1,2:2", "0:",
                                    "99999999999:1,,,:", "a/b"};
  std::uint64_t id = 0;
  for (int round = 0; round < 3000; round++) {
    Question question{static_cast<QueryKind>(below(15))};
    // Sessions are ended by the others only now and then: something must be there to be listed.
    if (question.kind == QueryKind::session_end && below(50) != 0) continue;
    if (question.kind == QueryKind::kick && below(50) != 0) continue;
    if (below(2) == 0) question.client_id = below(8) == 0 ? bytes(10) : "p" + std::to_string(below(6));
    question.text = below(3) == 0 ? bytes(20) : std::string(texts[below(std::size(texts))]);
    if (below(2) == 0) {
      question.cursor = below(4) == 0 ? bytes(20) : std::string(1, listings[below(5)]);
      for (auto more = below(18); more > 0; more--) {
        question.cursor += static_cast<char>(below(3) == 0 ? below(256) : below(3));
      }
    }
    question.thread = static_cast<std::uint16_t>(below(5));
    question.limit = below(4) == 0 ? static_cast<std::uint32_t>(random()) : below(5);
    question.options = static_cast<std::uint8_t>(below(256));
    CHECK(ask(javascript, ++id, question));
  }
  CHECK(javascript.until([&] { return javascript.replies.size() == id; }));
}

STMQTT_TEST("engine: replies come though nobody has read events for long") {
  EngineOptions options = engine_options(1);
  Javascript javascript(options);
  const std::uint16_t port = javascript.listen();
  javascript.start();
  Peer peer(port, Version::v5);
  REQUIRE(peer.open_session({.id = "p"}));
  constexpr std::uint64_t kQueries = 40'000;
  for (std::uint64_t id = 1; id <= kQueries; id++) {
    CHECK(ask(javascript, id, {QueryKind::client, "p"}));
  }
  CHECK(javascript.until([&] { return javascript.replies.size() == kQueries; }));
  std::size_t bytes = 0;
  for (const auto& [id, reply] : javascript.replies) bytes += reply.rows.size();
  CHECK(bytes > EventBuffer::kBoundBytes);
}

}  // namespace
}  // namespace stmqtt::test
