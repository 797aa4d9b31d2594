// Shard: how sessions begin; how connections end, and what that means for sessions, Wills and shared
// groups.
#include "base/pool.hpp"
#include "session/shard.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using contract::SessionEndCause;
using wire::PropertyId;
using wire::ReasonCode;
using wire::Version;

namespace {

/// How often an idle client is looked at, to give unused memory back.
constexpr std::uint64_t kHousekeepingMs = 30'000;

}  // namespace

void Shard::on_disconnect(Client& client, std::uint8_t first_byte, Bytes body) noexcept {
  wire::DisconnectView view;
  const ReasonCode reason = wire::decode_disconnect(first_byte, body, client.version,
                                                    wire::Direction::from_client, view);
  if (reason != ReasonCode::success) {  // [MQTT-3.14.1-1]
    return close(client, {reason == ReasonCode::malformed_packet ? CloseCause::malformed_packet
                                                                 : CloseCause::protocol_error,
                          reason, view.fault});
  }
  Session& session = *client.session;
  if (client.is_v5() && view.properties.has(PropertyId::session_expiry_interval)) {
    const std::uint32_t asked = view.properties.number(PropertyId::session_expiry_interval);
    // [MQTT-3.14.2-2] is the server's; 3.14.2.2.2. A connection beside the first may have asked for
    // more than 0, and keeps no session whatever it asks.
    const bool is_beside = session.key().instance() != 0;
    if (asked != 0 && session.expiry_s == 0 && !is_beside) {
      return close(client, {CloseCause::protocol_error, ReasonCode::protocol_error,
                            "Session Expiry Interval changed from 0 at DISCONNECT"});
    }
    session.expiry_s = is_beside ? 0 : std::min(asked, client.limits->max_session_expiry_s);
  }
  // [MQTT-3.14.4-3]: the Will goes, unless the client asks for it.
  if (view.reason == ReasonCode::normal_disconnection) drop_will(session);
  client.left = true;
  if (client.outlet->queue.empty() && host_.put_off_end(client)) return;
  close(client, {CloseCause::client_disconnect, ReasonCode::success, nullptr});
}

void Shard::close(Client& client, const Closing& given) noexcept {
  if (client.state == ClientState::closed) return;
  // Whatever ends it before its turn comes: it had gone.
  const Closing gone = {CloseCause::client_disconnect, ReasonCode::success, nullptr};
#ifdef STMQTT_MUTANT_GOODBYE_FORGOTTEN
  const Closing& closing = given;
#else
  const Closing& closing = client.left ? gone : given;
#endif
  const bool admitted = client.state == ClientState::active;
  CloseMode mode = CloseMode::flush;
  switch (closing.cause) {
    case CloseCause::peer_closed:
    case CloseCause::socket_error:
    case CloseCause::link_closed:
    case CloseCause::tls_failed:  // these three said their last words themselves
    case CloseCause::proxy_header_invalid:
    case CloseCause::websocket_failed:
      mode = CloseMode::now;
      break;
    case CloseCause::client_disconnect:
      // What it was promised in this very turn still goes out.
      if (client.outlet->queue.empty()) mode = CloseMode::now;
      break;
    default:
      break;
  }
  // DISCONNECT with the reason; only v5 knows one from the server [MQTT-3.14.0-1].
  if (admitted && client.is_v5() && closing.reason != ReasonCode::success) {
    wire::DisconnectOut out;
    out.reason = closing.reason;
    wire::Properties properties;
    const char* text =
        closing.detail != nullptr ? closing.detail : wire::reason_text(closing.reason);
    properties.set_view(PropertyId::reason_string,
                        closing.reason_text.empty() ? as_bytes(text) : closing.reason_text);
    out.properties = &properties;
    // [MQTT-3.14.2-3]; User Properties are never sent [MQTT-3.14.2-4]
    if (wire::size_disconnect(out) > client.max_packet_out) out.properties = nullptr;
    PoolVector<std::uint8_t> buffer;
    buffer.resize(wire::size_disconnect(out));
    wire::encode_disconnect(out, buffer.data());
    client.outlet->queue.append({buffer.data(), buffer.size()});
    client.outlet->mark();
    counters_.add(Counter::packets_sent);
    counters_.add(Counter::packets_sent_disconnect);
  }
  if (admitted) {
    emit_disconnected(client, closing);
    counters_.add(client.version == Version::v31    ? Counter::clients_disconnected_v31
                  : client.version == Version::v311 ? Counter::clients_disconnected_v311
                                                    : Counter::clients_disconnected_v5);
  } else {
    emit_refused(client, closing);
    counters_.add(Counter::connections_refused);
    counters_.add(contract::refused_counter(closing.cause));
  }
  counters_.add(contract::closed_counter(closing.cause));
  if (tap_.active()) [[unlikely]] host_.show_written(client);
  Session* session = client.session;
  client.session = nullptr;
  if (admitted) {
    if (session->identity != nullptr && !session->identity->tenant().empty()) {
      tables_.tenants.leave(as_text(session->identity->tenant()));
    }
    session->last_cause = static_cast<std::uint8_t>(closing.cause);
    session->disconnected_s = static_cast<std::uint32_t>(cx_.now_ms / 1000);
  }
  // Nothing more is written [MQTT-3.14.4-1], and the connection is closed [MQTT-3.14.4-2],
  // [MQTT-4.13.1-1].
  client.state = ClientState::closed;
  host_.close_client(client, mode, closing.cause);
  bury(client);
  if (session != nullptr) detach_session(*session);
}

