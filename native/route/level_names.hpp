// The texts of topic levels, each kept once and counted: the trie compares 32-bit ids. Short ones
// lie in the record itself. ShareNames are kept here too. Texts are equal when their bytes are:
// nothing is normalized [MQTT-4.7.3-4].
// Thread: guarded by the trie's lock.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "route/id_arena.hpp"
#include "route/id_table.hpp"

namespace stmqtt {

class LevelNames {
 public:
  static constexpr std::uint32_t kNone = 0;  ///< no such text
  static constexpr std::uint32_t kPlus = 1;  ///< "+"
  static constexpr std::uint32_t kHash = 2;  ///< "#"

  LevelNames() noexcept;
  ~LevelNames();

  [[nodiscard]] std::uint32_t find(Bytes text) const noexcept;
  /// Adds the text or one more count of it.
  [[nodiscard]] std::uint32_t acquire(Bytes text) noexcept;
  void release(std::uint32_t id) noexcept;
  /// Valid while the id is.
  [[nodiscard]] Bytes text(std::uint32_t id) const noexcept;

  [[nodiscard]] std::uint32_t size() const noexcept { return names_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return names_.bytes() + table_.bytes() + long_bytes_;
  }

 private:
  static constexpr std::size_t kShort = 18;

  struct Name {
    std::uint32_t refs;
    std::uint16_t bytes;
    std::uint8_t text[kShort];  ///< the text, or where it is, if longer
  };
  static_assert(sizeof(Name) == 24);

  [[nodiscard]] static std::uint64_t hash_of(Bytes text) noexcept;

  IdArena<Name> names_;
  IdTable table_;
  std::size_t long_bytes_ = 0;
};

}  // namespace stmqtt
