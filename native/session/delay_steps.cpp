#include "session/delay_steps.hpp"

#include <string>

#include "session/shard.hpp"
#include "wire/delayed_topic.hpp"

namespace stmqtt {

using contract::Counter;
using wire::ReasonCode;

namespace {

/// In one turn; the others follow in the next.
constexpr unsigned kDuePerTurn = 256;

PromiseKind ack_of(std::uint8_t qos) noexcept {
  return qos == 1 ? PromiseKind::puback : PromiseKind::pubrec;
}

}  // namespace

void DelaySteps::configure(Shard& shard, const DelayOptions& options) noexcept {
  if (!options.on && options.at_end == DelayEnd::drop) {
    shard.delayed_.each([&](const Message& message) {
      shard.notices_.dropped(nullptr, message.topic(), message.qos(),
                             contract::DropCause::delayed_end);
    });
  }
  shard.delayed_.set_options(options);
}

bool DelaySteps::enter(Shard& shard, Client& client) noexcept {
  wire::PublishView& view = shard.publish_;
  DelayedMessages& delayed = shard.delayed_;
  delayed.in_hand = 0;
  switch (wire::take_delay_prefix(view.topic, delayed.options().max_delay_s, delayed.in_hand)) {
    case wire::DelayPrefix::none:
      return true;
    case wire::DelayPrefix::fits:
      // Its frame has another topic, like that of one with an alias.
      view.topic_alias = 1;
      return true;
    case wire::DelayPrefix::invalid:
      break;
  }
  shard.counters_.add(Counter::packets_received);
  shard.counters_.add(Counter::delayed_invalid);
  if (shard.may_log(contract::LogLevel::debug)) {
    shard.log(contract::LogLevel::debug, contract::LogModule::session, client,
              "PUBLISH '" + std::string(as_text(view.topic)) +
                  "' refused: not $delayed/<seconds>/<topic>, or too long a delay");
  }
  if (view.qos == 0) return false;
  // 3.x has no word for it: it is acknowledged (3.1.1, 3.3.5).
  shard.promise_ack(client, ack_of(view.qos), view.packet_id,
                    client.is_v5() ? ReasonCode::topic_name_invalid : ReasonCode::success, kGranted);
  return false;
}

bool DelaySteps::take(Shard& shard, Client& client, const MessageParts& parts) noexcept {
  const std::uint32_t seconds = shard.delayed_.in_hand;
  if (seconds == 0 ||
      !keep(shard, client.session, &client, parts, seconds, shard.publish_.packet_id)) {
    return false;
  }
  shard.counters_.add(Counter::packets_received);
  shard.counters_.add(parts.qos == 0   ? Counter::publish_received_qos0
                      : parts.qos == 1 ? Counter::publish_received_qos1
                                       : Counter::publish_received_qos2);
  return true;
}

bool DelaySteps::keep(Shard& shard, Session* session, Client* client, const MessageParts& parts,
                      std::uint32_t seconds, std::uint16_t packet_id) noexcept {
  const DelayOptions& options = shard.delayed_.options();
  ReasonCode outcome = ReasonCode::success;
  // Switched off while a hook had it: it is due.
  if (!options.on) return false;
  if (!shard.delayed_.add(MessageRef::adopt(Message::make(parts)), seconds)) {
    if (options.when_full == DelayFull::publish) {
      shard.counters_.add(Counter::delayed_not_held);
      return false;
    }
    shard.counters_.add(Counter::delayed_dropped_full);
    if (client != nullptr && shard.may_log(contract::LogLevel::debug)) {
      shard.log(contract::LogLevel::debug, contract::LogModule::session, *client,
                "PUBLISH '" + std::string(as_text(parts.topic)) +
                    "' refused: too many delayed messages wait");
    }
    if (client == nullptr || client->is_v5()) outcome = ReasonCode::quota_exceeded;
  }
  // QoS 1 and 2 have a Packet Identifier.
  if (packet_id == 0 || session == nullptr) return true;
  if (parts.qos == 2 && !wire::is_error(outcome)) {
    // Until its PUBREL, so that one that is sent again is not taken for another [MQTT-4.3.3-10].
    InboundId id;
    id.packet_id = packet_id;
    id.counted = client != nullptr;
    if (client != nullptr) ++client->inbound_unacked;
    session->inbound.insert(id);
  }
  if (client != nullptr) {
    shard.promise_ack(*client, ack_of(parts.qos), packet_id, outcome, kGranted);
  }
  return true;
}

void DelaySteps::publish_due(Shard& shard) noexcept {
  DelayedMessages& delayed = shard.delayed_;
  for (unsigned count = 0; count < kDuePerTurn; ++count) {
    const MessageRef message = delayed.take_due();
    if (!message) break;
    const std::uint64_t expires = message->expires_at_ms();
    if (expires != 0 && expires <= shard.cx_.now_ms) {  // [MQTT-3.3.2-5]
      shard.counters_.add(Counter::delayed_expired);
      shard.notices_.dropped(nullptr, message->topic(), message->qos(),
                             contract::DropCause::expired);
      continue;
    }
    shard.counters_.add(Counter::delayed_published);
    MessageParts parts = message->parts();
    parts.published = shard.cx_.deliveries.stamp();
    const MessageRef now = MessageRef::adopt(Message::make(parts));
    shard.route_message(*now, shard.find_session(parts.publisher));
  }
  delayed.schedule();
}

}  // namespace stmqtt
