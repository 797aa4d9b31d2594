// Shard: from CONNECT to CONNACK (MQTT 5.0, 3.1 and 3.2).
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/pool.hpp"
#include "session/asks.hpp"
#include "session/auth_state.hpp"
#include "session/shard.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PropertyId;
using wire::ReasonCode;
using wire::Version;

namespace {

std::uint8_t level_bit(Version version) noexcept {
  switch (version) {
    case Version::v31: return kLevelV31;
    case Version::v311: return kLevelV311;
    case Version::v5: return kLevelV5;
  }
  return 0;
}

}  // namespace

void Shard::on_connect(Client& client, const wire::Scan& scan, Bytes body) noexcept {
  ConnectState* state = ConnectState::make(scan.first_byte, body);
  state->came_to = options_.thread;
  client.connecting = state;
  // Decoding is repeated for its result: the copy is what the views must point into.
  const ReasonCode reason =
      wire::decode_connect(scan.first_byte, {state->body, state->body_bytes}, state->view);
  client.version = state->view.version;
  if (scan.overlong && client.is_v5()) {  // only now the version is known [MQTT-1.5.5-1]
    return refuse(client, {CloseCause::malformed_packet, ReasonCode::malformed_packet,
                           "Remaining Length takes more bytes than it needs"});
  }
  if (reason != ReasonCode::success) {  // [MQTT-3.1.4-1]
    const CloseCause cause = reason == ReasonCode::unsupported_protocol_version
                                 ? CloseCause::version_refused
                             : reason == ReasonCode::malformed_packet
                                 ? CloseCause::malformed_packet
                             : reason == ReasonCode::client_identifier_not_valid
                                 ? CloseCause::refused
                                 : CloseCause::protocol_error;
    return refuse(client, {cause, reason, state->view.fault});
  }
  if (may_log(contract::LogLevel::debug)) [[unlikely]] log_connect(client);
  const Closing refusal = check_connect(client, *state);  // [MQTT-3.1.4-2]
  if (refusal.cause != CloseCause::none) return refuse(client, refusal);

  const wire::ConnectView& view = state->view;
  const Limits& limits = *client.limits;
  state->client_id = view.client_id;
  state->username = view.username;
  state->max_qos = limits.max_qos;
  if (view.version == Version::v5) {
    state->session_expiry_s = view.properties.number_or(PropertyId::session_expiry_interval, 0);
    client.problem_information =
        view.properties.number_or(PropertyId::request_problem_information, 1) != 0;
    if (state->session_expiry_s > limits.max_session_expiry_s) {
      state->session_expiry_s = limits.max_session_expiry_s;
    }
  } else {
    // A 3.x session without Clean Session has no interval of its own.
    state->session_expiry_s = view.clean_start ? 0 : limits.max_session_expiry_s;
  }
  state->keep_alive_s = view.keep_alive_s;
  if (state->keep_alive_s == 0 && !limits.allow_zero_keep_alive) {
    state->keep_alive_s =
        limits.default_keep_alive_s != 0 ? limits.default_keep_alive_s : limits.max_keep_alive_s;
  }
  if (state->keep_alive_s > limits.max_keep_alive_s) {
    state->keep_alive_s = limits.max_keep_alive_s;
  }
  if (view.client_id.empty()) {  // [MQTT-3.1.3-6], [MQTT-3.1.3-7]
    char uuid[36];
    host_.make_uuid(uuid);
    const std::string id = options_.client_id_prefix + std::string(uuid, sizeof uuid);
    override_texts(*state, as_bytes(id), view.username);
    state->id_assigned = true;
  }
  // Before anybody is asked: that is work, too. Where clients have tenants, what they call
  // themselves is not what is banned; and where they may get one, nobody's coming too often is
  // another one's.
#ifndef STMQTT_MUTANT_NO_BAN_BEFORE_VERDICT
  if (tables_.bans.any()) [[unlikely]] {
    const bool is_name = limits.tenant_by_verdict();
    const bool is_final = is_name && tables_.tenants.size() == 0;
    if ((is_name && !client.is_link &&
         tables_.bans.bans_name(as_text(state->client_id), cx_.now_ms)) ||
        is_banned(client, is_final ? state->client_id : Bytes{}, state->username)) {
      return refuse_banned(client);
    }
  }
#endif
  // A link is opened by the process itself: there is nobody to ask.
  const bool by_method = view.properties.has(PropertyId::authentication_method);
  if (!client.is_link) {
    if (by_method) return request_verdict(client);
    if (options_.authenticate) {
      if (host_.admission(client.listener_id) == Admission::judged) return request_verdict(client);
      // Beside those who are known, a username that nobody verifies must find neither a user's
      // session nor a user's rules.
      if (!state->username.empty()) override_texts(*state, state->client_id, {});
    }
  }
  if (!identify(client, nullptr, {})) return;
#ifndef STMQTT_MUTANT_NO_BAN_BEHIND_TENANT
  if (is_banned(client, state->client_id, state->username)) return refuse_banned(client);
#endif
  if (ask_connect_hooks(client)) return;
  place(client);
}

