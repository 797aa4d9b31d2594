#include "route/topic_versions.hpp"

#include "base/hash.hpp"
#include "route/topic_levels.hpp"

namespace stmqtt {
namespace {

// A filter without wildcards and one with them have different stripes, though their texts agree as
// far as they go: "a" must not invalidate all of "a/...".
constexpr std::uint64_t kPrefixSalt = 0x5BF03635F0A31B85;

std::uint16_t stripe_of(std::uint64_t hash) noexcept {
  return static_cast<std::uint16_t>(hash % TopicVersions::kStripes);
}
std::uint16_t stripe_of_prefix(Bytes prefix) noexcept {
  return stripe_of(hash_bytes(prefix, process_seed() ^ kPrefixSalt));
}
Bytes prefix_until(Bytes topic, Bytes level) noexcept {
  return topic.first(static_cast<std::size_t>(level.data() + level.size() - topic.data()));
}

}  // namespace

Validity TopicVersions::stamp(Bytes topic, std::uint64_t topic_hash) const noexcept {
  Validity stamp;
  // First, so that a change between this load and those of the stripes is found later.
  stamp.global = global_.load(std::memory_order_acquire);
  stamp.stripes[stamp.stripe_count++] = stripe_of(topic_hash);
  TopicLevels levels(topic);
  Bytes level;
  while (stamp.stripe_count <= kMaxPrefixLevels && levels.next(level)) {
    stamp.stripes[stamp.stripe_count++] = stripe_of_prefix(prefix_until(topic, level));
  }
  stamp.sum = sum_of(stamp);
  return stamp;
}

std::uint32_t TopicVersions::sum_of(const Validity& stamp) const noexcept {
  std::uint32_t sum = root_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < stamp.stripe_count; ++i) {
    sum += stripes_[stamp.stripes[i]].load(std::memory_order_relaxed);
  }
  return sum;
}

bool TopicVersions::holds(Validity& stamp, std::uint32_t global) const noexcept {
  if (stamp.stripe_count == 0) return false;
#ifndef STMQTT_MUTANT_CACHE_IGNORES_STRIPES
  if (sum_of(stamp) != stamp.sum) return false;
#endif
  // `global` was loaded before the stripes: a later change is not taken for known.
  stamp.global = global;
  return true;
}

void TopicVersions::bump(Bytes filter) noexcept {
  // Only the holder of the lock writes: load and store need not be one step.
  const auto advance = [](Version& version, std::memory_order order) {
    version.store(version.load(std::memory_order_relaxed) + 1, order);
  };
  Bytes prefix;
  bool wildcard = false;
  std::size_t prefix_levels = 0;
  TopicLevels levels(filter);
  for (Bytes level; levels.next(level);) {
    wildcard = is_plus(level) || is_hash(level);
    if (wildcard) break;
    if (prefix_levels == kMaxPrefixLevels) continue;
    prefix = prefix_until(filter, level);
    ++prefix_levels;
  }
  if (!wildcard) {
#ifndef STMQTT_MUTANT_NO_EXACT_BUMP
    advance(stripes_[stripe_of(hash_bytes(filter, process_seed()))], std::memory_order_relaxed);
#endif
  } else if (prefix_levels == 0) {
#ifndef STMQTT_MUTANT_NO_ROOT_BUMP
    advance(root_, std::memory_order_relaxed);
#endif
  } else {
#ifndef STMQTT_MUTANT_NO_WILDCARD_BUMP
    advance(stripes_[stripe_of_prefix(prefix)], std::memory_order_relaxed);
#endif
  }
#ifndef STMQTT_MUTANT_NO_GLOBAL_BUMP
  // Release: who sees this sees the stripe and, behind the lock, the change.
  advance(global_, std::memory_order_release);
#endif
}

}  // namespace stmqtt
