// Shard: SUBSCRIBE, UNSUBSCRIBE (MQTT 5.0, 3.8 to 3.11), and retained messages for new
// subscriptions.
#include "base/pool.hpp"
#include "session/asks.hpp"
#include "session/shard.hpp"
#include "wire/decode.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::ReasonCode;

namespace {

/// Retained messages looked up at once; more follow as the client takes them.
constexpr std::size_t kScanChunk = 64;

Closing decode_failure(ReasonCode reason, const char* fault) noexcept {
  return {reason == ReasonCode::malformed_packet       ? CloseCause::malformed_packet
          : reason == ReasonCode::topic_filter_invalid ? CloseCause::topic_invalid
                                                       : CloseCause::protocol_error,
          reason, fault};
}

}  // namespace

void Shard::on_subscribe(Client& client, std::uint8_t first_byte, Bytes body) noexcept {
  wire::SubscribeView view;
  const ReasonCode reason = wire::decode_subscribe(first_byte, body, client.version, view);
  if (reason != ReasonCode::success) return close(client, decode_failure(reason, view.fault));
  const Limits& limits = *client.limits;
  if (view.subscription_identifier != 0 && !limits.subscription_identifiers) {
    return close(client, {CloseCause::capability_refused,
                          ReasonCode::subscription_identifiers_not_supported,
                          "Subscription Identifiers are not available"});
  }
  // What CONNACK said is not available is a Protocol Error of the whole packet in v5
  // (3.2.2.3.11 to 3.2.2.3.13); looked for first, so that no part of the packet takes effect.
  wire::SubscriptionView one;
  if (client.is_v5() && (!limits.wildcard_subscriptions || !limits.shared_subscriptions)) {
    for (wire::SubscriptionCursor cursor(view); cursor.next(one);) {
      if (one.filter.shared && !limits.shared_subscriptions) {
        return close(client, {CloseCause::capability_refused,
                              ReasonCode::shared_subscriptions_not_supported,
                              "Shared Subscriptions are not available"});
      }
      if (one.filter.wildcard && !limits.wildcard_subscriptions) {
        return close(client, {CloseCause::capability_refused,
                              ReasonCode::wildcard_subscriptions_not_supported,
                              "wildcards are not available"});
      }
    }
  }
  PoolVector<ReasonCode> codes;
  PoolVector<SubscriptionName> made;
  Ticket ticket = kGranted;
  SubscribeWait* const hooked =
      hooks_.holds_subscribes() ? hooks_.find_subscribe(client.ref) : nullptr;
  for (wire::SubscriptionCursor cursor(view); cursor.next(one);) {  // [MQTT-3.8.4-5]
    const Bytes given = one.topic_filter;
    if (hooked != nullptr) [[unlikely]] {
      const ReasonCode said = hooked_subscription(*hooked, one);
      if (said != ReasonCode::success) {
        codes.push_back(said);
        continue;
      }
    }
    codes.push_back(subscribe_one(*client.session, client.max_qos, one,
                                  view.subscription_identifier, made, ticket));
    if (hooked != nullptr && !wire::is_error(codes.back()) &&
        as_text(given) != as_text(one.topic_filter)) [[unlikely]] {
      renamed_.note(client.session->ref(), given, one.topic_filter, limits.max_subscriptions);
    }
    if (!wire::is_error(codes.back()) && hooks_.wants(kHookSubscribed)) [[unlikely]] {
      contract::Notice notice{};
      notice.notice = static_cast<std::uint16_t>(contract::NoticeKind::subscribed);
      notice.qos = static_cast<std::uint8_t>(codes.back());
      tell_subscription(*client.session, one.filter, notice);
    }
    if (may_log(contract::LogLevel::debug)) [[unlikely]] log_subscribe(client, one, codes.back());
  }
  if (hooked != nullptr) hooks_.close_subscribe(client.ref);
  if (ticket != kGranted) {
    return promise_codes(client, PromiseKind::suback, view.packet_id,
                         {codes.data(), codes.size()}, std::move(made), ticket);
  }
  // [MQTT-3.8.4-1], [MQTT-3.8.4-6]: a code for each filter, in order. The trie's versions were
  // bumped by then.
  send_codes(client, PromiseKind::suback, view.packet_id, {codes.data(), codes.size()});
  pump_scans(*client.session);
}

