// Shard: PUBACK, PUBREC, PUBREL, PUBCOMP both ways (MQTT 5.0, 3.4 to 3.7), and how acknowledgements
// are written.
#include "base/pool.hpp"
#include "session/asks.hpp"
#include "session/packet_counters.hpp"
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
  if (session.persistent() && asks_store(gate_, CommitKind::inbound_release)) {
    ticket = gate_.commit(
        Commit{CommitKind::inbound_release, packet_id, session.ref(), nullptr, nullptr, {}});
  }
  promise_ack(client, PromiseKind::pubcomp, packet_id, ReasonCode::success, ticket);
}

/// With the Packet Identifier of the PUBLISH [MQTT-2.2.1-5]. `text`: Reason String; empty = the
/// code's own, where it is an error.
void Shard::send_ack(Client& client, PacketType type, std::uint16_t packet_id, ReasonCode reason,
                     Bytes text) noexcept {
  OutboundQueue& queue = client.outlet->queue;
  counters_.add(Counter::packets_sent);
  counters_.add(sent_ack_counter(type));
  client.outlet->mark();
  // [MQTT-3.1.2-29]
  if (wire::is_error(reason) && client.is_v5() && client.problem_information) [[unlikely]] {
    wire::AckOut out;
    out.type = type;
    out.packet_id = packet_id;
    out.reason = reason;
    out.reason_string = text.empty() ? as_bytes(wire::reason_text(reason)) : text;
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
  counters_.add(out.type == PacketType::suback ? Counter::packets_sent_suback
                                               : Counter::packets_sent_unsuback);
}

}  // namespace stmqtt
