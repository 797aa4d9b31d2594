#include "route/shared_group.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/pool.hpp"

namespace stmqtt {

SharedState* SharedState::make(SharedStrategy strategy, SubscriptionKey key) noexcept {
  return ::new (pool_allocate(sizeof(SharedState))) SharedState(strategy, key);
}

void SharedState::release() const noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    pool_free(const_cast<SharedState*>(this), sizeof(SharedState));
  }
}

SharedMember* SharedMember::make(const Subscriber& subscriber, SharedState& state,
                                 std::uint32_t serial) noexcept {
  return ::new (pool_allocate(sizeof(SharedMember))) SharedMember(subscriber, state, serial);
}

void SharedMember::release() const noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  auto* self = const_cast<SharedMember*>(this);
  self->~SharedMember();
  pool_free(self, sizeof(SharedMember));
}

SharedMembers* SharedMembers::make(SharedState& state,
                                   std::span<SharedMember* const> members) noexcept {
  static_assert(alignof(SharedMembers) >= alignof(SharedMember*) &&
                sizeof(SharedMembers) % alignof(SharedMember*) == 0);
  void* block = pool_allocate(sizeof(SharedMembers) + members.size_bytes());
  auto* self =
      ::new (block) SharedMembers(state, static_cast<std::uint32_t>(members.size()));
  auto* to = reinterpret_cast<SharedMember**>(self + 1);
  for (SharedMember* member : members) {
    member->acquire();
    *to++ = member;
    self->any_persistent_ = self->any_persistent_ || member->persistent();
    self->max_qos_ = std::max(self->max_qos_, member->options().qos());
  }
  return self;
}

void SharedMembers::release() const noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (const SharedMember* member : members()) member->release();
  auto* self = const_cast<SharedMembers*>(this);
  const std::size_t bytes = sizeof(SharedMembers) + members().size_bytes();
  self->~SharedMembers();
  pool_free(self, bytes);
}

// Chooses among the members that `eligible` accepts.
class SharedPicker {
 public:
  explicit SharedPicker(const SharedMembers& members) noexcept
      : members_(members.members()), state_(members.state()) {}

  template <class Eligible>
  [[nodiscard]] const SharedMember* choose(const PickContext& context,
                                           const Eligible& eligible) const noexcept {
    switch (state_.strategy()) {
      case SharedStrategy::roundrobin:
        return next_in_turn(eligible);
      case SharedStrategy::random:
        return by_number(context.random, eligible);
      case SharedStrategy::sticky:
        return stay(eligible);
      case SharedStrategy::hash_clientid:
        return by_number(context.publisher_hash, eligible);
      case SharedStrategy::hash_topic:
        return by_number(context.topic_hash, eligible);
    }
    return nullptr;
  }

 private:
  // Whoever is passed over uses up his own turn, not his successor's: each eligible member gets the
  // same share, however the others lie between.
  template <class Eligible>
  [[nodiscard]] const SharedMember* next_in_turn(const Eligible& eligible) const noexcept {
    const std::size_t count = members_.size();
    std::uint32_t turn = 0;
    for (std::size_t tries = 0; tries < count; ++tries) {
      turn = state_.cursor_.fetch_add(1, std::memory_order_relaxed);
      const SharedMember* member = members_[turn % count];
      if (eligible(*member)) return member;
    }
    // Other threads may have had the turns of those who were eligible.
    return first_from(turn % count, eligible);
  }

  // The same number gives the same member while he is eligible, whatever the others do; members who
  // are passed over spread over all others.
  template <class Eligible>
  [[nodiscard]] const SharedMember* by_number(std::uint64_t number,
                                              const Eligible& eligible) const noexcept {
    constexpr unsigned kTries = 8;
    const std::size_t count = members_.size();
    for (unsigned tries = 0; tries < kTries; ++tries) {
      const SharedMember* member = members_[mix64(number + tries) % count];
      if (eligible(*member)) return member;
    }
    std::size_t left = 0;
    for (const SharedMember* member : members_) left += eligible(*member) ? 1 : 0;
    if (left == 0) return nullptr;
    // Presence may change between the two passes; then the last one seen will do.
    std::size_t skip = mix64(number + kTries) % left;
    const SharedMember* last = nullptr;
    for (const SharedMember* member : members_) {
      if (!eligible(*member)) continue;
      last = member;
      if (skip-- == 0) break;
    }
    return last;
  }

  // The member chosen before; when he has left, the one who joined first.
  template <class Eligible>
  [[nodiscard]] const SharedMember* stay(const Eligible& eligible) const noexcept {
    std::uint32_t chosen = state_.sticky_.load(std::memory_order_relaxed);
    if (const SharedMember* member = find(chosen); member != nullptr && eligible(*member)) {
      return member;
    }
    const SharedMember* oldest = first_from(0, eligible);
    if (oldest == nullptr) return nullptr;
    if (!state_.sticky_.compare_exchange_strong(chosen, oldest->serial(),
                                                std::memory_order_relaxed)) {
      // Another thread chose meanwhile: follow it.
      const SharedMember* member = find(chosen);
      if (member != nullptr && eligible(*member)) return member;
    }
    return oldest;
  }

  template <class Eligible>
  [[nodiscard]] const SharedMember* first_from(std::size_t start,
                                               const Eligible& eligible) const noexcept {
    const std::size_t count = members_.size();
    for (std::size_t passed = 0; passed < count; ++passed) {
      const SharedMember* member = members_[(start + passed) % count];
      if (eligible(*member)) return member;
    }
    return nullptr;
  }

  [[nodiscard]] const SharedMember* find(std::uint32_t serial) const noexcept {
    const auto at = std::ranges::lower_bound(members_, serial, {}, &SharedMember::serial);
    return at != members_.end() && (*at)->serial() == serial ? *at : nullptr;
  }

  const std::span<SharedMember* const> members_;
  SharedState& state_;
};

const SharedMember* pick(const SharedMembers& members, const PickContext& context,
                         ExcludeSet exclude) noexcept {
  const SharedPicker picker(members);
  const auto excluded = [&](const SharedMember& member) {
#ifdef STMQTT_MUTANT_SHARED_IGNORES_EXCLUSION
    exclude = exclude.first(0);
#endif
    return std::ranges::find(exclude, member.session()) != exclude.end();
  };
  if (context.of_device) {
    const auto opened = [&](const SharedMember& candidate) {
      return !candidate.options().narrow() && !excluded(candidate);
    };
    const SharedMember* best = picker.choose(context, [&](const SharedMember& candidate) {
      return candidate.connected() && opened(candidate);
    });
    if (best == nullptr) best = picker.choose(context, opened);
    if (best != nullptr) return best;
  }
  const SharedMember* member =
      picker.choose(context, [&](const SharedMember& candidate) {
#ifdef STMQTT_MUTANT_SHARED_IGNORES_PRESENCE
        return !excluded(candidate);
#else
        return candidate.connected() && !excluded(candidate);
#endif
      });
  if (member != nullptr) return member;
  return picker.choose(context,
                       [&](const SharedMember& candidate) { return !excluded(candidate); });
}

}  // namespace stmqtt