ReasonCode Shard::subscribe_one(Session& session, std::uint8_t max_qos,
                                const wire::SubscriptionView& view, std::uint32_t subscription_id,
                                PoolVector<SubscriptionName>& made, Ticket& ticket) noexcept {
  const Limits& limits = session.limits();
  if (view.filter.shared && !limits.shared_subscriptions) {  // 3.x; v5 was dealt with above
    return ReasonCode::shared_subscriptions_not_supported;
  }
  if (view.filter.wildcard && !limits.wildcard_subscriptions) {
    return ReasonCode::wildcard_subscriptions_not_supported;
  }
  if (wire::topic_levels(view.filter.filter) > limits.max_topic_levels) {
    return ReasonCode::topic_filter_invalid;
  }
  // A QoS above our maximum is granted at that [MQTT-3.2.2-10].
  std::uint8_t qos = view.qos < max_qos ? view.qos : max_qos;
  Bytes filter = view.filter.filter;
  const ReasonCode outcome = admit_filter(session, filter, qos);
  if (outcome != ReasonCode::success) return outcome;
  Subscriber subscriber;
  subscriber.session = session.ref();
  subscriber.subscription_id = subscription_id;
  subscriber.options = SubscriptionOptions::from_byte(static_cast<std::uint8_t>(
      qos | (view.no_local ? 4 : 0) | (view.retain_as_published ? 8 : 0) |
      view.retain_handling << 4));
  if (view.filter.shared && (session.device & kDeviceScoped) != 0 && reaches_devices(filter)) {
    subscriber.options.bits |= SubscriptionOptions::kNarrow;
  }
  if (limits.monitors) subscriber.options.bits |= SubscriptionOptions::kMonitor;
  subscriber.persistent = session.persistent();
  const FilterParts parts{view.filter.share_name, filter};
  const SubscribeResult result = tables_.trie.subscribe(parts, subscriber);
  if (!result.existed && session.subscriptions.size() >= limits.max_subscriptions) {
    // Known only now to be a new one; replacing is always allowed.
    static_cast<void>(tables_.trie.unsubscribe(parts, session.ref()));
    return ReasonCode::quota_exceeded;
  }
  SubscriptionRecord& record = session.subscriptions.insert(result.key);
  if (!result.existed) counters_.add(Counter::subscriptions_added);
  // Subscribed for it while it is away: messages of the group go to others first.
  if (result.key.shared() && !session.can_send()) {
    tables_.trie.set_connected(result.key, session.ref(), false);
  }
  if (session.persistent() && asks_store(gate_, CommitKind::subscribe)) {
    ticket = gate_.commit(
        Commit{CommitKind::subscribe, 0, session.ref(), nullptr, nullptr, view.topic_filter});
    if (!result.existed) record.made = SubscriptionName::made_of(ticket);
    made.push_back({result.key, static_cast<std::uint32_t>(record.made)});
  }
  // Retained messages: not for Shared Subscriptions (4.8.2); by Retain Handling [MQTT-3.3.1-9],
  // [MQTT-3.3.1-10], [MQTT-3.3.1-11]; again on each repeated SUBSCRIBE [MQTT-3.8.4-4].
  const bool wanted = !view.filter.shared &&
                      (view.retain_handling == 0 || (view.retain_handling == 1 && !result.existed));
  // The logs go to whoever subscribes first, not to groups.
  const bool takes_logs = !view.filter.shared && !result.existed &&
                          logs_.options().replay == LogReplay::backlog &&
                          !subscriber.options.monitor();
  if (wanted || takes_logs) {
    // After the filter is in the trie: what is retained later will match it.
    RetainedScan* scan = RetainedScan::make(filter);
    scan->since = tables_.retained.sequence();
    // Live copies that the scan delivers are skipped, but only where the subscription is new: one
    // that is replaced was entitled to all of them [MQTT-3.8.4-4], and the scan may not find what
    // is replaced or cleared by then.
    if (wanted && !result.existed) record.scanned_since = scan->since;
    scan->cursor.done = !wanted;
    scan->key = result.key;
    scan->subscription_id = subscription_id;
    scan->options = subscriber.options;
    RetainedScan** last = &session.scans;
    while (*last != nullptr) last = &(*last)->next;
    *last = scan;
    if (takes_logs) {
      scan->handover = pool_new<LogHandover>(handovers_.threads());
      handovers_.begin(*scan->handover, session.ref(), filter);
    }
  }
  return static_cast<ReasonCode>(qos);  // [MQTT-3.8.4-7]
}

