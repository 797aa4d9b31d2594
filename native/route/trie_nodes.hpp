// The trie itself: nodes by 32-bit id, one table (parent, level) -> node, subscribers and groups at
// the nodes. Nodes and level texts without use are freed at once.
// Thread: guarded by TopicTrie's lock; const functions may run on many threads while nobody writes.
#pragma once

#include <cstdint>
#include <string>

#include "route/group_table.hpp"
#include "route/id_arena.hpp"
#include "route/id_table.hpp"
#include "route/level_names.hpp"
#include "route/match_builder.hpp"
#include "route/subscriber_set.hpp"
#include "route/subscription.hpp"
#include "route/topic_levels.hpp"
#include "route/topic_trie.hpp"

namespace stmqtt {

class TrieNodes {
 public:
  explicit TrieNodes(SharedStrategy strategy) noexcept;
  ~TrieNodes();

  enum class Change : std::uint8_t { none, changed };

  /// `change` says whether anything that a match shows is different now.
  SubscribeResult subscribe(const FilterParts& parts, const Subscriber& subscriber,
                            Change& change) noexcept;
  /// False if the session does not have it.
  bool unsubscribe(const FilterParts& parts, const SessionRef& session,
                   SubscriptionKey& key) noexcept;
  bool remove(const SessionRef& session, SubscriptionKey key) noexcept;
  [[nodiscard]] Change set_persistent(const SessionRef& session, SubscriptionKey key,
                                      bool persistent) noexcept;

  void set_strategy(SharedStrategy strategy) noexcept;

  void match(Bytes topic, MatchBuilder& builder) const noexcept;

  /// Null if the session is not in that group.
  [[nodiscard]] SharedMember* member(const SessionRef& session, SubscriptionKey key) const noexcept;
  [[nodiscard]] SharedMembersRef members_of(SubscriptionKey key) const noexcept;
  /// Replaces `text` by the node's filter, without ShareName. False if there is no such node.
  [[nodiscard]] bool filter_text(std::uint32_t node, std::string& text) const;
  /// Empty if the key is stale.
  [[nodiscard]] std::string full_filter(SubscriptionKey key) const;
  [[nodiscard]] bool describe(SubscriptionKey key, const SessionRef& session,
                              SubscriptionText& out) const;
  [[nodiscard]] TrieCounts counts() const noexcept;
  [[nodiscard]] bool reaches(Bytes levels) const noexcept;

 private:
  struct Node {
    std::uint32_t parent;
    std::uint32_t level;        ///< id in LevelNames; 0 = the root, or a freed node
    std::uint32_t children;     ///< how many literal ones, and kHasPlus, kHasHash
    std::uint32_t first_group;  ///< 0 = none
    SubscriberSet subscribers;
  };
  static_assert(sizeof(Node) == 32);

  static constexpr std::uint32_t kRoot = 1;  // the first id of an arena
  static constexpr std::uint32_t kHasPlus = 1u << 31;
  static constexpr std::uint32_t kHasHash = 1u << 30;
  static constexpr std::uint32_t kLiteralChildren = kHasHash - 1;

  [[nodiscard]] static std::uint64_t hash_of(std::uint32_t parent, std::uint32_t level) noexcept;
  [[nodiscard]] std::uint32_t child(std::uint32_t parent, std::uint32_t level) const noexcept;
  [[nodiscard]] std::uint32_t find(Bytes filter) const noexcept;
  [[nodiscard]] bool reaches_from(std::uint32_t node, TopicLevels rest) const noexcept;
  [[nodiscard]] std::uint32_t make(Bytes filter) noexcept;
  [[nodiscard]] std::uint32_t make_child(std::uint32_t parent, Bytes level) noexcept;
  void prune(std::uint32_t node) noexcept;
  [[nodiscard]] bool alive(std::uint32_t node) const noexcept {
    return nodes_.readable(node) && nodes_[node].level != LevelNames::kNone;
  }

  [[nodiscard]] std::uint32_t find_group(std::uint32_t node, Bytes share_name) const noexcept;
  SubscribeResult join(std::uint32_t node, Bytes share_name, const Subscriber& subscriber,
                       Change& change) noexcept;
  void leave(std::uint32_t group, std::size_t member) noexcept;
  void collect(std::uint32_t node, MatchBuilder& builder) const noexcept;

  IdArena<Node> nodes_;
  IdTable table_;  ///< of all nodes but the root
  LevelNames names_;
  GroupTable groups_;
  SharedStrategy strategy_;
  std::uint64_t subscriptions_ = 0;  ///< not shared
  std::uint64_t plain_filters_ = 0;  ///< nodes with subscribers that are not shared
  std::uint64_t memberships_ = 0;
  std::size_t set_bytes_ = 0;  ///< of all subscriber sets beyond their nodes
};

}  // namespace stmqtt
