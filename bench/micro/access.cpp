// What a PUBLISH costs in a shard with 1,000 compiled rules and without: one publisher, one
// subscriber, QoS 0, no sockets; from a read buffer with 100 frames to the subscriber's outbound
// queue. "ratio" is what access may cost at most 1.10 of. One core. Built and run by run.mjs.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "session/shard.hpp"

namespace {

using namespace stmqtt;

class BenchHost final : public Host {
 public:
  void post(ThreadIndex, CrossItem&&) noexcept override {}
  [[nodiscard]] bool crossing() const noexcept override { return false; }
  void mark_crossing() noexcept override {}
  [[nodiscard]] bool passed_mark() const noexcept override { return true; }
  [[nodiscard]] bool congested() const noexcept override { return false; }
  bool event(contract::EventKind, contract::RecordHeader&, std::size_t,
             std::initializer_list<Bytes>) noexcept override {
    return true;
  }
  void answer(std::uint64_t, wire::ReasonCode) noexcept override {}
  void move_client(Client&, ThreadIndex) noexcept override {}
  void close_client(Client&, CloseMode, contract::CloseCause) noexcept override {}
  void pause(Client&, PauseCause) noexcept override {}
  void resume(Client&, PauseCause) noexcept override {}
  [[nodiscard]] Bytes address(const Client&, char*) const noexcept override { return {}; }
  [[nodiscard]] std::uint64_t random() noexcept override { return 1; }
  void make_uuid(char out[36]) noexcept override { std::fill_n(out, 36, 'u'); }
};

class AtOnce final : public Gate {
 public:
  AtOnce() noexcept : Gate(true) {}
  [[nodiscard]] bool next_result(TicketResult&) noexcept override { return false; }
  void end_batch() noexcept override {}

 private:
  [[nodiscard]] Ticket submit(const Commit&) noexcept override { return kGranted; }
};

std::string frame(std::uint8_t type, const std::string& body) {
  return std::string{static_cast<char>(type), static_cast<char>(body.size())} + body;
}
std::string text(const std::string& value) {
  return std::string{'\0', static_cast<char>(value.size())} + value;
}

struct Bench {
  Bench() : list(64 << 20, 32 << 20), shard(tables, gate, host, counters, {}, 1000) {}
  ~Bench() {
    for (auto& outlet : outlets) outlet->queue.clear();
  }

  Client& client(const std::string& id) {
    outlets.push_back(std::make_unique<Outlet>(list, Outlet::Kind::socket));
    Client& made = shard.open(*outlets.back(), nullptr, limits, 1, ClientKind::socket);
    feed(made, frame(0x10, text("MQTT") + std::string{4, 2, 0, 0} + text(id)));
    return made;
  }
  void feed(Client& to, const std::string& bytes) {
    if (shard.on_bytes(to, as_bytes(bytes)).consumed != bytes.size()) std::abort();
  }
  void turn() {
    shard.end_turn();
    while (Outlet* outlet = list.take()) {
      sent += outlet->queue.bytes();
      outlet->queue.clear();
    }
  }
  /// CPU time of one PUBLISH, the best of several rounds.
  double publish_ns(Client& from, const std::string& batch, int frames) {
    double best = 1e18;
    for (int round = 0; round < 15; ++round) {
      timespec start{};
      timespec end{};
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
      constexpr int kBatches = 2000;
      for (int at = 0; at < kBatches; ++at) {
        feed(from, batch);
        turn();
      }
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
      const double ns = static_cast<double>(end.tv_sec - start.tv_sec) * 1e9 +
                        static_cast<double>(end.tv_nsec - start.tv_nsec);
      best = std::min(best, ns / kBatches / frames);
    }
    return best;
  }

  Limits limits;
  AtOnce gate;
  BenchHost host;
  contract::Counters counters;
  BrokerTables tables{TrieOptions{SharedStrategy::roundrobin}};
  FlushList list;
  std::vector<std::unique_ptr<Outlet>> outlets;
  Shard shard;
  std::size_t sent = 0;
};

/// 999 rules about others, their topics, and placeholders; the last one allows.
std::shared_ptr<const RuleSet> thousand_rules() {
  std::vector<Rule> rules(1000);
  for (std::size_t at = 0; at < rules.size(); ++at) {
    Rule& rule = rules[at];
    rule.effect = at % 2 == 0 ? RuleEffect::deny : RuleEffect::allow;
    rule.filters = {"site/" + std::to_string(at) + "/+/state", "secret/" + std::to_string(at)};
    if (at % 3 == 0) rule.filters.push_back("of/%c/" + std::to_string(at));
    if (at % 10 == 9) rule.users = {true, {"user-" + std::to_string(at)}};
  }
  rules.back().users = {};
  rules.back().effect = RuleEffect::allow;
  rules.back().filters = {"plant/#"};
  RuleError error;
  return RuleSet::compile(std::move(rules), {}, error);
}

void run(const char* title, int topics) {
  Bench bench;
  std::string batch;
  for (int at = 0; at < 100; ++at) {
    batch += frame(0x30, text("plant/line4/m" + std::to_string(100 + at % topics) + "/temp") +
                             "21.5 degrees ok.");
  }
  Client& reader = bench.client("reader");
  bench.feed(reader, frame(0x82, std::string{'\0', '\1'} + text("plant/#") + '\0'));
  Client& source = bench.client("source");
  bench.turn();
  const double without = bench.publish_ns(source, batch, 100);
  bench.shard.set_rules(thousand_rules());
  const std::size_t before = bench.sent;
  const double with = bench.publish_ns(source, batch, 100);
  if (bench.sent - before < 15U * 2000 * 100 * 30) std::abort();  // all of it was allowed
  std::printf("%-34s %8.1f ns without %8.1f ns with 1,000 rules   ratio %.3f\n", title, without,
              with, with / without);
}

}  // namespace

int main() {
  run("PUBLISH, one topic", 1);
  run("PUBLISH, 100 topics in turn", 100);
}
