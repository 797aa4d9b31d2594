#include "session/ban_table.hpp"

#include <algorithm>
#include <compare>
#include <cstring>

namespace stmqtt {
namespace {

/// The address with all but its first bits cleared.
IpNetwork network_of(const IpAddress& address, unsigned bits) noexcept {
  IpNetwork network;
  network.address.kind = address.kind;
  network.prefix_bits = static_cast<std::uint8_t>(bits);
  std::memcpy(network.address.bytes, address.bytes, bits / 8);
  if (bits % 8 != 0) {
    network.address.bytes[bits / 8] =
        static_cast<std::uint8_t>(address.bytes[bits / 8] & (0xFF00U >> bits % 8));
  }
  return network;
}

std::size_t family_of(const IpAddress& address) noexcept {
  return address.kind == IpAddress::Kind::v4 ? 0 : 1;
}

}  // namespace

bool BanTable::NetworkLess::operator()(const IpNetwork& a, const IpNetwork& b) const noexcept {
  if (a.address.kind != b.address.kind) return a.address.kind < b.address.kind;
  if (a.prefix_bits != b.prefix_bits) return a.prefix_bits < b.prefix_bits;
  return std::memcmp(a.address.bytes, b.address.bytes, sizeof a.address.bytes) < 0;
}

std::string BanTable::key_of(BanKind kind, std::string_view value) {
  std::string key(1, static_cast<char>('0' + static_cast<int>(kind)));
  key += value;
  return key;
}

BanTable::Added BanTable::add(Ban ban) {
  IpNetwork network;
  if (ban.kind == BanKind::address) {
    network = parse_ip_network(ban.value);
    if (!network.address.known()) return Added::no_network;
  }
  const std::lock_guard lock(mutex_);
  auto found = bans_.find(key_of(ban.kind, ban.value));
  if (ban.kind == BanKind::address && found == bans_.end()) {
    // The same network in another spelling is the same ban.
    const auto known = networks_.find(network);
    if (known != networks_.end()) found = bans_.find(known->second);
  }
  const bool replaces = found != bans_.end();
  if (replaces) erase(found);
  if (bans_.size() >= kMaxBans && (ban.source == BanSource::flapping || !make_room())) {
    return Added::full;
  }
  std::string key = key_of(ban.kind, ban.value);
  if (ban.expires_ms != Ban::kNever) expiring_.emplace(ban.expires_ms, key);
  if (ban.kind == BanKind::address) {
    networks_.emplace(network, key);
    ++prefixes_[family_of(network.address)][network.prefix_bits];
  }
  bans_.emplace(std::move(key), std::move(ban));
  count_.store(bans_.size(), std::memory_order_relaxed);
  return replaces ? Added::replaced : Added::added;
}

/// Whoever connects often under many Client Identifiers must not keep operators from banning.
bool BanTable::make_room() {
  for (const auto& [time, key] : expiring_) {
    const auto at = bans_.find(key);
    if (at->second.source != BanSource::flapping) continue;
    erase(at);
    return true;
  }
  return false;
}

void BanTable::erase(std::map<std::string, Ban>::iterator at) {
  const Ban& ban = at->second;
  if (ban.expires_ms != Ban::kNever) expiring_.erase({ban.expires_ms, at->first});
  if (ban.kind == BanKind::address) {
    const IpNetwork network = parse_ip_network(ban.value);
    networks_.erase(network);
    --prefixes_[family_of(network.address)][network.prefix_bits];
  }
  bans_.erase(at);
  count_.store(bans_.size(), std::memory_order_relaxed);
}

bool BanTable::remove(BanKind kind, std::string_view value) {
  const std::lock_guard lock(mutex_);
  auto found = bans_.find(key_of(kind, value));
  if (found == bans_.end() && kind == BanKind::address) {
    const auto known = networks_.find(parse_ip_network(value));
    if (known != networks_.end()) found = bans_.find(known->second);
  }
  if (found == bans_.end()) return false;
  erase(found);
  return true;
}

std::size_t BanTable::expire(std::uint64_t now_ms) {
  if (!any()) return 0;
  const std::lock_guard lock(mutex_);
  std::size_t expired = 0;
  while (!expiring_.empty() && expiring_.begin()->first <= now_ms) {
    const std::string key = expiring_.begin()->second;
    erase(bans_.find(key));
    ++expired;
  }
  return expired;
}

bool BanTable::holds(BanKind kind, std::string_view value, std::uint64_t now_ms,
                     Sources sources) const {
  if (!any()) return false;
  const std::string key = key_of(kind, value);
  const std::lock_guard lock(mutex_);
  const auto found = bans_.find(key);
  return found != bans_.end() && now_ms < found->second.expires_ms &&
         (sources == Sources::all || found->second.source == BanSource::admin);
}

bool BanTable::bans_client(std::string_view client_id, std::uint64_t now_ms) const {
  return !client_id.empty() && holds(BanKind::client, client_id, now_ms);
}

bool BanTable::bans_name(std::string_view name, std::uint64_t now_ms) const {
  return !name.empty() && holds(BanKind::client, name, now_ms, Sources::admin);
}

bool BanTable::bans_user(std::string_view username, std::uint64_t now_ms) const {
  return !username.empty() && holds(BanKind::user, username, now_ms);
}

bool BanTable::bans_address(const IpAddress& address, std::uint64_t now_ms) const {
  if (!any() || !address.known()) return false;
  const std::lock_guard lock(mutex_);
  const auto& prefixes = prefixes_[family_of(address)];
  const unsigned longest = address.kind == IpAddress::Kind::v4 ? 32 : 128;
  for (unsigned bits = 0; bits <= longest; ++bits) {
    if (prefixes[bits] == 0) continue;
    const auto found = networks_.find(network_of(address, bits));
    if (found != networks_.end() && now_ms < bans_.find(found->second)->second.expires_ms) {
      return true;
    }
  }
  return false;
}

std::vector<Ban> BanTable::list(std::string& cursor, std::size_t limit,
                                std::uint64_t now_ms) const {
  std::vector<Ban> page;
  const std::lock_guard lock(mutex_);
  auto at = bans_.upper_bound(cursor);
  for (; at != bans_.end() && page.size() < limit; ++at) {
    cursor = at->first;
    if (now_ms < at->second.expires_ms) page.push_back(at->second);
  }
  if (at == bans_.end()) cursor.clear();
  return page;
}

}  // namespace stmqtt
