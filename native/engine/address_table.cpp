#include "engine/address_table.hpp"

#include <cstring>

namespace stmqtt {
namespace {

/// Buckets of the map looked through for room, for each connection that finds none.
constexpr std::size_t kSearch = 256;

}  // namespace

AddressTable::Key AddressTable::key_of(std::uint32_t listener, const IpAddress& address) noexcept {
  Key key{listener, address};
  if (address.kind == IpAddress::Kind::v6) std::memset(key.address.bytes + 8, 0, 8);
  return key;
}

AddressTable::Answer AddressTable::come(std::uint32_t listener, const IpAddress& address,
                                        const AddressBounds& bounds, std::uint64_t now_ns) {
  const Key key = key_of(listener, address);
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (entries_.size() >= max_addresses_ && !make_room(now_ns)) return Answer::uncounted;
    found = entries_.emplace(key, Entry{}).first;
  }
  Entry& entry = found->second;
  if (bounds.max_connections != 0 && entry.connections >= bounds.max_connections) {
    return Answer::too_many;
  }
  if (bounds.max_connects_per_s != 0) {
    if (entry.connects.wait_ns(bounds.max_connects_per_s, 1, now_ns) > 0) return Answer::too_fast;
    static_cast<void>(entry.connects.take(bounds.max_connects_per_s, 1, now_ns));
  }
  ++entry.connections;
  entry.at_ns = now_ns;
  return Answer::counted;
}

void AddressTable::leave(std::uint32_t listener, const IpAddress& address, std::uint64_t now_ns) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key_of(listener, address));
  if (found == entries_.end() || found->second.connections == 0) return;
  Entry& entry = found->second;
  // After a second without a connect its bucket is full again: it says no more than a new one.
  // Another thread's turn may have begun a little later than this one's: no differences of times.
  if (--entry.connections == 0 && now_ns >= entry.at_ns + kRateBurstNs) entries_.erase(found);
}

bool AddressTable::make_room(std::uint64_t now_ns) {
  const std::size_t buckets = entries_.bucket_count();
  for (std::size_t step = 0; step < kSearch && step < buckets; ++step) {
    next_bucket_ = (next_bucket_ + 1) % buckets;
    for (auto at = entries_.begin(next_bucket_); at != entries_.end(next_bucket_); ++at) {
      if (at->second.connections != 0 || now_ns < at->second.at_ns + kRateBurstNs) continue;
      const Key key = at->first;
      entries_.erase(key);
      return true;
    }
  }
  return false;
}

std::size_t AddressTable::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace stmqtt
