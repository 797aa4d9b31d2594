// Open addressing from a 64-bit hash to a 32-bit id; the keys lie with the objects. Cut into
// segments that grow on their own, so that one insert moves a 256th of the table at most: the
// longest hold of a lock stays short at millions of entries. 5 bytes a slot: id and tag.
// Thread: guarded by its owner's lock; find() may run on many threads while nobody writes.
#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/fatal.hpp"

namespace stmqtt {

class IdTable {
 public:
  IdTable() noexcept = default;
  ~IdTable() {
    for (Segment& segment : segments_) std::free(segment.ids);
  }
  IdTable(const IdTable&) = delete;
  IdTable& operator=(const IdTable&) = delete;

  /// The id with this hash that `is(id)` accepts, or 0.
  template <class Is>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, const Is& is) const noexcept {
    const Segment& segment = segment_of(hash);
    if (segment.size == 0) return 0;
    const std::uint8_t tag = tag_of(hash);
    const std::uint8_t* tags = segment.tags();
    for (std::uint32_t at = segment.home(hash);; at = segment.next(at)) {
      if (tags[at] == tag && is(segment.ids[at])) return segment.ids[at];
      if (tags[at] == 0) return 0;
    }
  }

  /// `id` must not be there. `hash_of(id)` gives the hash of any id in the table.
  template <class HashOf>
  void insert(std::uint64_t hash, std::uint32_t id, const HashOf& hash_of) noexcept {
    Segment& segment = segment_of(hash);
    if ((segment.size + 1) * 4 > segment.capacity * 3) {
      resize(segment, segment.capacity < 8 ? 8 : segment.capacity + segment.capacity / 2, hash_of);
    }
    place(segment, hash, id);
    ++segment.size;
    ++size_;
  }

  /// `id` must be there.
  template <class HashOf>
  void erase(std::uint64_t hash, std::uint32_t id, const HashOf& hash_of) noexcept {
    Segment& segment = segment_of(hash);
    std::uint8_t* tags = segment.tags();
    std::uint32_t hole = segment.home(hash);
    while (tags[hole] == 0 || segment.ids[hole] != id) hole = segment.next(hole);
    // Close the gap with those behind it that would rather be there: no tombstones.
    for (std::uint32_t at = segment.next(hole); tags[at] != 0; at = segment.next(at)) {
      const std::uint32_t home = segment.home(hash_of(segment.ids[at]));
      const bool stays = hole < at ? hole < home && home <= at : hole < home || home <= at;
      if (stays) continue;
      segment.ids[hole] = segment.ids[at];
      tags[hole] = tags[at];
      hole = at;
    }
    tags[hole] = 0;
    --segment.size;
    --size_;
    if (segment.size == 0) {
      std::free(segment.ids);
      bytes_ -= bytes_of(segment.capacity);
      segment = Segment{};
    } else if (segment.capacity > 8 && segment.size * 4 < segment.capacity) {
      resize(segment, segment.size * 2 < 8 ? 8 : segment.size * 2, hash_of);
    }
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_ + sizeof *this; }

 private:
  struct Segment {
    std::uint32_t* ids = nullptr;  ///< capacity ids, then capacity tags; tag 0 = empty
    std::uint32_t capacity = 0;
    std::uint32_t size = 0;

    [[nodiscard]] std::uint8_t* tags() const noexcept {
      return reinterpret_cast<std::uint8_t*>(ids + capacity);
    }
    /// Any capacity will do: the low half of the hash as a fraction of it.
    [[nodiscard]] std::uint32_t home(std::uint64_t hash) const noexcept {
      return static_cast<std::uint32_t>((hash & 0xFFFFFFFF) * capacity >> 32);
    }
    [[nodiscard]] std::uint32_t next(std::uint32_t at) const noexcept {
      return at + 1 == capacity ? 0 : at + 1;
    }
  };

  static std::size_t bytes_of(std::uint32_t capacity) noexcept {
    return std::size_t{capacity} * (sizeof(std::uint32_t) + 1);
  }
  static std::uint8_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint8_t>(hash >> 40 & 0xFF) | 1;
  }
  Segment& segment_of(std::uint64_t hash) noexcept { return segments_[hash >> 56]; }
  [[nodiscard]] const Segment& segment_of(std::uint64_t hash) const noexcept {
    return segments_[hash >> 56];
  }

  static void place(Segment& segment, std::uint64_t hash, std::uint32_t id) noexcept {
    std::uint8_t* tags = segment.tags();
    std::uint32_t at = segment.home(hash);
    while (tags[at] != 0) at = segment.next(at);
    segment.ids[at] = id;
    tags[at] = tag_of(hash);
  }

  template <class HashOf>
  void resize(Segment& segment, std::uint32_t capacity, const HashOf& hash_of) noexcept {
    Segment larger;
    larger.capacity = capacity;
    larger.size = segment.size;
    larger.ids = static_cast<std::uint32_t*>(std::malloc(bytes_of(capacity)));
    if (larger.ids == nullptr) fatal("out of memory");
    std::memset(larger.tags(), 0, capacity);
    for (std::uint32_t at = 0; at < segment.capacity; ++at) {
      if (segment.tags()[at] != 0) place(larger, hash_of(segment.ids[at]), segment.ids[at]);
    }
    std::free(segment.ids);
    bytes_ += bytes_of(capacity);
    bytes_ -= bytes_of(segment.capacity);
    segment = larger;
  }

  std::array<Segment, 256> segments_{};
  std::uint32_t size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace stmqtt