Closing Shard::check_connect(const Client& client, ConnectState& state) const noexcept {
  const wire::ConnectView& view = state.view;
  const Limits& limits = *client.limits;
  if ((limits.protocol_levels & level_bit(view.version)) == 0) {
    return {CloseCause::version_refused, ReasonCode::unsupported_protocol_version,
            "protocol version is not accepted on this listener"};
  }
  if (view.client_id.empty()) {
    // 3.1 knows no empty identifier; 3.1.1 only with Clean Session [MQTT-3.1.3-8].
    const bool allowed = view.version == Version::v5 ||
                         (view.version == Version::v311 && view.clean_start);
    if (!allowed || !limits.allow_empty_client_id) {
      return {CloseCause::refused, ReasonCode::client_identifier_not_valid,
              "empty Client Identifier"};
    }
  }
  if (view.client_id.size() > limits.max_client_id_bytes) {
    return {CloseCause::refused, ReasonCode::client_identifier_not_valid,
            "Client Identifier is longer than max_client_id_bytes"};
  }
  if (view.version == Version::v5 && view.properties.has(PropertyId::authentication_method) &&
      (!options_.enhanced_auth || client.is_link ||
       host_.admission(client.listener_id) != Admission::judged)) {
    // [MQTT-4.12.0-1], [MQTT-4.12.0-4]
    return {CloseCause::refused, ReasonCode::bad_authentication_method,
            "Authentication Method is not supported"};
  }
  if (view.has_will) {
    if (view.will_qos > limits.max_qos) {  // [MQTT-3.2.2-12]
      return {CloseCause::capability_refused, ReasonCode::qos_not_supported,
              "Will QoS is above the maximum"};
    }
    if (view.will_retain && !limits.retain_available) {  // [MQTT-3.2.2-13]
      return {CloseCause::capability_refused, ReasonCode::retain_not_supported,
              "retained messages are not available"};
    }
    if (wire::topic_levels(view.will_topic) > limits.max_topic_levels) {
      return {CloseCause::topic_invalid, ReasonCode::topic_name_invalid,
              "Will Topic has too many levels"};
    }
    if (wire::is_system_topic(view.will_topic) && !limits.sys_write) {
      return {CloseCause::refused, ReasonCode::not_authorized, "Will Topic is the broker's own"};
    }
  }
  return {};
}

