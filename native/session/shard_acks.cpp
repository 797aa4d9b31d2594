// Shard: PUBACK, PUBREC, PUBREL, PUBCOMP both ways (MQTT 5.0, 3.4 to 3.7), and the promises that
// wait for the store.
#include "base/pool.hpp"
#include "session/shard.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PacketType;
using wire::ReasonCode;

void Shard::on_ack(Client& client, std::uint8_t first_byte, Bytes body) noexcept {
  wire::AckView view;
  const ReasonCode reason = wire::decode_ack(first_byte, body, client.version, view);
  if (reason != ReasonCode::success) [[unlikely]] {
    return close(client, {reason == ReasonCode::malformed_packet ? CloseCause::malformed_packet
                                                                 : CloseCause::protocol_error,
                          reason, view.fault});
  }
  Session& session = *client.session;
  switch (wire::packet_type(first_byte)) {
    case PacketType::puback:
      // One for an unknown identifier may be the echo of an earlier connection: ignored.
      static_cast<void>(session.on_puback(cx_, view.packet_id, view.reason));
      break;
    case PacketType::pubrec:
      if (!session.on_pubrec(cx_, view.packet_id, view.reason) && !wire::is_error(view.reason)) {
        // [MQTT-4.3.3-4] wants a PUBREL for each PUBREC; for an unknown one with 0x92 (3.6.2.1).
        send_ack(client, PacketType::pubrel, view.packet_id,
                 ReasonCode::packet_identifier_not_found);
      }
      break;
    case PacketType::pubcomp:
      static_cast<void>(session.on_pubcomp(cx_, view.packet_id));
      break;
    case PacketType::pubrel:
      return on_pubrel(client, view.packet_id);
    default:
      break;
  }
  if (session.scans != nullptr) [[unlikely]] pump_scans(session);
  if (session.marked_full) [[unlikely]] mark_full(session);
}

void Shard::on_pubrel(Client& client, std::uint16_t packet_id) noexcept {
  Session& session = *client.session;
  InboundId* id = session.inbound.find(packet_id);
  if (id == nullptr) {  // [MQTT-4.3.3-11]; 3.x has no reason to give
    return promise_ack(client, PromiseKind::pubcomp, packet_id,
                       ReasonCode::packet_identifier_not_found, kGranted);
  }
  if (id->committing) return;  // no PUBREC was sent yet, so this breaks the flow: no answer
  if (id->counted && client.inbound_unacked > 0) --client.inbound_unacked;
  session.inbound.erase(packet_id);  // [MQTT-4.3.3-12]
  Ticket ticket = kGranted;
  if (!gate_.grants_at_once() && session.persistent()) {
    ticket = gate_.commit(
        Commit{CommitKind::inbound_release, packet_id, session.ref(), nullptr, nullptr, {}});
  }
  promise_ack(client, PromiseKind::pubcomp, packet_id, ReasonCode::success, ticket);
}

/// With the Packet Identifier of the PUBLISH [MQTT-2.2.1-5].
void Shard::send_ack(Client& client, PacketType type, std::uint16_t packet_id,
                     ReasonCode reason) noexcept {
  OutboundQueue& queue = client.outlet->queue;
  counters_.add(Counter::packets_sent);
  client.outlet->mark();
  // [MQTT-3.1.2-29]
  if (wire::is_error(reason) && client.is_v5() && client.problem_information) [[unlikely]] {
    wire::AckOut out;
    out.type = type;
    out.packet_id = packet_id;
    out.reason = reason;
    out.reason_string = as_bytes(wire::reason_text(reason));
    const std::size_t bytes = wire::size_ack(out);
    // The Reason String only where it fits [MQTT-3.4.2-2], [MQTT-3.5.2-2], [MQTT-3.6.2-2],
    // [MQTT-3.7.2-2]; User Properties never [MQTT-3.4.2-3], [MQTT-3.5.2-3], [MQTT-3.6.2-3],
    // [MQTT-3.7.2-3].
    if (bytes <= client.max_packet_out) {
      std::uint8_t* at = queue.reserve(bytes);
      wire::encode_ack(out, at);
      queue.commit(bytes);
      return;
    }
  }
  std::uint8_t* at = queue.reserve(wire::kMaxPlainAckBytes);
  const std::uint8_t* end = wire::encode_ack(type, client.version, packet_id, reason, at);
  queue.commit(static_cast<std::size_t>(end - at));
}

namespace {

PacketType ack_type(PromiseKind kind) noexcept {
  return kind == PromiseKind::puback   ? PacketType::puback
         : kind == PromiseKind::pubrec ? PacketType::pubrec
                                       : PacketType::pubcomp;
}

}  // namespace

void Shard::promise_ack(Client& client, PromiseKind kind, std::uint16_t packet_id,
                        ReasonCode reason, Ticket ticket) noexcept {
  Promise promise;
  std::uint16_t& waiting =
      kind == PromiseKind::puback ? client.promised_pubacks : client.promised_pubrecs;
  if (ticket == kGranted) {
    if (waiting == 0) [[likely]] return send_ack(client, ack_type(kind), packet_id, reason);
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
  promises_.push_back(std::move(promise));
}

void Shard::send_codes(Client& client, PromiseKind kind, std::uint16_t packet_id,
                       std::span<const ReasonCode> codes) noexcept {
  wire::SubackOut out;
  out.type = kind == PromiseKind::suback ? PacketType::suback : PacketType::unsuback;
  out.version = client.version;
  out.packet_id = packet_id;  // [MQTT-2.2.1-6], [MQTT-3.8.4-2]
  out.reasons = codes;
  if (client.is_v5() && client.problem_information) {
    for (const ReasonCode code : codes) {
      if (wire::is_error(code)) out.reason_string = as_bytes(wire::reason_text(code));
    }
    // [MQTT-3.9.2-1], [MQTT-3.11.2-1]; User Properties never [MQTT-3.9.2-2], [MQTT-3.11.2-2]
    if (wire::size_suback(out) > client.max_packet_out) out.reason_string = {};
  }
  PoolVector<std::uint8_t> buffer;
  buffer.resize(wire::size_suback(out));
  wire::encode_suback(out, buffer.data());
  client.outlet->queue.append({buffer.data(), buffer.size()});
  client.outlet->mark();
  counters_.add(Counter::packets_sent);
}

void Shard::promise_codes(Client& client, PromiseKind kind, std::uint16_t packet_id,
                          std::span<const ReasonCode> codes, Ticket ticket) noexcept {
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
  promises_.push_back(std::move(promise));
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
      if (granted) route_message(*promise.message);
      return;
    }
    case PromiseKind::send_publish:
    case PromiseKind::send_pubrel:
      if (session == nullptr) return;
      if (granted) return session->on_granted(cx_, promise.kind, promise.packet_id);
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
      send_ack(*client, ack_type(promise.kind), promise.packet_id, promise.reason);
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
      if (client == nullptr) return;
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
