// Shard: PUBLISH packets and Wills that hooks must see: held, asked about, and taken on their way when
// their verdict is there, in the order in which they came (DESIGN in docs/ARCHITECTURE.md, "Hooks").
// Thread: the shard's.
#include <algorithm>

#include "base/pool.hpp"
#include "session/asks.hpp"
#include "session/delay_steps.hpp"
#include "session/room_waits.hpp"
#include "session/shard.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::Counter;
using contract::HookAction;
using wire::ReasonCode;

namespace {

/// Of what is held for itself and not for a message.
constexpr std::size_t kItemBytes = 64;

std::size_t bytes_of(const HeldItem& item) noexcept {
  return kItemBytes + (item.message ? item.message->logical_bytes() : 0);
}

}  // namespace

void Shard::set_hooks(std::shared_ptr<const HookSet> hooks) noexcept {
  const bool told = desk_.awake();
  hooks_.set(std::move(hooks));
  if (desk_.awake() == told) return;
  // Hooks on deliveries are told who published.
  tables_.told.fetch_add(told ? ~std::uint32_t{0} : 1, std::memory_order_relaxed);
}

/// A PUBLISH that was taken in hand and is allowed: held if a hook must see it, or if one before it
/// waits.
Shard::Holding Shard::hold_publish(Client& client, const MessageParts& parts,
                                   std::uint64_t topic_hash) noexcept {
  Session& session = *client.session;
  const HookNeeds& needs = hooks_.needs(parts.topic, topic_hash);
  const bool hooked = (needs.kinds & kHookPublish) != 0;
  HeldQueue* queue = hooks_.holds() ? hooks_.find(session.ref()) : nullptr;
#ifdef STMQTT_MUTANT_UNHOOKED_PASS_HELD
  if (!hooked) return Holding::no;
#endif
  if (!hooked && queue == nullptr) return Holding::no;
  const std::size_t bytes =
      kItemBytes + parts.topic.size() + parts.properties.size() + parts.payload.size();
  if (queue != nullptr && HookDesk::is_full(*queue, bytes)) {
    pause_for_hooks(client, *queue);
    return Holding::later;
  }
  const wire::PublishView& view = publish_;
  HeldItem item;
  if (hooked) {
    if (queue == nullptr) queue = &hooks_.open(session.ref());
    if (!ask_hooks(&client, session, parts, HookDesk::next_id(*queue))) {
      // JavaScript is far behind. Only who needs it waits.
      if (queue->items.empty()) hooks_.close(*queue);
      pause(client, PauseCause::hooks);
      hooks_.crowded_out.push_back(client.ref);
      RoomWaits::retry_soon(*this);
      return Holding::later;
    }
    item.state = HeldItem::State::waiting;
    item.deadline_ms = cx_.now_ms + needs.publish.timeout_ms;
    item.drops_late = needs.publish.drops;
  }
  item.message = MessageRef::adopt(Message::make(parts));
  item.packet_id = view.packet_id;
  item.qos = view.qos;
  item.delay_s = delayed_.in_hand;
  counters_.add(Counter::packets_received);
  counters_.add(view.qos == 0   ? Counter::publish_received_qos0
                : view.qos == 1 ? Counter::publish_received_qos1
                                : Counter::publish_received_qos2);
  if (view.qos != 0) {
    item.client = client.ref;
    ++client.inbound_unacked;  // towards the Receive Maximum, until it is acknowledged
  }
  if (view.qos == 2) {
    // So that one that is sent again is not taken for another [MQTT-4.3.3-10].
    InboundId id;
    id.packet_id = view.packet_id;
    id.committing = true;
    id.counted = true;
    session.inbound.insert(id);
  }
  hold(*queue, std::move(item));
  return Holding::held;
}

