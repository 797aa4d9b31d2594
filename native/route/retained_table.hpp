// The retained messages themselves: by topic in a hash table, because most retained publishes
// replace one, and in byte order in leaves of ids, for scans.
// Thread: guarded by RetainedIndex's lock; const functions may run on many threads while nobody
// writes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "base/message.hpp"
#include "route/id_arena.hpp"
#include "route/id_table.hpp"

namespace stmqtt {

class RetainedTable {
 public:
  /// A place in the order; any change of the table that adds or removes a topic makes it invalid.
  struct Place {
    std::size_t leaf = 0;
    std::size_t index = 0;
  };

  RetainedTable() noexcept = default;
  ~RetainedTable();
  RetainedTable(const RetainedTable&) = delete;
  RetainedTable& operator=(const RetainedTable&) = delete;

  /// Null if nothing is retained for the topic; borrowed.
  [[nodiscard]] Message* find(Bytes topic) const noexcept;
  /// Returns what was retained for the topic before.
  MessageRef put(MessageRef message) noexcept;
  /// Returns what was retained, if anything.
  MessageRef erase(Bytes topic) noexcept;

  /// The first topic that is not less.
  [[nodiscard]] Place lower_bound(Bytes topic) const noexcept;
  /// Null behind the last.
  [[nodiscard]] Message* at(const Place& place) const noexcept;
  [[nodiscard]] Place next(Place place) const noexcept;
  /// lower_bound(topic) for a topic known to lie behind `from`; cheap if it is near.
  [[nodiscard]] Place seek(const Place& from, Bytes topic) const noexcept;

  [[nodiscard]] std::uint32_t size() const noexcept { return table_.size(); }
  /// Logical bytes of all messages.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// How many have an expiry.
  [[nodiscard]] std::uint32_t expiring() const noexcept { return expiring_; }

 private:
  static constexpr std::uint32_t kLeafSize = 128;

  struct Entry {
    Message* message;  ///< owns one count
  };
  struct Leaf {
    std::uint32_t size = 0;  ///< never 0 in leaves_
    std::uint32_t ids[kLeafSize];
  };

  [[nodiscard]] std::uint32_t find_id(Bytes topic, std::uint64_t hash) const noexcept;
  [[nodiscard]] Bytes topic_of(std::uint32_t id) const noexcept {
    return entries_[id].message->topic();
  }
  [[nodiscard]] std::size_t index_in(const Leaf& leaf, Bytes topic) const noexcept;
  void insert_in_order(std::uint32_t id) noexcept;
  void erase_in_order(const Place& place) noexcept;
  void count_in(const Message& message) noexcept;
  void count_out(const Message& message) noexcept;

  IdArena<Entry> entries_;
  IdTable table_;
  std::vector<std::unique_ptr<Leaf>> leaves_;
  std::uint64_t bytes_ = 0;
  std::uint32_t expiring_ = 0;
};

}  // namespace stmqtt
