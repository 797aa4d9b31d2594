// Who subscribes to what: one for the broker. SUBSCRIBE, UNSUBSCRIBE and the end of a session write
// it; a publisher's thread matches in it when its MatchCache has nothing valid for a Topic Name.
// Lock: one reader-writer lock inside; no call holds it longer than one filter, kRemoveChunk
// filters or one match. Nothing is called back under it.
// Thread: any.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "route/match_result.hpp"
#include "route/shared_group.hpp"
#include "route/subscription.hpp"
#include "route/topic_versions.hpp"
#include "route/writer_first_mutex.hpp"

namespace stmqtt {

class TrieNodes;

struct TrieOptions {
  SharedStrategy strategy = SharedStrategy::roundrobin;
};

struct SubscribeResult {
  SubscriptionKey key;
  bool existed = false;    ///< the session had this filter; its options were replaced
  SharedMemberRef member;  ///< only of a Shared Subscription
};

/// One subscription as it stands.
struct SubscriptionText {
  std::string filter;  ///< as subscribed with, $share/ShareName/ included
  std::uint32_t subscription_id = 0;
  SubscriptionOptions options;
};

struct TrieCounts {
  std::uint64_t subscriptions = 0;  ///< shared ones included
  std::uint64_t filters = 0;        ///< distinct ones; of a group each counts once
  std::uint64_t shared_subscriptions = 0;
  std::uint64_t shared_groups = 0;
  std::uint64_t nodes = 0;
  std::uint64_t levels = 0;  ///< distinct level texts
  std::uint64_t bytes = 0;   ///< physical, without member lists
};

class TopicTrie {
 public:
  static constexpr std::size_t kRemoveChunk = 64;

  explicit TopicTrie(TrieOptions options = {}) noexcept;
  ~TopicTrie();
  TopicTrie(const TopicTrie&) = delete;
  TopicTrie& operator=(const TopicTrie&) = delete;

  /// The hash of a Topic Name that match(), stamp() and MatchCache want.
  [[nodiscard]] static std::uint64_t hash(Bytes topic) noexcept;

  /// Once this returns, every find() or match() that starts afterwards sees it, on any thread, so
  /// SUBACK may be sent. A session that has the filter already gets the new options and
  /// identifier in its place [MQTT-3.8.4-3]; a member of a group keeps its place and presence, but
  /// as another object: hold on to the one returned last. A new member counts as connected.
  SubscribeResult subscribe(const FilterParts& parts, const Subscriber& subscriber) noexcept;

  /// False if the session does not have the filter. `key`, if given, gets the key it had.
  bool unsubscribe(const FilterParts& parts, const SessionRef& session,
                   SubscriptionKey* key = nullptr) noexcept;

  /// Ends many of a session's subscriptions, letting others in between chunks. Returns how many
  /// there were; unknown keys are skipped.
  std::size_t remove(const SessionRef& session, std::span<const SubscriptionKey> keys) noexcept;

  /// The session's persistence changed (a resuming CONNECT with another Session Expiry Interval).
  void set_persistent(const SessionRef& session, std::span<const SubscriptionKey> keys,
                      bool persistent) noexcept;

  /// Same as SubscribeResult::member's set_connected(), for who did not keep it. False if the
  /// session is not in that group.
  bool set_connected(SubscriptionKey key, const SessionRef& session, bool connected) const noexcept;

  /// How members are picked from now on, in groups that are there too.
  void set_strategy(SharedStrategy strategy) noexcept;

  /// Never null. `topic` is a Topic Name: no wildcards [MQTT-3.3.2-2].
  [[nodiscard]] MatchRef match(Bytes topic) const noexcept;
  /// As above, and says for how long it holds: the stamp is taken under the same lock, so no
  /// change can fall between the two.
  [[nodiscard]] MatchRef match(Bytes topic, std::uint64_t topic_hash,
                               Validity& stamp) const noexcept;
  [[nodiscard]] Validity stamp(Bytes topic) const noexcept;
  [[nodiscard]] bool valid(Validity& stamp) const noexcept { return versions_.valid(stamp); }

  /// The Topic Filter as subscribed with, $share/ShareName/ included. Empty if the key is stale.
  [[nodiscard]] std::string filter_of(SubscriptionKey key) const;
  /// False if the session does not have it.
  [[nodiscard]] bool describe(SubscriptionKey key, const SessionRef& session,
                              SubscriptionText& out) const;
  /// Who can take over what a member did not deliver. Null if the group has no member left.
  [[nodiscard]] SharedMembersRef members_of(const SharedState& group) const noexcept;
  [[nodiscard]] SharedMembersRef members_of(SubscriptionKey key) const noexcept;

  [[nodiscard]] TrieCounts counts() const noexcept;
  /// Whether a filter may match a Topic Name that begins with these levels. May say yes to a
  /// filter that ends with them.
  [[nodiscard]] bool reaches(Bytes levels) const noexcept;

 private:
  mutable WriterFirstMutex mutex_;
  TopicVersions versions_;
  std::unique_ptr<TrieNodes> nodes_;  ///< guarded by mutex_
};

}  // namespace stmqtt