void Shard::hold(HeldQueue& queue, HeldItem&& item) noexcept {
  queue.bytes += bytes_of(item);
  counters_.add(Counter::hook_held);
  if (item.state == HeldItem::State::waiting &&
      (!queue.scheduled() || item.deadline_ms < queue.tick * TimerWheel::kTickMs)) {
    queue.kind = kHookTimer;
    wheel_.schedule(queue, item.deadline_ms);
  }
  queue.items.push_back(std::move(item));
}

/// True: it waits, behind what its client sent before it, or for its own verdict.
bool Shard::hold_will(const Session& session, const MessageRef& message) noexcept {
  const Bytes topic = message->topic();
  const HookNeeds& needs = hooks_.needs(topic, TopicTrie::hash(topic));
  HeldQueue* queue = hooks_.holds() ? hooks_.find(session.ref()) : nullptr;
  HeldItem item;
  item.message = message;
  item.qos = message->qos();
  if ((needs.kinds & kHookPublish) != 0) {
    if (queue == nullptr) queue = &hooks_.open(session.ref());
    if (ask_hooks(nullptr, session, message->parts(), HookDesk::next_id(*queue))) {
      item.state = HeldItem::State::waiting;
      item.deadline_ms = cx_.now_ms + needs.publish.timeout_ms;
      item.drops_late = needs.publish.drops;
    } else {
      // Nobody can be made to wait for room: as if the time were over.
      counters_.add(Counter::hook_timeouts);
      item.state = needs.publish.drops ? HeldItem::State::drop : HeldItem::State::pass;
    }
  }
  if (queue == nullptr) return false;
  hold(*queue, std::move(item));
  release_held(*queue);
  return true;
}

/// An acknowledgement, while PUBLISH packets before it wait for theirs: it keeps its place
/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]. False: none wait.
bool Shard::hold_ack(const Client& client, PromiseKind kind, std::uint16_t packet_id,
                     ReasonCode reason) noexcept {
#ifdef STMQTT_MUTANT_ACKS_PASS_HELD
  return false;
#endif
  if (hooks_.releasing || kind == PromiseKind::pubcomp) return false;
  HeldQueue* queue = hooks_.find(client.session->ref());
  if (queue == nullptr) return false;
  HeldItem item;
  item.state = HeldItem::State::answer;
  item.client = client.ref;
  item.packet_id = packet_id;
  item.qos = kind == PromiseKind::puback ? 1 : 2;
  item.reason = reason;
  hold(*queue, std::move(item));
  return true;
}

/// A QoS 2 message sent again while it is held: its PUBREC goes to this connection.
void Shard::join_held(Client& client, std::uint16_t packet_id) noexcept {
  HeldQueue* queue = hooks_.find(client.session->ref());
  if (queue == nullptr) return;
  for (std::uint32_t at = 0; at < queue->items.size(); ++at) {
    HeldItem& item = queue->items[at];
    if (item.packet_id != packet_id || item.qos != 2 || !item.message) continue;
    if (item.client == client.ref) return;
    item.client = client.ref;
    ++client.inbound_unacked;
    if (InboundId* id = client.session->inbound.find(packet_id)) id->counted = true;
    return;
  }
}

void Shard::pause_for_hooks(Client& client, HeldQueue& queue) noexcept {
  queue.paused = client.ref;
  pause(client, PauseCause::hooks);
}

/// A client of 3.x has sent all that may be unacknowledged, and has to wait. False: nothing is held.
bool Shard::wait_for_held(Client& client) noexcept {
  HeldQueue* queue = hooks_.find(client.session->ref());
  if (queue == nullptr) return false;
  queue->paused_for_any = true;
  pause_for_hooks(client, *queue);
  return true;
}

