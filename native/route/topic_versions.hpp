// Tells whether what was matched for a Topic Name still holds, without a lock: a global version,
// and striped versions so that one new filter invalidates only the topics that it may match. A
// filter without wildcards bumps the stripe of itself; one with wildcards that of the literal
// levels before its first wildcard (at most kMaxPrefixLevels); one that starts with a wildcard
// bumps the root stripe, on which every topic depends. A topic depends on the stripes of all its
// prefixes and of itself. Versions only grow, so a topic's stripes are unchanged if their sum is
// (modulo 2^32: an entry would have to miss exactly that many changes). Collisions of stripes only cost a match that was not needed.
// Thread: any thread reads; bump() is called under the trie's exclusive lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"

namespace stmqtt {

/// When a match was made, in the terms of one topic. Made by TopicTrie::match() or stamp().
struct Validity {
  static constexpr std::size_t kMaxStripes = 7;  ///< kMaxPrefixLevels and the topic itself

  std::uint32_t global = 0;  ///< the global version that `sum` is known to hold for; 0 = never
  std::uint32_t sum = 0;     ///< of the stripes' versions and of the root stripe's, modulo 2^32
  std::uint16_t stripe_count = 0;
  std::array<std::uint16_t, kMaxStripes> stripes{};
};

class TopicVersions {
 public:
  static constexpr std::size_t kStripes = 65536;
  static constexpr std::size_t kMaxPrefixLevels = 6;

  /// `topic_hash` is TopicTrie::hash(topic).
  [[nodiscard]] Validity stamp(Bytes topic, std::uint64_t topic_hash) const noexcept;

  /// One load if nothing at all was subscribed or unsubscribed since; else it compares the stripes
  /// and, if they hold, brings the stamp up to date.
  [[nodiscard]] bool valid(Validity& stamp) const noexcept {
    // Acquire: whoever made this version visible had bumped the stripe before.
    const std::uint32_t global = global_.load(std::memory_order_acquire);
    if (global == stamp.global) [[likely]] return true;
    return holds(stamp, global);
  }

  /// Says that `filter` began or ceased to match; after the change itself, before the lock is let
  /// go of.
  void bump(Bytes filter) noexcept;

 private:
  using Version = std::atomic<std::uint32_t>;
  [[nodiscard]] bool holds(Validity& stamp, std::uint32_t global) const noexcept;
  [[nodiscard]] std::uint32_t sum_of(const Validity& stamp) const noexcept;

  alignas(64) Version global_{1};
  alignas(64) Version root_{0};
  const std::unique_ptr<Version[]> stripes_ = std::make_unique<Version[]>(kStripes);
};

}  // namespace stmqtt
