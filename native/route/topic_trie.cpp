// The lock and the versions around TrieNodes. Each change is made, then its versions are bumped,
// then the lock is let go of, and only then does the caller hear of it. A match is built and
// stamped under the shared lock. So whoever compares a stamp after the caller heard of the change
// finds the versions different, and whoever matches afterwards finds the change.
#include "route/topic_trie.hpp"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "base/hash.hpp"
#include "route/match_builder.hpp"
#include "route/trie_nodes.hpp"

namespace stmqtt {

TopicTrie::TopicTrie(TrieOptions options) noexcept
    : nodes_(std::make_unique<TrieNodes>(options.strategy)) {}
TopicTrie::~TopicTrie() = default;

std::uint64_t TopicTrie::hash(Bytes topic) noexcept { return hash_bytes(topic, process_seed()); }

void TopicTrie::set_strategy(SharedStrategy strategy) noexcept {
  const std::lock_guard lock(mutex_);
  nodes_->set_strategy(strategy);
}

SubscribeResult TopicTrie::subscribe(const FilterParts& parts,
                                     const Subscriber& subscriber) noexcept {
  const std::lock_guard lock(mutex_);
  TrieNodes::Change change{};
  SubscribeResult result = nodes_->subscribe(parts, subscriber, change);
  if (change == TrieNodes::Change::changed) versions_.bump(parts.filter);
  return result;
}

bool TopicTrie::unsubscribe(const FilterParts& parts, const SessionRef& session,
                            SubscriptionKey* key) noexcept {
  const std::lock_guard lock(mutex_);
  SubscriptionKey had;
  if (!nodes_->unsubscribe(parts, session, had)) return false;
#ifndef STMQTT_MUTANT_NO_UNSUBSCRIBE_BUMP
  versions_.bump(parts.filter);
#endif
  if (key != nullptr) *key = had;
  return true;
}

std::size_t TopicTrie::remove(const SessionRef& session,
                              std::span<const SubscriptionKey> keys) noexcept {
  std::size_t removed = 0;
  std::string filter;
  while (!keys.empty()) {
    const auto chunk = keys.first(std::min(keys.size(), kRemoveChunk));
    keys = keys.subspan(chunk.size());
    const std::lock_guard lock(mutex_);
    for (const SubscriptionKey key : chunk) {
      // The text must be taken while the node is there.
      if (!nodes_->filter_text(key.node, filter) || !nodes_->remove(session, key)) continue;
#ifndef STMQTT_MUTANT_NO_REMOVE_BUMP
      versions_.bump(as_bytes(filter));
#endif
      ++removed;
    }
  }
  return removed;
}

void TopicTrie::set_persistent(const SessionRef& session, std::span<const SubscriptionKey> keys,
                               bool persistent) noexcept {
  std::string filter;
  while (!keys.empty()) {
    const auto chunk = keys.first(std::min(keys.size(), kRemoveChunk));
    keys = keys.subspan(chunk.size());
    const std::lock_guard lock(mutex_);
    for (const SubscriptionKey key : chunk) {
      if (nodes_->set_persistent(session, key, persistent) == TrieNodes::Change::none) continue;
      if (nodes_->filter_text(key.node, filter)) versions_.bump(as_bytes(filter));
    }
  }
}

bool TopicTrie::set_connected(SubscriptionKey key, const SessionRef& session,
                              bool connected) const noexcept {
  const std::shared_lock lock(mutex_);
  SharedMember* member = nodes_->member(session, key);
  if (member == nullptr) return false;
  member->set_connected(connected);
  return true;
}

MatchRef TopicTrie::match(Bytes topic) const noexcept {
  MatchBuilder builder;
  {
    const std::shared_lock lock(mutex_);
    nodes_->match(topic, builder);
  }
  return builder.build();
}

MatchRef TopicTrie::match(Bytes topic, std::uint64_t topic_hash, Validity& stamp) const noexcept {
  MatchBuilder builder;
  {
    const std::shared_lock lock(mutex_);
    nodes_->match(topic, builder);
#ifndef STMQTT_MUTANT_STAMP_AFTER_UNLOCK
    stamp = versions_.stamp(topic, topic_hash);
#endif
  }
#ifdef STMQTT_MUTANT_STAMP_AFTER_UNLOCK
  { const std::shared_lock behind_waiting_writers(mutex_); }  // so that the gap is met
  stamp = versions_.stamp(topic, topic_hash);
#endif
  return builder.build();
}

Validity TopicTrie::stamp(Bytes topic) const noexcept {
  return versions_.stamp(topic, hash(topic));
}

bool TopicTrie::describe(SubscriptionKey key, const SessionRef& session,
                         SubscriptionText& out) const {
  const std::shared_lock lock(mutex_);
  return nodes_->describe(key, session, out);
}

std::string TopicTrie::filter_of(SubscriptionKey key) const {
  const std::shared_lock lock(mutex_);
  return nodes_->full_filter(key);
}

SharedMembersRef TopicTrie::members_of(SubscriptionKey key) const noexcept {
  const std::shared_lock lock(mutex_);
  return nodes_->members_of(key);
}

SharedMembersRef TopicTrie::members_of(const SharedState& group) const noexcept {
  SharedMembersRef members = members_of(group.key());
  // The id may be another group's by now; the state is counted, so its address cannot be.
  if (members && &members->state() != &group) return {};
  return members;
}

TrieCounts TopicTrie::counts() const noexcept {
  const std::shared_lock lock(mutex_);
  return nodes_->counts();
}

bool TopicTrie::reaches(Bytes levels) const noexcept {
  const std::shared_lock lock(mutex_);
  return nodes_->reaches(levels);
}

}  // namespace stmqtt
