// Collects what a walk through the trie finds, and makes one MatchResult of it. Collecting is done
// under the trie's lock, sorting and merging after it.
// Thread: one.
#pragma once

#include <cstdint>

#include "route/match_result.hpp"
#include "route/scratch_vec.hpp"
#include "route/shared_group.hpp"
#include "route/subscriber_set.hpp"

namespace stmqtt {

class MatchBuilder {
 public:
  MatchBuilder() noexcept = default;
  ~MatchBuilder();
  MatchBuilder(const MatchBuilder&) = delete;
  MatchBuilder& operator=(const MatchBuilder&) = delete;

  void add(std::uint32_t node, const SubscriberSet& subscribers) noexcept;
  void add(SharedMembersRef group) noexcept { shared_.push_back(group.detach()); }

  /// Once.
  [[nodiscard]] MatchRef build() noexcept;

 private:
  struct Found {
    std::uint64_t place;  ///< thread and slot
    std::uint32_t generation;
    Hit hit;
    bool persistent;
  };

  [[nodiscard]] static bool before(const Found& a, const Found& b) noexcept;
  [[nodiscard]] static bool same_session(const Found& a, const Found& b) noexcept {
    return a.place == b.place && a.generation == b.generation;
  }
  void fill(MatchResult& result) noexcept;

  ScratchVec<Found, 24> found_;
  ScratchVec<SharedMembers*, 8> shared_;  ///< a count of each, until build() gives them away
};

}  // namespace stmqtt
