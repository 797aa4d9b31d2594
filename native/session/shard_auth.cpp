// Shard: enhanced authentication (MQTT 5.0, 4.12): AUTH packets between CONNECT and CONNACK, and
// re-authentication while everything else goes on. What they mean is TypeScript's.
#include <algorithm>

#include "base/pool.hpp"
#include "session/auth_state.hpp"
#include "session/shard.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PacketType;
using wire::PropertyId;
using wire::ReasonCode;

namespace {

constexpr const char* kOtherMethod = "AUTH with another Authentication Method than CONNECT's";

bool same(Bytes a, Bytes b) noexcept { return as_text(a) == as_text(b); }

CloseCause cause_of(ReasonCode reason) noexcept {
  return reason == ReasonCode::malformed_packet ? CloseCause::malformed_packet
                                                : CloseCause::protocol_error;
}

/// False: it is larger than the client takes [MQTT-3.1.2-24].
bool write_auth(Client& client, ReasonCode reason, Bytes method, Bytes data,
                std::uint32_t max_bytes) noexcept {
  wire::Properties properties;
  properties.set_view(PropertyId::authentication_method, method);  // [MQTT-4.12.0-5]
  if (!data.empty()) properties.set_view(PropertyId::authentication_data, data);
  wire::AuthOut out;
  out.reason = reason;
  out.properties = &properties;
  const std::size_t bytes = wire::size_auth(out);
  if (bytes > max_bytes) return false;
  PoolVector<std::uint8_t> buffer;
  buffer.resize(bytes);
  wire::encode_auth(out, buffer.data());
  client.outlet->queue.append({buffer.data(), buffer.size()});
  client.outlet->mark();
  return true;
}

}  // namespace

/// A packet after our AUTH 0x18, before CONNACK.
void Shard::on_packet_before_connack(Client& client, PacketType type, std::uint8_t first_byte,
                                     Bytes body) noexcept {
  if (type == PacketType::disconnect) {
    wire::DisconnectView view;
    const ReasonCode reason = wire::decode_disconnect(first_byte, body, client.version,
                                                      wire::Direction::from_client, view);
    if (reason != ReasonCode::success) return refuse(client, {cause_of(reason), reason, view.fault});
    return close(client, {CloseCause::client_disconnect, ReasonCode::success, nullptr});
  }
  if (type != PacketType::auth) {  // [MQTT-3.1.2-30]
    return refuse(client, {CloseCause::protocol_error, ReasonCode::protocol_error,
                           "another packet than AUTH or DISCONNECT before CONNACK"});
  }
  wire::AuthView view;
  const ReasonCode reason = wire::decode_auth(first_byte, body, client.version,
                                              wire::Direction::from_client, view);
  if (reason != ReasonCode::success) return refuse(client, {cause_of(reason), reason, view.fault});
  if (view.reason != ReasonCode::continue_authentication) {  // [MQTT-4.12.0-3]
    return refuse(client, {CloseCause::protocol_error, ReasonCode::protocol_error,
                           "AUTH before CONNACK that does not continue"});
  }
  const Bytes method =
      client.connecting->view.properties.view(PropertyId::authentication_method);
  if (!same(view.properties.view(PropertyId::authentication_method), method)) {
    return refuse(client, {CloseCause::refused, ReasonCode::bad_authentication_method,
                           kOtherMethod});  // [MQTT-4.12.0-5]
  }
  client.state = ClientState::await_verdict;
  pause(client, PauseCause::verdict);
  wheel_.schedule(client, cx_.now_ms + options_.verdict_timeout_ms);
  if (!ask_auth(client.connection_id, method,
                view.properties.view(PropertyId::authentication_data), 0)) {
    refuse(client, {CloseCause::refused, ReasonCode::server_busy,
                    "too many events wait for JavaScript"});
  }
}

/// False: TypeScript is too far behind to be asked.
bool Shard::ask_auth(std::uint64_t answer_to, Bytes method, Bytes data,
                     std::uint8_t flags) noexcept {
  counters_.add(Counter::verdicts_waited);
  contract::AuthRequest event{};
  event.connection_id = answer_to;
  event.flags = flags;
  event.auth_method_bytes = static_cast<std::uint32_t>(method.size());
  event.auth_data_bytes = static_cast<std::uint32_t>(data.size());
  return host_.event(contract::EventKind::auth_request, event.header, sizeof event,
                     {method, data});
}

/// A verdict that asks for more, before CONNACK.
void Shard::challenge(Client& client, Bytes data) noexcept {
  const wire::ConnectView& view = client.connecting->view;
  const Bytes method = view.properties.view(PropertyId::authentication_method);
  if (method.empty()) {  // [MQTT-4.12.0-6]
    return refuse(client, {CloseCause::refused, ReasonCode::not_authorized,
                           "the verdict continues an authentication that the client did not ask for"});
  }
  // [MQTT-4.12.0-2]
  if (!write_auth(client, ReasonCode::continue_authentication, method, data,
                  view.properties.number_or(PropertyId::maximum_packet_size,
                                            wire::kMaxRemainingLength))) {
    return refuse(client, {CloseCause::packet_too_large, ReasonCode::packet_too_large,
                           "Maximum Packet Size is too small for AUTH"});
  }
  count_auth_sent();
  client.state = ClientState::await_auth;
  wheel_.schedule(client, cx_.now_ms + options_.verdict_timeout_ms);
  resume(client, PauseCause::verdict);
}