/// The session is without a connection from now on; it stays until it expires [MQTT-3.1.2-23].
void Shard::detach_session(Session& session) noexcept {
  session.detach(cx_);
  set_members_connected(session, false);
  const bool ends = session.expiry_s == 0;
#ifndef STMQTT_MUTANT_NO_REDISPATCH
  redispatch(session, ends);
#endif
  if (session.will != nullptr) {
    if (session.will->delay_s == 0 || ends) {  // [MQTT-3.1.2-8]
      publish_will(session);
    } else if (session.will_due_ms == 0) {  // else it runs already: a resumption failed
      session.will_due_ms = cx_.now_ms + session.will->delay_s * 1000ULL;
    }
  }
  if (ends) return end_session(session, SessionEndCause::with_connection);
  if (session.expiry_s != kNeverExpires) {
    session.expires_at_ms = cx_.now_ms + session.expiry_s * 1000ULL;
  }
  mark_full(session);
  schedule_session(session);
}

/// `resting`: what the directory has for a key at rest, else invalid. Null if the directory has not
/// taken it; `how` says why.
Session* Shard::make_session(Client& client, SessionRef resting,
                             Directory::Inserted& how) noexcept {
  const ConnectState& state = *client.connecting;
  const Bytes client_id = state.client_id;
  const KeyBytes bytes(client_id, state.tenant_prefix_bytes);
  SessionKey* key = SessionKey::make(bytes.bytes(), client_id.size(),
                                     tables_.directory.hash(bytes.bytes()));
  Session& session = new_session(client, key);
  const Owner owner{state.username, state.authenticated};
  how = resting.valid() ? tables_.directory.replace(*key, session.ref(), owner)
                        : tables_.directory.insert(*key, session.ref(), owner);
  if (how != Directory::Inserted::done) {
    sessions_.erase(session.ref().slot);
    pool_delete(&session);
    return nullptr;
  }
  if (resting.valid() && hooks_.holds()) adopt_held(session);
  counters_.add(Counter::sessions_created);
  return &session;
}

/// Not in the directory yet.
Session& Shard::new_session(const Client& client, SessionKey* key) noexcept {
  auto* session = static_cast<Session*>(pool_allocate(sizeof(Session)));
  const auto name = sessions_.insert(session);
  new (session) Session({name.slot, name.generation, options_.thread}, key, client.limits);
  session->kind = kSessionTimer;
  session->created_s = static_cast<std::uint32_t>(cx_.now_ms / 1000);
  return *session;
}

void Shard::set_members_connected(Session& session, bool connected) noexcept {
  if (session.subscriptions.size() == 0) return;
  PoolVector<SubscriptionKey> keys;
  session.subscriptions.keys(keys);
  for (const SubscriptionKey key : keys) {
    if (key.shared()) tables_.trie.set_connected(key, session.ref(), connected);
  }
}

