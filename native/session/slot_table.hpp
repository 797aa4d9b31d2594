// Objects of one thread under small numbers: slot and generation. A generation is never used twice
// for a slot, so a name that outlived its object finds nothing. Thread: the owner's.
#pragma once

#include <cstdint>
#include <vector>

namespace stmqtt {

template <class T>
class SlotTable {
 public:
  struct Name {
    std::uint32_t slot;
    std::uint32_t generation;
  };

  /// Takes a free slot, or a new one; `object` is borrowed until erase().
  Name insert(T* object) {
    std::uint32_t slot = first_free_;
    if (slot == kNone) {
      slot = static_cast<std::uint32_t>(entries_.size());
      entries_.push_back(Entry{});
    } else {
      first_free_ = entries_[slot].next_free;
    }
    Entry& entry = entries_[slot];
    entry.object = object;
    if (++entry.generation == 0) ++entry.generation;
    ++count_;
    return {slot, entry.generation};
  }
  [[nodiscard]] T* find(std::uint32_t slot, std::uint32_t generation) const noexcept {
    if (slot >= entries_.size()) return nullptr;
#ifndef STMQTT_MUTANT_STALE_GENERATIONS_FOUND
    if (entries_[slot].generation != generation) return nullptr;
#endif
    return entries_[slot].object;
  }
  void erase(std::uint32_t slot) noexcept {
    entries_[slot].object = nullptr;
    entries_[slot].next_free = first_free_;
    first_free_ = slot;
    --count_;
  }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  /// Slots to iterate over with at(); some are empty.
  [[nodiscard]] std::uint32_t slots() const noexcept {
    return static_cast<std::uint32_t>(entries_.size());
  }
  [[nodiscard]] T* at(std::uint32_t slot) const noexcept { return entries_[slot].object; }

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;
  struct Entry {
    T* object = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t next_free = kNone;
  };
  std::vector<Entry> entries_;
  std::uint32_t first_free_ = kNone;
  std::uint32_t count_ = 0;
};

}  // namespace stmqtt
