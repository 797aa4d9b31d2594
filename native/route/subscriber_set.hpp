// The non-shared subscribers of one trie node, 16 bytes: nobody, one inline, a few in an array, or
// many in a hash table in place, so that the millionth subscriber of a topic costs what the first
// did. Thread: guarded by the trie's lock.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>

#include "base/ids.hpp"
#include "route/subscription.hpp"

namespace stmqtt {

class SubscriberSet {
 public:
  enum class Put : std::uint8_t { added, replaced, unchanged };

  struct Record {
    std::uint32_t slot;
    std::uint32_t generation;  ///< 0 = an empty place
    std::uint32_t subscription_id;
    ThreadIndex thread;
    SubscriptionOptions options;
    bool persistent;
    std::uint8_t unused;

    [[nodiscard]] bool is(const SessionRef& session) const noexcept {
      return slot == session.slot && generation == session.generation && thread == session.thread;
    }
  };
  static_assert(sizeof(Record) == 16);

  [[nodiscard]] bool empty() const noexcept { return kind_ == Kind::nobody; }
  [[nodiscard]] std::uint32_t size() const noexcept;
  /// Physical bytes beyond the set itself.
  [[nodiscard]] std::size_t bytes() const noexcept;

  /// Adds the subscriber, or gives its record in the set the new identifier, options, persistence.
  Put put(const Subscriber& subscriber) noexcept;
  [[nodiscard]] std::optional<Record> get(const SessionRef& session) const noexcept;
  /// False if the session has none.
  bool remove(const SessionRef& session) noexcept;
  /// Gives the memory back.
  void clear() noexcept;

  /// visit(record) for each, in no order.
  template <class Visit>
  void each(const Visit& visit) const noexcept {
    switch (kind_) {
      case Kind::nobody:
        return;
      case Kind::one:
        visit(inline_record());
        return;
      case Kind::many:
        for (const Record *at = records(), *end = at + capacity(); at != end; ++at) {
          if (at->generation != 0) visit(*at);
        }
        return;
    }
  }

 private:
  enum class Kind : std::uint8_t { nobody, one, many };

  // Up to here records are packed at the front and found one by one.
  static constexpr std::uint32_t kMaxArray = 16;

  [[nodiscard]] Record inline_record() const noexcept {
    return {words_[0], words_[1], words_[2], thread_or_log2_, options_, persistent_, 0};
  }
  [[nodiscard]] Record* records() const noexcept {
    Record* at = nullptr;
    std::memcpy(&at, words_, sizeof at);
    return at;
  }
  [[nodiscard]] std::uint32_t capacity() const noexcept { return 1u << thread_or_log2_; }
  [[nodiscard]] bool hashed() const noexcept { return capacity() > kMaxArray; }
  [[nodiscard]] std::uint32_t home(std::uint32_t slot, ThreadIndex thread) const noexcept;
  [[nodiscard]] Record* find(const SessionRef& session) const noexcept;
  void add(const Record& record) noexcept;
  void place(const Record& record) noexcept;
  void close_gap(std::uint32_t hole) noexcept;
  void rebuild(std::uint32_t capacity_log2) noexcept;
  void become_one(const Record& record) noexcept;

  // one: slot, generation, Subscription Identifier. many: pointer to records, how many there are.
  std::uint32_t words_[3] = {};
  std::uint8_t thread_or_log2_ = 0;  ///< many: of the capacity
  SubscriptionOptions options_;
  bool persistent_ = false;
  Kind kind_ = Kind::nobody;  ///< nobody is 0: zeroed memory is an empty set

  static_assert(sizeof(Record*) <= 8);
};
static_assert(sizeof(SubscriberSet) == 16);

}  // namespace stmqtt