bool Shard::ask_hooks(const Client* client, const Session& session, const MessageParts& parts,
                      std::uint64_t id) noexcept {
  contract::PublishHook event{};
  event.hook_id = std::uint64_t{options_.thread} << 56 | id;
  event.expiry_s = contract::kNoExpiry;
  std::uint32_t seconds = 0;
  if (remaining_expiry(parts.expires_at_ms, cx_.now_ms, seconds)) event.expiry_s = seconds;
  event.qos = parts.qos;
  event.retain = parts.retain ? 1 : 0;
  if (client != nullptr) {
    event.connection_id = client->connection_id;
    event.listener_id = client->listener_id;
    event.protocol_level = static_cast<std::uint8_t>(client->version);
  } else {
    event.flags |= contract::kHookIsWill;
  }
  if (session.is_link) event.flags |= contract::kHookIsLink;
  const Bytes username{session.username, session.username_bytes};
  const Bytes tenant = session.identity == nullptr ? Bytes{} : session.identity->tenant();
  const Bytes device = session.device_id();
  event.client_id_bytes = static_cast<std::uint32_t>(session.client_id().size());
  event.username_bytes = static_cast<std::uint32_t>(username.size());
  event.tenant_bytes = static_cast<std::uint32_t>(tenant.size());
  event.device_id_bytes = static_cast<std::uint32_t>(device.size());
  event.topic_bytes = static_cast<std::uint32_t>(parts.topic.size());
  event.properties_bytes = static_cast<std::uint32_t>(parts.properties.size());
  event.payload_bytes = static_cast<std::uint32_t>(parts.payload.size());
  event.instance = session.key().instance();
  if (!host_.event(contract::EventKind::publish_hook, event.header, sizeof event,
                   {session.client_id(), username, tenant, device, parts.topic, parts.properties,
                    parts.payload})) {
    return false;
  }
  counters_.add(Counter::hook_publishes);
  return true;
}

void Shard::on_hook_verdict(const contract::HookVerdict& verdict,
                            const HookVerdictTexts& texts) noexcept {
  if (static_cast<HookAction>(verdict.action) == HookAction::subscribe) {
    return on_subscribe_verdict(verdict, texts.payload);
  }
  if ((verdict.flags & contract::kHookVerdictOfDelivery) != 0) {
    return on_delivery_verdict(verdict, texts);
  }
  std::uint32_t index = 0;
  HeldQueue* queue = hooks_.find(verdict.hook_id, index);
  HeldItem* item = queue == nullptr ? nullptr : &queue->items[index];
  if (item == nullptr || item->state != HeldItem::State::waiting) {
    counters_.add(Counter::hook_verdicts_late);
    return;
  }
  if ((verdict.flags & contract::kHookVerdictTimedOut) != 0) counters_.add(Counter::hook_timeouts);
  if ((verdict.flags & contract::kHookVerdictFailed) != 0) counters_.add(Counter::hook_errors);
  apply_verdict(*queue, *item, verdict, texts);
#ifdef STMQTT_MUTANT_VERDICTS_OUT_OF_ORDER
  hooks_.releasing = true;
  release_one(*queue, *item);
  hooks_.releasing = false;
  item->message = MessageRef{};
  item->client = ClientRef{};
#endif
  release_held(*queue);
}

void Shard::apply_verdict(HeldQueue& queue, HeldItem& item, const contract::HookVerdict& verdict,
                          const HookVerdictTexts& texts) noexcept {
  item.state = HeldItem::State::pass;
  switch (static_cast<HookAction>(verdict.action)) {
    case HookAction::pass:
    case HookAction::subscribe:  // answers another event
      return;
    case HookAction::drop:
      item.state = HeldItem::State::drop;
      item.reason = static_cast<ReasonCode>(verdict.reason_code);
      if (!texts.reason.empty()) {
        MessageParts parts;
        parts.payload = texts.reason;
        item.text = MessageRef::adopt(Message::make(parts));
      }
      return;
    case HookAction::change:
      break;
  }
  // The internal form, like what hooks were shown. Hooks are policy: rules are not asked again.
  if (!wire::valid_topic_name(texts.topic) || wire::is_system_topic(texts.topic)) {
    counters_.add(Counter::hook_errors);
    item.state = HeldItem::State::drop;
    item.reason = ReasonCode::implementation_specific_error;
    return;
  }
  MessageParts parts = item.message->parts();
  parts.topic = texts.topic;
  parts.properties = texts.properties;
  parts.payload = texts.payload;
  parts.qos = verdict.qos;
  parts.retain = verdict.retain != 0;
  if (as_text(texts.topic) != as_text(item.message->topic())) tell_origin(queue, parts);
  queue.bytes -= bytes_of(item);
  item.message = MessageRef::adopt(Message::make(parts));
  queue.bytes += bytes_of(item);
  counters_.add(Counter::hook_changes);
}

