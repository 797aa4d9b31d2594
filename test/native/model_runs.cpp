// Real shards under a seeded scheduler against the sequential model. Each run is one seed:
// `unit_tests "model: TITLE" --seed N` begins with seed N, so a failing seed is replayed by giving
// it; STMQTT_MODEL_TRACE=1 prints what happens, STMQTT_MODEL_SECONDS=N runs each test that long.
#include <chrono>
#include <cstdlib>
#include <string>

#include "base/message.hpp"
#include "model/director.hpp"
#include "route_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::model;
using Clock = std::chrono::steady_clock;

void play(const Scenario& scenario, int runs) {
  const char* const seconds = std::getenv("STMQTT_MODEL_SECONDS");
  const auto end = Clock::now() + std::chrono::seconds(seconds == nullptr ? 0 : std::atoi(seconds));
  runs = (runs + naive::kSlowdown - 1) / naive::kSlowdown;
  const std::int64_t bytes = Message::thread_bytes();
  for (std::uint64_t seed = test::seed(); seconds != nullptr ? Clock::now() < end : runs > 0;
       ++seed, --runs) {
    test::Context context("seed", seed);
    std::string failure;
    {
      Director director(scenario, seed);
      failure = director.run();
    }
    if (failure.empty() && Message::thread_bytes() != bytes) failure = "messages were leaked";
    if (failure.empty()) continue;
    FAIL(failure);
    return;
  }
}

STMQTT_TEST("model: connected clients, and where every copy is") {
  play({}, 300);
}
STMQTT_TEST("model: the same with retained messages") {
  Scenario scenario;
  scenario.retained = true;
  play(scenario, 300);
}
STMQTT_TEST("model: the same with queues that are too small") {
  Scenario scenario;
  scenario.retained = true;
  scenario.small_queues = true;
  play(scenario, 300);
}
STMQTT_TEST("model: the same with a store that takes its time") {
  Scenario scenario;
  scenario.retained = true;
  scenario.small_queues = true;
  scenario.gated = true;
  play(scenario, 300);
}

STMQTT_TEST("model: connections come, go and are taken over") {
  Scenario scenario;
  scenario.reconnects = true;
  play(scenario, 600);
}
STMQTT_TEST("model: connections come and go while the store takes its time") {
  Scenario scenario;
  scenario.reconnects = true;
  scenario.gated = true;
  play(scenario, 600);
}

STMQTT_TEST("model: retained messages raced by subscribers") {
  Scenario scenario;
  scenario.retained = true;
  scenario.races = true;
  scenario.steps = 300;
  play(scenario, 600);
}
STMQTT_TEST("model: retained messages raced by subscribers that come and go") {
  Scenario scenario;
  scenario.retained = true;
  scenario.races = true;
  scenario.reconnects = true;
  play(scenario, 600);
}

STMQTT_TEST("model: groups") {
  Scenario scenario;
  scenario.shared = true;
  play(scenario, 300);
}
STMQTT_TEST("model: groups whose members come and go") {
  Scenario scenario;
  scenario.shared = true;
  scenario.reconnects = true;
  play(scenario, 600);
}
STMQTT_TEST("model: groups whose members come and go, the store takes its time") {
  Scenario scenario;
  scenario.shared = true;
  scenario.reconnects = true;
  scenario.gated = true;
  scenario.races = true;
  play(scenario, 600);
}

STMQTT_TEST("model: Wills, on time") {
  Scenario scenario;
  scenario.reconnects = true;
  scenario.wills = true;
  scenario.retained = true;
  play(scenario, 600);
}
STMQTT_TEST("model: Wills while the store takes its time") {
  Scenario scenario;
  scenario.reconnects = true;
  scenario.wills = true;
  scenario.retained = true;
  scenario.gated = true;
  scenario.races = true;
  play(scenario, 600);
}

STMQTT_TEST("model: a store that fails now and then") {
  Scenario scenario;
  scenario.gated = true;
  scenario.store_fails = true;
  scenario.retained = true;
  scenario.reconnects = true;
  scenario.shared = true;
  scenario.wills = true;
  play(scenario, 600);
}

STMQTT_TEST("model: queues that are too small, for clients that come and go") {
  Scenario scenario;
  scenario.small_queues = true;
  scenario.reconnects = true;
  play(scenario, 400);
}
STMQTT_TEST("model: full queues refuse") {
  Scenario scenario;
  scenario.reconnects = true;
  scenario.refuses = true;
  play(scenario, 400);
}

STMQTT_TEST("model: all of it at once") {
  Scenario scenario;
  scenario.steps = 800;
  scenario.reconnects = true;
  scenario.retained = true;
  scenario.shared = true;
  scenario.wills = true;
  scenario.races = true;
  scenario.gated = true;
  scenario.verdicts = true;
  scenario.expiring = true;
  scenario.large = true;
  play(scenario, 400);
}

}  // namespace
