#include "session/deliver_desk.hpp"

#include "base/pool.hpp"
#include "route/topic_trie.hpp"
#include "session/host.hpp"
#include "session/publisher.hpp"
#include "session/session.hpp"

namespace stmqtt {

using contract::Counter;

namespace {

/// How soon it is looked again whether there is room for events.
constexpr std::uint64_t kLineMs = 10;
/// Of a generation, in a verdict's number.
constexpr std::uint32_t kGenerationMask = 0xFFFFFF;

}  // namespace

DeliverDesk::~DeliverDesk() {
  for (std::uint32_t slot = 0; slot < asks_.slots(); ++slot) {
    if (asks_.at(slot) != nullptr) pool_delete(asks_.at(slot));
  }
}

bool DeliverDesk::wants(Bytes topic) const noexcept {
  return (hooks_.needs(topic, TopicTrie::hash(topic)).kinds & kHookDeliver) != 0;
}

DeliverDesk::Late DeliverDesk::late(Bytes topic) const noexcept {
  if (!ended_) return Late::no;
  return hooks_.needs(topic, TopicTrie::hash(topic)).deliver.drops ? Late::drops : Late::passes;
}

std::uint32_t DeliverDesk::ask(Session& session, const Delivery& delivery,
                               std::uint64_t now_ms) noexcept {
  const Message& message = *delivery.message;
  const std::size_t bytes = message.logical_bytes();
  const bool full = asks_.count() >= kMaxAsked || (asks_.count() > 0 && bytes_ + bytes > kMaxBytes);
  if (full || crowded_) {
    counters_.add(full ? Counter::hook_waits_thread : Counter::hook_waits_events);
    stand_in_line(session, now_ms);
    return kNone;
  }
  const HookWait wait = hooks_.needs(message.topic(), TopicTrie::hash(message.topic())).deliver;
  auto* ask = pool_new<DeliveryAsk>();
  const auto name = asks_.insert(ask);
  ask->session = session.ref();
  ask->slot = name.slot;
  ask->generation = name.generation;
  ask->bytes = bytes;
  ask->drops_late = wait.drops;
  if (!tell(session, delivery, *ask, now_ms)) {
    // JavaScript is far behind. Only who needs it waits.
    asks_.erase(name.slot);
    pool_delete(ask);
    crowded_ = true;
    counters_.add(Counter::hook_waits_events);
    stand_in_line(session, now_ms);
    return kNone;
  }
  ask->kind = DeliveryAsk::kTimer;
  wheel_.schedule(*ask, now_ms + wait.timeout_ms);
  bytes_ += bytes;
  counters_.add(Counter::hook_deliveries);
  counters_.add(Counter::hook_deliveries_asked);
  return name.slot;
}

bool DeliverDesk::tell(const Session& session, const Delivery& delivery, const DeliveryAsk& ask,
                       std::uint64_t now_ms) noexcept {
  const Message& message = *delivery.message;
  const Client& client = *session.client();
  contract::DeliverHook event{};
  event.hook_id = std::uint64_t{thread_} << 56 |
                  std::uint64_t{ask.generation & kGenerationMask} << 32 | ask.slot;
  event.connection_id = client.connection_id;
  event.listener_id = client.listener_id;
  event.expiry_s = contract::kNoExpiry;
  std::uint32_t seconds = 0;
  if (remaining_expiry(message.expires_at_ms(), now_ms, seconds)) event.expiry_s = seconds;
  event.qos = delivery.qos;
  event.retain = delivery.retain;
  if (session.is_link) event.flags |= contract::kHookIsLink;
  event.protocol_level = static_cast<std::uint8_t>(client.version);
  const Bytes username{session.username, session.username_bytes};
  const Bytes tenant = session.identity == nullptr ? Bytes{} : session.identity->tenant();
  const Bytes device = session.device_id();
  const Bytes publisher = message.origin().empty() ? Bytes{} : origin_all(message.origin());
  event.client_id_bytes = static_cast<std::uint32_t>(session.client_id().size());
  event.username_bytes = static_cast<std::uint32_t>(username.size());
  event.tenant_bytes = static_cast<std::uint32_t>(tenant.size());
  event.device_id_bytes = static_cast<std::uint32_t>(device.size());
  event.topic_bytes = static_cast<std::uint32_t>(message.topic().size());
  event.properties_bytes = static_cast<std::uint32_t>(message.properties().size());
  event.payload_bytes = static_cast<std::uint32_t>(message.payload().size());
  event.publisher_bytes = static_cast<std::uint32_t>(publisher.size());
  event.instance = session.key().instance();
  return host_.event(contract::EventKind::deliver_hook, event.header, sizeof event,
                     {session.client_id(), username, tenant, device, message.topic(),
                      message.properties(), message.payload(), publisher});
}

void DeliverDesk::stand_in_line(Session& session, std::uint64_t now_ms) noexcept {
  if (!line_timer_.scheduled()) wheel_.schedule(line_timer_, now_ms + kLineMs);
  if (session.in_hook_line) return;
  session.in_hook_line = true;
  line_.push_back(session.ref());
}

void DeliverDesk::forget(std::uint32_t slot) noexcept {
  DeliveryAsk* ask = asks_.at(slot);
  wheel_.cancel(*ask);
  bytes_ -= ask->bytes;
  asks_.erase(slot);
  pool_delete(ask);
  counters_.add(Counter::hook_deliveries_asked, -1);
}

DeliveryAsk* DeliverDesk::find(std::uint64_t hook_id) const noexcept {
  const auto slot = static_cast<std::uint32_t>(hook_id);
  if (slot >= asks_.slots()) return nullptr;
  DeliveryAsk* ask = asks_.at(slot);
  const auto generation = static_cast<std::uint32_t>(hook_id >> 32) & kGenerationMask;
#ifdef STMQTT_MUTANT_LATE_DELIVERY_VERDICTS_FOUND
  return ask;
#endif
  return ask != nullptr && (ask->generation & kGenerationMask) == generation ? ask : nullptr;
}

DeliveryAsk* DeliverDesk::next(std::uint32_t slot) const noexcept {
  for (; slot < asks_.slots(); ++slot) {
    if (asks_.at(slot) != nullptr) return asks_.at(slot);
  }
  return nullptr;
}

}  // namespace stmqtt