void Shard::on_unsubscribe(Client& client, std::uint8_t first_byte, Bytes body) noexcept {
  wire::UnsubscribeView view;
  const ReasonCode reason = wire::decode_unsubscribe(first_byte, body, client.version, view);
  if (reason != ReasonCode::success) return close(client, decode_failure(reason, view.fault));
  Session& session = *client.session;
  PoolVector<ReasonCode> codes;
  Ticket ticket = kGranted;
  Bytes topic_filter;
  wire::FilterView filter;
  // One after the other, with one answer [MQTT-3.10.4-6]. What is in a session's window or queue
  // stays there and is delivered [MQTT-3.10.4-3].
  for (wire::UnsubscribeCursor cursor(view); cursor.next(topic_filter, filter);) {
    if (may_log(contract::LogLevel::debug)) [[unlikely]] {
      log(contract::LogLevel::debug, contract::LogModule::session, client,
          "UNSUBSCRIBE '" + std::string(as_text(topic_filter)) + "'");
    }
    codes.push_back(unsubscribe_one(session, topic_filter, filter, ticket));
    std::string renamed;  // by a hook, when it was subscribed to
    if (codes.back() == ReasonCode::no_subscription_existed && !renamed_.empty() &&
        renamed_.take(session.ref(), topic_filter, renamed) &&
        wire::parse_topic_filter(as_bytes(renamed), filter) == ReasonCode::success) [[unlikely]] {
      codes.back() = unsubscribe_one(session, as_bytes(renamed), filter, ticket);
    }
    if (codes.back() == ReasonCode::success && hooks_.wants(kHookUnsubscribe)) [[unlikely]] {
      contract::Notice notice{};
      notice.notice = static_cast<std::uint16_t>(contract::NoticeKind::unsubscribe);
      tell_subscription(session, filter, notice);
    }
  }
  session.pump(cx_);  // what waited behind a scan that was dropped
  if (ticket != kGranted) {
    return promise_codes(client, PromiseKind::unsuback, view.packet_id,
                         {codes.data(), codes.size()}, {}, ticket);
  }
  // [MQTT-3.10.4-4], [MQTT-3.10.4-5]; 3.x gets no codes.
  send_codes(client, PromiseKind::unsuback, view.packet_id, {codes.data(), codes.size()});
}

