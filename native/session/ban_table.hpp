// Who is kept out: Client Identifiers, usernames, addresses and networks, each until its time is
// over. Asked at accept and at CONNECT; never by traffic. Bounded. Pure; takes the time.
// Thread: any. Lock order: its lock is a leaf.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip_address.hpp"

namespace stmqtt {

enum class BanKind : std::uint8_t { client, user, address };
/// Who said so.
enum class BanSource : std::uint8_t { admin, flapping };

struct Ban {
  BanKind kind = BanKind::client;
  BanSource source = BanSource::admin;
  std::string value;   ///< Client Identifier (with its tenant), username, or "10.0.0.0/8"
  std::string reason;  ///< for the operator; may be empty
  std::uint64_t expires_ms = kNever;  ///< of the monotonic clock

  static constexpr std::uint64_t kNever = UINT64_MAX;
};

class BanTable {
 public:
  static constexpr std::size_t kMaxBans = 65'536;
  enum class Added : std::uint8_t {
    added,
    replaced,
    full,
    no_network,  ///< the value is neither an address nor a network
  };

  /// Where the table is full, an operator's ban takes the place of one for flapping.
  [[nodiscard]] Added add(Ban ban);
  /// False: there is no such ban.
  [[nodiscard]] bool remove(BanKind kind, std::string_view value);
  /// Takes out those whose time is over; returns how many.
  std::size_t expire(std::uint64_t now_ms);

  /// One load: for those who ask where there is none, which is nearly always.
  [[nodiscard]] bool any() const noexcept { return count() != 0; }
  [[nodiscard]] std::size_t count() const noexcept {
    return count_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool bans_client(std::string_view client_id, std::uint64_t now_ms) const;
  /// Of what a client calls itself without its tenant: an operator means it, counting does not.
  [[nodiscard]] bool bans_name(std::string_view name, std::uint64_t now_ms) const;
  [[nodiscard]] bool bans_user(std::string_view username, std::uint64_t now_ms) const;
  [[nodiscard]] bool bans_address(const IpAddress& address, std::uint64_t now_ms) const;

  /// At most `limit` of those behind `cursor`, by kind and value; empty = from the beginning. The
  /// cursor moves behind the last, or becomes empty at the end.
  [[nodiscard]] std::vector<Ban> list(std::string& cursor, std::size_t limit,
                                      std::uint64_t now_ms) const;

 private:
  struct NetworkLess {
    bool operator()(const IpNetwork& a, const IpNetwork& b) const noexcept;
  };
  /// Kind and value.
  [[nodiscard]] static std::string key_of(BanKind kind, std::string_view value);
  enum class Sources : std::uint8_t { all, admin };
  [[nodiscard]] bool holds(BanKind kind, std::string_view value, std::uint64_t now_ms,
                           Sources sources = Sources::all) const;
  /// Takes out the ban for flapping that ends first. False: there is none.
  [[nodiscard]] bool make_room();
  void erase(std::map<std::string, Ban>::iterator at);

  mutable std::mutex mutex_;
  std::map<std::string, Ban> bans_;                          ///< by key_of()
  std::map<IpNetwork, std::string, NetworkLess> networks_;   ///< their keys
  std::uint32_t prefixes_[2][129] = {};                      ///< v4, v6: networks of each length
  std::set<std::pair<std::uint64_t, std::string>> expiring_; ///< time and key
  std::atomic<std::size_t> count_{0};
};

}  // namespace stmqtt
