// What rules said about (client's selection of rules, topic, action) before: one thread's table,
// made on its first use. A selection that is made anew has a new serial, so what stays behind of
// the old one is never found, only overwritten.
// Thread: its I/O thread.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "base/pool.hpp"

namespace stmqtt {

class DecisionCache {
 public:
  struct Key {
    std::uint64_t serial;      ///< of the selection; never 0, and with bits all over
    std::uint64_t topic_hash;
    Bytes topic;
    std::uint8_t kind;         ///< action, QoS, RETAIN
  };
  static constexpr std::size_t kSlots = 16'384;
  /// Longer ones are asked about each time.
  static constexpr std::size_t kMaxTopicBytes = 512;

  DecisionCache() noexcept = default;
  DecisionCache(const DecisionCache&) = delete;
  DecisionCache& operator=(const DecisionCache&) = delete;
  ~DecisionCache() {
    if (slots_ == nullptr) return;
    for (std::size_t at = 0; at < kSlots; ++at) forget(slots_[at]);
    delete[] slots_;
  }

  /// Null: not known.
  [[nodiscard]] const std::uint8_t* find(const Key& key) const noexcept {
    if (slots_ == nullptr) [[unlikely]] return nullptr;
    const std::size_t first = place(key);
    for (std::size_t step = 0; step < kWays; ++step) {
      const Slot& slot = slots_[first + step];
      if (slot.serial == key.serial && slot.hash == key.topic_hash && slot.kind == key.kind &&
          slot.topic_bytes == key.topic.size() &&
          same(slot.topic, key.topic.data(), slot.topic_bytes)) {
        return &slot.decision;
      }
    }
    return nullptr;
  }

  void put(const Key& key, std::uint8_t decision) noexcept {
    if (key.topic.empty() || key.topic.size() > kMaxTopicBytes) return;
    if (slots_ == nullptr) slots_ = new Slot[kSlots];
    const std::size_t first = place(key);
    // An empty one, or each in turn.
    std::size_t at = first + (next_++ & (kWays - 1));
    for (std::size_t step = 0; step < kWays; ++step) {
      if (slots_[first + step].serial == 0) at = first + step;
    }
    Slot& slot = slots_[at];
    forget(slot);
    slot.serial = key.serial;
    slot.hash = key.topic_hash;
    slot.kind = key.kind;
    slot.decision = decision;
    slot.topic_bytes = static_cast<std::uint16_t>(key.topic.size());
    slot.topic = static_cast<std::uint8_t*>(pool_allocate(key.topic.size()));
    store_bytes(slot.topic, key.topic);
  }

 private:
  static constexpr std::size_t kWays = 2;
  struct Slot {
    std::uint64_t serial = 0;  ///< 0 = empty
    std::uint64_t hash = 0;
    std::uint8_t* topic = nullptr;  ///< from the pool, topic_bytes; owned
    std::uint16_t topic_bytes = 0;
    std::uint8_t kind = 0;
    std::uint8_t decision = 0;
  };

  /// memcmp() for a few words, without its call.
  [[nodiscard]] static bool same(const std::uint8_t* a, const std::uint8_t* b,
                                 std::size_t bytes) noexcept {
    if (bytes < 8) return std::memcmp(a, b, bytes) == 0;
    const auto word = [](const std::uint8_t* at) {
      std::uint64_t value;
      std::memcpy(&value, at, sizeof value);
      return value;
    };
    std::uint64_t different = word(a + bytes - 8) ^ word(b + bytes - 8);
    for (std::size_t at = 0; at + 8 < bytes; at += 8) different |= word(a + at) ^ word(b + at);
    return different == 0;
  }
  [[nodiscard]] static std::size_t place(const Key& key) noexcept {
    const std::uint64_t mixed =
        (key.topic_hash ^ key.serial) + (std::uint64_t{key.kind} << 21);
    return (mixed >> 20) & (kSlots - 1) & ~(kWays - 1);
  }
  static void forget(Slot& slot) noexcept {
    if (slot.topic != nullptr) pool_free(slot.topic, slot.topic_bytes);
    slot.topic = nullptr;
  }

  Slot* slots_ = nullptr;  ///< owned
  std::size_t next_ = 0;
};

}  // namespace stmqtt
