// Where each session lives: Client Identifier -> session, for the whole broker, in shards with a
// lock each. Asked once for each CONNECT and by commands that name a client; never by traffic.
// Thread: any. Lock order: a shard's lock is a leaf; nothing is called under it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace stmqtt {

/// A session's key, in one block with its text; immutable, owned by the session.
/// Thread: any may read it under the lock of its shard; its session's thread always.
class SessionKey {
 public:
  [[nodiscard]] static SessionKey* make(Bytes client_id, std::uint64_t hash) noexcept;
  static void destroy(SessionKey* key) noexcept;

  [[nodiscard]] Bytes client_id() const noexcept {
    return {reinterpret_cast<const std::uint8_t*>(this + 1), bytes_};
  }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

 private:
  SessionKey() noexcept = default;
  std::uint64_t hash_ = 0;
  std::uint32_t bytes_ = 0;
};

class Directory {
 public:
  Directory() noexcept;
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] std::uint64_t hash(Bytes client_id) const noexcept;
  /// Where the session is; an invalid reference if there is none.
  [[nodiscard]] SessionRef find(Bytes client_id, std::uint64_t hash) const noexcept;
  /// False if another session has this key: look again. The key must stay until erase().
  [[nodiscard]] bool insert(const SessionKey& key, SessionRef session) noexcept;
  /// On the session's home thread, before its key goes.
  void erase(const SessionKey& key) noexcept;
  /// The session ended, but its Client Identifier still belongs to its home thread, until forget():
  /// a CONNECT goes there, so that the client's publishes stay behind those that still cross.
  void rest(const SessionKey&) noexcept { size_.fetch_sub(1, std::memory_order_relaxed); }
  void forget(const SessionKey& key) noexcept;
  /// A new session in place of a key at rest, on the same home thread.
  void replace(const SessionKey& key, SessionRef session) noexcept;
  /// Sessions that exist.
  [[nodiscard]] std::uint64_t size() const noexcept {
    return size_.load(std::memory_order_relaxed);
  }

 private:
  struct Entry {
    const SessionKey* key = nullptr;  ///< null = empty
    SessionRef session;
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    Entry* entries = nullptr;
    std::uint32_t capacity = 0;  ///< a power of two, or 0
    std::uint32_t count = 0;
  };
  static constexpr unsigned kShards = 64;

  [[nodiscard]] Shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash >> 58]; }
  [[nodiscard]] const Shard& shard_of(std::uint64_t hash) const noexcept {
    return shards_[hash >> 58];
  }
  static std::uint32_t find_place(const Shard& shard, Bytes client_id,
                                  std::uint64_t hash) noexcept;
  static void grow(Shard& shard) noexcept;
  [[nodiscard]] bool remove(const SessionKey& key) noexcept;

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> size_{0};
  const std::uint64_t seed_;
};

}  // namespace stmqtt
