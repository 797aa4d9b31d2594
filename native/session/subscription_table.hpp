// The subscriptions of one session: which nodes of the trie, not which strings. Open addressing by
// (node, group); 24 bytes for each at most. Thread: the session's home thread.
#pragma once

#include <cstdint>

#include "base/vec.hpp"
#include "route/subscription.hpp"

namespace stmqtt {

struct SubscriptionRecord {
  SubscriptionKey key;
  /// Retained messages up to this sequence were scanned for it, so that live copies of them are
  /// skipped; 0 = nothing was scanned.
  std::uint64_t scanned_since : 40 = 0;
  std::uint64_t made : 23 = 0;   ///< low bits of its first ticket: keys are used again
  std::uint64_t stored : 1 = 0;  ///< the store granted it
};

static_assert(sizeof(SubscriptionRecord) == 16);

/// Names one subscription while its session lives, also after it ended.
struct SubscriptionName {
  SubscriptionKey key;
  std::uint32_t made = 0;
  [[nodiscard]] static constexpr std::uint32_t made_of(std::uint64_t ticket) noexcept {
    return ticket & 0x7FFFFF;
  }
  friend constexpr bool operator==(const SubscriptionName&,
                                   const SubscriptionName&) noexcept = default;
};

class SubscriptionTable {
 public:
  SubscriptionTable() noexcept = default;
  SubscriptionTable(const SubscriptionTable&) = delete;
  SubscriptionTable& operator=(const SubscriptionTable&) = delete;
  ~SubscriptionTable();

  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
  /// Null if absent. Valid until the next insert or erase.
  [[nodiscard]] SubscriptionRecord* find(SubscriptionKey key) noexcept;
  /// Adds it, or finds the one that is there.
  SubscriptionRecord& insert(SubscriptionKey key) noexcept;
  bool erase(SubscriptionKey key) noexcept;
  /// Copies all keys.
  void keys(PoolVector<SubscriptionKey>& out) const noexcept;
  void clear() noexcept;

 private:
  [[nodiscard]] std::uint32_t mask() const noexcept { return capacity_ - 1; }
  [[nodiscard]] std::uint32_t place(SubscriptionKey key) const noexcept;
  void grow() noexcept;

  SubscriptionRecord* slots_ = nullptr;  ///< key.node 0xFFFFFFFF = empty
  std::uint32_t count_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace stmqtt
