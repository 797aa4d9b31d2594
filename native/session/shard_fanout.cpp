// Shard: from a match to the sessions' queues, here and on other threads.
#include "session/shard.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::Counter;

/// To every session with a subscription that matches, connected or not [MQTT-4.5.0-1]. One FIFO to
/// each thread, and one queue in each session, keep the order [MQTT-4.6.0-5].
void Shard::fan_out(Publication& publication, const MatchResult& match,
                    std::uint64_t topic_hash) noexcept {
  if (match.receiver_count() + match.shared().size() <= 1) publication.expect_one_receiver();
  for (const Partition& partition : match.partitions()) {
    if (partition.thread == options_.thread) [[likely]] {
      deliver_partition(publication, match, partition);
      continue;
    }
    CrossItem item;
    item.message = MessageRef::share(&publication.block());
    item.match = MatchRef::share(const_cast<MatchResult*>(&match));  // only the count changes
    counters_.add(Counter::messages_crossed);
    host_.post(partition.thread, std::move(item));
  }
  for (SharedMembers* members : match.shared()) {
    deliver_shared(publication, *members, topic_hash, SessionRef{}, 0);
  }
}

/// The receivers are the match's, so the topic matches their filters [MQTT-3.3.2-3].
void Shard::deliver_partition(Publication& publication, const MatchResult& match,
                              const Partition& partition) noexcept {
  const std::uint8_t qos = publication.parts().qos;
  const bool retain = publication.parts().retain;
  const bool plain = publication.retain_sequence() == 0;
  const bool hooked = desk_.awake() && desk_.wants(publication.parts().topic);
  for (const Receiver& receiver : match.receivers(partition)) {
    Session* session = sessions_.find(receiver.slot, receiver.generation);
    if (session == nullptr) [[unlikely]] {
      counters_.add(Counter::dropped_stale_receiver);
      continue;
    }
#ifndef STMQTT_MUTANT_DELIVERY_NOT_JUDGED
    if (session->guarded && !access_.may_receive(*session, publication.parts().topic))
        [[unlikely]] {
      counters_.add(Counter::denied_delivery);
      continue;
    }
#endif
    DeliveryOptions options;
    if (plain && (receiver.flags & (kAnyNoLocal | kHasSubscriptionIds)) == 0) [[likely]] {
      options.qos = qos < receiver.max_qos ? qos : receiver.max_qos;
      options.retain = retain && (receiver.flags & kAnyRetainAsPublished) != 0;
    } else if (!resolve_hits(publication, match, receiver, *session, options)) {
      continue;
    }
    if (hooked) [[unlikely]] {
      session->deliver_hooked(cx_, publication, options);
    } else {
      session->deliver(cx_, publication, options);
    }
    if (session->limits().queue_overflow == QueueOverflow::refuse) [[unlikely]] {
      mark_full(*session);
    }
  }
}

/// Subscription by subscription: No Local, live copies of what a scan delivered, identifiers.
/// False if nothing is left to deliver.
bool Shard::resolve_hits(const Publication& publication, const MatchResult& match,
                         const Receiver& receiver, Session& session,
                         DeliveryOptions& options) noexcept {
  const MessageParts& parts = publication.parts();
  const std::uint64_t sequence = publication.retain_sequence();
  const bool own = parts.publisher == session.ref();
  bool any = false;
  bool no_local = false;
  std::uint8_t max_qos = 0;
  bool retain_as_published = false;
  subscription_ids_.clear_keep();
  for (const Hit& hit : match.hits(receiver)) {
    if (own && hit.options.no_local()) {  // [MQTT-3.8.3-3]
      no_local = true;
      continue;
    }
    if (sequence != 0) {
      const SubscriptionRecord* record = session.subscriptions.find({hit.node, 0});
#ifndef STMQTT_MUTANT_NO_SCANNED_SKIP
      if (record != nullptr && record->scanned_since >= sequence) continue;
#endif
    }
    any = true;
    if (hit.options.qos() > max_qos) max_qos = hit.options.qos();
    retain_as_published = retain_as_published || hit.options.retain_as_published();
    if (hit.subscription_id != 0) subscription_ids_.push_back(hit.subscription_id);
  }
  if (!any) {
    if (no_local) counters_.add(Counter::dropped_no_local);
    return false;
  }
  // One copy with the highest granted QoS and all identifiers [MQTT-3.3.4-2], [MQTT-3.3.4-3],
  // [MQTT-3.3.4-4].
  options.qos = parts.qos < max_qos ? parts.qos : max_qos;
  options.retain = parts.retain && retain_as_published;  // [MQTT-3.3.1-12], [MQTT-3.3.1-13]
  options.subscription_ids = {subscription_ids_.data(), subscription_ids_.size()};
  return true;
}

