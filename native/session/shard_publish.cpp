// Shard: a PUBLISH from a client (MQTT 5.0, 3.3), in the order of steps: Topic Alias, topic rules,
// retained, match, fan-out, acknowledgement.
#include "session/asks.hpp"
#include "session/delay_steps.hpp"
#include "session/room_waits.hpp"
#include "session/publisher.hpp"
#include "session/shard.hpp"
#include "wire/decode.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PacketType;
using wire::ReasonCode;
using wire::Version;

namespace {

DynamicFilters dynamic_filters(const Limits* limits) noexcept {
  return limits != nullptr && limits->dynamic_filters ? DynamicFilters::on : DynamicFilters::off;
}

/// A log that is kept for the first subscriber has taken responsibility for the message. One that
/// nobody is ever given has not: there, as where there is none, the publisher is told that nobody
/// has subscribed.
ReasonCode unmatched_reason(Unmatched fate) noexcept {
  return fate == Unmatched::for_later ? ReasonCode::success : ReasonCode::no_matching_subscribers;
}

}  // namespace

Shard::Handled Shard::on_publish(Client& client, std::uint8_t first_byte, Bytes body,
                                 Bytes frame) noexcept {
  if (host_.congested()) [[unlikely]] {
    outbox_paused_.push_back(client.ref);
    pause(client, PauseCause::outbox);
    return Handled::later;
  }
  wire::PublishView& view = publish_;
  const ReasonCode reason = wire::decode_publish(first_byte, body, client.version,
                                                 wire::Direction::from_client, view);
  const Limits& limits = *client.limits;
  const auto fail = [&](CloseCause cause, ReasonCode code, const char* detail) {
    counters_.add(Counter::packets_received);
    counters_.add(Counter::publish_received_invalid);
    close(client, {cause, code, detail});
    return Handled::done;
  };
  if (reason != ReasonCode::success) [[unlikely]] {
    return fail(reason == ReasonCode::malformed_packet     ? CloseCause::malformed_packet
                : reason == ReasonCode::topic_name_invalid ? CloseCause::topic_invalid
                : reason == ReasonCode::topic_alias_invalid
                    ? CloseCause::topic_alias_invalid
                    : CloseCause::protocol_error,
                reason, view.fault);
  }
  if (view.qos > client.max_qos) [[unlikely]] {  // [MQTT-3.2.2-11]
    return fail(CloseCause::capability_refused, ReasonCode::qos_not_supported,
                "QoS is above the maximum");
  }
  if (view.retain && !limits.retain_available) [[unlikely]] {  // [MQTT-3.2.2-14]
    return fail(CloseCause::capability_refused, ReasonCode::retain_not_supported,
                "retained messages are not available");
  }
  if (view.topic_alias != 0) [[unlikely]] {
    if (view.topic_alias > limits.topic_alias_maximum) {  // [MQTT-3.3.2-9], [MQTT-3.3.2-12]
      return fail(CloseCause::topic_alias_invalid, ReasonCode::topic_alias_invalid,
                  "Topic Alias is above the maximum");
    }
    if (!resolve_alias(client)) {
      return fail(CloseCause::protocol_error, ReasonCode::protocol_error,
                  "Topic Alias was never set");
    }
  }
  if (no_publish_ != 0 && refuse_now(client)) [[unlikely]] return Handled::done;
  Session& session = *client.session;
  if (view.qos == 2) {
    if (InboundId* known = session.inbound.find(view.packet_id)) {
      // A resend: answered again, delivered once [MQTT-4.3.3-10].
      counters_.add(Counter::packets_received);
      counters_.add(Counter::publish_received_qos2);
      if (known->committing) {
        join_promised_pubrec(client, view.packet_id);
        if (hooks_.holds()) [[unlikely]] join_held(client, view.packet_id);
      } else {
        promise_ack(client, PromiseKind::pubrec, view.packet_id, ReasonCode::success, kGranted);
      }
      return Handled::done;
    }
  }
  if (view.qos != 0 && client.inbound_unacked >= limits.receive_maximum) [[unlikely]] {
    if (client.is_v5()) {  // [MQTT-3.3.4-8] is the client's; 0x93 ours (3.3.4)
      return fail(CloseCause::receive_maximum_exceeded, ReasonCode::receive_maximum_exceeded,
                  "more unacknowledged PUBLISH packets than the Receive Maximum");
    }
    if (client.promised_pubacks + client.promised_pubrecs > 0) {
      // 3.x knows no Receive Maximum; its client waits in its socket until the store has caught up.
      pause(client, PauseCause::store);
      return Handled::later;
    }
    if (hooks_.holds() && wait_for_held(client)) return Handled::later;
  }
  if (delayed_.on() && !DelaySteps::enter(*this, client)) [[unlikely]] return Handled::done;
  if (wire::topic_levels(view.topic) > limits.max_topic_levels) [[unlikely]] {
    return fail(CloseCause::topic_invalid, ReasonCode::topic_name_invalid,
                "Topic Name has more levels than max_topic_levels");
  }
  if (wire::is_system_topic(view.topic) && !limits.sys_write) [[unlikely]] {
    refuse_publish(client);
    return Handled::done;
  }
  const bool on_device = (session.device & kDeviceTold) != 0 && may_be_device_topic(view.topic);
  if (on_device && !enter_device(client)) [[unlikely]] return Handled::done;
  std::uint64_t topic_hash = TopicTrie::hash(view.topic);
#ifndef STMQTT_MUTANT_PUBLISH_NOT_JUDGED
  if (session.identity != nullptr && !admit_publish(client, session, topic_hash)) {
    return Handled::done;
  }
#endif
  if (on_device && (session.device & kDeviceScoped) != 0 &&
      !stay_in_scope(client, topic_hash)) [[unlikely]] {
    return Handled::done;
  }
  const MemoryPressure pressure = tables_.pressure();
  if (pressure != MemoryPressure::none || client.shedding) [[unlikely]] {
    const RoomWaits::Step step = RoomWaits::under_pressure(*this, client, pressure);
    if (step != RoomWaits::Step::go_on) {
      return step == RoomWaits::Step::later ? Handled::later : Handled::done;
    }
  }

  MessageParts parts;
  parts.topic = view.topic;
  parts.payload = view.payload;
  // All that is for the receiver, byte for byte and in order: Response Topic [MQTT-3.3.2-15],
  // Correlation Data [MQTT-3.3.2-16], User Properties [MQTT-3.3.2-17] [MQTT-3.3.2-18], Content
  // Type [MQTT-3.3.2-20].
  parts.properties = view.forward_properties;
  // What clients say of who they are is not passed on.
  const bool claims = !view.properties.empty() && (session.device & kDeviceTold) != 0 &&
                      claims_origin(view.properties);
  if (claims) [[unlikely]] {
    properties_.resize(view.properties.size());
    parts.properties = {properties_.data(),
                        copy_without_origin(view.properties, properties_.data())};
  } else if (view.forward_split) [[unlikely]] {
    properties_.resize(view.properties.size());
    const std::size_t bytes =
        wire::copy_forward_properties(view.properties, properties_.data());
    parts.properties = {properties_.data(), bytes};
  }
  if (view.has_message_expiry) [[unlikely]] {
    parts.expires_at_ms = cx_.now_ms + view.message_expiry_s * 1000ULL;
  }
  if (limits.max_message_expiry_s != 0) {
    const std::uint64_t latest = cx_.now_ms + limits.max_message_expiry_s * 1000ULL;
    if (parts.expires_at_ms == 0 || parts.expires_at_ms > latest) parts.expires_at_ms = latest;
  }
  if (on_device || ((session.device & kDeviceTold) != 0 &&
                    tables_.told.load(std::memory_order_relaxed) != 0)) [[unlikely]] {
    parts.origin = write_origin(origin_, session, parts.topic);
  }
  parts.publisher = session.ref();
  parts.published = cx_.deliveries.stamp();
  parts.qos = view.qos;
  parts.retain = view.retain;

  const MatchResult* match = nullptr;
  if (view.qos != 0 && tables_.full.any()) [[unlikely]] {
    match = &cache_.find(tables_.trie, parts.topic, topic_hash);
    if (a_receiver_is_full(*match)) {
      if (client.is_v5()) {
        counters_.add(Counter::packets_received);
        counters_.add(Counter::publish_refused_quota);
        promise_ack(client, view.qos == 1 ? PromiseKind::puback : PromiseKind::pubrec,
                    view.packet_id, ReasonCode::quota_exceeded, kGranted);
        // Nothing is remembered: the next PUBLISH with this identifier is new [MQTT-4.3.3-9].
        return Handled::done;
      }
      if (RoomWaits::wait(*this, client, PauseCause::queue_full)) return Handled::later;
      // Long enough. The queue drops it, counted, and so on until one finds room.
    } else {
      client.waits_since = 0;
    }
  } else if (client.waits_since != 0 && view.qos != 0) [[unlikely]] {
    client.waits_since = 0;
  }

  if (hooks_.awake()) [[unlikely]] {
    switch (hold_publish(client, parts, topic_hash)) {
      case Holding::held:
        return Handled::done;
      case Holding::later:
        return Handled::later;
      case Holding::no:
        break;
    }
  }
  if (delayed_.on() && DelaySteps::take(*this, client, parts)) [[unlikely]] return Handled::done;
  Publication publication(parts, scratch_);
  counters_.add(Counter::packets_received);
  if (view.qos == 0) {
    counters_.add(Counter::publish_received_qos0);
    if (!view.retain && view.topic_alias == 0 && parts.expires_at_ms == 0 && !on_device &&
        !claims &&
        view.forward_properties.size() == view.properties.size()) [[likely]] {
      publication.offer_frame(client.version, frame, session.topic_skip);
      // 3.1 and 3.1.1 have the same PUBLISH.
    }
  } else {
    counters_.add(view.qos == 1 ? Counter::publish_received_qos1
                                : Counter::publish_received_qos2);
  }
  // The retained index first, then the match: together with the order of a subscribe (filter,
  // sequence, scan) nothing is missed and nothing comes twice.
  // QoS 2 behind a gate does both when its ticket is granted.
  if (view.retain && (view.qos != 2 || !asks_store(gate_, CommitKind::inbound_id))) {
    set_retained(publication);
  }
  match = &cache_.find(tables_.trie, parts.topic, topic_hash);
  if (view.qos == 2) {
    accept_qos2(session, &client, view.packet_id, publication, *match, topic_hash);
    return Handled::done;
  }
  ReasonCode outcome = ReasonCode::success;
  if (match->nobody()) [[unlikely]] outcome = keep_unmatched(publication, &limits);
  Ticket ticket = kGranted;
  if (view.qos == 1 && asks_store(gate_, CommitKind::publish) &&
      needs_ticket(session.persistent(), *match, parts)) {
    ticket = gate_.commit(Commit{CommitKind::publish, view.packet_id, session.ref(),
                                 &publication.block(), match, {}});
  }
  fan_out(publication, *match, topic_hash);
  // Nothing of the Packet Identifier is kept, so it may come again at once [MQTT-4.3.2-5].
  if (view.qos == 1) {  // [MQTT-3.3.4-1], [MQTT-4.3.2-4]
    promise_ack(client, PromiseKind::puback, view.packet_id, outcome, ticket);
  }
  return Handled::done;
}