ReasonCode Shard::unsubscribe_one(Session& session, Bytes topic_filter,
                                  const wire::FilterView& filter, Ticket& ticket) noexcept {
  SubscriptionKey key;
  Bytes inner = filter.filter;
  if ((session.device & kDeviceMe) != 0 &&
      device_.enter(session, inner, MeUse::unsubscribe) != MeFit::fits) {
    return ReasonCode::no_subscription_existed;
  }
  if (session.topic_skip != 0 && !wire::is_system_topic(inner) &&
      to_internal(session.identity, session.limits(), inner) != TenantFit::fits) {
    return ReasonCode::no_subscription_existed;
  }
  // Compared character by character [MQTT-3.10.4-1]; from here on no publish matches it, for the
  // trie's versions were bumped [MQTT-3.10.4-2].
  if (!tables_.trie.unsubscribe({filter.share_name, inner}, session.ref(), &key)) {
    return ReasonCode::no_subscription_existed;
  }
  session.subscriptions.erase(key);
  counters_.add(Counter::subscriptions_removed);
  drop_scans(session, key);
  if (session.persistent() && asks_store(gate_, CommitKind::unsubscribe)) {
    ticket = gate_.commit(
        Commit{CommitKind::unsubscribe, 0, session.ref(), nullptr, nullptr, topic_filter});
  }
  return ReasonCode::success;
}

void Shard::drop_scans(Session& session, SubscriptionKey key) noexcept {
  for (RetainedScan** at = &session.scans; *at != nullptr;) {
    RetainedScan* scan = *at;
    if (scan->key == key) {
      *at = scan->next;
      if (scan->handover != nullptr) handovers_.give_back(*scan->handover);
      RetainedScan::destroy(scan);
    } else {
      at = &scan->next;
    }
  }
}

/// Sends retained messages as far as window and watermark allow; what arrived meanwhile waits in
/// the session's queue and follows.
void Shard::pump_scans(Session& session) noexcept {
  if (session.scans == nullptr) return;
  while (session.scans != nullptr) {
    const bool at_end = session.can_send() && pump_scan(session, *session.scans);
    retained_batch_.clear();  // what is cleared or replaced later must not live on here
    // What hooks want to see of it went into the queue.
    if (session.has_ahead()) [[unlikely]] session.pump(cx_);
    if (!at_end) return;
    RetainedScan* done = session.scans;
    session.scans = done->next;
    RetainedScan::destroy(done);
  }
  session.pump(cx_);
}

/// True when the scan is at its end.
bool Shard::pump_scan(Session& session, RetainedScan& scan) noexcept {
#ifndef STMQTT_MUTANT_LOG_HANDOVER_DOES_NOT_HOLD
  if (scan.handover != nullptr && !scan.handover->complete()) return false;
#endif
  while (!scan.cursor.done) {
    retained_batch_.clear();
    tables_.retained.scan({scan.filter, scan.filter_bytes}, scan.since, cx_.now_ms, kScanChunk,
                          scan.cursor, retained_batch_);
    for (std::size_t at = 0; at < retained_batch_.size(); ++at) {
      Message& message = *retained_batch_[at];
      if (scan.handover != nullptr && scan.handover->takes_over(message.retain_sequence())) {
        continue;  // it comes once, and among those of its topic where it belongs
      }
      if (scan.options.no_local() && message.publisher() == session.ref()) {
        continue;  // [MQTT-3.8.3-3] holds for what the client retained itself too
      }
#ifndef STMQTT_MUTANT_RETAINED_NOT_JUDGED
      if (session.guarded && !access_.may_receive(session, message.topic())) {
        counters_.add(Counter::denied_delivery);
        continue;
      }
#endif
      const std::uint8_t granted = scan.options.qos();
      Publication publication(message, scratch_);
      publication.leave_unmeasured();
      DeliveryOptions options;
      options.qos = message.qos() < granted ? message.qos() : granted;
      options.retain = true;  // [MQTT-3.3.1-8]
      if (scan.subscription_id != 0) options.subscription_ids = {&scan.subscription_id, 1};
      if (!send_ahead(session, publication, options)) {
        // Goes on from here when there is room again.
        scan.cursor.next_topic.assign(as_text(message.topic()));
        scan.cursor.done = false;
        return false;
      }
      counters_.add(Counter::retained_delivered);
    }
  }
  return scan.handover == nullptr || pump_handover(session, scan);
}

}  // namespace stmqtt