/// Unsent messages and unacknowledged QoS 1 of shared groups go to other members; where the
/// session stays, only to connected ones.
void Shard::redispatch(Session& session, bool session_ends) noexcept {
  if (session.in_flight() == 0 && session.queued() == 0) return;
  const SessionRef self = session.ref();
  RingQueue<Delivery> taken;
  session.take_shared(
      cx_,
      [&](SharedState& group) {
        const SharedMembersRef members = tables_.trie.members_of(group);
        if (!members) return false;
        for (const SharedMember* member : members->members()) {
          if (member->session() == self) continue;
          // It could not take what a service holds of devices; with the session all is lost anyway.
          const bool takes_less =
              member->options().narrow() && (session.device & kDeviceScoped) == 0;
          if (takes_less && !session_ends) continue;
          if (session_ends || member->connected()) return true;
        }
        return false;
      },
      taken);
  while (!taken.empty()) {
    Delivery d = taken.take_front();
    const SharedMembersRef members = tables_.trie.members_of(*shared_group(d));
    if (members) {
      Publication publication(*d.message, scratch_);
      counters_.add(Counter::shared_redispatched);
      deliver_shared(publication, *members, TopicTrie::hash(d.message->topic()), self, 0);
    } else {
      counters_.add(Counter::dropped_shared_no_member);
    }
    drop_delivery(d);
  }
}

/// The session is not connected.
void Shard::end_session(Session& session, SessionEndCause cause) noexcept {
  wheel_.cancel(session);
  if (!renamed_.empty()) renamed_.forget(session.ref());
  // It ends before the Will's delay is over: now is the time [MQTT-3.1.3-9].
  if (session.will != nullptr) publish_will(session);
  PoolVector<SubscriptionKey> keys;
  session.subscriptions.keys(keys);
  const std::size_t removed =
      tables_.trie.remove(session.ref(), {keys.data(), keys.size()});
  counters_.add(Counter::subscriptions_removed, static_cast<std::int64_t>(removed));
  for (RetainedScan* scan = session.scans; scan != nullptr; scan = scan->next) {
    if (scan->handover != nullptr) handovers_.give_back(*scan->handover);
  }
  if (cause != SessionEndCause::with_connection) redispatch(session, true);
  session.discard(cx_);
  if (session.marked_full) tables_.full.set(session.ref(), 0);
  if (session.persistent()) {
    gate_.note(Commit{CommitKind::session_end, 0, session.ref(), nullptr, nullptr,
                      session.key().bytes()});
  }
  counters_.add(Counter::sessions_ended);
  if (session.key().instance() != 0) counters_.add(Counter::duplicates_connected, -1);
  if (cause == SessionEndCause::expired) counters_.add(Counter::sessions_expired);
  contract::SessionEnded event{};
  event.cause = static_cast<std::uint16_t>(cause);
  event.client_id_bytes = static_cast<std::uint32_t>(session.client_id().size());
  event.instance = session.key().instance();
  host_.event(contract::EventKind::session_ended, event.header, sizeof event,
              {session.client_id()});
  rest_key(session);
  sessions_.erase(session.ref().slot);
  pool_delete(&session);
}

/// Where messages of this client may still be on their way to other threads, its Client Identifier
/// stays with this thread until they arrived: from another one, what a new session publishes could
/// overtake them.
void Shard::rest_key(Session& session) noexcept {
  if (hooks_.holds() && orphan_held(session)) return;
  // Whoever gets its number next is another client.
  if (session.key().instance() != 0) return tables_.directory.erase(session.key());
#ifndef STMQTT_MUTANT_KEYS_DO_NOT_REST
  if (host_.crossing()) {
    tables_.directory.rest(session.key());
    resting_.push_back(session.release_key());
    return;
  }
#endif
  tables_.directory.erase(session.key());
}

void Shard::forget_resting() noexcept {
  if (!marked_.empty()) {
    if (!host_.passed_mark()) return;
    for (SessionKey* key : marked_) {
      tables_.directory.forget(*key);
      SessionKey::destroy(key);
    }
    marked_.clear();
  }
  if (resting_.empty()) return;
  std::swap(marked_, resting_);
  host_.mark_crossing();
}

void Shard::schedule_session(Session& session) noexcept {
  std::uint64_t due = session.will_due_ms;
  if (session.expires_at_ms != 0 && (due == 0 || session.expires_at_ms < due)) {
    due = session.expires_at_ms;
  }
  if (due != 0) wheel_.schedule(session, due);
}

