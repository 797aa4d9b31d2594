// Connections of one Client Identifier beside its first (`duplicate_client_id = "allow"`), by their
// numbers: from 1 on, each the least that is free. Only Client Identifiers that have such
// connections have anything in here.
// Thread: any, one at a time: the directory has one for each of its shards, under that shard's lock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"

namespace stmqtt {

/// Who has a Client Identifier, as far as it is known. Borrowed.
struct Owner {
  Bytes username;
  bool authenticated = false;  ///< the username stands behind a verdict

  /// Whether both may use one Client Identifier: nobody is not somebody without a name.
  [[nodiscard]] bool may_share(const Owner& other) const noexcept {
    if (!authenticated && !other.authenticated) return true;
    if (as_text(username) != as_text(other.username)) return false;
    return !username.empty() || authenticated == other.authenticated;
  }
};

/// One of the connections of a Client Identifier; 0 is the first.
struct Instance {
  SessionRef session;
  std::uint32_t number = 0;
};

class InstanceTable {
 public:
  InstanceTable() noexcept = default;
  InstanceTable(const InstanceTable&) = delete;
  InstanceTable& operator=(const InstanceTable&) = delete;

  /// Its number. The owner is that of the first; those that come later are of the same.
  [[nodiscard]] std::uint32_t add(Bytes base, SessionRef session, const Owner& owner);
  void remove(Bytes base, std::uint32_t number) noexcept;

  /// Invalid if there is none.
  [[nodiscard]] SessionRef find(Bytes base, std::uint32_t number) const noexcept;
  /// That with the least number; its session is invalid if there is none.
  [[nodiscard]] Instance least(Bytes base) const noexcept;
  /// False: those that are there are of another user.
  [[nodiscard]] bool may_join(Bytes base, const Owner& owner) const noexcept;
  /// By number.
  template <class F>
  void each(Bytes base, F&& visit) const {
    const Group* group = group_of(base);
    if (group == nullptr) return;
    std::uint32_t number = 0;
    for (const SessionRef& session : group->sessions) {
      ++number;
      if (session.valid()) visit(Instance{session, number});
    }
  }

 private:
  /// Keys come from clients: a seeded hash keeps them from colliding on purpose.
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return hash_bytes(as_bytes(text), process_seed());
    }
  };
  struct Group {
    std::string username;
    bool authenticated = false;
    std::uint32_t count = 0;
    std::vector<SessionRef> sessions;  ///< number n at n - 1; an invalid one is free
    std::vector<std::uint32_t> free;   ///< numbers given back, a heap with the least in front
  };

  [[nodiscard]] const Group* group_of(Bytes base) const noexcept {
    if (groups_.empty()) return nullptr;
    const auto found = groups_.find(as_text(base));
    return found == groups_.end() ? nullptr : &found->second;
  }

  std::unordered_map<std::string, Group, TextHash, std::equal_to<>> groups_;
};

}  // namespace stmqtt
