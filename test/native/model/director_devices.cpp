// Director: what clients do, and how a run ends.
#include "model/director.hpp"

namespace stmqtt::model {
namespace {

using contract::CloseCause;
using contract::Counter;

}  // namespace

int Director::new_text(Device* device, const std::string& topic) {
  Text text;
  text.topic = topic;
  text.payload = "m" + std::to_string(++texts_) + ".";
  if (rng_.one_in(8)) text.payload += std::string(150, '-');
  if (scenario_.large && rng_.one_in(10)) text.payload += std::string(17'000, '=');
  text.qos = static_cast<std::uint8_t>(rng_.below(3));
  text.shared = topic.starts_with("s/");
  text.retain = scenario_.retained && !text.shared && rng_.one_in(3);
  if (device != nullptr && device->version() == Version::v5) {
    if (rng_.one_in(4)) text.user_value = "user value of " + text.payload.substr(0, 8);
    if (scenario_.expiring && rng_.one_in(4)) text.expiry_s = 1 + rng_.below(30);
  }
  if (device != nullptr && text.retain && rng_.one_in(4)) {
    text.payload.clear();
    text.user_value.clear();
    text.expiry_s = 0;
    text.qos = 1;  // all clears of a topic are one text
  }
  return world_.reference().add_text(std::move(text));
}

void Director::connect(Device& device) {
  const bool lasting = this->lasting(device);
  ConnectText text;
  text.version = device.version();
  text.client_id = device.id();
  const bool odd = !draining_ && scenario_.reconnects && rng_.one_in(10);
  text.clean_start = lasting ? odd : !odd || device.version() != Version::v5;
  if (device.version() == Version::v5) {
    text.session_expiry_s = lasting != (odd && rng_.one_in(4)) ? kLastingS : 0;
    if (scenario_.reconnects && !draining_ && rng_.one_in(12)) {
      text.session_expiry_s = 1 + rng_.below(20);
    }
    if (rng_.one_in(2)) text.receive_maximum = static_cast<std::uint16_t>(1 + rng_.below(5));
    if (rng_.one_in(2)) text.alias_maximum = static_cast<std::uint16_t>(1 + rng_.below(4));
  } else {
    text.session_expiry_s = text.clean_start ? 0 : 3600;  // for the trace and the model
  }
  if (draining_) {  // only to resume what there is
    text.clean_start = false;
    text.session_expiry_s = device.version() == Version::v5 ? kLastingS : 3600;
  }
  if (scenario_.reconnects && !draining_ && !lasting && rng_.one_in(6)) text.keep_alive_s = 10;
  if (scenario_.wills && !draining_ && rng_.one_in(2)) {
    const int will = new_text(nullptr, rng_.one_in(3) && scenario_.shared
                                           ? kSharedTopics[rng_.below(2)]
                                           : kTopics[rng_.below(6)]);
    Text& what = world_.reference().texts[static_cast<std::size_t>(will)];
    what.will = true;
    text.has_will = true;
    text.will_topic = what.topic;
    text.will_payload = what.payload;
    text.will_qos = what.qos;
    text.will_retain = what.retain;
    if (device.version() == Version::v5 && rng_.one_in(2)) {
      text.will_delay_s = 1 + rng_.below(10);
    }
  }
  device.connect(rng_.below(world_.net().shards()), text);
}

void Director::publish(Device& device) {
  if (device.unfinished() > 25) return;
  const char* topic = scenario_.shared && rng_.one_in(2) ? kSharedTopics[rng_.below(2)]
                                                         : kTopics[rng_.below(6)];
  const int text = new_text(&device, topic);
  world_.trace("* " + device.id() + " publishes '" +
               world_.reference().texts[static_cast<std::size_t>(text)].payload.substr(0, 12) +
               "' to " + topic + " qos " +
               std::to_string(world_.reference().texts[static_cast<std::size_t>(text)].qos));
  device.publish(text);
}

void Director::subscribe(Device& device) {
  std::vector<FilterText> filters;
  for (std::uint32_t count = 1 + rng_.below(2); count > 0; --count) {
    FilterText filter;
    filter.filter = filters_[rng_.below(static_cast<std::uint32_t>(filters_.size()))];
    filter.qos = static_cast<std::uint8_t>(rng_.below(3));
    filter.retain_handling = static_cast<std::uint8_t>(rng_.one_in(3) ? rng_.below(3) : 0);
    if (!filter.filter.starts_with("$share/")) {
      filter.no_local = rng_.one_in(6);
      filter.retain_as_published = rng_.one_in(8);
    }
    if (!filters.empty() && filters[0].filter == filter.filter) continue;
    filters.push_back(filter);
  }
  device.subscribe(filters, rng_.one_in(3) ? 1 + rng_.below(300) : 0);
}

void Director::unsubscribe(Device& device) {
  // A live copy on its way to a subscription that ended is skipped where a new one of the same
  // filter has scanned it: neither dropped nor written, so the sum of copies would not come out.
  if (exact() && scenario_.retained) return;
  device.unsubscribe({filters_[rng_.below(static_cast<std::uint32_t>(filters_.size()))]});
}

bool Director::drain_once() {
  Net& net = world_.net();
  bool busy = false;
  for (Device& device : devices_) {
    const int session = world_.reference().live_session(device.id());
    if (!leaving_ && device.line() == nullptr && session >= 0) {
      connect(device);
      busy = true;
    }
  }
  for (unsigned shard = 0; shard < net.shards(); ++shard) {
    world_.timers(shard);
    if (net.congested(shard)) world_.uncongested(shard);
    while (net.arrivals(shard) > 0 && !world_.failed()) {
      world_.take_arrival(shard);
      busy = true;
    }
    for (unsigned from = 0; from < net.shards(); ++from) {
      if (net.crossed(from, shard) == 0) continue;
      world_.take_crossed(from, shard, SIZE_MAX);
      busy = true;
    }
    for (std::size_t at = 0; at < world_.lines().size() && !world_.failed(); ++at) {
      Line& line = world_.lines()[at];
      if (line.over || line.conn->shard != shard || line.conn->client == nullptr) continue;
      if (line.verdict_wanted) {
        world_.verdict(line, true);
        busy = true;
        continue;
      }
      const std::uint64_t before = line.conn->consumed;
      if (!line.sent.empty() && line.conn->paused == 0) {
        const std::size_t have = line.conn->unread.size();
        const std::uint64_t next = line.sent.front().end - line.conn->consumed;
        world_.feed(line, scenario_.refuses ? (next > have ? next - have : 0) : SIZE_MAX);
      }
      busy = busy || line.conn->consumed != before;
      if (!line.over && line.conn->client != nullptr && line.conn->peer_closed &&
          line.conn->paused == 0 && line.conn->to_broker.empty()) {
        world_.end_of_stream(line, CloseCause::peer_closed);
        busy = true;
      }
    }
    world_.end_turn(shard);
    if (net.gate(shard).waiting() > 0) {
      net.gate(shard).grant();
      busy = true;
    }
  }
  for (Device& device : devices_) {
    if (device.line() == nullptr) continue;
    Conn& conn = *device.line()->conn;
    busy = busy || (conn.outlet != nullptr && !conn.outlet->queue.empty());
    world_.flush(*device.line(), SIZE_MAX);
    busy = busy || !conn.to_client.empty();
    device.read(SIZE_MAX);
    busy = busy || device.has_answers();
    device.answer(SIZE_MAX);
  }
  return busy || !net.nothing_crosses();
}

void Director::drain() {
  draining_ = true;
  come_to_rest();
}

void Director::come_to_rest() {
  // A publisher may wait ten seconds for a full queue.
  const int patience = scenario_.refuses ? 1100 : 4;
  for (int round = 0, idle = 0; idle < patience && !world_.failed(); ++round) {
    if (round > 100'000) return world_.fail("it does not come to rest");
    if (drain_once()) {
      idle = 0;
    } else {
      ++idle;
      world_.net().advance(16);  // for what is tried again by time
    }
  }
}

void Director::check_drained() {
  if (world_.failed()) return;
  for (Device& device : devices_) {
    if (device.connected() && device.has_unfinished()) {
      return world_.fail(device.id() + " waits for ever for the answer to" +
                         device.unfinished_text());
    }
    Line* line = device.line();
    if (line == nullptr || line->over) continue;
    if (!line->pubacks.empty() || !line->pubrecs.empty() || !line->pubcomps.empty() ||
        !line->subacks.empty()) {
      return world_.fail(device.id() + " was not answered");
    }
    if (line->session < 0) continue;
    for (const auto& [packet_id, chain] : world_.session(line->session).chains) {
      if (world_.given_away(chain, *line)) continue;
      return world_.fail(device.id() + ": the exchange of identifier " +
                         std::to_string(packet_id) + " does not end");
    }
  }
  const bool lossless = !world_.options().may_drop;
  const std::string broken = world_.reference().check_all(lossless);
  if (!broken.empty()) return world_.fail(broken + world_.drops());
  if (exact()) world_.check_conservation();
  Net& net = world_.net();
  const std::int64_t overflow = net.counter(Counter::dropped_queue_full_newest) +
                                net.counter(Counter::dropped_queue_full_oldest) +
                                net.counter(Counter::dropped_queue_bytes);
  if (lossless && overflow != 0) return world_.fail("queues overflowed that were large enough");
  if (!lossless && world_.reference().missing() > overflow) {
    world_.fail(std::to_string(world_.reference().missing()) + " copies are missing, " +
                std::to_string(overflow) + " were counted as dropped");
  }
}

/// Everybody leaves and all sessions end: nothing may be left.
void Director::tear_down() {
  leaving_ = true;
  for (Device& device : devices_) device.drop();
  for (Line& line : world_.lines()) line.conn->peer_closed = true;
  come_to_rest();
  world_.net().advance(3'600'000);
  come_to_rest();
  world_.check_gauges_are_zero();
}

}  // namespace stmqtt::model
