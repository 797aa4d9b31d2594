// The walk through the trie for one Topic Name: depth first, each node at most once.
// Thread: any, under the trie's shared lock.
#include "route/scratch_vec.hpp"
#include "route/topic_levels.hpp"
#include "route/trie_nodes.hpp"

namespace stmqtt {

void TrieNodes::collect(std::uint32_t id, MatchBuilder& builder) const noexcept {
  const Node& node = nodes_[id];
  if (!node.subscribers.empty()) builder.add(id, node.subscribers);
  for (std::uint32_t group = node.first_group; group != 0; group = groups_.get(group)->next) {
    builder.add(groups_.snapshot(*groups_.get(group)));
  }
}

void TrieNodes::match(Bytes topic, MatchBuilder& builder) const noexcept {
  // A level that no filter has can only be matched by wildcards. A topic holds no wildcards; if one
  // came here all the same, it would match as such twice.
  ScratchVec<std::uint32_t, 32> names;
  TopicLevels levels(topic);
  for (Bytes level; levels.next(level);) {
    const std::uint32_t name = names_.find(level);
    names.push_back(name <= LevelNames::kHash ? LevelNames::kNone : name);
  }
  struct Step {
    std::uint32_t node;
    std::uint32_t depth;  // how many of the topic's levels led here
  };
  ScratchVec<Step, 48> open;
  open.push_back({kRoot, 0});
  while (!open.empty()) {
    const Step step = open.back();
    open.pop_back();
    const Node& node = nodes_[step.node];
    const bool wildcards = step.depth > 0 || !starts_with_dollar(topic);  // [MQTT-4.7.2-1]
    // "#" stands for any number of levels, none included: at the end too [MQTT-4.7.1-1].
    if ((node.children & kHasHash) != 0 && wildcards) {
      collect(child(step.node, LevelNames::kHash), builder);
    }
    if (step.depth == names.size()) {
      collect(step.node, builder);
      continue;
    }
    // "+" stands for exactly one level, be it empty [MQTT-4.7.1-2].
    if ((node.children & kHasPlus) != 0 && wildcards) {
      open.push_back({child(step.node, LevelNames::kPlus), step.depth + 1});
    }
    const std::uint32_t name = names[step.depth];
    if ((node.children & kLiteralChildren) == 0 || name == LevelNames::kNone) continue;
    if (const std::uint32_t next = child(step.node, name); next != 0) {
      open.push_back({next, step.depth + 1});
    }
  }
}

}  // namespace stmqtt
