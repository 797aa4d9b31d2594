// Shard: clients that are banned, and those that come so often that they are to be.
#include <string>

#include "session/shard.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::ReasonCode;

namespace {

/// Clients looked at in one turn, so that others get theirs.
constexpr std::uint32_t kCheckedPerTurn = 4096;

/// Where tenants only come with verdicts, a ban of a name without one is of all who call themselves so:
/// it was, before anybody was asked. Empty = it has no tenant, or its name is no one's alone.
Bytes own_name(const Client& client, Bytes client_id) noexcept {
#ifdef STMQTT_MUTANT_NO_BAN_OF_NAMES
  return {};
#endif
  if (!client.limits->tenant_by_verdict()) return {};
  std::size_t prefix = 0;
  if (client.connecting != nullptr) {
    prefix = client.connecting->tenant_prefix_bytes;
  } else if (client.session != nullptr && client.session->identity != nullptr) {
    const Bytes tenant = client.session->identity->tenant();
    prefix = tenant.empty() ? 0 : tenant.size() + 1;
  }
  return prefix == 0 ? Bytes{} : client_id.subspan(prefix);
}

}  // namespace

bool Shard::is_banned(const Client& client, Bytes client_id, Bytes username) const noexcept {
  const BanTable& bans = tables_.bans;
  // A link is this process itself.
  if (!bans.any() || client.is_link) return false;
  return bans.bans_client(as_text(client_id), cx_.now_ms) ||
         bans.bans_name(as_text(own_name(client, client_id)), cx_.now_ms) ||
         bans.bans_user(as_text(username), cx_.now_ms) ||
         bans.bans_address(host_.ip_address(client), cx_.now_ms);
}

void Shard::refuse_banned(Client& client) noexcept {
  refuse(client, {CloseCause::banned, ReasonCode::banned, "banned"});
}

/// Only where the Client Identifier is this client's to use: otherwise others could get it banned.
bool Shard::count_connect(Client& client, Session* existing) noexcept {
  const Identity* identity = client.connecting->identity;
  // Whoever takes a connection over takes its place.
  const bool takes_over = existing != nullptr && existing->client() != nullptr;
  const auto bound = takes_over ? TenantTable::Bound::ignored : TenantTable::Bound::holds;
  if (identity != nullptr && !identity->tenant().empty() &&
      !client.connecting->tenant_place.take(tables_.tenants, as_text(identity->tenant()), bound)) {
    counters_.add(Counter::refused_tenant_connections);
    refuse(client, {CloseCause::quota_exceeded, ReasonCode::quota_exceeded,
                    "its tenant has max_connections_per_tenant"});
    return false;
  }
  if (!tables_.flaps.on() || client.is_link || client.connecting->connect_counted) return true;
  // Where many may use a Client Identifier, how often it comes says nothing of one of them.
#ifndef STMQTT_MUTANT_DUPLICATES_FLAP
  if (client.limits->duplicates == DuplicateClientId::allow) return true;
#endif
  client.connecting->connect_counted = true;
  const Bytes client_id = client.connecting->client_id;
  const std::size_t prefix = client.connecting->tenant_prefix_bytes;
  const KeyBytes key(client_id, prefix);
  if (!tables_.flaps.flaps(tables_.directory.hash(key.bytes()), cx_.now_ms)) return true;
  // A ban is of a name, and this one may be that of a tenant's client.
  if (prefix == 0 && KeyBytes::tenant_prefix_in(client_id) != 0 && tables_.tenants.size() > 0) {
    refuse(client, {CloseCause::quota_exceeded, ReasonCode::quota_exceeded, "connects too often"});
    return false;
  }
  Ban ban;
  ban.kind = BanKind::client;
  ban.source = BanSource::flapping;
  ban.value = as_text(client_id);
  ban.reason = "connects too often";
  ban.expires_ms = cx_.now_ms + tables_.flaps.ban_ms();
  const BanTable::Added added = tables_.bans.add(std::move(ban));
  counters_.add(added == BanTable::Added::full ? Counter::bans_not_kept : Counter::bans_flapping);
  if (existing != nullptr && existing->client() != nullptr) {
    close(*existing->client(), {CloseCause::banned, ReasonCode::administrative_action,
                                "banned: connects too often"});
  }
  refuse(client, {CloseCause::banned, ReasonCode::banned, "banned: connects too often"});
  return false;
}

void Shard::check_bans() noexcept {
  ban_slot_ = 0;
  wheel_.schedule(ban_timer_, cx_.now_ms);
}

void Shard::step_ban_check() noexcept {
  const std::uint32_t end = ban_slot_ + kCheckedPerTurn;
  for (; ban_slot_ < end && ban_slot_ < clients_.slots(); ++ban_slot_) {
    Client* client = clients_.at(ban_slot_);
    // Whoever is on the way to CONNACK was looked at, or will be.
    if (client == nullptr || !client->active()) continue;
    const Session& session = *client->session;
    if (!is_banned(*client, session.client_id(), {session.username, session.username_bytes})) {
      continue;
    }
    // 0x8A is for CONNACK only (MQTT 5.0, table 2-6).
    dismiss(*client, {{}, CloseCause::banned, ReasonCode::administrative_action, "banned"});
  }
  if (ban_slot_ < clients_.slots()) wheel_.schedule(ban_timer_, cx_.now_ms);
}

}  // namespace stmqtt
