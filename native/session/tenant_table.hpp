// How many connections each tenant has, and what its clients may send together. A tenant is here as
// long as it has a connection, or one on its way to CONNACK. Asked at CONNECT and at the end of a
// connection; never by traffic.
// Thread: any. Lock order: its lock is a leaf.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "session/rate_bucket.hpp"

namespace stmqtt {

/// The same for each tenant; 0 = no bound.
struct TenantBounds {
  std::uint32_t max_connections = 0;
  std::uint32_t messages_per_s = 0;
  std::uint32_t bytes_per_s = 0;

  bool operator==(const TenantBounds&) const noexcept = default;
};

class TenantTable {
 public:
  void set(const TenantBounds& bounds);
  enum class Bound : std::uint8_t { holds, ignored };
  /// Counts one in, unless that would be one too many and the bound holds.
  [[nodiscard]] bool enter(std::string_view tenant, Bound bound);
  /// Of a tenant that has one counted in: what its clients may send together, null = anything; valid
  /// until the last one leaves.
  [[nodiscard]] SharedRates* rates(std::string_view tenant);
  void leave(std::string_view tenant);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Entry {
    std::uint32_t connections = 0;
    SharedRates rates;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> tenants_;
  TenantBounds bounds_;
};

/// A connection's place among those of its tenant while it is on its way to CONNACK; given back with it.
class TenantPlace {
 public:
  TenantPlace() = default;
  TenantPlace(const TenantPlace&) = delete;
  TenantPlace& operator=(const TenantPlace&) = delete;
  ~TenantPlace() {
    if (table_ != nullptr) table_->leave(tenant_);
  }
  /// Once; again is as good as once. False = the tenant is full.
  [[nodiscard]] bool take(TenantTable& table, std::string_view tenant, TenantTable::Bound bound) {
    if (table_ != nullptr) return true;
    if (!table.enter(tenant, bound)) return false;
    table_ = &table;
    tenant_ = tenant;
    return true;
  }
  /// It is the client's from now on, whose end calls TenantTable::leave(). What the clients of its
  /// tenant may send together; null = anything, or it has no tenant.
  [[nodiscard]] SharedRates* pass_on() {
    return table_ == nullptr ? nullptr : std::exchange(table_, nullptr)->rates(tenant_);
  }

 private:
  TenantTable* table_ = nullptr;
  std::string tenant_;
};

}  // namespace stmqtt
