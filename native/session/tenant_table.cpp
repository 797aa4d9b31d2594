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

bool TenantTable::enter(std::string_view tenant, Bound bound) {
  const std::lock_guard lock(mutex_);
  auto found = tenants_.find(tenant);
#ifndef STMQTT_MUTANT_TENANTS_NEVER_FULL
  const std::uint32_t connections = found == tenants_.end() ? 0 : found->second.connections;
  if (bound == Bound::holds && bounds_.max_connections != 0 &&
      connections >= bounds_.max_connections) {
    return false;
  }
#endif
  if (found == tenants_.end()) {
    found = tenants_.try_emplace(std::string(tenant)).first;
    found->second.rates.messages.set(bounds_.messages_per_s);
    found->second.rates.bytes.set(bounds_.bytes_per_s);
  }
  ++found->second.connections;
  return true;
}

SharedRates* TenantTable::rates(std::string_view tenant) {
  const std::lock_guard lock(mutex_);
  if ((bounds_.messages_per_s | bounds_.bytes_per_s) == 0) return nullptr;
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? nullptr : &found->second.rates;
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
