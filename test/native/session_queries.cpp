// Queries of a shard: pages are bounded, places survive what comes and goes, changes for a client
// keep the promises that its own packets would get.
#include <algorithm>
#include <string>

#include "base/json_writer.hpp"
#include "model/bed.hpp"
#include "runner.hpp"
#include "wire/topic.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;

ConnectText client(const std::string& id, std::uint32_t expiry_s = 0) {
  ConnectText text;
  text.client_id = id;
  text.clean_start = false;
  text.session_expiry_s = expiry_s;
  return text;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string text_of(const JsonWriter& json) { return std::string(as_text(json.bytes())); }

wire::SubscriptionView view_of(const std::string& filter, std::uint8_t qos) {
  wire::SubscriptionView view;
  view.topic_filter = as_bytes(filter);
  CHECK(wire::parse_topic_filter(view.topic_filter, view.filter) == ReasonCode::success);
  view.qos = qos;
  return view;
}

struct AnswerBed : Bed {
  using Bed::Bed;
  std::vector<std::pair<std::uint64_t, ReasonCode>> answers;
  void on_answer(std::uint64_t query_id, ReasonCode code) override {
    answers.emplace_back(query_id, code);
  }
};

STMQTT_TEST("json: every byte that JSON wants escaped is, and nothing else") {
  JsonWriter json;
  json.begin_object();
  json.field("a", as_bytes("\"\\\x01\x1f\n/\xc3\xa9\x7f"));
  json.field("b", std::int64_t{-5});
  json.key("c");
  json.begin_array();
  json.begin_object();
  json.end_object();
  json.number(1);
  json.text({});
  json.end_array();
  json.field("d", INT64_MAX);
  json.end_object();
  CHECK_EQ(text_of(json), "{\"a\":\"\\\"\\\\\\u0001\\u001f\\u000a/\xc3\xa9\x7f\",\"b\":-5,"
                          "\"c\":[{},1,\"\"],\"d\":9223372036854775807}");
}

STMQTT_TEST("queries: a page looks at a bounded number of slots, with sessions in them or not") {
  Bed bed;
  constexpr unsigned kSessions = PageBounds::kSlots + 1000;
  std::vector<Peer*> peers;
  for (unsigned n = 0; n < kSessions; ++n) {
    peers.push_back(&bed.dial(client("c" + std::to_string(n))));
    if (n % 512 == 0) bed.settle();
  }
  bed.settle();
  for (unsigned n = 10; n < kSessions - 10; ++n) peers[n]->cut();
  bed.settle();
  CHECK_EQ(bed.net().shard(0).session_count(), 20U);
  Shard& shard = bed.net().shard(0);
  std::uint32_t slot = 0;
  unsigned pages = 0;
  std::size_t listed = 0;
  while (slot != kListed) {
    const std::uint32_t from = slot;
    JsonWriter rows;
    slot = shard.list_sessions(slot, {}, rows);
    if (slot != kListed) CHECK(slot - from <= PageBounds::kSlots);
    listed += count_of(text_of(rows), "\"id\":");
    ++pages;
  }
  CHECK_EQ(listed, 20U);
  CHECK_EQ(pages, 2U);
}

STMQTT_TEST("queries: rows and bytes of a page are bounded") {
  Bed bed;
  bed.limits.max_client_id_bytes = 65'535;
  for (unsigned n = 0; n < 20; ++n) {
    static_cast<void>(bed.ready(client(std::string(20'000, 'x') + std::to_string(n))));
  }
  Shard& shard = bed.net().shard(0);
  JsonWriter rows;
  PageBounds bounds;
  CHECK_EQ(shard.list_sessions(0, bounds, rows), 4U);  // the first that goes beyond 64 KiB is whole
  bounds.rows = 3;
  JsonWriter three;
  CHECK_EQ(shard.list_sessions(0, bounds, three), 3U);
  JsonWriter none;
  CHECK_EQ(shard.list_sessions(0xFFFFFFF0, bounds, none), kListed);
  CHECK_EQ(none.size(), 0U);
}

STMQTT_TEST("queries: every subscription is listed once, whatever the size of the pages") {
  Bed bed;
  Peer& peer = bed.ready(client("c"));
  Peer& other = bed.ready(client("d"));
  for (unsigned n = 0; n < 300; ++n) peer.subscribe("t/" + std::to_string(n), 1);
  peer.subscribe("$share/g/t", 1);
  other.subscribe("t/0");
  bed.settle();
  for (const std::uint32_t rows_in_page : {1U, 7U, 200U, 1000U}) {
    std::string all;
    std::size_t pages = 0;
    PageBounds bounds;
    bounds.rows = rows_in_page;
    for (SubscriptionPlace place; place.slot != kListed; ++pages) {
      JsonWriter rows;
      bed.net().shard(0).list_subscriptions(place, bounds, rows);
      CHECK(count_of(text_of(rows), "\"filter\"") <= rows_in_page);
      all += text_of(rows);
    }
    CHECK_EQ(count_of(all, "\"filter\""), 302U);
    for (unsigned n = 1; n < 300; ++n) {
      CHECK_EQ(count_of(all, "\"t/" + std::to_string(n) + "\""), 1U);
    }
    CHECK_EQ(count_of(all, "\"$share/g/t\""), 1U);
    CHECK(pages <= 303 / rows_in_page + 2);
  }
}

STMQTT_TEST("queries: a subscription for a client waits for the store, and is taken back with it") {
  NetOptions options;
  options.gate = TestGate::Mode::on_demand;
  AnswerBed bed(options);
  static_cast<void>(bed.ready(client("c", 100)));
  bed.tickets = Net::Tickets::keep;
  Shard& shard = bed.net().shard(0);
  const SessionRef session = shard.find_home(as_bytes("c"));
  CHECK(shard.subscribe_for(session, view_of("t", 1), 7));
  bed.settle();
  CHECK(bed.answers.empty());
  bed.tickets = Net::Tickets::grant;
  bed.settle();
  CHECK_EQ(bed.answers.size(), 1U);
  CHECK_EQ(bed.answers[0].first, 7U);
  CHECK(bed.answers[0].second == ReasonCode::granted_qos_1);
  CHECK_EQ(bed.net().tables().trie.counts().subscriptions, 1U);
  const std::string filter = "t";
  const auto view = view_of(filter, 0);
  CHECK(shard.unsubscribe_for(session, view.topic_filter, view.filter, 8));
  bed.settle();
  CHECK(bed.answers[1].second == ReasonCode::success);
  CHECK_EQ(bed.net().tables().trie.counts().subscriptions, 0U);
  CHECK_EQ(bed.net().tables().trie.counts().filters, 0U);
  CHECK(!shard.subscribe_for({99, 1, 0}, view, 9));
}

STMQTT_TEST("queries: a session ended by an operator publishes its Will, and says why it ended") {
  Bed bed;
  ConnectText text = client("c", 100);
  text.has_will = true;
  text.will_topic = "will";
  text.will_payload = "bye";
  text.will_delay_s = 50;
  Peer& peer = bed.ready(text);
  Peer& watcher = bed.ready(client("w"));
  watcher.subscribe("will");
  bed.settle();
  static_cast<void>(watcher.take());
  Shard& shard = bed.net().shard(0);
  CHECK(shard.terminate(shard.find_home(as_bytes("c"))));
  bed.settle();
  CHECK_EQ(peer.took(), "DISCONNECT administrative_action");
  CHECK_EQ(watcher.payloads(), "bye");
  CHECK(std::ranges::find(bed.events, "ended c 4") != bed.events.end());
  CHECK(!shard.terminate(shard.find_home(as_bytes("c"))));
  CHECK_EQ(bed.net().tables().directory.size(), 1U);
}

STMQTT_TEST("queries: routes are of this thread, and go on where they stopped") {
  NetOptions options;
  options.shards = 2;
  Bed bed(options);
  for (unsigned n = 0; n < 10; ++n) {
    Peer& peer = bed.ready(client("c" + std::to_string(n)), n % 2);
    peer.subscribe("a/b").subscribe("a/#").subscribe("$share/g/a/b").subscribe("$share/h/+/b");
  }
  bed.settle();
  std::string all;
  for (unsigned shard = 0; shard < 2; ++shard) {
    std::string here;
    PageBounds bounds;
    bounds.rows = 3;
    RoutePlace place;
    while (place.part != RoutePlace::Part::end) {
      JsonWriter rows;
      bed.net().shard(shard).list_routes(as_bytes("a/b"), place, bounds, rows);
      CHECK(count_of(text_of(rows), "\"filter\"") <= 3U);
      here += text_of(rows);
    }
    CHECK_EQ(count_of(here, "\"filter\""), 20U);
    all += here;
  }
  for (unsigned n = 0; n < 10; ++n) {
    CHECK_EQ(count_of(all, "\"c" + std::to_string(n) + "\""), 4U);
  }
}

}  // namespace
