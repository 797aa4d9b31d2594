// How many connections each address has by each listener, and how often it comes: bounds that keep
// one peer from taking the places of all. IPv6 counts by /64, which is what one subscriber gets.
// Asked once for each connection, and only where a listener has such a bound. Bounded itself: where
// more addresses are connected than it has room for, further ones are let in uncounted.
// Thread: any. Lock order: its lock is a leaf.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/hash.hpp"
#include "base/ip_address.hpp"
#include "session/rate_bucket.hpp"

namespace stmqtt {

struct AddressBounds {
  std::uint32_t max_connections = 0;   ///< 0 = no bound
  std::uint32_t max_connects_per_s = 0;

  [[nodiscard]] bool any() const noexcept { return (max_connections | max_connects_per_s) != 0; }
};

class AddressTable {
 public:
  static constexpr std::size_t kMaxAddresses = 131'072;

  enum class Answer : std::uint8_t {
    counted,    ///< leave() is owed
    uncounted,  ///< it may come; the table is full
    too_many,
    too_fast,
  };

  explicit AddressTable(std::size_t max_addresses = kMaxAddresses) noexcept
      : max_addresses_(max_addresses) {}

  [[nodiscard]] Answer come(std::uint32_t listener, const IpAddress& address,
                            const AddressBounds& bounds, std::uint64_t now_ns);
  void leave(std::uint32_t listener, const IpAddress& address, std::uint64_t now_ns);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Key {
    std::uint32_t listener;
    IpAddress address;
    bool operator==(const Key&) const noexcept = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return static_cast<std::size_t>(
          hash_bytes({key.address.bytes, sizeof key.address.bytes},
                     process_seed() + (std::uint64_t{key.listener} << 8) +
                         static_cast<std::uint64_t>(key.address.kind)));
    }
  };
  struct Entry {
    std::uint32_t connections = 0;
    std::uint64_t at_ns = 0;  ///< of the last connect
    RateBucket connects;
  };
  [[nodiscard]] static Key key_of(std::uint32_t listener, const IpAddress& address) noexcept;
  [[nodiscard]] bool make_room(std::uint64_t now_ns);

  mutable std::mutex mutex_;
  std::unordered_map<Key, Entry, KeyHash> entries_;
  std::size_t next_bucket_ = 0;  ///< where the search for entries that say nothing any more goes on
  const std::size_t max_addresses_;
};

}  // namespace stmqtt
