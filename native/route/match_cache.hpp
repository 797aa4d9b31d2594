// Topic Name -> match result, one for each thread that publishes: the hot path's way into the trie.
// A hit takes no lock and allocates nothing. Bounded in bytes, clock eviction.
// Thread: the owner's only; the results may be shared with others.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "route/match_result.hpp"
#include "route/topic_trie.hpp"

namespace stmqtt {

class MatchCache {
 public:
  /// The bound counts entries with their topics and results. One entry may exceed it alone.
  explicit MatchCache(std::size_t max_bytes) noexcept;
  ~MatchCache();
  MatchCache(const MatchCache&) = delete;
  MatchCache& operator=(const MatchCache&) = delete;

  /// `topic_hash` is TopicTrie::hash(topic). The result holds as of this call, and the reference
  /// is valid until the next find() or clear() of this cache: take a MatchRef::share(&result) to
  /// keep it longer. Always use a cache with the same trie.
  [[nodiscard]] const MatchResult& find(const TopicTrie& trie, Bytes topic,
                                        std::uint64_t topic_hash) noexcept;

  void clear() noexcept;
  /// Starts anew if it holds more than that. Not while a result of find() is in use.
  void set_max_bytes(std::size_t max_bytes) noexcept;

  [[nodiscard]] std::uint64_t hits() const noexcept { return hits_; }
  [[nodiscard]] std::uint64_t misses() const noexcept { return misses_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  struct Entry;
  struct Slot {
    std::uint64_t hash;
    Entry* entry;  ///< null = empty
  };

  [[nodiscard]] const MatchResult& refresh(const TopicTrie& trie, Entry& entry,
                                           std::uint64_t topic_hash) noexcept;
  [[nodiscard]] const MatchResult& insert(const TopicTrie& trie, Bytes topic,
                                          std::uint64_t topic_hash) noexcept;
  static void destroy(Entry* entry) noexcept;
  void place(const Slot& slot) noexcept;
  void grow() noexcept;
  void evict(const Entry& keep) noexcept;
  void close_gap(std::size_t hole) noexcept;

  Slot* slots_ = nullptr;  ///< open addressing by topic hash, at most half full
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
  std::size_t hand_ = 0;  ///< where the clock goes on
  std::size_t bytes_ = 0;
  std::size_t max_bytes_;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace stmqtt
