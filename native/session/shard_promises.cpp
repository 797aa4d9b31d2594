// Shard: the promises that wait for the store: made, kept, or broken in the way that the protocol
// has for it.
#include "base/pool.hpp"
#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PacketType;
using wire::ReasonCode;

namespace {

PacketType ack_type(PromiseKind kind) noexcept {
  return kind == PromiseKind::puback   ? PacketType::puback
         : kind == PromiseKind::pubrec ? PacketType::pubrec
                                       : PacketType::pubcomp;
}

}  // namespace

void Shard::promise_ack(Client& client, PromiseKind kind, std::uint16_t packet_id,
                        ReasonCode reason, Ticket ticket, MessageRef text) noexcept {
  if (hooks_.holds() && hold_ack(client, kind, packet_id, reason)) [[unlikely]] return;
  const Bytes words = text ? text->payload() : Bytes{};
  Promise promise;
  std::uint16_t& waiting =
      kind == PromiseKind::puback ? client.promised_pubacks : client.promised_pubrecs;
  if (ticket == kGranted) {
#ifdef STMQTT_MUTANT_ACKS_PASS_TICKETS
    return send_ack(client, ack_type(kind), packet_id, reason, words);
#endif
    if (waiting == 0) [[likely]] {
      return send_ack(client, ack_type(kind), packet_id, reason, words);
    }
    promise.depends = false;
    ticket = gate_.last_issued();  // behind those of its kind [MQTT-4.6.0-2], [MQTT-4.6.0-3]
  }
  ++waiting;
  if (kind == PromiseKind::puback) ++client.inbound_unacked;
  promise.ticket = ticket;
  promise.kind = kind;
  promise.client = client.ref;
  promise.session = client.session->ref();
  promise.packet_id = packet_id;
  promise.reason = reason;
  promise.message = std::move(text);
  promises_.push_back(std::move(promise));
}

/// A QoS 2 message sent again while its commit is under way: the PUBREC that waits for the commit
/// answers this one too, on whatever connection it came.
void Shard::join_promised_pubrec(Client& client, std::uint16_t packet_id) noexcept {
  for (std::size_t at = 0; at < promises_.size(); ++at) {
    Promise& promise = promises_[at];
    if (promise.kind == PromiseKind::pubrec && promise.packet_id == packet_id &&
        promise.session == client.session->ref() && promise.client != client.ref) {
      promise.client = client.ref;
      ++client.promised_pubrecs;
    }
  }
}

/// `subscriptions`: what a SUBSCRIBE subscribed to.
void Shard::promise_codes(Client& client, PromiseKind kind, std::uint16_t packet_id,
                          std::span<const ReasonCode> codes,
                          PoolVector<SubscriptionName>&& subscriptions, Ticket ticket) noexcept {
  Promise promise;
  promise.ticket = ticket;
  promise.kind = kind;
  promise.client = client.ref;
  promise.session = client.session->ref();
  promise.packet_id = packet_id;
  promise.code_count = static_cast<std::uint32_t>(codes.size());
  promise.codes = static_cast<std::uint8_t*>(pool_allocate(codes.size()));
  for (std::size_t at = 0; at < codes.size(); ++at) {
    promise.codes[at] = static_cast<std::uint8_t>(codes[at]);
  }
  promise.subscriptions = std::move(subscriptions);
  promises_.push_back(std::move(promise));
}

void Shard::keep_subscriptions(Session& session, const Promise& promise) noexcept {
  for (const SubscriptionName& name : promise.subscriptions) {
    SubscriptionRecord* record = session.subscriptions.find(name.key);
    if (record != nullptr && record->made == name.made) record->stored = 1;
  }
}

/// Ends subscriptions that could not be stored, unless an earlier SUBSCRIBE was, or a later one
/// that still waits has them too.
void Shard::take_back_subscriptions(Session& session, const Promise& promise) noexcept {
  for (const SubscriptionName& name : promise.subscriptions) {
    const SubscriptionRecord* record = session.subscriptions.find(name.key);
    if (record == nullptr || record->made != name.made || record->stored != 0) continue;
    bool again = false;
    for (std::size_t at = 0; at < promises_.size() && !again; ++at) {
      if (promises_[at].session != session.ref()) continue;
      for (const SubscriptionName& other : promises_[at].subscriptions) {
        again = again || other == name;
      }
    }
    if (again) continue;
    session.subscriptions.erase(name.key);
    tables_.trie.remove(session.ref(), {&name.key, 1});
    drop_scans(session, name.key);
    counters_.add(Counter::subscriptions_removed);
  }
}

