// Shard: a CONNECT that TypeScript judges: what it is asked, and what its verdict does.
#include "base/pool.hpp"
#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PropertyId;
using wire::ReasonCode;

void Shard::request_verdict(Client& client) noexcept {
  const ConnectState& state = *client.connecting;
  const wire::ConnectView& view = state.view;
  // Hooks come when it is known who it is; how it was proven is not for them.
  const bool hooked = state.hooked;
  const Bytes username = hooked ? state.username : view.username;
  const Bytes password = hooked ? Bytes{} : view.password;
  client.state = ClientState::await_verdict;
  pause(client, PauseCause::verdict);
  counters_.add(Counter::verdicts_waited);
  wheel_.schedule(client, cx_.now_ms + options_.verdict_timeout_ms);
  char address[Host::kAddressBytes];
  const Bytes from = host_.address(client, address);
  contract::ConnectRequest event{};
  event.connection_id = client.connection_id;
  event.listener_id = client.listener_id;
  event.session_expiry_s = state.session_expiry_s;
  event.keep_alive_s = view.keep_alive_s;
  event.protocol_level = static_cast<std::uint8_t>(view.version);
  event.flags = static_cast<std::uint8_t>((view.clean_start ? contract::kConnectCleanStart : 0) |
                                          (view.has_username ? contract::kConnectHasUsername : 0) |
                                          (view.has_password ? contract::kConnectHasPassword : 0) |
                                          (view.has_will ? contract::kConnectHasWill : 0) |
                                          (state.id_assigned ? contract::kConnectAssignedId : 0) |
                                          (hooked ? contract::kConnectIsHooked : 0));
  event.client_id_bytes = static_cast<std::uint32_t>(state.client_id.size());
  event.username_bytes = static_cast<std::uint32_t>(username.size());
  event.password_bytes = static_cast<std::uint32_t>(password.size());
  event.address_bytes = static_cast<std::uint32_t>(from.size());
  event.will_topic_bytes = static_cast<std::uint32_t>(view.will_topic.size());
  event.transport = static_cast<std::uint8_t>(host_.transport(client));
  const Bytes certificate = hooked ? Bytes{} : host_.certificate(client);
  const Bytes method = view.properties.view(PropertyId::authentication_method);
  const Bytes data = hooked ? Bytes{} : view.properties.view(PropertyId::authentication_data);
  event.certificate_bytes = static_cast<std::uint32_t>(certificate.size());
  event.auth_method_bytes = static_cast<std::uint32_t>(method.size());
  event.auth_data_bytes = static_cast<std::uint32_t>(data.size());
  if (!host_.event(contract::EventKind::connect_request, event.header, sizeof event,
                   {state.client_id, username, password, from, view.will_topic,
                    certificate, method, data})) {
    refuse(client, {CloseCause::refused, ReasonCode::server_busy,
                    "too many events wait for JavaScript"});
  }
}

void Shard::on_verdict(ClientRef ref, const contract::Verdict& verdict,
                       const VerdictTexts& texts) noexcept {
  Client* client = find_client(ref);
  if (client == nullptr || client->state != ClientState::await_verdict) {
    if (client == nullptr || !on_auth_verdict(*client, verdict, texts)) {
      counters_.add(Counter::verdicts_stale);
    }
    return;
  }
  ConnectState& state = *client->connecting;
  wheel_.cancel(*client);
  if (static_cast<ReasonCode>(verdict.reason_code) == ReasonCode::continue_authentication) {
    return challenge(*client, texts.auth_data);
  }
  if (verdict.reason_code != 0) {
    return refuse(*client, {CloseCause::refused, static_cast<ReasonCode>(verdict.reason_code),
                            nullptr, texts.reason});
  }
  if (verdict.will_refused != 0 && state.view.has_will) {
    return refuse(*client, {CloseCause::refused, ReasonCode::not_authorized, "Will not allowed"});
  }
  if (!apply_verdict_limits(*client, verdict)) return;
  if (state.hooked) {  // who it is was said before
    resume(*client, PauseCause::verdict);
    return place(*client);
  }
  // A username that nobody has verified must find neither a user's session nor a user's rules.
#ifdef STMQTT_MUTANT_NAMES_WITHOUT_PROOF
  const bool is_known = true;
#else
  const bool is_known = verdict.anonymous == 0;
#endif
  const Bytes kept = is_known ? state.username : Bytes{};
  if (!texts.client_id.empty() || !texts.username.empty() || kept.size() < state.username.size()) {
    state.id_assigned = state.id_assigned || !texts.client_id.empty();
    override_texts(state, texts.client_id.empty() ? state.client_id : texts.client_id,
                   texts.username.empty() ? kept : texts.username);
  }
  if (!texts.auth_data.empty()) {
    state.auth_data_bytes = static_cast<std::uint32_t>(texts.auth_data.size());
    state.auth_data = static_cast<std::uint8_t*>(pool_allocate(state.auth_data_bytes));
    store_bytes(state.auth_data, texts.auth_data);
  }
  state.authenticated = is_known;
  if (!identify(*client, &verdict, texts)) return;
  if (state.identity != nullptr) {
    client->limits = tables_.limits.of(*client->limits, state.identity->limits);
  }
#ifndef STMQTT_MUTANT_NO_BAN_AFTER_VERDICT
  if (is_banned(*client, state.client_id, state.username)) return refuse_banned(*client);
#endif
  if (ask_connect_hooks(*client)) return;
  // Resumed first: placing may move the connection away, or end it.
  resume(*client, PauseCause::verdict);
  place(*client);
}

/// False: the client was refused.
bool Shard::apply_verdict_limits(Client& client, const contract::Verdict& verdict) noexcept {
  ConnectState& state = *client.connecting;
  if (verdict.max_session_expiry_s != contract::kVerdictUnset32 &&
      state.session_expiry_s > verdict.max_session_expiry_s) {
    state.session_expiry_s = verdict.max_session_expiry_s;
  }
  if (verdict.server_keep_alive_s != contract::kVerdictUnset16) {
    state.keep_alive_s = verdict.server_keep_alive_s;
  }
  if (verdict.max_qos != contract::kVerdictUnset8 && verdict.max_qos < state.max_qos) {
    state.max_qos = verdict.max_qos;
    if (state.view.has_will && state.view.will_qos > state.max_qos) {
      refuse(client, {CloseCause::capability_refused, ReasonCode::qos_not_supported,
                      "Will QoS is above the maximum"});
      return false;
    }
  }
  return true;
}

}  // namespace stmqtt
