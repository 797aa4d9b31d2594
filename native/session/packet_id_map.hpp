// Packet Identifier -> entry: open addressing in one pool block, none when empty. Serves the send
// window and the QoS 2 identifiers received; identifiers from a peer may be chosen to collide, so
// they are scrambled. Thread: the session's home thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/pool.hpp"

namespace stmqtt {

/// T is trivially copyable and has a member `std::uint16_t packet_id`; 0 marks an empty place.
template <class T>
class PacketIdMap {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  PacketIdMap() noexcept = default;
  PacketIdMap(const PacketIdMap&) = delete;
  PacketIdMap& operator=(const PacketIdMap&) = delete;
  ~PacketIdMap() { clear(); }

  [[nodiscard]] std::uint32_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

  /// Null if absent. Valid until the next insert or erase. The identifier must not be 0.
  [[nodiscard]] T* find(std::uint16_t packet_id) noexcept {
    if (count_ == 0) return nullptr;
    for (std::uint32_t at = place(packet_id);; at = (at + 1) & mask()) {
      if (slots_[at].packet_id == packet_id) return &slots_[at];
      if (slots_[at].packet_id == 0) return nullptr;
    }
  }

  /// The identifier must not be in the map, and not be 0.
  T* insert(const T& entry) noexcept {
    if (slots_ == nullptr || (count_ + 1) * 4 > (mask() + 1) * 3) grow();
    ++count_;
    return put(entry);
  }

  bool erase(std::uint16_t packet_id) noexcept {
    T* found = find(packet_id);
    if (found == nullptr) return false;
    // Backward shift: no tombstones, so a long-lived window never degrades.
    auto hole = static_cast<std::uint32_t>(found - slots_);
    for (std::uint32_t at = (hole + 1) & mask(); slots_[at].packet_id != 0;
         at = (at + 1) & mask()) {
      const std::uint32_t home = place(slots_[at].packet_id);
      if (((at - home) & mask()) >= ((at - hole) & mask())) {
        slots_[hole] = slots_[at];
        hole = at;
      }
    }
    slots_[hole].packet_id = 0;
    --count_;
    if (count_ == 0 && log2_ > kKeptLog2) clear();
    return true;
  }

  template <class F>
  void for_each(F&& visit) noexcept {
    if (slots_ == nullptr) return;
    for (std::uint32_t at = 0; at <= mask(); ++at) {
      if (slots_[at].packet_id != 0) visit(slots_[at]);
    }
  }

  void clear() noexcept {
    if (slots_ != nullptr) pool_free(slots_, (mask() + 1) * sizeof(T));
    slots_ = nullptr;
    count_ = 0;
    log2_ = 0;
  }
  /// Gives the block back if nothing is in it. For housekeeping of idle clients.
  void trim() noexcept {
    if (count_ == 0) clear();
  }

 private:
  static constexpr std::uint8_t kFirstLog2 = 3;
  static constexpr std::uint8_t kKeptLog2 = 8;  ///< up to 256 places are kept while active

  [[nodiscard]] std::uint32_t mask() const noexcept { return (1U << log2_) - 1; }
  [[nodiscard]] std::uint32_t place(std::uint16_t packet_id) const noexcept {
    return (packet_id * 0x9E3779B1U) >> (32 - log2_);
  }
  T* put(const T& entry) noexcept {
    std::uint32_t at = place(entry.packet_id);
    while (slots_[at].packet_id != 0) at = (at + 1) & mask();
    slots_[at] = entry;
    return &slots_[at];
  }
  void grow() noexcept {
    T* old = slots_;
    const std::uint32_t old_places = old == nullptr ? 0 : mask() + 1;
    log2_ = old == nullptr ? kFirstLog2 : static_cast<std::uint8_t>(log2_ + 1);
    const std::size_t bytes = (mask() + 1) * sizeof(T);
    slots_ = static_cast<T*>(pool_allocate(bytes));
    std::memset(static_cast<void*>(slots_), 0, bytes);
    for (std::uint32_t at = 0; at < old_places; ++at) {
      if (old[at].packet_id != 0) put(old[at]);
    }
    if (old != nullptr) pool_free(old, old_places * sizeof(T));
  }

  T* slots_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint8_t log2_ = 0;
};

}  // namespace stmqtt
