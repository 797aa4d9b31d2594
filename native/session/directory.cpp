#include "session/directory.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/hash.hpp"
#include "base/pool.hpp"
#include "base/schedule_point.hpp"

namespace stmqtt {
namespace {

bool same_bytes(Bytes a, Bytes b) noexcept {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace

KeyBytes::KeyBytes(Bytes client_id, std::size_t tenant_prefix_bytes) : bytes_(client_id) {
#ifdef STMQTT_MUTANT_KEYS_WITHOUT_TENANT
  return;
#endif
  if (tenant_prefix_bytes == 0) return;
  text_.reserve(client_id.size() + 2);
  text_ = as_text(client_id);
  text_ += '\0';
  text_ += static_cast<char>(tenant_prefix_bytes);  // of at most 65 bytes
  bytes_ = as_bytes(text_);
}

std::size_t KeyBytes::tenant_prefix_in(Bytes name) noexcept {
  const std::size_t dot = as_text(name).find('.');
  return dot == std::string_view::npos || dot == 0 || dot > 64 ? 0 : dot + 1;
}

SessionKey* SessionKey::make(Bytes bytes, std::size_t client_id_bytes,
                             std::uint64_t hash) noexcept {
  auto* key = new (pool_allocate(sizeof(SessionKey) + bytes.size())) SessionKey;
  key->hash_ = hash;
  key->bytes_ = static_cast<std::uint32_t>(bytes.size());
  key->client_id_bytes_ = static_cast<std::uint32_t>(client_id_bytes);
  store_bytes(reinterpret_cast<std::uint8_t*>(key + 1), bytes);
  return key;
}

SessionKey* SessionKey::make_beside(Bytes base, std::size_t client_id_bytes,
                                    std::uint64_t hash) noexcept {
  const std::size_t bytes = base.size() + kNumberBytes;
  auto* key = new (pool_allocate(sizeof(SessionKey) + bytes)) SessionKey;
  key->hash_ = hash;
  key->bytes_ = static_cast<std::uint32_t>(bytes);
  key->client_id_bytes_ = static_cast<std::uint32_t>(client_id_bytes);
  store_u16(store_bytes(reinterpret_cast<std::uint8_t*>(key + 1), base), 0);
  key->set_number(0);
  return key;
}

void SessionKey::destroy(SessionKey* key) noexcept {
  pool_free(key, sizeof(SessionKey) + key->bytes_);
}

Directory::Directory() noexcept : seed_(process_seed() ^ 0xD1EC70FEULL) {}

Directory::~Directory() {
  for (Shard& shard : shards_) std::free(shard.entries);
}

std::uint64_t Directory::hash(Bytes key) const noexcept { return hash_bytes(key, seed_); }

Directory::Named Directory::find_named(Bytes name, std::uint32_t instance) const noexcept {
  Named named;
  const std::size_t prefix = KeyBytes::tenant_prefix_in(name);
  if (prefix != 0) named.of_tenant = resolve(KeyBytes(name, prefix).bytes(), instance);
  named.plain = resolve(name, instance);
  return named;
}

SessionRef Directory::resolve(Bytes key, std::uint32_t instance) const noexcept {
  const std::uint64_t hash = this->hash(key);
  const bool any = instance == contract::kAnyInstance;
  if (any || instance == 0) {
    const SessionRef first = find(key, hash);
    if (first.valid() || !any) return first;
  }
  const Shard& shard = shard_of(hash);
  schedule_point();
  const std::lock_guard lock(shard.mutex);
  return any ? shard.instances.least(key).session : shard.instances.find(key, instance);
}

void Directory::find_all(Bytes name, PoolVector<SessionRef>& out) const noexcept {
  const auto collect = [&](Bytes key) {
    const std::uint64_t hash = this->hash(key);
    const Shard& shard = shard_of(hash);
    schedule_point();
    const std::lock_guard lock(shard.mutex);
    if (shard.count > 0) {
      const Entry& entry = shard.entries[find_place(shard, key, hash)];
      if (entry.key != nullptr) out.push_back(SessionRef{entry.session});
    }
    shard.instances.each(key, [&](const Instance& each) {
      out.push_back(SessionRef{each.session});
    });
  };
  const std::size_t prefix = KeyBytes::tenant_prefix_in(name);
  if (prefix != 0) collect(KeyBytes(name, prefix).bytes());
  collect(name);
}

void Directory::find_beside(const SessionKey& key, PoolVector<Instance>& out) const noexcept {
  const Shard& shard = shard_of(key.hash());
  schedule_point();
  const std::lock_guard lock(shard.mutex);
  shard.instances.each(key.base(), [&](const Instance& each) { out.push_back(Instance{each}); });
}

Instance Directory::least_beside(const SessionKey& key) const noexcept {
  const Shard& shard = shard_of(key.hash());
  schedule_point();
  const std::lock_guard lock(shard.mutex);
  return shard.instances.least(key.base());
}

/// The entry's place, or the empty one where it would stand.
std::uint32_t Directory::find_place(const Shard& shard, Bytes key, std::uint64_t hash) noexcept {
  const std::uint32_t mask = shard.capacity - 1;
  std::uint32_t at = static_cast<std::uint32_t>(hash) & mask;
  while (shard.entries[at].key != nullptr &&
         (shard.entries[at].key->hash() != hash ||
          !same_bytes(shard.entries[at].key->bytes(), key))) {
    at = (at + 1) & mask;
  }
  return at;
}

SessionRef Directory::find(Bytes key, std::uint64_t hash) const noexcept {
  const Shard& shard = shard_of(hash);
  schedule_point();
  const std::lock_guard lock(shard.mutex);
  if (shard.count == 0) return {};
  return shard.entries[find_place(shard, key, hash)].session;
}

Directory::Inserted Directory::insert(const SessionKey& key, SessionRef session,
                                      const Owner& owner) noexcept {
  Shard& shard = shard_of(key.hash());
  schedule_point();
  const std::lock_guard lock(shard.mutex);
  if ((shard.count + 1) * 4 > shard.capacity * 3) grow(shard);
  const std::uint32_t at = find_place(shard, key.bytes(), key.hash());
  if (shard.entries[at].key != nullptr) return Inserted::taken;
#ifndef STMQTT_MUTANT_FIRST_OF_ANY_USER
  if (!shard.instances.may_join(key.bytes(), owner)) return Inserted::of_another;
#endif
  shard.entries[at] = Entry{&key, session};
  ++shard.count;
  size_.fetch_add(1, std::memory_order_relaxed);
  return Inserted::done;
}

bool Directory::insert_beside(SessionKey& key, SessionRef session, const SessionRef& first,
                              const Owner& owner) noexcept {
  Shard& shard = shard_of(key.hash());
  schedule_point();
  const std::lock_guard lock(shard.mutex);
#ifndef STMQTT_MUTANT_BESIDE_NOBODY
  if (shard.count == 0) return false;
  const Entry& entry = shard.entries[find_place(shard, key.base(), key.hash())];
  if (entry.key == nullptr || entry.session != first) return false;
#endif
  key.set_number(shard.instances.add(key.base(), session, owner));
  size_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Directory::erase(const SessionKey& key) noexcept {
  if (remove(key)) size_.fetch_sub(1, std::memory_order_relaxed);
}

void Directory::forget(const SessionKey& key) noexcept { static_cast<void>(remove(key)); }

Directory::Inserted Directory::replace(const SessionKey& key, SessionRef session,
                                       const Owner& owner) noexcept {
  Shard& shard = shard_of(key.hash());
  schedule_point();
  const std::lock_guard lock(shard.mutex);
  if (!shard.instances.may_join(key.bytes(), owner)) return Inserted::of_another;
  shard.entries[find_place(shard, key.bytes(), key.hash())] = Entry{&key, session};
  size_.fetch_add(1, std::memory_order_relaxed);
  return Inserted::done;
}

/// False if the place has another session's key by now.
bool Directory::remove(const SessionKey& key) noexcept {
  Shard& shard = shard_of(key.hash());
  schedule_point();
  const std::lock_guard lock(shard.mutex);
  if (const std::uint32_t number = key.instance(); number != 0) {
    shard.instances.remove(key.base(), number);
    return true;
  }
  if (shard.count == 0) return false;
  const std::uint32_t mask = shard.capacity - 1;
  std::uint32_t hole = find_place(shard, key.bytes(), key.hash());
  if (shard.entries[hole].key != &key) return false;
  for (std::uint32_t at = (hole + 1) & mask; shard.entries[at].key != nullptr;
       at = (at + 1) & mask) {
    const std::uint32_t home = static_cast<std::uint32_t>(shard.entries[at].key->hash()) & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      shard.entries[hole] = shard.entries[at];
      hole = at;
    }
  }
  shard.entries[hole] = Entry{};
  --shard.count;
  return true;
}

void Directory::grow(Shard& shard) noexcept {
  Entry* old = shard.entries;
  const std::uint32_t old_capacity = shard.capacity;
  shard.capacity = old_capacity == 0 ? 8 : old_capacity * 2;
  shard.entries = static_cast<Entry*>(std::malloc(shard.capacity * sizeof(Entry)));
  if (shard.entries == nullptr) std::abort();
  for (std::uint32_t at = 0; at < shard.capacity; ++at) new (&shard.entries[at]) Entry;
  for (std::uint32_t at = 0; at < old_capacity; ++at) {
    if (old[at].key == nullptr) continue;
    const SessionKey& key = *old[at].key;
    shard.entries[find_place(shard, key.bytes(), key.hash())] = old[at];
  }
  std::free(old);
}

}  // namespace stmqtt
