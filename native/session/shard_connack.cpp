// Shard: CONNACK, granted and refused (MQTT 5.0, 3.2).
#include "base/vec.hpp"
#include "session/shard.hpp"
#include "wire/encode.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PropertyId;
using wire::ReasonCode;
using wire::Version;

namespace {

void write_connack(Client& client, const wire::ConnackOut& out) noexcept {
  PoolVector<std::uint8_t> buffer;
  buffer.resize(wire::size_connack(out));
  wire::encode_connack(out, buffer.data());
  client.outlet->queue.append({buffer.data(), buffer.size()});
  client.outlet->mark();
}

/// What a v5 CONNACK of success tells; views point into the ConnectState.
wire::Properties connack_properties(const ConnectState& state, const Limits& limits) noexcept {
  wire::Properties properties;
  const std::uint32_t asked = state.view.properties.number_or(PropertyId::session_expiry_interval, 0);
  if (asked != state.session_expiry_s) {  // 3.2.2.3.2
    properties.set_number(PropertyId::session_expiry_interval, state.session_expiry_s);
  }
  properties.set_number(PropertyId::receive_maximum, limits.receive_maximum);
  if (state.max_qos < 2) {  // [MQTT-3.2.2-9]
    properties.set_number(PropertyId::maximum_qos, state.max_qos);
  }
  if (!limits.retain_available) properties.set_number(PropertyId::retain_available, 0);
  properties.set_number(PropertyId::maximum_packet_size, limits.max_packet_size);
  if (state.id_assigned) {  // [MQTT-3.2.2-16]
    // What the client is to connect with: its tenant is put before it each time.
    properties.set_view(PropertyId::assigned_client_identifier,
                        state.client_id.subspan(state.tenant_prefix_bytes));
  }
  properties.set_number(PropertyId::topic_alias_maximum, limits.topic_alias_maximum);
  if (!limits.wildcard_subscriptions) {
    properties.set_number(PropertyId::wildcard_subscription_available, 0);
  }
  if (!limits.subscription_identifiers) {
    properties.set_number(PropertyId::subscription_identifier_available, 0);
  }
  if (!limits.shared_subscriptions) {
    properties.set_number(PropertyId::shared_subscription_available, 0);
  }
  if (state.keep_alive_s != state.view.keep_alive_s) {  // [MQTT-3.2.2-21], [MQTT-3.2.2-22]
    properties.set_number(PropertyId::server_keep_alive, state.keep_alive_s);
  }
  // The method that CONNECT had, or none [MQTT-4.12.0-5], [MQTT-4.12.0-6].
  const wire::Properties& asked_for = state.view.properties;
  if (asked_for.has(PropertyId::authentication_method)) {
    properties.set_view(PropertyId::authentication_method,
                        asked_for.view(PropertyId::authentication_method));
    if (state.auth_data != nullptr) {
      properties.set_view(PropertyId::authentication_data,
                          {state.auth_data, state.auth_data_bytes});
    }
  }
  // Never Response Information [MQTT-3.1.2-28].
  return properties;
}

}  // namespace

/// A CONNACK with all that it must tell is within the client's Maximum Packet Size: without them
/// the client would go by defaults that do not hold here.
bool Shard::connack_fits(const Client& client) const noexcept {
  const ConnectState& state = *client.connecting;
  if (state.view.version != Version::v5) return true;
  const wire::Properties properties = connack_properties(state, *client.limits);
  wire::ConnackOut out;
  out.properties = &properties;
  return wire::size_connack(out) <= state.view.properties.number_or(PropertyId::maximum_packet_size,
                                                                    wire::kMaxRemainingLength);
}

void Shard::send_connack(Client& client) noexcept {
  const ConnectState& state = *client.connecting;
  wire::ConnackOut out;
  out.version = client.version;
  out.session_present = client.session->resumable;  // [MQTT-3.2.2-2], [MQTT-3.2.2-3]
  wire::Properties properties;
  if (client.is_v5()) {
    properties = connack_properties(state, *client.limits);
    out.properties = &properties;
  }
  // [MQTT-3.2.0-1]: nothing was sent on this connection before.
  write_connack(client, out);
  counters_.add(Counter::packets_sent);
  counters_.add(Counter::packets_sent_connack);
}

/// Answers a CONNECT that is not accepted, and closes. Nothing of the session was touched.
void Shard::refuse(Client& client, const Closing& closing) noexcept {
  const ConnectState& state = *client.connecting;
  const bool v5 = state.view.version == Version::v5;
  // 3.x has a return code for five refusals; for a packet that breaks the rules it says close the
  // connection [MQTT-4.8.0-1 of 3.1.1].
  const bool broken = closing.cause == CloseCause::malformed_packet ||
                      closing.cause == CloseCause::protocol_error;
  const bool answer = state.view.answerable && (v5 || !broken);
  if (answer) {
    wire::ConnackOut out;
    out.version = state.view.version;
    out.reason = closing.reason;  // [MQTT-3.2.2-7]: then close
    wire::Properties properties;
    const char* text = closing.detail != nullptr ? closing.detail
                                                 : wire::reason_text(closing.reason);
    if (v5) {
      properties.set_view(PropertyId::reason_string,
                          closing.reason_text.empty() ? as_bytes(text) : closing.reason_text);
      out.properties = &properties;
      const std::uint32_t maximum = state.view.properties.number_or(
          PropertyId::maximum_packet_size, wire::kMaxRemainingLength);
      // [MQTT-3.2.2-19]; User Properties are never sent [MQTT-3.2.2-20]
      if (wire::size_connack(out) > maximum) out.properties = nullptr;
    }
    write_connack(client, out);
    counters_.add(Counter::packets_sent);
    counters_.add(Counter::packets_sent_connack);
  }
  // What follows the CONNECT is not read any more [MQTT-3.1.4-6], [MQTT-4.13.2-1].
  close(client, {closing.cause, closing.reason, closing.detail, closing.reason_text});
}

}  // namespace stmqtt
