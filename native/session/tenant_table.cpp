#include "session/tenant_table.hpp"

namespace stmqtt {

void TenantTable::set(const TenantBounds& bounds) {
  const std::lock_guard lock(mutex_);
  bounds_ = bounds;
  for (auto& [tenant, entry] : tenants_) {
    entry.rates.messages.set(bounds.messages_per_s);
    entry.rates.bytes.set(bounds.bytes_per_s);
  }
}

bool TenantTable::is_full(std::string_view tenant) const {
  const std::lock_guard lock(mutex_);
#ifdef STMQTT_MUTANT_TENANTS_NEVER_FULL
  return false;
#endif
  if (bounds_.max_connections == 0) return false;
  const auto found = tenants_.find(tenant);
  return found != tenants_.end() && found->second.connections >= bounds_.max_connections;
}

SharedRates* TenantTable::enter(std::string_view tenant) {
  const std::lock_guard lock(mutex_);
  auto found = tenants_.find(tenant);
  if (found == tenants_.end()) {
    found = tenants_.try_emplace(std::string(tenant)).first;
    found->second.rates.messages.set(bounds_.messages_per_s);
    found->second.rates.bytes.set(bounds_.bytes_per_s);
  }
  ++found->second.connections;
  return (bounds_.messages_per_s | bounds_.bytes_per_s) == 0 ? nullptr : &found->second.rates;
}

void TenantTable::leave(std::string_view tenant) {
  const std::lock_guard lock(mutex_);
  const auto found = tenants_.find(tenant);
  if (found != tenants_.end() && --found->second.connections == 0) tenants_.erase(found);
}

std::size_t TenantTable::size() const {
  const std::lock_guard lock(mutex_);
  return tenants_.size();
}

}  // namespace stmqtt