void Shard::on_hook_timer(HeldQueue& queue) noexcept {
  std::uint64_t next = ~std::uint64_t{0};
  for (std::uint32_t at = 0; at < queue.items.size(); ++at) {
    HeldItem& item = queue.items[at];
    if (item.state != HeldItem::State::waiting) continue;
    if (item.deadline_ms > cx_.now_ms) {
      next = std::min(next, item.deadline_ms);
      continue;
    }
    counters_.add(Counter::hook_timeouts);
    item.state = item.drops_late ? HeldItem::State::drop : HeldItem::State::pass;
    item.reason = ReasonCode::implementation_specific_error;
  }
  if (next != ~std::uint64_t{0}) wheel_.schedule(queue, next);
  release_held(queue);
}

void Shard::end_holds() noexcept {
  std::vector<HeldQueue*> all;
  hooks_.each([&](HeldQueue& queue) { all.push_back(&queue); });
  for (HeldQueue* queue : all) {
    for (std::uint32_t at = 0; at < queue->items.size(); ++at) {
      queue->items[at].deadline_ms = 0;
    }
    on_hook_timer(*queue);
  }
}

/// Takes on their way all from the front that wait for nothing more.
void Shard::release_held(HeldQueue& queue) noexcept {
  hooks_.releasing = true;
  bool any = false;
  while (!queue.items.empty() && queue.items.front().state != HeldItem::State::waiting) {
    HeldItem item = queue.items.take_front();
    ++queue.first;
    queue.bytes -= bytes_of(item);
    counters_.add(Counter::hook_held, -1);
    any = true;
    release_one(queue, item);
  }
  hooks_.releasing = false;
  if (any && queue.paused.valid() &&
      (queue.paused_for_any || queue.items.size() <= HookDesk::kMaxItems / 2)) {
    const ClientRef paused = std::exchange(queue.paused, ClientRef{});
    queue.paused_for_any = false;
    if (Client* client = find_client(paused)) resume(*client, PauseCause::hooks);
  }
  if (!queue.items.empty()) return;
  wheel_.cancel(queue);
  if (queue.key != nullptr) resting_.push_back(std::exchange(queue.key, nullptr));
  hooks_.close(queue);
}

void Shard::release_one(const HeldQueue& queue, HeldItem& item) noexcept {
  Session* session = find_session(queue.session);
  Client* client = find_client(item.client);
  if (client != nullptr && (client->session == nullptr || client->session != session)) {
    client = nullptr;
  }
  // accept_qos2() and the acknowledgement count it again where that is due.
  if (client != nullptr && item.message && client->inbound_unacked > 0) --client->inbound_unacked;
  if (item.qos == 2 && item.packet_id != 0 && item.message && session != nullptr) {
    session->inbound.erase(item.packet_id);
  }
  if (item.state == HeldItem::State::pass) {
    if (item.message) publish_held(session, client, item);
    return;
  }
  if (item.state == HeldItem::State::drop) {
    counters_.add(Counter::dropped_by_hook);
    notices_.dropped(nullptr, item.message->topic(), item.message->qos(),
                     contract::DropCause::hook);
    if (client != nullptr && item.qos == 2 && !wire::is_error(item.reason)) {
      // To its client it was taken: it sends PUBREL, and must not send the message again.
      InboundId id;
      id.packet_id = item.packet_id;
      id.counted = true;
      ++client->inbound_unacked;
      session->inbound.insert(id);
    }
  }
  if (client == nullptr || item.qos == 0) return;
  // 3.x has no word for a refusal: it is acknowledged (3.1.1, 3.3.5).
  const ReasonCode reason = client->is_v5() ? item.reason : ReasonCode::success;
  promise_ack(*client, item.qos == 1 ? PromiseKind::puback : PromiseKind::pubrec, item.packet_id,
              reason, kGranted, std::move(item.text));
}