/// Finds the session of this Client Identifier [MQTT-3.1.3-2] and its home thread: here, or
/// elsewhere, and then the connection goes there.
void Shard::place(Client& client) noexcept {
  if (!connack_fits(client)) {  // [MQTT-3.1.2-24]
    return refuse(client, {CloseCause::packet_too_large, ReasonCode::packet_too_large,
                           "Maximum Packet Size is too small for CONNACK"});
  }
  give_access(client, client.connecting->identity);
  if (!admit_will(client)) return;
  if (client.connecting->beside.valid()) [[unlikely]] return place_beside(client);
  const KeyBytes key(client.connecting->client_id, client.connecting->tenant_prefix_bytes);
  const std::uint64_t hash = tables_.directory.hash(key.bytes());
  for (;;) {
    const SessionRef ref = tables_.directory.find(key.bytes(), hash);
    if (ref.valid() && ref.thread != options_.thread) {
      counters_.add(Counter::connections_migrated);
      if (may_log(contract::LogLevel::debug)) [[unlikely]] {
        log(contract::LogLevel::debug, contract::LogModule::session, client,
            "goes to its session on I/O thread " + std::to_string(ref.thread));
      }
      host_.move_client(client, ref.thread);  // takes `connecting` with it
      client.connecting = nullptr;
      return bury(client);
    }
    Session* existing = ref.valid() ? find_session(ref) : nullptr;
    if (existing != nullptr) return admit(client, existing);
    if (!count_connect(client, nullptr)) return;
    // A valid reference to no session: its key is at rest here.
    auto how = Directory::Inserted::done;
    if (Session* session = make_session(client, ref, how)) {  // [MQTT-3.1.2-6]
      return prepare_session(client, *session);
    }
    if (how == Directory::Inserted::of_another) return refuse_other_user(client);
    // Another thread was faster: look again.
  }
}

/// The session exists, and its home is this thread: takeover, discard or resume, in one step.
void Shard::admit(Client& client, Session* existing) noexcept {
  ConnectState& state = *client.connecting;
  // Resumed, or ended, only by the user who has it.
#ifndef STMQTT_MUTANT_SESSION_FOR_ANY_USER
  const Owner owner{{existing->username, existing->username_bytes}, existing->authenticated};
  if (!owner.may_share({state.username, state.authenticated})) return refuse_other_user(client);
#endif
  // Not counted as a connect: by such attempts nobody can get the one that is connected banned.
#ifndef STMQTT_MUTANT_DUPLICATE_NOT_REJECTED
  if (existing->client() != nullptr &&
      client.limits->duplicates == DuplicateClientId::reject) {
    return refuse(client, {CloseCause::duplicate_client_id, ReasonCode::client_identifier_not_valid,
                           "Client Identifier is connected already (duplicate_client_id)"});
  }
#endif
  if (existing->client() != nullptr && client.limits->duplicates == DuplicateClientId::allow) {
    return join_beside(client, *existing);
  }
  if (!count_connect(client, existing)) return;
  const SessionRef ref = existing->ref();
  if (existing->client() != nullptr) {  // [MQTT-3.1.4-3]
    counters_.add(Counter::takeovers);
    close(*existing->client(), {CloseCause::taken_over, ReasonCode::session_taken_over, nullptr});
    existing = find_session(ref);  // it may have ended with its connection
  }
  if (existing != nullptr && state.view.clean_start) {  // [MQTT-3.1.2-4], [MQTT-3.1.4-4]
    end_session(*existing, contract::SessionEndCause::clean_start);
    existing = nullptr;
  }
  if (existing == nullptr) return place(client);
  counters_.add(Counter::sessions_resumed);  // [MQTT-3.1.2-5]
  prepare_session(client, *existing);
}

