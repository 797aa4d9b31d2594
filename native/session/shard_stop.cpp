// Shard: connections that the broker itself ends: those of a Client Identifier, and all of them when it
// stops.
// Thread: the shard's.
#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::ReasonCode;

void Shard::disconnect(Bytes client_id, std::uint32_t instance, ReasonCode reason,
                       Bytes reason_text) noexcept {
  PoolVector<SessionRef> meant;
  if (instance == contract::kAnyInstance) {
    tables_.directory.find_all(client_id, meant);
  } else {
    const Directory::Named named = tables_.directory.find_named(client_id, instance);
    for (const SessionRef& ref : {named.of_tenant, named.plain}) {
      if (ref.valid()) meant.push_back(SessionRef{ref});
    }
  }
  if (meant.empty()) counters_.add(Counter::commands_stale);
  for (const SessionRef& ref : meant) send_disconnect(ref, reason, reason_text);
}

void Shard::send_disconnect(const SessionRef& ref, ReasonCode reason, Bytes reason_text) noexcept {
  CrossItem item;
  item.kind = CrossItem::Kind::disconnect;
  item.session = ref;
  item.reason = reason;
  if (!reason_text.empty()) {
    MessageParts parts;
    parts.payload = reason_text;
    item.message = MessageRef::adopt(Message::make(parts));
  }
  if (ref.thread == options_.thread) {
    on_item(item);
  } else {
    host_.post(ref.thread, std::move(item));
  }
}

/// An end costs 30 times what a packet costs, and thousands may come at once, from an operator or a
/// new ban: those who stay get their turns in between.
void Shard::dismiss(Client& client, Dismissal&& dismissal) noexcept {
  if (client.dismissed) return;
  client.dismissed = true;
  dismissal.client = client.ref;
  dismissals_.push_back(std::move(dismissal));
  end_dismissed(kDismissalsPerTurn);
}

/// First come, first served. `most`: in this turn.
void Shard::end_dismissed(std::uint32_t most) noexcept {
  while (!dismissals_.empty() && dismissed_ < most) {
    const Dismissal next = dismissals_.take_front();
    Client* client = find_client(next.client);
    if (client == nullptr || client->state == ClientState::closed) continue;  // gone by itself
    ++dismissed_;
    close(*client, {next.cause, next.reason, next.detail,
                    next.text ? next.text->payload() : Bytes{}});
  }
}

std::size_t Shard::close_all() noexcept {
  std::size_t cut = 0;
  end_dismissed(UINT32_MAX);
  for (std::uint32_t slot = 0; slot < clients_.slots(); ++slot) {
    Client* client = clients_.at(slot);
    if (client == nullptr || client->state == ClientState::closed) continue;
    if (is_owed(*client) && client->outlet->queue.empty()) ++cut;
    close(*client, {CloseCause::shutting_down, ReasonCode::server_shutting_down, nullptr});
  }
  return cut;
}

/// Something that was acknowledged is still to be delivered, or to be acknowledged.
bool Shard::is_owed(const Client& client) noexcept {
  if (client.state != ClientState::active || client.is_link) return false;
  const Session& session = *client.session;
  return session.queued() > 0 || session.in_flight() > 0 || session.scans != nullptr ||
         client.promised_pubacks > 0 || client.promised_pubrecs > 0;
}

std::size_t Shard::close_finished() noexcept {
  end_dismissed(UINT32_MAX);
  std::size_t left = 0;
  for (std::uint32_t slot = 0; slot < clients_.slots(); ++slot) {
    Client* client = clients_.at(slot);
    if (client == nullptr || client->state == ClientState::closed) continue;
    if (is_owed(*client)) {
      ++left;
      continue;
    }
    close(*client, {CloseCause::shutting_down, ReasonCode::server_shutting_down, nullptr});
  }
  return left;
}

}  // namespace stmqtt
