#include "session/room_waits.hpp"

#include <algorithm>
#include <vector>

#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::ReasonCode;

namespace {

/// Client::waits_since in units that make 16 bits two hours; never 0.
constexpr unsigned kUnitBits = 7;
std::uint16_t unit_of(std::uint64_t now_ms) noexcept {
  return static_cast<std::uint16_t>(std::max<std::uint64_t>(1, (now_ms >> kUnitBits) & 0xFFFF));
}

}  // namespace

RoomWaits::Step RoomWaits::under_pressure(Shard& shard, Client& client,
                                          MemoryPressure pressure) noexcept {
  const wire::PublishView& view = shard.publish_;
  contract::Counters& counters = shard.counters_;
  if (pressure != MemoryPressure::none) shard.alert_memory();
  if (client.shedding && view.qos != 0) {
    counters.add(Counter::packets_received);
    counters.add(Counter::publish_refused_quota);
    return Step::done;
  }
  if (pressure != MemoryPressure::none && view.qos == 0) {
    counters.add(Counter::packets_received);
    counters.add(Counter::publish_received_qos0);
    counters.add(Counter::dropped_memory_budget);
    shard.notices_.dropped(nullptr, view.topic, 0, contract::DropCause::memory_budget);
    return Step::done;
  }
  if (pressure != MemoryPressure::pause) return Step::go_on;
#ifndef STMQTT_MUTANT_MEMORY_IS_WAITED_FOR_FOR_EVER
  if (has_waited(shard, client, kWaitMs)) {
    counters.add(Counter::packets_received);
    counters.add(Counter::publish_refused_quota);
    if (client.is_v5()) {
      // Nothing is remembered: the next PUBLISH with this identifier is new [MQTT-4.3.3-9].
      shard.promise_ack(client, view.qos == 1 ? PromiseKind::puback : PromiseKind::pubrec,
                        view.packet_id, ReasonCode::quota_exceeded, kGranted);
      return Step::done;
    }
    // 3.x has no word for it. What is not acknowledged is sent again on the next connection (3.1.1,
    // 4.4), in its order [MQTT-4.6.0-1]: so nothing more is taken on this one, which ends soon.
    client.shedding = true;
    shard.retrying_.push_back(client.ref);
    retry_soon(shard);
    return Step::done;
  }
#endif
  static_cast<void>(wait(shard, client, PauseCause::memory_budget));
  return Step::later;
}

bool RoomWaits::wait(Shard& shard, Client& client, PauseCause cause) noexcept {
  if (has_waited(shard, client, kWaitMs)) return false;
  if (client.waits_since == 0) client.waits_since = unit_of(shard.cx_.now_ms);
  shard.pause(client, cause);
  shard.retrying_.push_back(client.ref);
  retry_soon(shard);
  return true;
}

void RoomWaits::retry_soon(Shard& shard) noexcept {
  if (shard.retry_timer_.scheduled()) return;
  shard.wheel_.schedule(shard.retry_timer_, shard.cx_.now_ms + kRetryMs);
}

void RoomWaits::retry(Shard& shard) noexcept {
  std::vector<ClientRef> retrying;
  retrying.swap(shard.hooks_.crowded_out);
  for (const ClientRef ref : retrying) {
    if (Client* client = shard.find_client(ref)) shard.resume(*client, PauseCause::hooks);
  }
  retrying.clear();
  retrying.swap(shard.retrying_);
  for (const ClientRef ref : retrying) {
    Client* client = shard.find_client(ref);
    if (client == nullptr) continue;
    if (keeps_waiting(shard, *client)) {
      shard.retrying_.push_back(ref);
      continue;
    }
    if (client->shedding) {
      shard.close(*client, {CloseCause::quota_exceeded, ReasonCode::quota_exceeded,
                            "max_memory_bytes is used up"});
      continue;
    }
    shard.resume(*client, PauseCause::memory_budget);
    shard.resume(*client, PauseCause::queue_full);
  }
  if (!shard.retrying_.empty()) retry_soon(shard);
}

bool RoomWaits::keeps_waiting(Shard& shard, Client& client) noexcept {
  const bool for_memory =
      (client.paused & static_cast<std::uint8_t>(PauseCause::memory_budget)) != 0;
  if (!for_memory && !client.shedding) return false;
  if (shard.tables_.pressure() != MemoryPressure::pause) return false;
#ifdef STMQTT_MUTANT_MEMORY_IS_WAITED_FOR_FOR_EVER
  return true;
#endif
  return !has_waited(shard, client, client.shedding ? kWaitMs + kSheddingMs : kWaitMs);
}

bool RoomWaits::has_waited(const Shard& shard, const Client& client, std::uint64_t ms) noexcept {
  if (client.waits_since == 0) return false;
  const auto units = static_cast<std::uint16_t>(unit_of(shard.cx_.now_ms) - client.waits_since);
  return units > ms >> kUnitBits;
}

}  // namespace stmqtt
