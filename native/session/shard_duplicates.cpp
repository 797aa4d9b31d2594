// Shard: connections of one Client Identifier beside its first (`duplicate_client_id = "allow"`). The
// first has the session of the Client Identifier; each other one has a session of its own, on the I/O
// thread that it came to, which ends with its connection and is found by its number.
// Thread: the shard's.
#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::ReasonCode;

void Shard::refuse_other_user(Client& client) noexcept {
  refuse(client, {CloseCause::refused, ReasonCode::not_authorized,
                  "Client Identifier belongs to another user"});
}

/// Whether it may be was asked here, where the first is; it goes back to where it came from, so that
/// many with one Client Identifier are not all on one thread.
void Shard::join_beside(Client& client, const Session& first) noexcept {
  ConnectState& state = *client.connecting;
  state.beside = first.ref();
  if (state.came_to == options_.thread) return place(client);
  counters_.add(Counter::connections_migrated);
  host_.move_client(client, state.came_to);  // takes `connecting` with it
  client.connecting = nullptr;
  bury(client);
}

/// place() for one beside the first. It finds no session and takes nothing over.
void Shard::place_beside(Client& client) noexcept {
  ConnectState& state = *client.connecting;
  const std::uint32_t asked_s = std::exchange(state.session_expiry_s, 0);  // 3.2.2.3.2
  if (!connack_fits(client)) {  // what is granted is told, and so it is longer
    return refuse(client, {CloseCause::packet_too_large, ReasonCode::packet_too_large,
                           "Maximum Packet Size is too small for CONNACK"});
  }
  if (!count_connect(client, nullptr)) return;
  const KeyBytes base(state.client_id, state.tenant_prefix_bytes);
  SessionKey* key = SessionKey::make_beside(base.bytes(), state.client_id.size(),
                                            tables_.directory.hash(base.bytes()));
  Session& session = new_session(client, key);
  if (!tables_.directory.insert_beside(*key, session.ref(), state.beside,
                                       {state.username, state.authenticated})) {
    // The first has gone, so that whoever comes now may be it: all is asked anew.
    sessions_.erase(session.ref().slot);
    pool_delete(&session);
    state.beside = SessionRef{};
    state.session_expiry_s = asked_s;
    return place(client);
  }
  counters_.add(Counter::sessions_created);
  counters_.add(Counter::duplicates_admitted);
  counters_.add(Counter::duplicates_connected);
  prepare_session(client, session);
}

SessionRef Shard::find_home(Bytes client_id, std::uint32_t instance) const noexcept {
  return tables_.directory.find_named(client_id, instance).first();
}

Instance Shard::who_is_there(const SessionRef& found) const noexcept {
  const Session* session = find_session(found);
  if (session == nullptr) return {found, 0};
  const std::uint32_t number = session->key().instance();
  if (session->client() != nullptr) return {found, number};
  const Instance other = tables_.directory.least_beside(session->key());
  return other.session.valid() ? other : Instance{found, number};
}

bool Shard::kick_beside(const SessionRef& ref, ReasonCode reason, Bytes reason_text) noexcept {
  const Session* session = find_session(ref);
  if (session == nullptr) return false;
  PoolVector<Instance> others;
  tables_.directory.find_beside(session->key(), others);
  bool any = false;
  for (const Instance& other : others) {
    if (other.session == ref) continue;
    send_disconnect(other.session, reason, reason_text);
    any = true;
  }
  return any;
}

}  // namespace stmqtt
