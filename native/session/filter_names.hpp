// Filters that hooks have changed, by what their clients wrote: so that an UNSUBSCRIBE of that ends the
// subscription that was made of it. Empty where no hook changes any.
// Thread: the shard's.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace stmqtt {

class FilterNames {
 public:
  [[nodiscard]] bool empty() const noexcept { return sessions_.empty(); }

  /// At most `most` of a session are known; of others UNSUBSCRIBE has to name what was made.
  void note(const SessionRef& session, Bytes given, Bytes made, std::uint32_t most) {
    Names& names = sessions_[key_of(session)];
    const std::string name(as_text(given));
    if (names.size() >= most && !names.contains(name)) return;
    names.insert_or_assign(name, std::string(as_text(made)));
  }
  /// False: the session has subscribed to nothing by that name.
  [[nodiscard]] bool take(const SessionRef& session, Bytes given, std::string& made) {
    const auto names = sessions_.find(key_of(session));
    if (names == sessions_.end()) return false;
    const auto found = names->second.find(std::string(as_text(given)));
    if (found == names->second.end()) return false;
    made = std::move(found->second);
    names->second.erase(found);
    if (names->second.empty()) sessions_.erase(names);
    return true;
  }
  void forget(const SessionRef& session) { sessions_.erase(key_of(session)); }

 private:
  using Names = std::unordered_map<std::string, std::string>;
  [[nodiscard]] static std::uint64_t key_of(const SessionRef& session) noexcept {
    return std::uint64_t{session.slot} << 32 | session.generation;
  }

  std::unordered_map<std::uint64_t, Names> sessions_;
};

}  // namespace stmqtt
