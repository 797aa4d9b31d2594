// Topic Aliases of one connection, both ways. They never outlive it [MQTT-3.3.2-7].
// Thread: the connection's.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/vec.hpp"

namespace stmqtt {

/// Aliases that the client sets: number -> Topic Name.
class IncomingAliases {
 public:
  explicit IncomingAliases(std::uint16_t maximum) noexcept : maximum_(maximum) {}
  ~IncomingAliases();
  IncomingAliases(const IncomingAliases&) = delete;
  IncomingAliases& operator=(const IncomingAliases&) = delete;

  /// alias must be 1 to the maximum (checked by the caller). Copies the topic.
  void set(std::uint16_t alias, Bytes topic) noexcept;
  /// Empty if the alias was never set. Valid until set() of the same alias.
  [[nodiscard]] Bytes find(std::uint16_t alias) const noexcept;

 private:
  struct Entry {
    std::uint8_t* topic = nullptr;
    std::uint32_t bytes = 0;
  };
  PoolVector<Entry> entries_;
  std::uint16_t maximum_;
};

/// Aliases that we set: Topic Name -> number, assigned by use: a topic gets one at its second
/// message, the least recently used one is taken over when all are in use.
class OutgoingAliases {
 public:
  explicit OutgoingAliases(std::uint16_t maximum) noexcept;
  ~OutgoingAliases();
  OutgoingAliases(const OutgoingAliases&) = delete;
  OutgoingAliases& operator=(const OutgoingAliases&) = delete;

  struct Use {
    std::uint16_t alias = 0;  ///< 0 = send the Topic Name without an alias
    bool known = false;       ///< true = the client knows it: the Topic Name may be left out
  };
  [[nodiscard]] std::uint16_t maximum() const noexcept { return maximum_; }
  /// The Topic Name that the alias stands for now; empty if for none.
  [[nodiscard]] Bytes topic_of(std::uint16_t alias) const noexcept {
    if (alias == 0 || alias > entries_.size()) return {};
    return {entries_[alias - 1U].topic, entries_[alias - 1U].bytes};
  }
  /// Decides how to send a topic; counts as a use. Call commit() only if the packet goes out.
  [[nodiscard]] Use use(Bytes topic, std::uint64_t topic_hash) noexcept;
  /// Tells that the packet with `use` and the Topic Name was really sent.
  void commit(const Use& use) noexcept;

 private:
  struct Entry {
    std::uint64_t hash = 0;
    std::uint8_t* topic = nullptr;  ///< null = seen once, or free
    std::uint32_t bytes = 0;
    std::uint32_t last_use = 0;
    bool sent = false;
  };
  static constexpr unsigned kSeen = 64;  ///< topics remembered as seen once
  PoolVector<Entry> entries_;
  std::uint64_t seen_[kSeen] = {};
  std::uint32_t clock_ = 0;
  std::uint16_t maximum_;
};

}  // namespace stmqtt
