// Shard: clients whose rate is bounded, by their listener, their tenant or for each alone. What is
// beyond it waits in the socket, so that nothing is lost; or it is refused, as configured.
#include "base/pool.hpp"
#include "session/rate_state.hpp"
#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PacketType;
using wire::ReasonCode;

namespace {

struct OwnRates {
  std::uint32_t messages_per_s;
  std::uint32_t bytes_per_s;
};

/// Of the client alone; 0 = no bound.
OwnRates own_rates(const Client& client) noexcept {
  const Identity* identity = client.session->identity;
  const OwnLimits own = identity == nullptr ? OwnLimits{} : identity->limits;
  const auto or_else = [](std::uint32_t said, std::uint32_t listener) {
    return said == contract::kVerdictUnset32 ? listener : said;
  };
  return {or_else(own.max_messages_per_s, client.limits->max_messages_per_s),
          or_else(own.max_bytes_per_s, client.limits->max_bytes_per_s)};
}

}  // namespace

void Shard::bound_rate(Client& client) noexcept {
  const OwnRates own = own_rates(client);
  SharedRates* together = client.limits->together;
  SharedRates* tenant = client.connecting->tenant_place.pass_on();
#ifdef STMQTT_MUTANT_NO_RATES_OF_TENANTS
  tenant = nullptr;
#endif
  if ((own.messages_per_s | own.bytes_per_s) == 0 && together == nullptr && tenant == nullptr) {
    return;
  }
  client.rate = pool_new<RateState>(client, own.messages_per_s, own.bytes_per_s, together, tenant);
  client.rate->kind = kRateTimer;
}

/// After another verdict; what was taken out of the buckets stays taken.
void Shard::bound_rate_anew(Client& client) noexcept {
  const OwnRates own = own_rates(client);
  if (client.rate != nullptr) {
    client.rate->messages_per_s = own.messages_per_s;
    client.rate->bytes_per_s = own.bytes_per_s;
  } else if ((own.messages_per_s | own.bytes_per_s) != 0) {
    // It shares no bound: with one it would have a RateState.
    client.rate =
        pool_new<RateState>(client, own.messages_per_s, own.bytes_per_s, nullptr, nullptr);
    client.rate->kind = kRateTimer;
  }
}

/// False: the packet waits until the client is resumed, or the client is closed.
bool Shard::may_pass(Client& client, const wire::Scan& scan) noexcept {
  RateState& rate = *client.rate;
  no_publish_ &= static_cast<std::uint8_t>(~kOverRate);
  if (rate.paid) {
    rate.paid = false;
    return true;
  }
  const std::uint64_t now_ns = cx_.now_ms * 1'000'000;
  const bool publish = wire::packet_type(scan.first_byte) == PacketType::publish;
  auto charge = publish ? RateState::Charge::bytes_and_message : RateState::Charge::bytes;
  if (publish && rate.messages_used_up(now_ns)) {
    switch (client.limits->on_rate_exceeded) {
      case RateExceeded::pause:
        break;
      case RateExceeded::refuse:
        if (!client.is_v5() || (scan.first_byte & 0x06) == 0) break;  // no word for it: it waits
        charge = RateState::Charge::bytes;
        no_publish_ |= kOverRate;
        break;
      case RateExceeded::disconnect:
        close(client, {CloseCause::rate_exceeded, ReasonCode::message_rate_too_high,
                       "more PUBLISH packets than max_messages_per_s"});
        return false;
    }
  }
  const std::uint64_t wait_ns = rate.take(charge, scan.total, now_ns);
#ifdef STMQTT_MUTANT_NO_RATES
  return true;
#endif
  if (wait_ns == 0) return true;
  rate.paid = true;
  pause(client, PauseCause::rate);
  wheel_.schedule(rate, cx_.now_ms + wait_ns / 1'000'000 + 1);
  return false;
}

void Shard::passes_again(Client& client) noexcept {
  client.rate->paid = (no_publish_ & kOverRate) == 0;
}

/// For a PUBLISH in hand while not all are taken. True: it is done with.
bool Shard::refuse_now(Client& client) noexcept {
#ifndef STMQTT_MUTANT_DRAIN_TAKES_PUBLISHES
  if ((no_publish_ & kDraining) != 0 && !client.is_link) {
    counters_.add(Counter::packets_received);
    counters_.add(Counter::dropped_shutting_down);  // not acknowledged: it is sent again elsewhere
    return true;
  }
#endif
  if ((no_publish_ & kOverRate) == 0 || client.rate == nullptr) return false;
  no_publish_ &= static_cast<std::uint8_t>(~kOverRate);
  const wire::PublishView& view = publish_;
  // One that was taken before is answered as it was.
  if (view.qos == 2 && client.session->inbound.find(view.packet_id) != nullptr) return false;
  counters_.add(Counter::packets_received);
  counters_.add(Counter::publish_refused_rate);
  // Nothing is remembered: the next PUBLISH with this identifier is new [MQTT-4.3.3-9].
  promise_ack(client, view.qos == 1 ? PromiseKind::puback : PromiseKind::pubrec, view.packet_id,
              ReasonCode::quota_exceeded, kGranted);
  return true;
}

}  // namespace stmqtt