/// One member of the group gets it [MQTT-4.8.2-4]. `exclude` is a session found gone, or that
/// gives the message up.
void Shard::deliver_shared(Publication& publication, SharedMembers& members,
                           std::uint64_t topic_hash, SessionRef exclude,
                           std::uint8_t tried) noexcept {
  PickContext context;
  context.topic_hash = topic_hash;
  context.publisher_hash = publication.parts().publisher.slot * 0x9E3779B97F4A7C15ULL ^
                           publication.parts().publisher.thread;
  context.random = host_.random();
  context.of_device = may_be_device_topic(publication.parts().topic);
  SessionRef excluded[8];
  std::size_t excluded_count = 0;
  if (exclude.valid()) excluded[excluded_count++] = exclude;
  while (excluded_count < 8 && tried < 8) {
    const SharedMember* member = pick(members, context, {excluded, excluded_count});
    if (member == nullptr) break;
    const SessionRef ref = member->session();
    if (ref.thread != options_.thread) {
      CrossItem item;
      item.kind = CrossItem::Kind::shared;
      item.tried = tried;
      item.message = MessageRef::share(&publication.block());
      item.members = SharedMembersRef::share(&members);
      item.member = SharedMemberRef::share(const_cast<SharedMember*>(member));
      counters_.add(Counter::messages_crossed);
      host_.post(ref.thread, std::move(item));
      return;
    }
    if (deliver_member(publication, *member)) return;
    excluded[excluded_count++] = ref;
    ++tried;
  }
  counters_.add(Counter::dropped_shared_no_member);
  notices_.dropped(nullptr, publication.parts().topic, publication.parts().qos,
                   contract::DropCause::shared_no_member);
}

/// False if the member is gone, so that another one is picked.
bool Shard::deliver_member(Publication& publication, const SharedMember& member) noexcept {
  Session* session = find_session(member.session());
  if (session == nullptr) return false;
  const MessageParts& parts = publication.parts();
#ifndef STMQTT_MUTANT_SHARED_DELIVERY_NOT_JUDGED
  if (session->guarded && !access_.may_receive(*session, parts.topic)) {
    counters_.add(Counter::denied_delivery);
    return false;
  }
#endif
  const std::uint32_t id = member.subscription_id();
  DeliveryOptions options;
  const std::uint8_t granted = member.options().qos();
  options.qos = parts.qos < granted ? parts.qos : granted;  // [MQTT-4.8.2-3]
  options.retain = parts.retain && member.options().retain_as_published();
  options.group = options.qos == 0 ? nullptr : &member.state();
  if (id != 0) options.subscription_ids = {&id, 1};
  // A member that is connected but away by now cannot take QoS 0; another one can.
  if (options.qos == 0 && !session->can_send()) return false;
  if (desk_.awake() && desk_.wants(parts.topic)) [[unlikely]] {
    session->deliver_hooked(cx_, publication, options);
  } else {
    session->deliver(cx_, publication, options);
  }
  return true;
}

/// A message of our own: a Will, a QoS 2 message that the store granted, a redispatch.
void Shard::route_message(Message& message, const Session* publisher) noexcept {
  Publication publication(message, scratch_);
  if (message.retain() && message.retain_sequence() == 0) set_retained(publication);
  const std::uint64_t topic_hash = TopicTrie::hash(message.topic());
  const MatchResult& match = cache_.find(tables_.trie, message.topic(), topic_hash);
  if (match.nobody()) {
    static_cast<void>(
        keep_unmatched(publication, publisher == nullptr ? nullptr : &publisher->limits()));
  }
  fan_out(publication, match, topic_hash);
}

/// Not counted as received, nor as unmatched: that is about clients' messages.
void Shard::publish_own(const MessageParts& parts) noexcept {
  if (!wire::valid_topic_name(parts.topic)) return;
  Publication publication(parts, scratch_);
  if (parts.retain) set_retained(publication);
  const std::uint64_t topic_hash = TopicTrie::hash(parts.topic);
  fan_out(publication, cache_.find(tables_.trie, parts.topic, topic_hash), topic_hash);
}

}  // namespace stmqtt
