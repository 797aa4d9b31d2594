// Shard: what operators do to sessions and retained messages, by the same code as their clients.
// Thread: the shard's.
#include "base/pool.hpp"
#include "session/asks.hpp"
#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::ReasonCode;

bool Shard::kick(const SessionRef& ref, ReasonCode reason, Bytes reason_text) noexcept {
  Session* session = find_session(ref);
  if (session == nullptr || session->client() == nullptr) return false;
  close(*session->client(), {CloseCause::administrative, reason, nullptr, reason_text});
  return true;
}

bool Shard::terminate(const SessionRef& ref) noexcept {
  Session* session = find_session(ref);
  if (session == nullptr) return false;
  if (session->client() != nullptr) {
    close(*session->client(),
          {CloseCause::administrative, ReasonCode::administrative_action, nullptr});
    session = find_session(ref);  // it may have ended with its connection
  }
  if (session != nullptr) end_session(*session, contract::SessionEndCause::administrative);
  return true;
}

bool Shard::subscribe_for(const SessionRef& ref, const wire::SubscriptionView& view,
                          std::uint64_t query_id) noexcept {
  Session* session = find_session(ref);
  if (session == nullptr) return false;
  const std::uint8_t max_qos =
      session->can_send() ? session->client()->max_qos : session->limits().max_qos;
  PoolVector<SubscriptionName> made;
  Ticket ticket = kGranted;
  const ReasonCode code = subscribe_one(*session, max_qos, view, 0, made, ticket);
  if (ticket != kGranted) {
    promise_answer(*session, PromiseKind::suback, query_id, code, std::move(made), ticket);
    return true;
  }
  host_.answer(query_id, code);
  pump_scans(*session);
  return true;
}

bool Shard::unsubscribe_for(const SessionRef& ref, Bytes topic_filter,
                            const wire::FilterView& filter, std::uint64_t query_id) noexcept {
  Session* session = find_session(ref);
  if (session == nullptr) return false;
  Ticket ticket = kGranted;
  const ReasonCode code = unsubscribe_one(*session, topic_filter, filter, ticket);
  session->pump(cx_);  // what waited behind a scan that was dropped
  if (ticket != kGranted) {
    promise_answer(*session, PromiseKind::unsuback, query_id, code, {}, ticket);
  } else {
    host_.answer(query_id, code);
  }
  return true;
}

/// promise_codes() where a query waits instead of a client.
void Shard::promise_answer(Session& session, PromiseKind kind, std::uint64_t query_id,
                           ReasonCode code, PoolVector<SubscriptionName>&& made,
                           Ticket ticket) noexcept {
  Promise promise;
  promise.ticket = ticket;
  promise.kind = kind;
  promise.session = session.ref();
  promise.query_id = query_id;
  promise.code_count = 1;
  promise.codes = static_cast<std::uint8_t*>(pool_allocate(1));
  promise.codes[0] = static_cast<std::uint8_t>(code);
  promise.subscriptions = std::move(made);
  promises_.push_back(std::move(promise));
}

bool Shard::delete_retained(Bytes topic) noexcept {
  if (!tables_.retained.clear(topic).existed) return false;
  counters_.add(Counter::retained_cleared);
  gate_.note(Commit{CommitKind::retained, 0, {}, nullptr, nullptr, topic});
  return true;
}

}  // namespace stmqtt
