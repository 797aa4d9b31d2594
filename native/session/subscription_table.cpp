#include "session/subscription_table.hpp"

#include "base/hash.hpp"
#include "base/pool.hpp"

namespace stmqtt {
namespace {

constexpr std::uint32_t kEmptyNode = 0xFFFFFFFF;

bool same(SubscriptionKey a, SubscriptionKey b) noexcept {
  return a.node == b.node && a.group == b.group;
}

}  // namespace

SubscriptionTable::~SubscriptionTable() { clear(); }

std::uint32_t SubscriptionTable::place(SubscriptionKey key) const noexcept {
  return static_cast<std::uint32_t>(
             mix64(static_cast<std::uint64_t>(key.group) << 32 | key.node)) &
         mask();
}

SubscriptionRecord* SubscriptionTable::find(SubscriptionKey key) noexcept {
  if (count_ == 0) return nullptr;
  for (std::uint32_t at = place(key);; at = (at + 1) & mask()) {
    if (slots_[at].key.node == kEmptyNode) return nullptr;
    if (same(slots_[at].key, key)) return &slots_[at];
  }
}

SubscriptionRecord& SubscriptionTable::insert(SubscriptionKey key) noexcept {
  if (SubscriptionRecord* found = find(key)) return *found;
  if ((count_ + 1) * 4 > capacity_ * 3) grow();
  std::uint32_t at = place(key);
  while (slots_[at].key.node != kEmptyNode) at = (at + 1) & mask();
  slots_[at] = SubscriptionRecord{key};
  ++count_;
  return slots_[at];
}

bool SubscriptionTable::erase(SubscriptionKey key) noexcept {
  SubscriptionRecord* found = find(key);
  if (found == nullptr) return false;
  auto hole = static_cast<std::uint32_t>(found - slots_);
  for (std::uint32_t at = (hole + 1) & mask(); slots_[at].key.node != kEmptyNode;
       at = (at + 1) & mask()) {
    const std::uint32_t home = place(slots_[at].key);
    if (((at - home) & mask()) >= ((at - hole) & mask())) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole].key.node = kEmptyNode;
  if (--count_ == 0) clear();
  return true;
}

void SubscriptionTable::keys(PoolVector<SubscriptionKey>& out) const noexcept {
  for (std::uint32_t at = 0; at < capacity_; ++at) {
    if (slots_[at].key.node != kEmptyNode) out.push_back(slots_[at].key);
  }
}

void SubscriptionTable::clear() noexcept {
  if (slots_ != nullptr) pool_free(slots_, capacity_ * sizeof(SubscriptionRecord));
  slots_ = nullptr;
  count_ = 0;
  capacity_ = 0;
}

void SubscriptionTable::grow() noexcept {
  SubscriptionRecord* old = slots_;
  const std::uint32_t old_capacity = capacity_;
  capacity_ = old_capacity == 0 ? 2 : old_capacity * 2;
  slots_ = static_cast<SubscriptionRecord*>(
      pool_allocate(capacity_ * sizeof(SubscriptionRecord)));
  for (std::uint32_t at = 0; at < capacity_; ++at) {
    slots_[at] = SubscriptionRecord{SubscriptionKey{kEmptyNode, 0}};
  }
  for (std::uint32_t at = 0; at < old_capacity; ++at) {
    if (old[at].key.node == kEmptyNode) continue;
    std::uint32_t to = place(old[at].key);
    while (slots_[to].key.node != kEmptyNode) to = (to + 1) & mask();
    slots_[to] = old[at];
  }
  if (old != nullptr) pool_free(old, old_capacity * sizeof(SubscriptionRecord));
}

}  // namespace stmqtt
