// Walks the levels of a Topic Name or Topic Filter; an empty text has one empty level, "/" has two.
// Thread: any (pure).
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"

namespace stmqtt {

class TopicLevels {
 public:
  explicit TopicLevels(Bytes topic) noexcept : rest_(topic) {}

  /// False when there is no further level.
  [[nodiscard]] bool next(Bytes& level) noexcept {
    if (done_) return false;
    const void* slash = rest_.empty() ? nullptr : std::memchr(rest_.data(), '/', rest_.size());
    if (slash == nullptr) {
      level = rest_;
      done_ = true;
    } else {
      const auto length =
          static_cast<std::size_t>(static_cast<const std::uint8_t*>(slash) - rest_.data());
      level = rest_.first(length);
      rest_ = rest_.subspan(length + 1);
    }
    return true;
  }

 private:
  Bytes rest_;
  bool done_ = false;
};

[[nodiscard]] inline bool is_plus(Bytes level) noexcept {
  return level.size() == 1 && level[0] == '+';
}
[[nodiscard]] inline bool is_hash(Bytes level) noexcept {
  return level.size() == 1 && level[0] == '#';
}
/// Topics that wildcards at the first level must not match [MQTT-4.7.2-1].
[[nodiscard]] inline bool starts_with_dollar(Bytes topic) noexcept {
  return !topic.empty() && topic[0] == '$';
}

}  // namespace stmqtt
