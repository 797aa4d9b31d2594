// Who gets an Application Message with one Topic Name: an immutable counted block, partitioned by
// home thread, made by the publisher's thread and read by every receiver's.
// Thread: any; only the count changes after TopicTrie::match().
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "base/ids.hpp"
#include "route/counted_ref.hpp"
#include "route/shared_group.hpp"
#include "route/subscription.hpp"

namespace stmqtt {

/// The receivers that live on one I/O thread.
struct Partition {
  ThreadIndex thread = 0;
  bool any_persistent = false;
  std::uint8_t max_qos = 0;  ///< over this partition's receivers
  std::uint32_t first_receiver = 0;
  std::uint32_t receiver_count = 0;
};

enum ReceiverFlag : std::uint8_t {
  kNeedsStore = 1,             ///< a persistent session
  kAnyNoLocal = 2,             ///< at least one hit has No Local
  kAllNoLocal = 4,             ///< every hit has No Local [MQTT-3.8.3-3]
  kAnyRetainAsPublished = 8,   ///< at least one hit has Retain As Published
  kHasSubscriptionIds = 16,    ///< at least one hit has a Subscription Identifier
};

/// One session that gets the message once, however many of its subscriptions match: with their
/// highest QoS and all their Subscription Identifiers [MQTT-3.3.4-2], [MQTT-3.3.4-4].
struct Receiver {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t first_hit = 0;
  std::uint16_t hit_count = 0;
  std::uint8_t max_qos = 0;
  std::uint8_t flags = 0;  ///< ReceiverFlag
};
static_assert(sizeof(Receiver) == 16);

/// One non-shared subscription that matches.
struct Hit {
  std::uint32_t node = 0;             ///< SubscriptionKey::node
  std::uint32_t subscription_id = 0;  ///< 0 = none
  SubscriptionOptions options;
};
static_assert(sizeof(Hit) == 12);

class MatchResult {
 public:
  void acquire() const noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() const noexcept;

  /// Nobody at all, neither a session nor a shared group.
  [[nodiscard]] bool empty() const noexcept { return receiver_count_ == 0 && shared_count_ == 0; }
  /// Nobody who counts as a subscriber: monitors at most.
  [[nodiscard]] bool nobody() const noexcept { return subscribers_ == 0 && shared_count_ == 0; }
  /// A receiver is a persistent session. Shared groups say it themselves, for the member picked.
  [[nodiscard]] bool any_persistent() const noexcept { return any_persistent_; }
  /// Highest QoS granted to any receiver, shared groups not counted.
  [[nodiscard]] std::uint8_t max_qos() const noexcept { return max_qos_; }
  [[nodiscard]] std::uint32_t receiver_count() const noexcept { return receiver_count_; }

  /// In the order of their threads; none is empty.
  [[nodiscard]] std::span<const Partition> partitions() const noexcept {
    return {partitions_at(), partition_count_};
  }
  /// In the order of their slots.
  [[nodiscard]] std::span<const Receiver> receivers(const Partition& partition) const noexcept {
    return {receivers_at() + partition.first_receiver, partition.receiver_count};
  }
  [[nodiscard]] std::span<const Hit> hits(const Receiver& receiver) const noexcept {
    return {hits_at() + receiver.first_hit, receiver.hit_count};
  }
  /// Groups of which one member each gets the message; they live as long as this result.
  [[nodiscard]] std::span<SharedMembers* const> shared() const noexcept {
    return {shared_at(), shared_count_};
  }
  /// Physical size of this block.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  MatchResult(const MatchResult&) = delete;
  MatchResult& operator=(const MatchResult&) = delete;

 private:
  friend class MatchBuilder;
  MatchResult() noexcept = default;
  ~MatchResult() = default;

  // The block: this head, shared groups, partitions, receivers, hits.
  [[nodiscard]] SharedMembers* const* shared_at() const noexcept {
    return reinterpret_cast<SharedMembers* const*>(this + 1);
  }
  [[nodiscard]] const Partition* partitions_at() const noexcept {
    return reinterpret_cast<const Partition*>(shared_at() + shared_count_);
  }
  [[nodiscard]] const Receiver* receivers_at() const noexcept {
    return reinterpret_cast<const Receiver*>(partitions_at() + partition_count_);
  }
  [[nodiscard]] const Hit* hits_at() const noexcept {
    return reinterpret_cast<const Hit*>(receivers_at() + receiver_count_);
  }

  std::size_t bytes_ = 0;
  mutable std::atomic<std::uint32_t> refs_{1};
  std::uint32_t shared_count_ = 0;
  std::uint32_t partition_count_ = 0;
  std::uint32_t receiver_count_ = 0;
  std::uint32_t subscribers_ = 0;  ///< hits that are no monitor's
  bool any_persistent_ = false;
  std::uint8_t max_qos_ = 0;
};

using MatchRef = CountedRef<const MatchResult>;

}  // namespace stmqtt
