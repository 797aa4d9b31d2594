// Where each session lives: key -> session, for the whole broker, in shards with a lock each. A key is
// a Client Identifier with its tenant, so that a client without one cannot say the key of a tenant's.
// Connections of a Client Identifier beside its first stand apart, by number. Asked once for each
// CONNECT and by commands that name a client; never by traffic.
// Thread: any. Lock order: a shard's lock is a leaf; nothing is called under it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/vec.hpp"
#include "contract/records.hpp"
#include "session/instance_table.hpp"

namespace stmqtt {

/// The bytes of a session's key: the final Client Identifier, "<tenant>.<id>", and for a client with a
/// tenant then NUL, which no client can say [MQTT-1.5.4-2], and the length of "<tenant>.".
/// So "red.pump" without a tenant and "pump" of the tenant red are two.
class KeyBytes {
 public:
  /// Borrows `client_id` where that is all of it.
  KeyBytes(Bytes client_id, std::size_t tenant_prefix_bytes);
  KeyBytes(const KeyBytes&) = delete;
  KeyBytes& operator=(const KeyBytes&) = delete;

  [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }
  /// Of the client of a tenant that is shown by this name; 0 = no tenant's client can be. A tenant's
  /// name has no '.' in it.
  [[nodiscard]] static std::size_t tenant_prefix_in(Bytes name) noexcept;

 private:
  std::string text_;
  Bytes bytes_;
};

/// A session's key, in one block with its text; immutable, owned by the session.
/// Thread: any may read it under the lock of its shard; its session's thread always.
class SessionKey {
 public:
  [[nodiscard]] static SessionKey* make(Bytes key, std::size_t client_id_bytes,
                                        std::uint64_t hash) noexcept;
  /// Of a connection beside the first: Directory::insert_beside() gives it its number.
  [[nodiscard]] static SessionKey* make_beside(Bytes base, std::size_t client_id_bytes,
                                               std::uint64_t hash) noexcept;
  static void destroy(SessionKey* key) noexcept;

  /// As KeyBytes has it; of a connection beside the first then twice NUL and its number, which is
  /// nobody else's key: a tenant's prefix is not empty.
  [[nodiscard]] Bytes bytes() const noexcept {
    return {reinterpret_cast<const std::uint8_t*>(this + 1), bytes_};
  }
  /// That of the first.
  [[nodiscard]] Bytes base() const noexcept {
    return bytes().first(bytes_ - (is_beside() ? kNumberBytes : 0));
  }
  /// Which connection of its Client Identifier it is; 0 = the first, which has its session.
  [[nodiscard]] std::uint32_t instance() const noexcept {
    return is_beside() ? load_u32(bytes().data() + bytes_ - 4) : 0;
  }
  /// As it is shown.
  [[nodiscard]] Bytes client_id() const noexcept { return bytes().first(client_id_bytes_); }
  /// Of base().
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

 private:
  friend class Directory;
  static constexpr std::uint32_t kTenantBytes = 2;
  static constexpr std::uint32_t kNumberBytes = 6;

  SessionKey() noexcept = default;
  [[nodiscard]] bool is_beside() const noexcept {
    return bytes_ > client_id_bytes_ + kTenantBytes;
  }
  void set_number(std::uint32_t number) noexcept {
    store_u32(reinterpret_cast<std::uint8_t*>(this + 1) + bytes_ - 4, number);
  }
  std::uint64_t hash_ = 0;
  std::uint32_t bytes_ = 0;
  std::uint32_t client_id_bytes_ = 0;
};

class Directory {
 public:
  Directory() noexcept;
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] std::uint64_t hash(Bytes key) const noexcept;
  /// Where the session is; an invalid reference if there is none.
  [[nodiscard]] SessionRef find(Bytes key, std::uint64_t hash) const noexcept;
  /// Those that are shown by this name: the tenant's client first, then the one without a tenant.
  struct Named {
    SessionRef of_tenant;
    SessionRef plain;
    /// Whom it means where it can mean only one.
    [[nodiscard]] const SessionRef& first() const noexcept {
      return of_tenant.valid() ? of_tenant : plain;
    }
  };
  /// `instance`: which of the connections, 0 = the first; kAnyInstance: the first, if it has a
  /// session, else the one with the least number.
  [[nodiscard]] Named find_named(Bytes name,
                                 std::uint32_t instance = contract::kAnyInstance) const noexcept;
  /// All that are shown by this name, the tenant's before the others.
  void find_all(Bytes name, PoolVector<SessionRef>& out) const noexcept;
  /// All beside the first, of the key of one of them or of the first.
  void find_beside(const SessionKey& key, PoolVector<Instance>& out) const noexcept;
  [[nodiscard]] Instance least_beside(const SessionKey& key) const noexcept;

  enum class Inserted : std::uint8_t {
    done,
    taken,       ///< another session has this key: look again
    of_another,  ///< no session has it, but connections of another user have its Client Identifier
  };
  /// The key must stay until erase().
  [[nodiscard]] Inserted insert(const SessionKey& key, SessionRef session,
                                const Owner& owner) noexcept;
  /// Gives a connection beside `first` the least number that is free; with that its key has its
  /// number. False: the session that `first` names is not there any more.
  [[nodiscard]] bool insert_beside(SessionKey& key, SessionRef session, const SessionRef& first,
                                   const Owner& owner) noexcept;
  /// On the session's home thread, before its key goes.
  void erase(const SessionKey& key) noexcept;
  /// The session ended, but its Client Identifier still belongs to its home thread, until forget():
  /// a CONNECT goes there, so that the client's publishes stay behind those that still cross.
  void rest(const SessionKey&) noexcept { size_.fetch_sub(1, std::memory_order_relaxed); }
  void forget(const SessionKey& key) noexcept;
  /// A new session in place of a key at rest, on the same home thread.
  [[nodiscard]] Inserted replace(const SessionKey& key, SessionRef session,
                                 const Owner& owner) noexcept;
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
    InstanceTable instances;
  };
  static constexpr unsigned kShards = 64;

  [[nodiscard]] Shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash >> 58]; }
  [[nodiscard]] const Shard& shard_of(std::uint64_t hash) const noexcept {
    return shards_[hash >> 58];
  }
  [[nodiscard]] SessionRef resolve(Bytes key, std::uint32_t instance) const noexcept;
  static std::uint32_t find_place(const Shard& shard, Bytes key, std::uint64_t hash) noexcept;
  static void grow(Shard& shard) noexcept;
  [[nodiscard]] bool remove(const SessionKey& key) noexcept;

  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> size_{0};
  const std::uint64_t seed_;
};

}  // namespace stmqtt