/// Nobody has subscribed to it: it goes into the log of its filter, if there is to be one.
ReasonCode Shard::keep_unmatched(Publication& publication, const Limits* limits) noexcept {
  return unmatched_reason(logs_.keep(publication, dynamic_filters(limits)));
}

/// The broker's own topics are not for clients. 3.x has no word for it: there
/// the sender gets its acknowledgement (3.1.1, 3.3.5), and nothing is remembered for its PUBREL.
void Shard::refuse_publish(Client& client) noexcept {
  counters_.add(Counter::packets_received);
  counters_.add(Counter::publish_refused_not_authorized);
  if (publish_.qos == 0) return;
  promise_ack(client, publish_.qos == 1 ? PromiseKind::puback : PromiseKind::pubrec,
              publish_.packet_id,
              client.is_v5() ? ReasonCode::not_authorized : ReasonCode::success, kGranted);
}

bool Shard::resolve_alias(Client& client) noexcept {
  wire::PublishView& view = publish_;
  if (view.topic.empty()) {
    if (client.aliases_in != nullptr) view.topic = client.aliases_in->find(view.topic_alias);
    return !view.topic.empty();
  }
  if (client.aliases_in == nullptr) {
    client.aliases_in = pool_new<IncomingAliases>(client.limits->topic_alias_maximum);
  }
  client.aliases_in->set(view.topic_alias, view.topic);
  return true;
}