/// What on_publish() does with one that nobody held. The session may have ended, and the client be
/// gone: a PUBLISH that was received is published nevertheless.
void Shard::publish_held(Session* session, Client* client, const HeldItem& item) noexcept {
  Message& message = *item.message;
  if (item.delay_s != 0 && DelaySteps::keep(*this, session, client, message.parts(), item.delay_s,
                                            item.packet_id)) {
    return;
  }
  // A Will, or a message of a session that is no more: nobody waits for an answer.
  if (item.packet_id == 0 || (item.qos == 2 && session == nullptr)) {
    return route_message(message, session);
  }
  Publication publication(message, scratch_);
  if (message.retain() && (item.qos != 2 || !asks_store(gate_, CommitKind::inbound_id))) {
    set_retained(publication);
  }
  const std::uint64_t topic_hash = TopicTrie::hash(message.topic());
  const MatchResult& match = cache_.find(tables_.trie, message.topic(), topic_hash);
  if (item.qos == 2) {
    return accept_qos2(*session, client, item.packet_id, publication, match, topic_hash);
  }
  ReasonCode outcome = ReasonCode::success;
  if (match.nobody()) {
    outcome = keep_unmatched(publication, session == nullptr ? nullptr : &session->limits());
  }
  const bool persistent = session != nullptr && session->persistent();
  Ticket ticket = kGranted;
  if (asks_store(gate_, CommitKind::publish) &&
      needs_ticket(persistent, match, publication.parts())) {
    ticket = gate_.commit(Commit{CommitKind::publish, item.packet_id, message.publisher(), &message,
                                 &match, {}});
  }
  fan_out(publication, match, topic_hash);
  if (client == nullptr) return;
  promise_ack(*client, PromiseKind::puback, item.packet_id, outcome, ticket);
}

/// Its session ends: nobody is to be acknowledged any more, and a new session of this client comes
/// behind what is held. True: the key stays here until nothing is.
bool Shard::orphan_held(Session& session) noexcept {
  HeldQueue* queue = hooks_.find(session.ref());
  if (queue == nullptr) return false;
  for (std::uint32_t at = 0; at < queue->items.size(); ++at) {
    HeldItem& item = queue->items[at];
    item.client = {};
    item.packet_id = 0;
  }
  queue->paused = {};
  if (session.key().instance() != 0) return false;
#ifdef STMQTT_MUTANT_HELD_KEYS_DO_NOT_REST
  return false;
#endif
  tables_.directory.rest(session.key());
  queue->key = session.release_key();
  return true;
}

void Shard::adopt_held(const Session& session) noexcept {
  HeldQueue* queue = hooks_.find_by_key(session.key());
  if (queue == nullptr) return;
  resting_.push_back(std::exchange(queue->key, nullptr));
  hooks_.rename(*queue, session.ref());
}

void Shard::drop_held() noexcept {
  hooks_.each([&](HeldQueue& queue) {
    wheel_.cancel(queue);
    if (queue.key != nullptr) {
      tables_.directory.forget(*queue.key);
      SessionKey::destroy(queue.key);
    }
    queue.items.clear();
    hooks_.close(queue);
  });
}

}  // namespace stmqtt
