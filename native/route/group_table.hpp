// The shared groups of the trie by id, each with its members in the order in which they joined.
// Thread: guarded by the trie's lock; snapshot() may run on many threads while nobody writes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "route/shared_group.hpp"

namespace stmqtt {

struct SharedGroup {
  SharedStateRef state;
  std::uint32_t share_name = 0;  ///< id in LevelNames
  std::uint32_t next = 0;        ///< next group of the same node; 0 = last
  std::uint32_t last_serial = 0;
  std::vector<SharedMemberRef> members;
  /// What members_of() and matches hand out; made when first asked for after a change.
  mutable std::atomic<const SharedMembers*> snapshot{nullptr};

  SharedGroup() noexcept = default;
  ~SharedGroup() { drop_snapshot(); }
  void drop_snapshot() noexcept {
#ifdef STMQTT_MUTANT_SHARED_KEEPS_SNAPSHOT
    if (!members.empty()) return;
#endif
    if (const SharedMembers* old = snapshot.exchange(nullptr)) old->release();
  }
  /// Index of the session's member, or members.size().
  [[nodiscard]] std::size_t find(const SessionRef& session) const noexcept;
};

class GroupTable {
 public:
  /// A group without members; returns its id.
  [[nodiscard]] std::uint32_t create(std::uint32_t node, std::uint32_t share_name,
                                     SharedStrategy strategy) noexcept;
  void destroy(std::uint32_t id) noexcept;
  /// Null if there is no such group.
  [[nodiscard]] SharedGroup* get(std::uint32_t id) noexcept {
    return id < groups_.size() ? groups_[id].get() : nullptr;
  }
  [[nodiscard]] const SharedGroup* get(std::uint32_t id) const noexcept {
    return id < groups_.size() ? groups_[id].get() : nullptr;
  }
  [[nodiscard]] SharedMembersRef snapshot(const SharedGroup& group) const noexcept;
  void set_strategy(SharedStrategy strategy) noexcept;
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
  std::vector<std::unique_ptr<SharedGroup>> groups_{1};  ///< id 0 is nobody's
  std::vector<std::uint32_t> free_ids_;
  std::uint32_t size_ = 0;
  mutable std::mutex snapshot_mutex_;  ///< held by readers that make a snapshot
};

}  // namespace stmqtt