void Shard::count_auth_sent() noexcept {
  counters_.add(Counter::packets_sent);
  counters_.add(Counter::packets_sent_auth);
}

/// AUTH from an admitted client: the beginning of a re-authentication, or its next step.
void Shard::on_auth(Client& client, std::uint8_t first_byte, Bytes body) noexcept {
  wire::AuthView view;
  const ReasonCode reason = wire::decode_auth(first_byte, body, client.version,
                                              wire::Direction::from_client, view);
  if (reason != ReasonCode::success) return close(client, {cause_of(reason), reason, view.fault});
  if (client.auth == nullptr) {
    // No Authentication Method was agreed upon, so AUTH must not come [MQTT-4.12.0-7]; that holds
    // for re-authentication too [MQTT-4.12.1-1].
    return close(client, {CloseCause::protocol_error, ReasonCode::protocol_error,
                          "AUTH without an Authentication Method"});
  }
  AuthState& auth = *client.auth;
  if (!same(view.properties.view(PropertyId::authentication_method), auth.method())) {
    // [MQTT-4.12.1-1]. Table 2-6 has 0x8C for DISCONNECT, 3.14.2.1 does not; 0x82 is in both.
    return close(client, {CloseCause::protocol_error, ReasonCode::protocol_error, kOtherMethod});
  }
  const auto expected = view.reason == ReasonCode::re_authenticate ? AuthState::Step::idle
                                                                   : AuthState::Step::client;
  if (auth.step != expected) {
    return close(client, {CloseCause::protocol_error, ReasonCode::protocol_error,
                          "AUTH out of order"});
  }
  auth.step = AuthState::Step::verdict;
  wheel_.schedule(auth, cx_.now_ms + options_.verdict_timeout_ms);
  // By the name that it has here and now: it may have moved since its CONNECT.
  if (!ask_auth(connection_id(options_.thread, client.ref), auth.method(),
                view.properties.view(PropertyId::authentication_data), contract::kAuthAgain)) {
    close(client, {CloseCause::refused, ReasonCode::server_busy,
                   "too many events wait for JavaScript"});
  }
}

/// True where the verdict was for a re-authentication; then it is done with.
bool Shard::on_auth_verdict(Client& client, const contract::Verdict& verdict,
                            const VerdictTexts& texts) noexcept {
  if (!client.active() || client.auth == nullptr ||
      client.auth->step != AuthState::Step::verdict) {
    return false;
  }
  AuthState& auth = *client.auth;
  wheel_.cancel(auth);
  const auto reason = static_cast<ReasonCode>(verdict.reason_code);
  Session& session = *client.session;
  const bool goes_on = reason == ReasonCode::continue_authentication;
  if (reason != ReasonCode::success && !goes_on) {  // [MQTT-4.12.1-2]
    const bool sayable =
        reason != ReasonCode::bad_authentication_method &&
        wire::reason_allowed(reason, PacketType::disconnect, wire::Direction::from_server);
    close(client, {CloseCause::not_authorized, sayable ? reason : ReasonCode::not_authorized,
                   "re-authentication failed", texts.reason});
    return true;
  }
  if (!goes_on && !texts.username.empty() &&
      !same(texts.username, {session.username, session.username_bytes})) {
    close(client, {CloseCause::not_authorized, ReasonCode::not_authorized,
                   "re-authentication as another user"});
    return true;
  }
  if (!write_auth(client, reason, auth.method(), texts.auth_data, client.max_packet_out)) {
    close(client, {CloseCause::packet_too_large, ReasonCode::packet_too_large,
                   "Maximum Packet Size is too small for AUTH"});
    return true;
  }
  count_auth_sent();
  if (goes_on) {
    auth.step = AuthState::Step::client;
    wheel_.schedule(auth, cx_.now_ms + options_.verdict_timeout_ms);
    return true;
  }
  auth.step = AuthState::Step::idle;
  renew_identity(client, verdict);
  return true;
}

/// What was granted for a time is granted for another; the rest stays as CONNECT's verdict had it.
void Shard::renew_identity(Client& client, const contract::Verdict& verdict) noexcept {
  Session& session = *client.session;
  const std::uint64_t expires_at_ms =
      verdict.expires_s == contract::kVerdictUnset32
          ? 0
          : std::max<std::uint64_t>(1, cx_.now_ms + verdict.expires_s * 1000ULL);
  if (session.identity != nullptr) {
    session.identity->expires_at_ms = expires_at_ms;
  } else if (expires_at_ms != 0) {
    IdentityParts parts;
    parts.expires_at_ms = expires_at_ms;
    session.identity = Identity::make(parts);
  }
  schedule_client(client);
}

void Shard::on_auth_timer(AuthState& auth) noexcept {
  switch (auth.step) {
    case AuthState::Step::idle:
      return;
    case AuthState::Step::verdict:
      return close(auth.client, {CloseCause::not_authorized, ReasonCode::not_authorized,
                                 "no verdict about re-authentication in time"});
    case AuthState::Step::client:
      return close(auth.client, {CloseCause::not_authorized, ReasonCode::not_authorized,
                                 "re-authentication was not finished in time"});
  }
}

}  // namespace stmqtt
