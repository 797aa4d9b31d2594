#include "model/director.hpp"

#include "base/schedule_point.hpp"

namespace stmqtt::model {
namespace {

using contract::CloseCause;

Director* acting = nullptr;

constexpr const char* kFilters[] = {"t/0", "t/1", "t/2", "t/a/0", "t/+", "t/#",
                                    "t/a/+", "t/a/#", "+/+/0", "u"};
constexpr const char* kSharedFilters[] = {"$share/g/s/0", "$share/g/s/+", "$share/h/s/0",
                                          "$share/h/s/1"};

}  // namespace

WorldOptions Director::options_of(const Scenario& scenario, naive::Rng& rng) {
  WorldOptions options;
  options.net.shards = 1 + rng.below(scenario.max_shards);
  options.net.gate =
      scenario.gated ? TestGate::Mode::on_demand : TestGate::Mode::at_once;
  // Not by hash of the topic: that one is of another seed in every process.
  constexpr SharedStrategy kStrategies[] = {SharedStrategy::roundrobin, SharedStrategy::random,
                                            SharedStrategy::sticky,
                                            SharedStrategy::hash_clientid};
  options.net.strategy = kStrategies[rng.below(4)];
  options.net.seed = rng.next();
  options.net.authenticate = scenario.verdicts;
  if (rng.one_in(3)) {
    options.net.high_bytes = 300;
    options.net.low_bytes = 60;
  }
  if (rng.one_in(4)) options.net.cache_bytes = 400;
  options.limits.max_session_expiry_s = 3600;
  options.limits.max_inflight = static_cast<std::uint16_t>(1 + rng.below(6));
  options.limits.receive_maximum = static_cast<std::uint16_t>(1 + rng.below(8));
  options.limits.topic_alias_maximum = 5;
  if (scenario.small_queues || scenario.refuses) {
    options.limits.max_queued_messages = 2 + rng.below(6);
    if (rng.one_in(3)) options.limits.max_queued_bytes = 60;
    if (rng.one_in(2)) options.limits.queue_overflow = QueueOverflow::drop_oldest;
  }
  if (scenario.refuses) options.limits.queue_overflow = QueueOverflow::refuse;
  options.refuses = scenario.refuses;
  options.may_drop = scenario.small_queues || scenario.refuses;
  options.store_fails = scenario.store_fails;
  return options;
}

Director::Director(const Scenario& scenario, std::uint64_t seed)
    : scenario_(scenario), rng_(seed), world_(options_of(scenario, rng_)) {
  const int count = 2 + static_cast<int>(rng_.below(5));
  for (int index = 0; index < count; ++index) {
    constexpr Version kVersions[] = {Version::v5, Version::v5, Version::v311, Version::v31};
    devices_.emplace_back(world_, index, kVersions[rng_.below(4)], rng_);
    lasting_.push_back(rng_.below(3) != 0);
  }
  for (const char* filter : kFilters) filters_.push_back(filter);
  if (scenario.shared) {
    for (const char* filter : kSharedFilters) filters_.push_back(filter);
  }
  gap_chance_ = 2 + rng_.below(12);
  churn_ = 8 + rng_.below(60);
  acting = this;
  if (scenario.races) schedule_hook = &Director::in_a_gap;
}

Director::~Director() {
  schedule_hook = nullptr;
  acting = nullptr;
}

/// In front of a lock of some shard's step: now and then another shard has a turn right there.
void Director::in_a_gap() noexcept {
  Director& self = *acting;
  if (self.depth_ >= 2 || self.draining_ || !self.rng_.one_in(self.gap_chance_)) return;
  bool any = false;
  for (unsigned shard = 0; shard < self.world_.net().shards(); ++shard) {
    any = any || self.world_.net().acting(shard);
  }
  if (!any) return;  // a look of the model's own
  const unsigned shard = self.rng_.below(self.world_.net().shards());
  if (self.world_.net().acting(shard)) return;
  self.world_.trace("( gap");
  ++self.depth_;
  self.turn(shard, 2);
  --self.depth_;
  self.world_.trace(") gap");
}

bool Director::exact() const {
  return !scenario_.reconnects && !scenario_.races && !scenario_.shared && !scenario_.wills &&
         !scenario_.store_fails && !scenario_.refuses && !scenario_.verdicts;
}

std::string Director::run() {
  for (int at = 0; at < scenario_.steps && !world_.failed(); ++at) {
    step();
    if (exact() && at % 16 == 0 && world_.net().nothing_crosses()) world_.check_conservation();
  }
  drain();
  check_drained();
  tear_down();
  return world_.failure();
}

std::size_t Director::some_bytes() {
  switch (rng_.below(4)) {
    case 0:
      return 1 + rng_.below(6);
    case 1:
      return 1 + rng_.below(60);
    default:
      return SIZE_MAX;
  }
}

void Director::step() {
  Net& net = world_.net();
  switch (rng_.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return turn(rng_.below(net.shards()), 1 + static_cast<int>(rng_.below(4)));
    case 4:
    case 5: {
      Device& device = devices_[rng_.below(static_cast<std::uint32_t>(devices_.size()))];
      if (device.line() != nullptr) world_.flush(*device.line(), some_bytes());
      device.read(some_bytes());
      return;
    }
    case 6:
      if (world_.gated()) decide_tickets();
      return;
    case 7:
      if (rng_.one_in(4)) advance();
      return;
    default:
      return device_action();
  }
}

void Director::turn(unsigned shard, int actions) {
  world_.timers(shard);
  for (; actions > 0 && !world_.failed(); --actions) shard_action(shard);
  world_.end_turn(shard);
}

Line* Director::some_line(unsigned shard) {
  std::vector<Line*> lines;
  for (Line& line : world_.lines()) {
    if (!line.over && line.conn->shard == shard && line.conn->client != nullptr) {
      lines.push_back(&line);
    }
  }
  if (lines.empty()) return nullptr;
  return lines[rng_.below(static_cast<std::uint32_t>(lines.size()))];
}

void Director::shard_action(unsigned shard) {
  Net& net = world_.net();
  const std::uint32_t choice = rng_.below(10);
  if (choice < 3) {
    const unsigned from = rng_.below(net.shards());
    if (net.crossed(from, shard) > 0) world_.take_crossed(from, shard, 1 + rng_.below(4));
    return;
  }
  if (choice == 3 && net.arrivals(shard) > 0) return world_.take_arrival(shard);
  if (choice == 4) {
    if (net.congested(shard)) return world_.uncongested(shard);
    if (rng_.one_in(10) && net.shards() > 1) net.set_congested(shard, true);
    return;
  }
  Line* line = some_line(shard);
  if (line == nullptr) return;
  if (line->verdict_wanted) {
    if (rng_.one_in(3)) world_.verdict(*line, !rng_.one_in(10));
    return;
  }
  Conn& conn = *line->conn;
  if (conn.peer_closed && conn.paused == 0 &&
      (conn.to_broker.empty() || (line->connack && rng_.one_in(8)))) {
    // Nothing is left to read, or it was reset and the rest is lost.
    return world_.end_of_stream(*line, conn.to_broker.empty() ? CloseCause::peer_closed
                                                              : CloseCause::socket_error);
  }
  if (scenario_.refuses || depth_ > 0 || rng_.one_in(3)) {
    // One packet at most, so that what happened is certain.
    if (line->sent.empty()) return;
    const std::size_t have = conn.unread.size();
    const std::uint64_t next = line->sent.front().end - conn.consumed;
    world_.feed(*line, next > have ? std::min<std::size_t>(next - have, some_bytes()) : 0);
    return;
  }
  world_.feed(*line, some_bytes());
}

void Director::decide_tickets() {
  const unsigned shard = rng_.below(world_.net().shards());
  TestGate& gate = world_.net().gate(shard);
  if (gate.waiting() == 0) return;
  const std::size_t count = 1 + rng_.below(static_cast<std::uint32_t>(gate.waiting()));
  if (scenario_.store_fails && rng_.one_in(8)) {
    const std::size_t failing = 1 + rng_.below(2);
    world_.trace("* shard " + std::to_string(shard) + ": " + std::to_string(failing) +
                 " tickets fail");
    return gate.fail(failing);
  }
  gate.grant(count);
}

void Director::advance() {
  constexpr std::uint64_t kSteps[] = {8, 8, 104, 1000, 1000, 4000, 16'000};
  world_.net().advance(kSteps[rng_.below(7)]);
  if (scenario_.reconnects && rng_.one_in(30)) world_.net().advance(kLastingS * 1000ULL);
}

void Director::device_action() {
  Device& device = devices_[rng_.below(static_cast<std::uint32_t>(devices_.size()))];
  if (device.line() == nullptr) {
    if (rng_.one_in(3)) connect(device);
    return;
  }
  if (scenario_.reconnects && rng_.one_in(churn_)) {
    switch (rng_.below(4)) {
      case 0:
        return connect(device);  // while the other connection is still there
      case 1:
        if (!device.connected()) return;
        return device.disconnect(
            rng_.one_in(2) ? ReasonCode::success : ReasonCode::disconnect_with_will_message,
            rng_.one_in(8) && device.line()->connect.session_expiry_s != 0
                ? static_cast<std::int64_t>(rng_.below(3) * 600)
                : -1);
      default:
        return device.drop();
    }
  }
  if (!device.connected()) {
    // A client may send before CONNACK; the session may be another one than it thinks.
    if (rng_.one_in(20)) subscribe(device);
    return;
  }
  switch (rng_.below(8)) {
    case 0:
    case 1:
      return device.answer(1 + rng_.below(5));
    case 2:
      return subscribe(device);
    case 3:
      if (rng_.one_in(3)) unsubscribe(device);
      return;
    case 4:
      if (rng_.one_in(6)) device.ping();
      return;
    default:
      return publish(device);
  }
}

}  // namespace stmqtt::model
