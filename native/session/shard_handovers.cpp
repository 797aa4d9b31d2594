// Shard: logs for their first subscriber, behind retained messages and before all that was published
// since it subscribed.
#include "session/shard.hpp"

namespace stmqtt {

using contract::Counter;

void Shard::on_log_batch(LogBatch& batch) noexcept {
  Session* session = find_session(batch.session);
  RetainedScan* scan = session == nullptr ? nullptr : session->scans;
  while (scan != nullptr &&
         (scan->handover == nullptr || scan->handover->barrier() != batch.barrier)) {
    scan = scan->next;
  }
  // It has unsubscribed, or ended.
  if (scan == nullptr) return handovers_.give_back(std::move(batch.entries));
  if (!scan->handover->add(batch)) return;
  if (!scan->handover->empty()) counters_.add(Counter::log_handovers);
  pump_scans(*session);
}

/// True when nothing is left. As a queued message each is subject to rules and to its own expiry;
/// what this session may not have, it does not take from those who may.
bool Shard::pump_handover(Session& session, RetainedScan& scan) noexcept {
  LogHandover& handover = *scan.handover;
  PoolVector<LogEntry> refused;
  const auto pop = [&] {
    const LogEntry entry = handover.take();
    logs_.let_go(log_cost(*entry.message));
    entry.message->release();
  };
  bool at_end = true;
  while (!handover.empty()) {
    Message& message = handover.next();
    if (message.expires_at_ms() != 0 && message.expires_at_ms() <= cx_.now_ms) {
      counters_.add(Counter::dropped_expired);  // [MQTT-3.3.2-5]
      pop();
      continue;
    }
    const bool is_own = scan.options.no_local() && message.publisher() == session.ref();
    if (is_own || (session.guarded && !access_.may_receive(session, message.topic()))) {
      if (!is_own) counters_.add(Counter::denied_delivery);  // [MQTT-3.8.3-3] otherwise
      refused.push_back(handover.take());
      continue;
    }
    const std::uint8_t granted = scan.options.qos();
    Publication publication(message, scratch_);
    publication.leave_unmeasured();
    DeliveryOptions options;
    options.qos = message.qos() < granted ? message.qos() : granted;
    options.retain = handover.next_is_retained() ||
                     (message.retain() && scan.options.retain_as_published());
    if (scan.subscription_id != 0) options.subscription_ids = {&scan.subscription_id, 1};
    if (!send_ahead(session, publication, options)) {  // goes on when there is room again
      at_end = false;
      break;
    }
    counters_.add(Counter::log_replayed);
    pop();
  }
  handovers_.give_back(std::move(refused));
  return at_end;
}

}  // namespace stmqtt