void Shard::on_session_timer(Session& session) noexcept {
  if (session.will_due_ms != 0 && session.will_due_ms <= cx_.now_ms) publish_will(session);
  if (session.expires_at_ms != 0 && session.expires_at_ms <= cx_.now_ms) {  // [MQTT-4.1.0-2]
    return end_session(session, SessionEndCause::expired);
  }
  schedule_session(session);
}

void Shard::schedule_client(Client& client) noexcept {
  std::uint64_t due = cx_.now_ms + kHousekeepingMs;
  if (client.keep_alive_s != 0) {
    const std::uint64_t deadline = client.last_received_ms + client.keep_alive_s * 1500ULL;
    if (deadline < due) due = deadline;
  }
  const Identity* identity = client.session->identity;
  if (identity != nullptr && identity->expires_at_ms != 0) {
    due = std::min(due, identity->expires_at_ms);
  }
  wheel_.schedule(client, due);
}

/// Until then a CONNECT, or an AUTH before CONNACK, may take at most, whatever we make it wait: or those
/// who see to it that their bytes always wait would stay for ever.
std::uint64_t Shard::latest_arrival_ms(const Client& client) const noexcept {
  const std::uint32_t time_ms = client.state == ClientState::await_auth
                                    ? options_.verdict_timeout_ms
                                    : client.limits->connect_timeout_ms;
  // When it came, or when our AUTH went out.
  return client.last_received_ms + 2 * std::uint64_t{time_ms};
}

void Shard::on_waited(Client& client, std::uint64_t waited_ms) noexcept {
  const bool awaited =
      client.state == ClientState::await_connect || client.state == ClientState::await_auth;
  if (!awaited || !client.scheduled()) return;
  wheel_.schedule(client, std::min(client.tick * TimerWheel::kTickMs + waited_ms,
                                   latest_arrival_ms(client)));
}

void Shard::on_client_timer(Client& client) noexcept {
  switch (client.state) {
    case ClientState::await_connect:
    case ClientState::await_auth:
      if (const std::uint64_t waited_ms = host_.take_wait_ms(client);
          waited_ms > 0 && cx_.now_ms < latest_arrival_ms(client)) {
        wheel_.schedule(client, std::min(cx_.now_ms + waited_ms, latest_arrival_ms(client)));
        return;
      }
      if (client.state == ClientState::await_auth) {
        return refuse(client, {CloseCause::connect_timeout, ReasonCode::not_authorized,
                               "no AUTH in time"});
      }
      return close(client, {CloseCause::connect_timeout, ReasonCode::success,
                            "no complete CONNECT in time"});
    case ClientState::await_verdict:
      return refuse(client, {CloseCause::refused, ReasonCode::server_unavailable,
                             "no verdict in time"});
    case ClientState::await_store:
    case ClientState::closed:
      return;
    case ClientState::active:
      break;
  }
#ifdef STMQTT_MUTANT_CREDENTIALS_LAST
  const Identity* identity = nullptr;
#else
  const Identity* identity = client.session->identity;
#endif
  if (identity != nullptr && identity->expires_at_ms != 0 &&
      identity->expires_at_ms <= cx_.now_ms) {
    // The code for a connection that was authorized for a time, which is over (MQTT 5.0, 2.4):
    // 0x87 would say that the client had done something.
    return close(client, {CloseCause::credentials_expired, ReasonCode::maximum_connect_time,
                          "the time that the credentials allow is over"});
  }
  // Keep Alive does not run while it is us who do not read.
  if (client.paused != 0) client.last_received_ms = cx_.now_ms;
  if (client.keep_alive_s != 0 &&
      cx_.now_ms >= client.last_received_ms + client.keep_alive_s * 1500ULL) {
    return close(client, {CloseCause::keep_alive_timeout,  // [MQTT-3.1.2-22]
                          ReasonCode::keep_alive_timeout, nullptr});
  }
  if (cx_.now_ms - client.last_received_ms > kHousekeepingMs / 2) client.session->trim();
  schedule_client(client);
}

/// Tells publishers on all threads whether this session's queue takes more, with some hysteresis.
void Shard::mark_full(Session& session) noexcept {
  if (session.limits().queue_overflow != QueueOverflow::refuse) return;
  const bool full = session.marked_full ? session.queue_is_nearly_full() : session.queue_is_full();
  if (full == session.marked_full) return;
  session.marked_full = full;
  tables_.full.set(session.ref(), full ? 1 : 0);
}

}  // namespace stmqtt
