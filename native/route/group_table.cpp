#include "route/group_table.hpp"

#include <algorithm>

#include "route/scratch_vec.hpp"

namespace stmqtt {

std::size_t SharedGroup::find(const SessionRef& session) const noexcept {
  const auto at = std::ranges::find_if(
      members, [&](const SharedMemberRef& member) { return member->session() == session; });
  return static_cast<std::size_t>(at - members.begin());
}

std::uint32_t GroupTable::create(std::uint32_t node, std::uint32_t share_name,
                                 SharedStrategy strategy) noexcept {
  std::uint32_t id = 0;
  if (free_ids_.empty()) {
    id = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  groups_[id] = std::make_unique<SharedGroup>();
  groups_[id]->state = SharedStateRef::adopt(SharedState::make(strategy, {node, id}));
  groups_[id]->share_name = share_name;
  ++size_;
  return id;
}

void GroupTable::destroy(std::uint32_t id) noexcept {
  groups_[id].reset();
  free_ids_.push_back(id);
  --size_;
}

void GroupTable::set_strategy(SharedStrategy strategy) noexcept {
  for (const auto& group : groups_) {
    if (group != nullptr) group->state->set_strategy(strategy);
  }
}

SharedMembersRef GroupTable::snapshot(const SharedGroup& group) const noexcept {
  const SharedMembers* made = group.snapshot.load(std::memory_order_acquire);
  if (made == nullptr) {
    const std::lock_guard lock(snapshot_mutex_);
    made = group.snapshot.load(std::memory_order_relaxed);
    if (made == nullptr) {
      ScratchVec<SharedMember*, 32> members;
      for (const SharedMemberRef& member : group.members) members.push_back(member.get());
      made = SharedMembers::make(*group.state, {members.begin(), members.size()});
      group.snapshot.store(made, std::memory_order_release);
    }
  }
  return SharedMembersRef::share(const_cast<SharedMembers*>(made));
}

}  // namespace stmqtt