/// `persistent`: the publisher's session is.
bool Shard::needs_ticket(bool persistent, const MatchResult& match,
                         const MessageParts& parts) const noexcept {
  if (gate_.grants_at_once()) return false;
  if (match.any_persistent()) return true;
  if (parts.retain && asks_store(gate_, CommitKind::retained)) return true;
  for (const SharedMembers* members : match.shared()) {
    if (members->any_persistent()) return true;
  }
  return parts.qos == 2 && persistent;
}

/// [MQTT-4.3.3-8]: the Packet Identifier is kept until PUBREL; the message goes out once. Where
/// the store is asked, it goes out only after identifier and message are durable. The identifier
/// knows nothing of the message: that one may expire, the exchange goes on [MQTT-4.3.3-13].
/// `client`: null = it has gone since; PUBREC waits for the one that sends the message again.
void Shard::accept_qos2(Session& session, Client* client, std::uint16_t packet_id,
                        Publication& publication, const MatchResult& match,
                        std::uint64_t topic_hash) noexcept {
  InboundId id;
  id.packet_id = packet_id;
  id.counted = client != nullptr;
  if (client != nullptr) ++client->inbound_unacked;
  bool gated = needs_ticket(session.persistent(), match, publication.parts());
#ifndef STMQTT_MUTANT_QOS2_PASSES_QOS2
  gated = gated || (client != nullptr && client->promised_pubrecs > 0);  // keeps its place [MQTT-4.6.0-2]
#endif
  gated = gated && asks_store(gate_, CommitKind::inbound_id);
  if (!gated) {
    session.inbound.insert(id);
    const ReasonCode outcome = match.nobody() ? keep_unmatched(publication, &session.limits())
                                              : ReasonCode::success;
    fan_out(publication, match, topic_hash);
    if (client != nullptr) {
      promise_ack(*client, PromiseKind::pubrec, packet_id, outcome, kGranted);
    }
    return;
  }
  // What becomes of it is seen when it is granted; what is said of it is as it looks now.
  const ReasonCode outcome =
      match.nobody() ? unmatched_reason(logs_.fate_of(
                           publication.parts().topic, dynamic_filters(&session.limits())))
                     : ReasonCode::success;
  Message& block = publication.block();
  id.committing = true;
  const Ticket ticket = gate_.commit(
      Commit{CommitKind::inbound_id, packet_id, session.ref(), &block, &match, {}});
  session.inbound.insert(id);
  Promise route;
  route.kind = PromiseKind::route;
  route.ticket = ticket;
  route.session = session.ref();
  route.packet_id = packet_id;
  route.message = MessageRef::share(&block);
  promises_.push_back(std::move(route));
  if (client != nullptr) {
    return promise_ack(*client, PromiseKind::pubrec, packet_id, outcome, ticket);
  }
  Promise pubrec;
  pubrec.kind = PromiseKind::pubrec;
  pubrec.ticket = ticket;
  pubrec.session = session.ref();
  pubrec.packet_id = packet_id;
  pubrec.reason = outcome;
  promises_.push_back(std::move(pubrec));
}

/// [MQTT-3.3.1-5] to [MQTT-3.3.1-8]. Gives the message its place in the order of retained ones.
void Shard::set_retained(Publication& publication) noexcept {
  Message& block = publication.block();
  if (block.payload().empty()) {
    block.set_retain_sequence(tables_.retained.clear(block.topic()).sequence);
    counters_.add(Counter::retained_cleared);
    return;
  }
  static_cast<void>(tables_.retained.set(MessageRef::share(&block)));
  counters_.add(Counter::retained_set);
}

bool Shard::a_receiver_is_full(const MatchResult& match) const noexcept {
  for (const Partition& partition : match.partitions()) {
    for (const Receiver& receiver : match.receivers(partition)) {
      if (tables_.full.test(partition.thread, receiver.slot)) return true;
    }
  }
  return false;
}

}  // namespace stmqtt
