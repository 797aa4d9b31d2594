#include "route/match_cache.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/pool.hpp"

namespace stmqtt {

/// One pool block: this head, then the Topic Name.
struct MatchCache::Entry {
  MatchRef result;
  Validity stamp;
  std::uint16_t topic_bytes;
  bool used;  ///< since the hand passed

  [[nodiscard]] Bytes topic() const noexcept {
    return {reinterpret_cast<const std::uint8_t*>(this + 1), topic_bytes};
  }
  [[nodiscard]] std::size_t block_bytes() const noexcept { return sizeof(Entry) + topic_bytes; }
  /// What the entry counts for: its block, its result, and its share of the slots.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return block_bytes() + result->bytes() + 2 * sizeof(Slot);
  }
};

namespace {
constexpr std::size_t kFirstSlots = 64;
}  // namespace

MatchCache::MatchCache(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

MatchCache::~MatchCache() { clear(); }

void MatchCache::clear() noexcept {
  if (slots_ == nullptr) return;
  for (std::size_t at = 0; at <= mask_; ++at) {
    if (slots_[at].entry != nullptr) destroy(slots_[at].entry);
  }
  pool_free(slots_, (mask_ + 1) * sizeof(Slot));
  slots_ = nullptr;
  mask_ = size_ = hand_ = bytes_ = 0;
}

void MatchCache::set_max_bytes(std::size_t max_bytes) noexcept {
  max_bytes_ = max_bytes;
  if (bytes_ > max_bytes) clear();
}

void MatchCache::destroy(Entry* entry) noexcept {
  const std::size_t bytes = entry->block_bytes();
  entry->~Entry();
  pool_free(entry, bytes);
}

const MatchResult& MatchCache::find(const TopicTrie& trie, Bytes topic,
                                    std::uint64_t topic_hash) noexcept {
  std::size_t at = topic_hash & mask_;
  if (slots_ != nullptr) [[likely]] {
    for (; slots_[at].entry != nullptr; at = (at + 1) & mask_) {
      if (slots_[at].hash != topic_hash) continue;
      Entry& entry = *slots_[at].entry;
      if (entry.topic_bytes != topic.size() ||
          std::memcmp(entry.topic().data(), topic.data(), topic.size()) != 0) {
        continue;
      }
      entry.used = true;
      if (trie.valid(entry.stamp)) [[likely]] {
        ++hits_;
        return *entry.result;
      }
      return refresh(trie, entry, topic_hash);
    }
  }
  return insert(trie, topic, topic_hash);
}

const MatchResult& MatchCache::refresh(const TopicTrie& trie, Entry& entry,
                                       std::uint64_t topic_hash) noexcept {
  ++misses_;
  bytes_ -= entry.bytes();
  entry.result = trie.match(entry.topic(), topic_hash, entry.stamp);
  bytes_ += entry.bytes();
  evict(entry);
  return *entry.result;
}

const MatchResult& MatchCache::insert(const TopicTrie& trie, Bytes topic,
                                      std::uint64_t topic_hash) noexcept {
  ++misses_;
  if (slots_ == nullptr || (size_ + 1) * 2 > mask_ + 1) grow();
  auto* entry = ::new (pool_allocate(sizeof(Entry) + topic.size())) Entry();
  entry->topic_bytes = static_cast<std::uint16_t>(topic.size());
  entry->used = false;  // a topic published to once only is the first to go
  std::memcpy(static_cast<void*>(entry + 1), topic.data(), topic.size());
  entry->result = trie.match(topic, topic_hash, entry->stamp);
  place({topic_hash, entry});
  ++size_;
  bytes_ += entry->bytes();
  evict(*entry);
  return *entry->result;
}

void MatchCache::place(const Slot& slot) noexcept {
  std::size_t at = slot.hash & mask_;
  while (slots_[at].entry != nullptr) at = (at + 1) & mask_;
  slots_[at] = slot;
}

void MatchCache::grow() noexcept {
  Slot* old = slots_;
  const std::size_t old_count = old == nullptr ? 0 : mask_ + 1;
  const std::size_t count = old == nullptr ? kFirstSlots : old_count * 2;
  slots_ = static_cast<Slot*>(pool_allocate(count * sizeof(Slot)));
  std::memset(static_cast<void*>(slots_), 0, count * sizeof(Slot));
  mask_ = count - 1;
  for (std::size_t at = 0; at < old_count; ++at) {
    if (old[at].entry != nullptr) place(old[at]);
  }
  pool_free(old, old_count * sizeof(Slot));
  hand_ &= mask_;
}

// Until the bound is kept; the entry just found stays, so that its result can be given out.
void MatchCache::evict(const Entry& keep) noexcept {
  while (bytes_ > max_bytes_ && size_ > 1) {
    Entry* entry = slots_[hand_].entry;
    if (entry == nullptr || entry == &keep || std::exchange(entry->used, false)) {
      hand_ = (hand_ + 1) & mask_;
      continue;
    }
    bytes_ -= entry->bytes();
    --size_;
    destroy(entry);
    close_gap(hand_);
  }
}

void MatchCache::close_gap(std::size_t hole) noexcept {
  for (std::size_t at = (hole + 1) & mask_; slots_[at].entry != nullptr; at = (at + 1) & mask_) {
    const std::size_t home = slots_[at].hash & mask_;
    if (((at - home) & mask_) < ((at - hole) & mask_)) continue;  // its home lies behind the hole
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = Slot{};
}

}  // namespace stmqtt