void Shard::prepare_session(Client& client, Session& session) noexcept {
  ConnectState& state = *client.connecting;
  const wire::ConnectView& view = state.view;
  // The only sessions here without a username and an expiry are those just made.
  client.session = &session;
  wheel_.cancel(session);  // while connected it does not expire [MQTT-4.1.0-1]
  session.expires_at_ms = 0;
  const bool was_persistent = session.persistent();
  session.expiry_s = state.session_expiry_s;
  session.set_limits(client.limits);
  if (session.subscriptions.size() > 0 && was_persistent != session.persistent()) {
    PoolVector<SubscriptionKey> keys;
    session.subscriptions.keys(keys);
    tables_.trie.set_persistent(session.ref(), {keys.data(), keys.size()}, session.persistent());
  }
  if (session.username != nullptr) pool_free(session.username, session.username_bytes);
  session.username_bytes = static_cast<std::uint32_t>(state.username.size());
  session.username = nullptr;
  if (session.username_bytes > 0) {
    session.username = static_cast<std::uint8_t*>(pool_allocate(session.username_bytes));
    store_bytes(session.username, state.username);
  }
  session.authenticated = state.authenticated;
  session.is_link = client.is_link;
  device_.settle(client, session);
  if (session.identity != nullptr) Identity::destroy(session.identity);
  session.identity = std::exchange(state.identity, nullptr);
  guard(session);
  session.inbound.for_each([](InboundId& id) { id.counted = false; });
  client.version = view.version;
  client.keep_alive_s = state.keep_alive_s;
  client.max_qos = state.max_qos;
  client.problem_information =
      view.properties.number_or(PropertyId::request_problem_information, 1) != 0;
  // [MQTT-3.1.2-24]: nothing larger goes to this client.
  client.max_packet_out =
      view.properties.number_or(PropertyId::maximum_packet_size, wire::kMaxRemainingLength + 5);
  const std::uint32_t receive_maximum =
      view.properties.number_or(PropertyId::receive_maximum, 65'535);
  // The send quota; decode has refused a Receive Maximum of 0 [MQTT-4.9.0-1].
  client.send_maximum = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(receive_maximum, client.limits->max_inflight));
  const std::uint32_t alias_maximum =
      std::min<std::uint32_t>(view.properties.number_or(PropertyId::topic_alias_maximum, 0),
                              client.limits->max_topic_alias_out);
  if (alias_maximum > 0) {  // [MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11]
    client.aliases_out = pool_new<OutgoingAliases>(static_cast<std::uint16_t>(alias_maximum));
  }
  // Session Present: by whether this session was resumed or made for this CONNECT.
  if (session.persistent() && asks_store(gate_, CommitKind::session_begin)) {
    Promise promise;
    promise.kind = PromiseKind::connack;
    promise.client = client.ref;
    promise.session = session.ref();
    promise.ticket = gate_.commit(
        Commit{CommitKind::session_begin, 0, session.ref(), nullptr, nullptr, session.key().bytes()});
    client.state = ClientState::await_store;
    session.set_arriving(&client);
    pause(client, PauseCause::store);
    promises_.push_back(std::move(promise));
    return;
  }
  finish_connect(client);
}

void Shard::finish_connect(Client& client) noexcept {
  Session& session = *client.session;
  client.state = ClientState::active;  // so there is no second CONNACK [MQTT-3.2.0-2]
  client.last_received_ms = cx_.now_ms;
  client.clean_start = client.connecting->view.clean_start;
  session.connected_s = static_cast<std::uint32_t>(cx_.now_ms / 1000);
  drop_will(session);  // a new connection before the delay was over [MQTT-3.1.3-9]
  take_will(session, client.connecting->view);  // only now the CONNECT is accepted
  send_connack(client);  // [MQTT-3.1.4-5]
  const wire::Properties& asked = client.connecting->view.properties;
  if (asked.has(PropertyId::authentication_method)) [[unlikely]] {
    client.auth = AuthState::make(client, asked.view(PropertyId::authentication_method));
    client.auth->kind = kAuthTimer;
  }
  host_.admitted(client);
  const bool resumed = session.resumable;
  session.resumable = true;
  emit_connected(client, static_cast<std::uint8_t>(
                             (client.connecting->view.clean_start ? contract::kConnectCleanStart
                                                                  : 0) |
                             (client.connecting->view.has_will ? contract::kConnectHasWill : 0) |
                             (client.connecting->id_assigned ? contract::kConnectAssignedId : 0) |
                             (resumed ? contract::kConnectSessionPresent : 0) |
                             (client.is_link ? contract::kConnectIsLink : 0)));
  bound_rate(client);
  ConnectState::destroy(client.connecting);
  client.connecting = nullptr;
  counters_.add(client.version == Version::v31    ? Counter::clients_connected_v31
                : client.version == Version::v311 ? Counter::clients_connected_v311
                                                  : Counter::clients_connected_v5);
  schedule_client(client);
  set_members_connected(session, true);
  session.attach(cx_, client);
  pump_scans(session);
  mark_full(session);
  // A ban may have come while it waited for the store, when check_bans() passes it over.
#ifndef STMQTT_MUTANT_NO_BAN_AFTER_STORE
  if (tables_.bans.any()) [[unlikely]] {
    if (is_banned(client, session.client_id(), {session.username, session.username_bytes})) {
      close(client, {CloseCause::banned, ReasonCode::administrative_action, "banned"});
    }
  }
#endif
}

}  // namespace stmqtt
