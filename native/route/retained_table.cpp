#include "route/retained_table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.hpp"

namespace stmqtt {
namespace {

std::uint64_t hash_of(Bytes topic) noexcept { return hash_bytes(topic, process_seed()); }

bool less(Bytes a, Bytes b) noexcept { return as_text(a) < as_text(b); }

}  // namespace

RetainedTable::~RetainedTable() {
  for (const auto& leaf : leaves_) {
    for (std::uint32_t i = 0; i < leaf->size; ++i) entries_[leaf->ids[i]].message->release();
  }
}

std::uint32_t RetainedTable::find_id(Bytes topic, std::uint64_t hash) const noexcept {
  return table_.find(hash, [&](std::uint32_t id) { return std::ranges::equal(topic_of(id), topic); });
}

Message* RetainedTable::find(Bytes topic) const noexcept {
  const std::uint32_t id = find_id(topic, hash_of(topic));
  return id == 0 ? nullptr : entries_[id].message;
}

void RetainedTable::count_in(const Message& message) noexcept {
  bytes_ += message.logical_bytes();
  if (message.expires_at_ms() != 0) ++expiring_;
}
void RetainedTable::count_out(const Message& message) noexcept {
  bytes_ -= message.logical_bytes();
  if (message.expires_at_ms() != 0) --expiring_;
}

MessageRef RetainedTable::put(MessageRef message) noexcept {
  const std::uint64_t hash = hash_of(message->topic());
  count_in(*message);
  std::uint32_t id = find_id(message->topic(), hash);
  if (id != 0) {
    count_out(*entries_[id].message);
    return MessageRef::adopt(std::exchange(entries_[id].message, message.detach()));
  }
  id = entries_.allocate();
  entries_[id].message = message.detach();
  table_.insert(hash, id, [this](std::uint32_t other) { return hash_of(topic_of(other)); });
  insert_in_order(id);
  return {};
}

MessageRef RetainedTable::erase(Bytes topic) noexcept {
  const std::uint64_t hash = hash_of(topic);
  const std::uint32_t id = find_id(topic, hash);
  if (id == 0) return {};
  erase_in_order(lower_bound(topic));
  table_.erase(hash, id, [this](std::uint32_t other) { return hash_of(topic_of(other)); });
  MessageRef old = MessageRef::adopt(entries_[id].message);
  entries_.free(id);
  count_out(*old);
  return old;
}

// ---- order ---------------------------------------------------------------------------------------

std::size_t RetainedTable::index_in(const Leaf& leaf, Bytes topic) const noexcept {
  const auto* end = leaf.ids + leaf.size;
  const auto* at = std::lower_bound(
      leaf.ids, end, topic, [this](std::uint32_t id, Bytes t) { return less(topic_of(id), t); });
  return static_cast<std::size_t>(at - leaf.ids);
}

RetainedTable::Place RetainedTable::lower_bound(Bytes topic) const noexcept {
  // The first leaf whose last topic is not less.
  const auto leaf = std::lower_bound(
      leaves_.begin(), leaves_.end(), topic, [this](const std::unique_ptr<Leaf>& each, Bytes t) {
        return less(topic_of(each->ids[each->size - 1]), t);
      });
  if (leaf == leaves_.end()) return {leaves_.size(), 0};
  return {static_cast<std::size_t>(leaf - leaves_.begin()), index_in(**leaf, topic)};
}

Message* RetainedTable::at(const Place& place) const noexcept {
  if (place.leaf >= leaves_.size()) return nullptr;
  return entries_[leaves_[place.leaf]->ids[place.index]].message;
}

RetainedTable::Place RetainedTable::next(Place place) const noexcept {
  if (++place.index == leaves_[place.leaf]->size) return {place.leaf + 1, 0};
  return place;
}

RetainedTable::Place RetainedTable::seek(const Place& from, Bytes topic) const noexcept {
  const Leaf& leaf = *leaves_[from.leaf];
  if (less(topic_of(leaf.ids[leaf.size - 1]), topic)) return lower_bound(topic);
  return {from.leaf, index_in(leaf, topic)};
}

void RetainedTable::insert_in_order(std::uint32_t id) noexcept {
  Place place = lower_bound(topic_of(id));
  if (leaves_.empty()) {
    leaves_.push_back(std::make_unique<Leaf>());
  } else if (place.leaf == leaves_.size()) {
    place = {leaves_.size() - 1, leaves_.back()->size};
  }
  if (leaves_[place.leaf]->size == kLeafSize) {
    // Topics that come in order fill their leaves: only the very last place starts a new one.
    const bool at_the_end = place.leaf + 1 == leaves_.size() && place.index == kLeafSize;
    const std::uint32_t stay = at_the_end ? kLeafSize : kLeafSize / 2;
    auto upper = std::make_unique<Leaf>();
    Leaf& lower = *leaves_[place.leaf];
    upper->size = kLeafSize - stay;
    std::memcpy(upper->ids, lower.ids + stay, upper->size * sizeof upper->ids[0]);
    lower.size = stay;
    leaves_.insert(leaves_.begin() + static_cast<std::ptrdiff_t>(place.leaf) + 1,
                   std::move(upper));
    if (place.index > stay || at_the_end) place = {place.leaf + 1, place.index - stay};
  }
  Leaf& leaf = *leaves_[place.leaf];
  std::memmove(leaf.ids + place.index + 1, leaf.ids + place.index,
               (leaf.size - place.index) * sizeof leaf.ids[0]);
  leaf.ids[place.index] = id;
  ++leaf.size;
}

void RetainedTable::erase_in_order(const Place& place) noexcept {
  Leaf& leaf = *leaves_[place.leaf];
  --leaf.size;
  std::memmove(leaf.ids + place.index, leaf.ids + place.index + 1,
               (leaf.size - place.index) * sizeof leaf.ids[0]);
  if (leaf.size > kLeafSize / 4) return;
  // A leaf that thinned out goes into the one before it, where that has room.
  const bool fits = place.leaf > 0 && leaves_[place.leaf - 1]->size + leaf.size <= kLeafSize;
  if (fits) {
    Leaf& before = *leaves_[place.leaf - 1];
    std::memcpy(before.ids + before.size, leaf.ids, leaf.size * sizeof leaf.ids[0]);
    before.size += leaf.size;
  }
  if (fits || leaf.size == 0) {
    leaves_.erase(leaves_.begin() + static_cast<std::ptrdiff_t>(place.leaf));
  }
}

}  // namespace stmqtt
