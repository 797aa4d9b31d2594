// Shard: enhanced authentication (MQTT 5.0, 4.12): AUTH packets between CONNECT and CONNACK, and
// re-authentication while everything else goes on. What they mean is TypeScript's.
#include <algorithm>
#include <utility>

#include "base/pool.hpp"
#include "session/access.hpp"
#include "session/auth_state.hpp"
#include "session/device_scope.hpp"
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

/// Whom the verdict means, if it is not the one whose session this is: a session has one owner as
/// long as it lives. What the verdict leaves out is as it was. Null = it is the same.
const char* who_else(const Session& session, const VerdictTexts& texts) noexcept {
  const auto differs = [](Bytes said, Bytes is) { return !said.empty() && !same(said, is); };
  const Identity* identity = session.identity;
  const Bytes tenant = identity == nullptr ? Bytes{} : identity->tenant();
  Bytes client_id = session.client_id();
  if (!tenant.empty()) client_id = client_id.subspan(tenant.size() + 1);
  if (differs(texts.username, {session.username, session.username_bytes})) {
    return "re-authentication as another user";
  }
  if (differs(texts.tenant, tenant)) return "re-authentication in another tenant";
  if (differs(texts.device_id, session.device_id())) return "re-authentication as another device";
  if (differs(texts.client_id, client_id)) {
    return "re-authentication under another Client Identifier";
  }
  return nullptr;
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
  if (!ask_auth(client, method, view.properties.view(PropertyId::authentication_data))) {
    refuse(client, {CloseCause::refused, ReasonCode::server_busy,
                    "too many events wait for JavaScript"});
  }
}

/// False: TypeScript is too far behind to be asked.
bool Shard::ask_auth(const Client& client, Bytes method, Bytes data) noexcept {
  counters_.add(Counter::verdicts_waited);
  contract::AuthRequest event{};
  event.connection_id = client.connection_id;
  event.listener_id = client.listener_id;
  event.auth_method_bytes = static_cast<std::uint32_t>(method.size());
  event.auth_data_bytes = static_cast<std::uint32_t>(data.size());
  Bytes client_id;
  Bytes username;
  Bytes from;
  char address[Host::kAddressBytes];
  if (client.active()) {
    event.flags = contract::kAuthAgain;
    // By the name that it has here and now: it may have moved since its CONNECT.
    event.connection_id = connection_id(options_.thread, client.ref);
    client_id = client.session->client_id();
    username = {client.session->username, client.session->username_bytes};
    from = host_.address(client, address);
  }
  event.client_id_bytes = static_cast<std::uint32_t>(client_id.size());
  event.username_bytes = static_cast<std::uint32_t>(username.size());
  event.address_bytes = static_cast<std::uint32_t>(from.size());
  return host_.event(contract::EventKind::auth_request, event.header, sizeof event,
                     {method, data, client_id, username, from});
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
  client.last_received_ms = cx_.now_ms;
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
  if (!ask_auth(client, auth.method(), view.properties.view(PropertyId::authentication_data))) {
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
  if (const char* why = goes_on ? nullptr : who_else(session, texts)) {
    close(client, {CloseCause::not_authorized, ReasonCode::not_authorized, why});
    return true;
  }
  if (!goes_on && !renew_identity(client, verdict, texts)) {
    close(client, {CloseCause::refused, ReasonCode::implementation_specific_error,
                   "a rule of the verdict is not valid"});
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
  return true;
}

/// What is of the session stays: owner, tenant, device, and what CONNACK has promised. All else is
/// as this verdict says, and where it says nothing as the listener does; from the next packet on.
bool Shard::renew_identity(Client& client, const contract::Verdict& verdict,
                           const VerdictTexts& texts) noexcept {
  Session& session = *client.session;
  std::shared_ptr<const RuleSet> own;
  if (!texts.rules.empty()) {
    RuleError error;
    own = RuleSet::read(texts.rules, {}, error);
    if (own == nullptr) return false;
  }
  Identity* before = session.identity;
  const Limits& listener = *tables_.limits.base_of(client.limits);
  IdentityParts parts;
  if (before != nullptr) {
    parts.tenant = before->tenant();
    parts.device_id = before->device_id();
    parts.certificate_name = before->certificate_name();
  }
  parts.groups = texts.groups;
  parts.role = static_cast<contract::Role>(verdict.role);
  if (parts.role == contract::Role::unset) parts.role = listener.role;
  if (verdict.expires_s != contract::kVerdictUnset32) {
    parts.expires_at_ms = std::max<std::uint64_t>(1, cx_.now_ms + verdict.expires_s * 1000ULL);
  }
  // CONNACK has told the Maximum Packet Size [MQTT-3.2.2-15].
  parts.limits = {verdict.max_messages_per_s, verdict.max_bytes_per_s, verdict.max_subscriptions,
                  client.limits->max_packet_size};
  session.identity = parts.known() || own != nullptr ? Identity::make(parts) : nullptr;
  if (before != nullptr) Identity::destroy(before);
  if (own != nullptr) {
    session.identity->access = pool_new<Access>();
    session.identity->access->own = std::move(own);
  }
  DeviceScope::change_role(session, parts.role);
  give_access(client, session.identity);
  client.limits = tables_.limits.of(listener, parts.limits);
  session.set_limits(client.limits);
  guard(session);
  bound_rate_anew(client);
  schedule_client(client);
  return true;
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
