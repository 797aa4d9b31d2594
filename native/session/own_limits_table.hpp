// Limits of clients whose verdict differs from their listener's: equal ones are one, so that a fleet
// of a thousand clients with the same plan has one copy. Bounded: beyond kMaxKept different ones, new
// numbers are rounded down to powers of two, of which there are few.
// Thread: any. Lock order: its lock is a leaf.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "session/identity.hpp"
#include "session/limits.hpp"

namespace stmqtt {

class OwnLimitsTable {
 public:
  static constexpr std::size_t kMaxKept = 4096;
  /// The smallest that lets a client do anything.
  static constexpr std::uint32_t kMinPacketSize = 64;

  /// `base` itself where nothing differs. Lives as long as the table.
  [[nodiscard]] const Limits* of(const Limits& base, const OwnLimits& own) {
    Limits wanted = base;
    if (own.max_packet_size != contract::kVerdictUnset32) {
      wanted.max_packet_size = std::max(own.max_packet_size, kMinPacketSize);
    }
    if (own.max_subscriptions != contract::kVerdictUnset32) {
      wanted.max_subscriptions = own.max_subscriptions;
    }
    if (wanted == base) return &base;
    const std::lock_guard lock(mutex_);
    if (const Limits* known = find(base, wanted)) return known;
    if (kept_.size() >= kMaxKept) {
      wanted.max_packet_size = std::max(std::bit_floor(wanted.max_packet_size), kMinPacketSize);
      wanted.max_subscriptions = std::bit_floor(wanted.max_subscriptions);
      if (const Limits* known = find(base, wanted)) return known;
    }
    auto made = std::make_unique<const Kept>(Kept{wanted, &base});
    return &kept_.emplace(key_of(wanted), std::move(made))->second->limits;
  }
  /// The listener's limits that these were made from; themselves where of() has not made them.
  [[nodiscard]] const Limits* base_of(const Limits* limits) const {
    const std::lock_guard lock(mutex_);
    const auto [first, last] = kept_.equal_range(key_of(*limits));
    for (auto at = first; at != last; ++at) {
      if (&at->second->limits == limits) return at->second->base;
    }
    return limits;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return kept_.size();
  }

 private:
  struct Kept {
    Limits limits;
    const Limits* base;  ///< borrowed, outlives this
  };

  [[nodiscard]] static std::uint64_t key_of(const Limits& limits) noexcept {
    return std::uint64_t{limits.max_packet_size} << 32 | limits.max_subscriptions;
  }
  [[nodiscard]] const Limits* find(const Limits& base, const Limits& wanted) const {
    const auto [first, last] = kept_.equal_range(key_of(wanted));
    for (auto at = first; at != last; ++at) {
      if (at->second->base == &base && at->second->limits == wanted) return &at->second->limits;
    }
    return nullptr;
  }

  mutable std::mutex mutex_;
  std::unordered_multimap<std::uint64_t, std::unique_ptr<const Kept>> kept_;
};

}  // namespace stmqtt
