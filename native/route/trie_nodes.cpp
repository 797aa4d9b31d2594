#include "route/trie_nodes.hpp"

#include "base/hash.hpp"
#include "route/scratch_vec.hpp"
#include "route/topic_levels.hpp"

namespace stmqtt {

TrieNodes::TrieNodes(SharedStrategy strategy) noexcept : strategy_(strategy) {
  static_cast<void>(nodes_.allocate());  // the root
}

TrieNodes::~TrieNodes() {
  for (std::uint32_t id = kRoot; id < nodes_.end_id(); ++id) {
    if (alive(id)) nodes_[id].subscribers.clear();
  }
}

void TrieNodes::set_strategy(SharedStrategy strategy) noexcept {
  strategy_ = strategy;
  groups_.set_strategy(strategy);
}

// ---- nodes ---------------------------------------------------------------------------------------

// Ids are ours, no client chooses them: no seed is needed.
std::uint64_t TrieNodes::hash_of(std::uint32_t parent, std::uint32_t level) noexcept {
  return mix64(std::uint64_t{parent} << 32 | level);
}

std::uint32_t TrieNodes::child(std::uint32_t parent, std::uint32_t level) const noexcept {
  return table_.find(hash_of(parent, level), [&](std::uint32_t id) {
    return nodes_[id].parent == parent && nodes_[id].level == level;
  });
}

std::uint32_t TrieNodes::find(Bytes filter) const noexcept {
  std::uint32_t node = kRoot;
  TopicLevels levels(filter);
  for (Bytes level; levels.next(level);) {
    const std::uint32_t name = names_.find(level);
    if (name == LevelNames::kNone) return 0;
    node = child(node, name);
    if (node == 0) return 0;
  }
  return node;
}

std::uint32_t TrieNodes::make(Bytes filter) noexcept {
  std::uint32_t node = kRoot;
  TopicLevels levels(filter);
  for (Bytes level; levels.next(level);) node = make_child(node, level);
  return node;
}

std::uint32_t TrieNodes::make_child(std::uint32_t parent, Bytes level) noexcept {
  const std::uint32_t name = names_.acquire(level);
  if (const std::uint32_t there = child(parent, name); there != 0) {
    names_.release(name);
    return there;
  }
  const std::uint32_t id = nodes_.allocate();
  nodes_[id].parent = parent;
  nodes_[id].level = name;
  if (name == LevelNames::kPlus) {
    nodes_[parent].children |= kHasPlus;
  } else if (name == LevelNames::kHash) {
    nodes_[parent].children |= kHasHash;
  } else {
    ++nodes_[parent].children;
  }
  table_.insert(hash_of(parent, name), id, [this](std::uint32_t other) {
    return hash_of(nodes_[other].parent, nodes_[other].level);
  });
  return id;
}

// Frees the node and those above it that nobody needs any more.
void TrieNodes::prune(std::uint32_t id) noexcept {
  while (id != kRoot) {
    const Node& node = nodes_[id];
    if (node.children != 0 || node.first_group != 0 || !node.subscribers.empty()) return;
    const std::uint32_t parent = node.parent;
    const std::uint32_t name = node.level;
    table_.erase(hash_of(parent, name), id, [this](std::uint32_t other) {
      return hash_of(nodes_[other].parent, nodes_[other].level);
    });
    nodes_.free(id);
    names_.release(name);
    if (name == LevelNames::kPlus) {
      nodes_[parent].children &= ~kHasPlus;
    } else if (name == LevelNames::kHash) {
      nodes_[parent].children &= ~kHasHash;
    } else {
      --nodes_[parent].children;
    }
    id = parent;
  }
}

// ---- subscriptions -------------------------------------------------------------------------------

SubscribeResult TrieNodes::subscribe(const FilterParts& parts, const Subscriber& subscriber,
                                     Change& change) noexcept {
  const std::uint32_t id = make(parts.filter);
  if (!parts.share_name.empty()) return join(id, parts.share_name, subscriber, change);
  SubscriberSet& set = nodes_[id].subscribers;
  const std::size_t before = set.bytes();
  if (set.empty()) ++plain_filters_;
  const SubscriberSet::Put put = set.put(subscriber);
  set_bytes_ += set.bytes() - before;
  if (put == SubscriberSet::Put::added) ++subscriptions_;
  change = put == SubscriberSet::Put::unchanged ? Change::none : Change::changed;
  return {{id, 0}, put != SubscriberSet::Put::added, {}};
}

bool TrieNodes::unsubscribe(const FilterParts& parts, const SessionRef& session,
                            SubscriptionKey& key) noexcept {
  const std::uint32_t node = find(parts.filter);
  if (node == 0) return false;
  std::uint32_t group = 0;
  if (!parts.share_name.empty()) {
    group = find_group(node, parts.share_name);
    if (group == 0) return false;
  }
  key = {node, group};
  return remove(session, key);
}

bool TrieNodes::remove(const SessionRef& session, SubscriptionKey key) noexcept {
  if (!alive(key.node)) return false;
  if (key.shared()) {
    const SharedGroup* group = groups_.get(key.group);
    if (group == nullptr || group->state->key().node != key.node) return false;
    const std::size_t index = group->find(session);
    if (index == group->members.size()) return false;
    leave(key.group, index);
    return true;
  }
  SubscriberSet& set = nodes_[key.node].subscribers;
  const std::size_t before = set.bytes();
  if (!set.remove(session)) return false;
  set_bytes_ += set.bytes() - before;
  --subscriptions_;
  if (set.empty()) --plain_filters_;
  prune(key.node);
  return true;
}

TrieNodes::Change TrieNodes::set_persistent(const SessionRef& session, SubscriptionKey key,
                                            bool persistent) noexcept {
  if (!alive(key.node)) return Change::none;
  if (key.shared()) {
    SharedMember* found = member(session, key);
    if (found == nullptr || found->persistent() == persistent) return Change::none;
    found->set_persistent(persistent);
    groups_.get(key.group)->drop_snapshot();
    return Change::changed;
  }
  SubscriberSet& set = nodes_[key.node].subscribers;
  const auto record = set.get(session);
  if (!record) return Change::none;
  const SubscriberSet::Put put =
      set.put({session, record->subscription_id, record->options, persistent});
  return put == SubscriberSet::Put::unchanged ? Change::none : Change::changed;
}

// ---- shared groups -------------------------------------------------------------------------------

std::uint32_t TrieNodes::find_group(std::uint32_t node, Bytes share_name) const noexcept {
  const std::uint32_t name = names_.find(share_name);
  if (name == LevelNames::kNone) return 0;
  std::uint32_t id = nodes_[node].first_group;
  while (id != 0 && groups_.get(id)->share_name != name) id = groups_.get(id)->next;
  return id;
}

SubscribeResult TrieNodes::join(std::uint32_t node, Bytes share_name, const Subscriber& subscriber,
                                Change& change) noexcept {
  std::uint32_t id = find_group(node, share_name);
  if (id == 0) {
    id = groups_.create(node, names_.acquire(share_name), strategy_);
    groups_.get(id)->next = nodes_[node].first_group;
    nodes_[node].first_group = id;
  }
  SharedGroup& group = *groups_.get(id);
  const std::size_t index = group.find(subscriber.session);
  if (index == group.members.size()) {
    group.members.push_back(SharedMemberRef::adopt(
        SharedMember::make(subscriber, *group.state, ++group.last_serial)));
    ++memberships_;
    group.drop_snapshot();
    change = Change::changed;
    return {{node, id}, false, group.members.back()};
  }
  SharedMemberRef& old = group.members[index];
  if (old->options() == subscriber.options && old->persistent() == subscriber.persistent &&
      old->subscription_id() == subscriber.subscription_id) {
    change = Change::none;
    return {{node, id}, true, old};
  }
  SharedMember* fresh = SharedMember::make(subscriber, *group.state, old->serial());
  fresh->set_connected(old->connected());
  old = SharedMemberRef::adopt(fresh);
  group.drop_snapshot();
  change = Change::changed;
  return {{node, id}, true, old};
}

void TrieNodes::leave(std::uint32_t id, std::size_t index) noexcept {
  SharedGroup& group = *groups_.get(id);
  group.members.erase(group.members.begin() + static_cast<std::ptrdiff_t>(index));
  --memberships_;
  group.drop_snapshot();
  if (!group.members.empty()) return;
  const std::uint32_t node = group.state->key().node;
  if (nodes_[node].first_group == id) {
    nodes_[node].first_group = group.next;
  } else {
    SharedGroup* before = groups_.get(nodes_[node].first_group);
    while (before->next != id) before = groups_.get(before->next);
    before->next = group.next;
  }
  names_.release(group.share_name);
  groups_.destroy(id);
  prune(node);
}

SharedMember* TrieNodes::member(const SessionRef& session, SubscriptionKey key) const noexcept {
  const SharedGroup* group = groups_.get(key.group);
  if (group == nullptr || group->state->key().node != key.node) return nullptr;
  const std::size_t index = group->find(session);
  return index == group->members.size() ? nullptr : group->members[index].get();
}

SharedMembersRef TrieNodes::members_of(SubscriptionKey key) const noexcept {
  const SharedGroup* group = groups_.get(key.group);
  if (group == nullptr || group->state->key().node != key.node) return {};
  return groups_.snapshot(*group);
}

// ---- looking in ----------------------------------------------------------------------------------

bool TrieNodes::filter_text(std::uint32_t id, std::string& text) const {
  text.clear();
  if (!alive(id)) return false;
  ScratchVec<std::uint32_t, 32> path;
  for (; id != kRoot; id = nodes_[id].parent) path.push_back(nodes_[id].level);
  while (!path.empty()) {
    text += as_text(names_.text(path.back()));
    path.pop_back();
    if (!path.empty()) text += '/';
  }
  return true;
}

std::string TrieNodes::full_filter(SubscriptionKey key) const {
  std::string text;
  if (!filter_text(key.node, text) || !key.shared()) return text;
  const SharedGroup* group = groups_.get(key.group);
  if (group == nullptr || group->state->key().node != key.node) return {};
  return "$share/" + std::string(as_text(names_.text(group->share_name))) + "/" + text;
}

bool TrieNodes::describe(SubscriptionKey key, const SessionRef& session,
                         SubscriptionText& out) const {
  if (!alive(key.node)) return false;
  if (key.shared()) {
    const SharedMember* found = member(session, key);
    if (found == nullptr) return false;
    out.subscription_id = found->subscription_id();
    out.options = found->options();
  } else {
    const auto record = nodes_[key.node].subscribers.get(session);
    if (!record) return false;
    out.subscription_id = record->subscription_id;
    out.options = record->options;
  }
  out.filter = full_filter(key);
  return true;
}

TrieCounts TrieNodes::counts() const noexcept {
  return {subscriptions_ + memberships_, plain_filters_ + groups_.size(), memberships_,  groups_.size(),
          nodes_.size() - 1u,            names_.size(), nodes_.bytes() + table_.bytes() +
                                                            names_.bytes() + set_bytes_};
}

bool TrieNodes::reaches(Bytes levels) const noexcept {
  return reaches_from(kRoot, TopicLevels(levels));
}

// As deep as the given levels, two ways at most from each.
bool TrieNodes::reaches_from(std::uint32_t node, TopicLevels rest) const noexcept {
  Bytes level;
  if (!rest.next(level)) return true;
  // Wildcards in the first level do not match what begins with '$' [MQTT-4.7.2-1].
  if (node != kRoot || level.empty() || level[0] != '$') {
    if ((nodes_[node].children & kHasHash) != 0) return true;
    const std::uint32_t plus =
        (nodes_[node].children & kHasPlus) != 0 ? child(node, LevelNames::kPlus) : 0;
    if (plus != 0 && reaches_from(plus, rest)) return true;
  }
  const std::uint32_t name = names_.find(level);
  const std::uint32_t next = name == LevelNames::kNone ? 0 : child(node, name);
  return next != 0 && reaches_from(next, rest);
}

}  // namespace stmqtt
