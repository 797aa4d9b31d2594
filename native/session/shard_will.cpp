// Shard: Will Messages, from the CONNECT that is accepted to their publication or removal (MQTT 5.0,
// 3.1.2.5 and 3.1.3.2).
#include "base/pool.hpp"
#include "session/publisher.hpp"
#include "session/shard.hpp"
#include "wire/properties.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::Counter;
using wire::PropertyId;

void Shard::take_will(Session& session, const wire::ConnectView& view) noexcept {
  if (!view.has_will) return;
  PoolVector<std::uint8_t> copied;
  MessageParts parts;
  parts.topic = view.will_topic;
  // It was looked at before the session was: admit_will().
  static_cast<void>(device_.enter(session, parts.topic, MeUse::publish));
  if (!wire::is_system_topic(parts.topic)) {
    static_cast<void>(to_internal(session.identity, session.limits(), parts.topic));
  }
  parts.payload = view.will_payload;
  parts.qos = view.will_qos;
  parts.retain = view.will_retain;
  parts.publisher = session.ref();
  const wire::ForwardProperties forward = wire::forward_properties(view.will_properties.raw);
  parts.properties = forward.view;  // as they came, in their order [MQTT-3.1.3-10]
  const bool claims =
      (session.device & kDeviceTold) != 0 && claims_origin(view.will_properties.raw);
  if (claims) {
    copied.resize(view.will_properties.raw.size());
    parts.properties = {copied.data(),
                        copy_without_origin(view.will_properties.raw, copied.data())};
  } else if (forward.split) {
    copied.resize(view.will_properties.raw.size());
    const std::size_t bytes =
        wire::copy_forward_properties(view.will_properties.raw, copied.data());
    parts.properties = {copied.data(), bytes};
  }
  session.will = pool_new<Will>();  // [MQTT-3.1.2-7]
  session.will->message = Message::make(parts);
  session.will->delay_s = view.will_properties.number_or(PropertyId::will_delay_interval, 0);
  session.will->expires = view.will_properties.has(PropertyId::message_expiry_interval);
  session.will->expiry_s =
      view.will_properties.number_or(PropertyId::message_expiry_interval, 0);
}

void Shard::publish_will(Session& session) noexcept {
  Will* will = session.will;
  session.will = nullptr;  // [MQTT-3.1.2-10]
  session.will_due_ms = 0;
  const RuleRequest request{RuleAction::publish, will->message->qos(), will->message->retain()};
  const Bytes topic = will->message->topic();
  if (is_foreign(session, topic) &&
      !access_.opens_device(session, request, topic, TopicTrie::hash(topic))) {
    counters_.add(Counter::device_denied_will);
    will->message->release();
    return pool_delete(will);
  }
  if (session.identity != nullptr && session.identity->access != nullptr) {
#ifndef STMQTT_MUTANT_DUE_WILL_NOT_JUDGED
    if (!access_.may_publish(session, request, topic, TopicTrie::hash(topic))) {
      counters_.add(Counter::denied_will);
      will->message->release();
      return pool_delete(will);
    }
#endif
  }
  MessageParts parts;
  parts.topic = will->message->topic();
  parts.properties = will->message->properties();
  parts.payload = will->message->payload();
  parts.qos = will->message->qos();
  parts.published = cx_.deliveries.stamp();
  parts.retain = will->message->retain();  // [MQTT-3.1.2-14], [MQTT-3.1.2-15]
  parts.publisher = session.ref();
  if ((session.device & kDeviceTold) != 0 &&
      (may_be_device_topic(parts.topic) || tables_.told.load(std::memory_order_relaxed) != 0)) {
    parts.origin = write_origin(origin_, session, parts.topic);
  }
  // The expiry counts from the Will's publication, not from CONNECT (3.1.3.2.4).
  if (will->expires) parts.expires_at_ms = cx_.now_ms + will->expiry_s * 1000ULL;
  const MessageRef message = MessageRef::adopt(Message::make(parts));
  will->message->release();
  pool_delete(will);
  counters_.add(Counter::wills_published);
  if (hooks_.awake() && hold_will(session, message)) return;
  route_message(*message, &session);
}

void Shard::drop_will(Session& session) noexcept {
  session.will_due_ms = 0;
  if (session.will == nullptr) return;
  session.will->message->release();
  pool_delete(session.will);
  session.will = nullptr;
}

}  // namespace stmqtt
