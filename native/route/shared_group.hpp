// Shared Subscriptions: who is in a group, and which member gets a message. The state belongs to
// (ShareName, Topic Filter). A match result carries an immutable member list, so a pick needs no
// lock; only the cursor, the sticky choice and the members' presence are atomic.
// Thread: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "base/ids.hpp"
#include "route/counted_ref.hpp"
#include "route/subscription.hpp"

namespace stmqtt {

enum class SharedStrategy : std::uint8_t { roundrobin, random, sticky, hash_clientid, hash_topic };

/// What a group remembers between picks; outlives the group while a list or session holds it.
class SharedState {
 public:
  [[nodiscard]] static SharedState* make(SharedStrategy strategy, SubscriptionKey key) noexcept;
  void acquire() const noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() const noexcept;

  [[nodiscard]] SharedStrategy strategy() const noexcept {
    return strategy_.load(std::memory_order_relaxed);
  }
  void set_strategy(SharedStrategy strategy) noexcept {
    strategy_.store(strategy, std::memory_order_relaxed);
  }
  [[nodiscard]] SubscriptionKey key() const noexcept { return key_; }

 private:
  friend class SharedPicker;
  SharedState(SharedStrategy strategy, SubscriptionKey key) noexcept
      : strategy_(strategy), key_(key) {}

  mutable std::atomic<std::uint32_t> refs_{1};
  std::atomic<std::uint32_t> cursor_{0};
  std::atomic<std::uint32_t> sticky_{0};  ///< serial of the member that gets all; 0 = none yet
  std::atomic<SharedStrategy> strategy_;
  const SubscriptionKey key_;
};

using SharedStateRef = CountedRef<SharedState>;

/// One session's subscription to a group. Everything but presence and persistence is immutable:
/// subscribing again with other options makes a new one.
class SharedMember {
 public:
  /// Count of one. `serial` orders the group's members by the time they joined.
  [[nodiscard]] static SharedMember* make(const Subscriber& subscriber, SharedState& state,
                                          std::uint32_t serial) noexcept;
  void acquire() const noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() const noexcept;

  [[nodiscard]] const SessionRef& session() const noexcept { return session_; }
  [[nodiscard]] SubscriptionOptions options() const noexcept { return options_; }
  [[nodiscard]] std::uint32_t subscription_id() const noexcept {
    return subscription_id_;
  }
  [[nodiscard]] bool persistent() const noexcept {
    return persistent_.load(std::memory_order_relaxed);
  }
  /// By the trie, which then makes a new list.
  void set_persistent(bool persistent) noexcept {
    persistent_.store(persistent, std::memory_order_relaxed);
  }
  [[nodiscard]] SubscriptionKey key() const noexcept { return state_->key(); }
  [[nodiscard]] std::uint32_t node() const noexcept { return state_->key().node; }
  [[nodiscard]] std::uint32_t serial() const noexcept { return serial_; }
  [[nodiscard]] SharedState& state() const noexcept { return *state_; }

  /// A member starts connected; its home thread says when that changes. No lock, no invalidation.
  [[nodiscard]] bool connected() const noexcept {
    return connected_.load(std::memory_order_relaxed);
  }
  void set_connected(bool connected) noexcept {
    connected_.store(connected, std::memory_order_relaxed);
  }

 private:
  SharedMember(const Subscriber& subscriber, SharedState& state, std::uint32_t serial) noexcept
      : persistent_(subscriber.persistent),
        state_(SharedStateRef::share(&state)),
        session_(subscriber.session),
        subscription_id_(subscriber.subscription_id),
        serial_(serial),
        options_(subscriber.options) {}
  ~SharedMember() = default;

  mutable std::atomic<std::uint32_t> refs_{1};
  std::atomic<bool> connected_{true};
  std::atomic<bool> persistent_;
  const SharedStateRef state_;
  const SessionRef session_;
  const std::uint32_t subscription_id_;
  const std::uint32_t serial_;
  const SubscriptionOptions options_;
};

using SharedMemberRef = CountedRef<SharedMember>;

/// What a pick may depend on.
struct PickContext {
  std::uint64_t topic_hash = 0;
  std::uint64_t publisher_hash = 0;  ///< of the publisher's Client Identifier
  std::uint64_t random = 0;          ///< fresh for every pick
  bool of_device = false;            ///< a device topic: others come before narrow members
};

/// Sessions that were picked for this message before and turned out to be gone; borrowed.
using ExcludeSet = std::span<const SessionRef>;

/// The members of a group at one moment, in the order in which they joined; never empty.
class SharedMembers {
 public:
  /// One block, count of one; takes a count of each member.
  [[nodiscard]] static SharedMembers* make(SharedState& state,
                                           std::span<SharedMember* const> members) noexcept;
  void acquire() const noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() const noexcept;

  [[nodiscard]] SharedState& state() const noexcept { return *state_; }
  [[nodiscard]] std::span<SharedMember* const> members() const noexcept {
    return {reinterpret_cast<SharedMember* const*>(this + 1), count_};
  }
  [[nodiscard]] bool any_persistent() const noexcept { return any_persistent_; }
  [[nodiscard]] std::uint8_t max_qos() const noexcept { return max_qos_; }

  SharedMembers(const SharedMembers&) = delete;
  SharedMembers& operator=(const SharedMembers&) = delete;

 private:
  SharedMembers(SharedState& state, std::uint32_t count) noexcept
      : state_(SharedStateRef::share(&state)), count_(count) {}
  ~SharedMembers() = default;

  mutable std::atomic<std::uint32_t> refs_{1};
  std::uint8_t max_qos_ = 0;
  bool any_persistent_ = false;
  SharedStateRef state_;
  std::uint32_t count_;
};

using SharedMembersRef = CountedRef<SharedMembers>;

/// The member that gets this message: a connected one if there is any, else a disconnected one; of
/// a device topic one that may get it, connected or not, before all that only may get their own:
/// so many of these do not keep it from those;
/// null if all are excluded. A home thread that finds the member gone adds its session to
/// `exclude` and picks again, so that a message visits each member at most once. The result lives
/// as long as `members` does.
[[nodiscard]] const SharedMember* pick(const SharedMembers& members, const PickContext& context,
                                       ExcludeSet exclude) noexcept;

}  // namespace stmqtt
