// How many connections each tenant has, and what its clients may send together. A tenant is here as
// long as it has a connection. Asked at CONNECT and at the end of a connection; never by traffic.
// Thread: any. Lock order: its lock is a leaf.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

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
  /// One connection more would be one too many.
  [[nodiscard]] bool is_full(std::string_view tenant) const;
  /// Counts one in. What its clients may send together, null = anything; valid until leave().
  [[nodiscard]] SharedRates* enter(std::string_view tenant);
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

}  // namespace stmqtt
