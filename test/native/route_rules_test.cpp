// RuleSet: whom rules are about, which one decides, what filters they cover; against a naive model,
// and while others swap sets.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "route/decision_cache.hpp"
#include "route_naive.hpp"
#include "route_rules_naive.hpp"
#include "runner.hpp"

namespace {

using namespace stmqtt;
using naive::Rng;

Rule rule(RuleEffect effect, std::vector<std::string> filters, std::uint8_t actions = 3) {
  Rule made;
  made.effect = effect;
  made.actions = actions;
  made.filters = std::move(filters);
  return made;
}
Rule allow(std::vector<std::string> filters) { return rule(RuleEffect::allow, std::move(filters)); }
Rule deny(std::vector<std::string> filters) { return rule(RuleEffect::deny, std::move(filters)); }

std::shared_ptr<const RuleSet> compile(std::vector<Rule> rules) {
  RuleError error;
  auto set = RuleSet::compile(std::move(rules), {}, error);
  CHECK(set != nullptr);
  return set;
}

std::vector<std::uint64_t> all_of(const RuleSet& set) {
  return std::vector<std::uint64_t>(set.bit_words(), ~std::uint64_t{0});
}

RuleValues values(std::string_view client = "c1", std::string_view user = "u1",
                  std::string_view tenant = "t1", std::string_view device = "d1") {
  return {{as_bytes(client), as_bytes(user), as_bytes(tenant), as_bytes(device)}};
}

int decide(const RuleSet& set, std::string_view topic, const RuleValues& of = values(),
           RuleRequest request = {}) {
  const auto bits = all_of(set);
  const std::uint32_t number = set.decide(bits, of, request, as_bytes(topic));
  return number == kNoRule ? -1 : static_cast<int>(number);
}

RuleCover cover(const RuleSet& set, std::string_view filter, RuleEffect otherwise,
                const RuleValues& of = values(), std::uint8_t qos = 0) {
  const auto bits = all_of(set);
  RuleSet::Covering covering;
  set.cover(bits, of, qos, as_bytes(filter), covering);
  RuleSet::finish(covering, otherwise);
  return covering.cover;
}

STMQTT_TEST("rules: the first that fits decides, by wildcards and placeholders") {
  const auto set = compile({deny({"a/secret"}), allow({"a/#"}), allow({"dev/%c/+", "u-%u"}),
                            deny({"+/x"}), allow({"%t/%d/#", "100%%/%c"})});
  CHECK_EQ(decide(*set, "a/secret"), 0);
  CHECK_EQ(decide(*set, "a"), 1);
  CHECK_EQ(decide(*set, "a/x"), 1);
  CHECK_EQ(decide(*set, "dev/c1/x"), 2);
  CHECK_EQ(decide(*set, "dev/c2/x"), -1);
  CHECK_EQ(decide(*set, "dev/c1"), -1);
  CHECK_EQ(decide(*set, "u-u1"), 2);
  CHECK_EQ(decide(*set, "u-u"), -1);
  CHECK_EQ(decide(*set, "b/x"), 3);
  CHECK_EQ(decide(*set, "t1/d1"), 4);
  CHECK_EQ(decide(*set, "t1/d1/deep/er"), 4);
  CHECK_EQ(decide(*set, "100%/c1"), 4);
  CHECK_EQ(decide(*set, "$SYS/x"), -1);
}

STMQTT_TEST("rules: values that are missing or no level allow nothing; unfit ones deny as '+'") {
  const auto set = compile({deny({"no/%c"}), allow({"yes/%c", "no/+"}), allow({"%u/a"})});
  CHECK_EQ(decide(*set, "yes/a", values("a")), 1);
  CHECK_EQ(decide(*set, "yes/+", values("+")), -1);
  for (const char* bad : {"+", "#", "x/y", "x#"}) {
    CHECK_EQ(decide(*set, "yes/x", values(bad)), -1);
    CHECK_EQ(decide(*set, "no/anything", values(bad)), 0);
  }
  CHECK_EQ(decide(*set, "no/anything", values("")), 1);
  CHECK_EQ(decide(*set, "/a", values("c", "")), -1);
  // Nobody is let at the broker's own topics by his name.
  CHECK_EQ(decide(*set, "$SYS/a", values("c", "$SYS")), -1);
}

STMQTT_TEST("rules: action, QoS and RETAIN bound what a rule is about") {
  Rule low = rule(RuleEffect::allow, {"t"}, 1);
  low.max_qos = 1;
  low.with_retain = false;
  const auto set = compile({low});
  CHECK_EQ(decide(*set, "t", values(), {RuleAction::publish, 1, false}), 0);
  CHECK_EQ(decide(*set, "t", values(), {RuleAction::publish, 2, false}), -1);
  CHECK_EQ(decide(*set, "t", values(), {RuleAction::publish, 0, true}), -1);
  CHECK_EQ(decide(*set, "t", values(), {RuleAction::subscribe, 0, false}), -1);
}

STMQTT_TEST("rules: whom they are about") {
  Rule many = allow({"t"});
  many.users = {true, {"adm*", "root"}};
  many.groups = {true, {"ops"}};
  many.networks = {parse_ip_network("10.0.0.0/8")};
  many.addresses_given = true;
  many.listeners = {true, {"plant-?*", "plant*1"}};
  many.role = contract::Role::service;
  Rule anonymous = allow({"t"});
  anonymous.anonymous = 1;
  Rule nobody = allow({"t"});
  nobody.certificates = {true, {}};
  Rule local = allow({"t"});
  local.addresses_given = local.unix_sockets = true;
  const auto set = compile({many, anonymous, nobody, local});
  const auto selected = [&](const RuleSubject& subject) {
    std::vector<std::uint64_t> bits(set->bit_words());
    static_cast<void>(set->select(subject, bits));
    return bits[0];
  };
  RuleSubject subject;
  subject.values = values("c", "admin");
  subject.groups = as_bytes(std::string_view("dev\0ops", 7));
  subject.address = parse_ip_address("10.1.2.3");
  subject.listener = "plant1";
  subject.role = contract::Role::service;
  CHECK_EQ(selected(subject), 1U);
  subject.groups = as_bytes("opsy");
  CHECK_EQ(selected(subject), 0U);
  subject.groups = as_bytes("ops");
  subject.address = parse_ip_address("11.1.2.3");
  CHECK_EQ(selected(subject), 0U);
  subject.address = {};
  CHECK_EQ(selected(subject), 8U);
  subject.values = values("c", "");
  CHECK_EQ(selected(subject), 10U);
  CHECK(wildcard_matches("a*b*c", "axxbyyc"));
  CHECK(!wildcard_matches("a*b*c", "axxbyy"));
  CHECK(wildcard_matches("*", ""));
}

STMQTT_TEST("rules: a filter is allowed if all that it can match is") {
  const auto set = compile({deny({"a/secret"}), allow({"a/#", "dev/%c/#", "+/free"})});
  const auto of = [&](std::string_view filter) { return cover(*set, filter, RuleEffect::deny); };
  CHECK(of("a/b") == RuleCover::all);
  CHECK(of("a/b/#") == RuleCover::all);
  CHECK(of("a/+/x") == RuleCover::all);
  CHECK(of("a/#") == RuleCover::some);
  CHECK(of("a/+") == RuleCover::some);
  CHECK(of("#") == RuleCover::some);
  CHECK(of("a/secret") == RuleCover::none);
  CHECK(of("dev/c1/#") == RuleCover::all);
  CHECK(of("dev/+/x") == RuleCover::some);
  CHECK(of("dev/c2/#") == RuleCover::none);
  CHECK(of("b/free") == RuleCover::all);
  CHECK(of("+/free") == RuleCover::all);
  CHECK(of("b/c") == RuleCover::none);
  CHECK(of("$SYS/#") == RuleCover::none);
  CHECK(cover(*set, "b/#", RuleEffect::allow) == RuleCover::all);
  CHECK(cover(*set, "#", RuleEffect::allow) == RuleCover::some);
  const auto system = compile({allow({"$SYS/#"})});
  CHECK(cover(*system, "$SYS/broker/+", RuleEffect::deny) == RuleCover::all);
  CHECK(cover(*system, "#", RuleEffect::deny) == RuleCover::none);
}

STMQTT_TEST("rules: what is not a filter is refused, with its rule") {
  RuleError error;
  CHECK(RuleSet::compile({allow({"a"}), allow({"a/#/b"})}, {}, error) == nullptr);
  CHECK_EQ(error.rule, 1U);
  CHECK(RuleSet::compile({allow({std::string(200, '/')})}, {}, error) == nullptr);
  CHECK(RuleSet::read({}, {}, error) == nullptr);
  const std::uint8_t one[] = {1, 0, 0, 0, 200, 0, 0, 0, 1};
  CHECK(RuleSet::read(one, {}, error) == nullptr);
}

// ---- against the model --------------------------------------------------------------------------

std::string any_level(Rng& rng, bool filter) {
  static const char* const kNames[] = {"a", "b", "c1", "u/", "", "$SYS"};
  static const char* const kTemplates[] = {"%c", "%u", "%t", "%d", "x%c", "%cy", "%u-%t"};
  if (filter && rng.one_in(4)) return "+";
  if (filter && rng.one_in(4)) return kTemplates[rng.below(7)];
  const std::uint32_t name = rng.below(6);
  return name == 3 ? (rng.one_in(2) ? "xc1" : "a-b") : kNames[name];
}
std::string any_topic(Rng& rng, bool filter) {
  std::string text;
  const std::uint32_t levels = 1 + rng.below(3);
  for (std::uint32_t at = 0; at < levels; ++at) {
    if (at > 0) text += '/';
    if (filter && at + 1 == levels && rng.one_in(3)) {
      text += '#';
    } else {
      text += any_level(rng, filter);
    }
  }
  return text.empty() ? "a" : text;
}
/// A Topic Filter as a client sends it: '%' means nothing in it.
std::string any_filter(Rng& rng) {
  std::string text = any_topic(rng, true);
  for (std::size_t at; (at = text.find('%')) != std::string::npos;) text.erase(at, 2);
  return text.empty() ? "a" : text;
}
std::vector<Rule> any_rules(Rng& rng) {
  std::vector<Rule> rules(rng.below(8));
  for (Rule& made : rules) {
    made.effect = rng.one_in(2) ? RuleEffect::allow : RuleEffect::deny;
    made.actions = static_cast<std::uint8_t>(1 + rng.below(3));
    made.max_qos = static_cast<std::uint8_t>(rng.below(3));
    made.with_retain = rng.one_in(2);
    for (std::uint32_t count = 1 + rng.below(3); count > 0; --count) {
      made.filters.push_back(any_topic(rng, true));
    }
  }
  return rules;
}
RuleValues any_values(Rng& rng) {
  static const char* const kValues[] = {"a", "b", "c1", "", "+", "x/y", "$SYS", "a-b"};
  const auto one = [&] { return as_bytes(kValues[rng.below(8)]); };
  return {{one(), one(), one(), one()}};
}

STMQTT_TEST("rules: any rules decide any topic as the model does") {
  Rng rng(test::seed());
  for (int round = 0; round < 4000 / naive::kSlowdown; ++round) {
    const std::vector<Rule> rules = any_rules(rng);
    const auto set = compile(rules);
    const RuleValues of = any_values(rng);
    for (int step = 0; step < 10; ++step) {
      const std::string topic = any_topic(rng, false);
      const RuleRequest request{rng.one_in(2) ? RuleAction::publish : RuleAction::subscribe,
                                static_cast<std::uint8_t>(rng.below(3)), rng.one_in(2)};
      const test::Context context("topic", topic);
      CHECK_EQ(decide(*set, topic, of, request), naive::decide(rules, of, request, topic));
    }
  }
}

STMQTT_TEST("rules: what covers a filter covers every topic that it matches") {
  Rng rng(test::seed() + 1);
  std::vector<std::string> topics;
  const char* const names[] = {"a", "b", "c1", "xc1", "", "$SYS", "a-b", "other"};
  for (const char* one : names) {
    topics.emplace_back(one);
    for (const char* two : names) {
      topics.push_back(std::string(one) + '/' + two);
      for (const char* three : names) topics.push_back(topics.back() + '/' + three);
    }
  }
  std::erase(topics, "");
  int all = 0;
  int none = 0;
  for (int round = 0; round < 4000 / naive::kSlowdown; ++round) {
    const std::vector<Rule> rules = any_rules(rng);
    const auto set = compile(rules);
    const RuleValues of = any_values(rng);
    const std::string filter = any_filter(rng);
    const auto otherwise = rng.one_in(2) ? RuleEffect::allow : RuleEffect::deny;
    const auto qos = static_cast<std::uint8_t>(rng.below(3));
    const RuleCover found = cover(*set, filter, otherwise, of, qos);
    if (found == RuleCover::some) continue;
    found == RuleCover::all ? ++all : ++none;
    const test::Context context("filter", filter);
    for (const std::string& topic : topics) {
      if (!wire::topic_matches(as_bytes(filter), as_bytes(topic))) continue;
      const int by = naive::decide(rules, of, {RuleAction::subscribe, qos, false}, topic);
      const RuleEffect effect = by < 0 ? otherwise : rules[static_cast<std::size_t>(by)].effect;
      const test::Context at("topic", topic);
      CHECK((effect == RuleEffect::allow) == (found == RuleCover::all));
    }
  }
  CHECK(all > 50);
  CHECK(none > 50);
}

// ---- the cache, and threads ---------------------------------------------------------------------

STMQTT_TEST("decision cache: found only with all of its key, whatever shares its place") {
  DecisionCache cache;
  Rng rng(test::seed());
  for (std::uint32_t at = 0; at < 60'000; ++at) {
    const std::string topic = "t/" + std::to_string(at % 4000);
    const std::uint64_t hash = at % 4000 % 7;  // most collide
    const std::uint64_t serial = 1 + at % 5;
    const auto kind = static_cast<std::uint8_t>(at % 3);
    const auto decision = static_cast<std::uint8_t>((at % 4000 + serial + kind) % 3);
    const DecisionCache::Key key{serial, hash, as_bytes(topic), kind};
    if (const std::uint8_t* known = cache.find(key)) CHECK_EQ(*known, decision);
    cache.put(key, decision);
    const std::uint8_t* known = cache.find(key);
    REQUIRE(known != nullptr);
    CHECK_EQ(*known, decision);
  }
  const DecisionCache::Key none{1, 1, {}, 0};
  cache.put(none, 1);
  CHECK(cache.find(none) == nullptr);
}

STMQTT_TEST("rules: sets are swapped and freed while threads check with them") {
  std::vector<std::shared_ptr<const RuleSet>> shared(3);
  std::vector<std::atomic<std::uint32_t>> rounds(3);
  std::atomic<bool> stop{false};
  std::mutex mutex;
  const auto put = [&](int effect) {
    auto set = compile({effect == 0 ? deny({"t/%c"}) : allow({"t/%c"}), allow({"#"})});
    const std::lock_guard lock(mutex);
    for (auto& each : shared) each = set;
  };
  put(0);
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < 3; ++index) {
    threads.emplace_back([&, index] {
      std::shared_ptr<const RuleSet> mine;
      while (!stop.load(std::memory_order_relaxed)) {
        {
          const std::lock_guard lock(mutex);
          mine = shared[index];
        }
        for (int step = 0; step < 50; ++step) {
          CHECK_EQ(decide(*mine, "t/c1"), 0);
          CHECK_EQ(decide(*mine, "t/c2"), 1);
        }
        rounds[index].fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  const auto slowest = [&] {
    std::uint32_t least = UINT32_MAX;
    for (auto& each : rounds) least = std::min(least, each.load(std::memory_order_relaxed));
    return least;
  };
  for (int at = 0; slowest() < 200; ++at) {
    put(at & 1);
    std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