void Shard::keep_promises() noexcept {
  // Results come in the order of tickets, and so do promises: all up to the result's are decided.
  TicketResult result{};
  while (!promises_.empty() && gate_.next_result(result)) {
    counters_.add(result.outcome == TicketResult::Outcome::granted ? Counter::tickets_granted
                                                                   : Counter::tickets_failed);
    while (!promises_.empty() && promises_.front().ticket <= result.ticket) {
      Promise promise = promises_.take_front();
      keep_promise(promise, result.outcome);
    }
  }
}

void Shard::keep_promise(Promise& promise, TicketResult::Outcome outcome) noexcept {
#ifdef STMQTT_MUTANT_FAILED_TICKETS_GRANT
  outcome = TicketResult::Outcome::granted;
#endif
  const bool granted = outcome == TicketResult::Outcome::granted || !promise.depends;
  Client* client = find_client(promise.client);
  Session* session = find_session(promise.session);
  switch (promise.kind) {
    case PromiseKind::route: {
      InboundId* id = session == nullptr ? nullptr : session->inbound.find(promise.packet_id);
      if (id != nullptr) {
        if (granted) {
          id->committing = false;
        } else {
          session->inbound.erase(promise.packet_id);
        }
      }
      if (granted) route_message(*promise.message, session);
      return;
    }
    case PromiseKind::send_publish:
    case PromiseKind::send_pubrel:
      if (session == nullptr) return;
      if (granted) return session->on_granted(cx_, promise.kind, promise.packet_id);
      session->on_failed(promise.kind, promise.packet_id);
      // The state on disk is behind the one in memory: end the connection, so that the client
      // comes back and the exchange starts again from what both sides know.
      if (session->client() != nullptr) {
        close(*session->client(), {CloseCause::store_failed, ReasonCode::unspecified_error,
                                   "the store failed"});
      }
      return;
    case PromiseKind::puback:
    case PromiseKind::pubrec:
    case PromiseKind::pubcomp: {
      if (client == nullptr) {
        // A QoS 1 acknowledgement that can no longer be sent; the client will send it again.
        counters_.add(Counter::promises_dropped_on_close);
        return;
      }
      if (promise.kind == PromiseKind::puback) {
        --client->promised_pubacks;
        --client->inbound_unacked;
      } else {
        --client->promised_pubrecs;
      }
      if (!granted) {
        if (!client->is_v5() || promise.kind == PromiseKind::pubcomp) {
          // 3.x cannot say that a publish failed: without PUBACK the client sends it again.
          return close(*client, {CloseCause::store_failed, ReasonCode::unspecified_error,
                                 "the store failed"});
        }
        if (promise.kind == PromiseKind::pubrec && client->inbound_unacked > 0) {
          --client->inbound_unacked;  // an error PUBREC ends the exchange
        }
        promise.reason = ReasonCode::unspecified_error;
      }
      send_ack(*client, ack_type(promise.kind), promise.packet_id, promise.reason,
               granted && promise.message ? promise.message->payload() : Bytes{});
      if ((client->paused & static_cast<std::uint8_t>(PauseCause::store)) != 0) {
        resume(*client, PauseCause::store);
      }
      return;
    }
    case PromiseKind::suback:
    case PromiseKind::unsuback: {
      PoolVector<ReasonCode> codes;
      for (std::uint32_t at = 0; at < promise.code_count; ++at) {
        codes.push_back(granted ? static_cast<ReasonCode>(promise.codes[at])
                                : ReasonCode::unspecified_error);
      }
      pool_free(promise.codes, promise.code_count);
      promise.codes = nullptr;
      if (session != nullptr && granted) keep_subscriptions(*session, promise);
      if (session != nullptr && !granted) {
        take_back_subscriptions(*session, promise);
        session->pump(cx_);
      }
      if (promise.query_id != 0) {
        host_.answer(promise.query_id, codes[0]);
        if (session != nullptr) pump_scans(*session);
        return;
      }
      if (client == nullptr) return;
      if (!granted && promise.kind == PromiseKind::unsuback) {
        // It is gone here and may come back with the store: the client must not be told either.
        return close(*client, {CloseCause::store_failed, ReasonCode::unspecified_error,
                               "the store failed"});
      }
      send_codes(*client, promise.kind, promise.packet_id, {codes.data(), codes.size()});
      if (session != nullptr) pump_scans(*session);
      return;
    }
    case PromiseKind::connack: {
      if (client == nullptr || client->state != ClientState::await_store) return;
      if (!granted) {
        client->session = nullptr;
        if (session != nullptr) {
          session->set_arriving(nullptr);
          if (!session->resumable) {
            end_session(*session, contract::SessionEndCause::with_connection);
          } else {
            detach_session(*session);
          }
        }
        return refuse(*client, {CloseCause::store_failed, ReasonCode::server_unavailable,
                                "the store failed"});
      }
      resume(*client, PauseCause::store);
      return finish_connect(*client);
    }
  }
}

}  // namespace stmqtt
