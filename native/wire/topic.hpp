// Topic Names and Topic Filters (MQTT 5.0, 4.7) and Shared Subscriptions (4.8.2): are they valid,
// and what do they consist of. Thread: any (pure); views are borrowed from what is given.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "wire/reason_code.hpp"
#include "wire/swar.hpp"

namespace stmqtt::wire {

/// No bound on the number of levels.
inline constexpr std::uint32_t kAnyLevels = 0;

/// Levels of a topic: one more than it has '/'. Eight bytes at a time: cheap enough for every publish.
[[nodiscard]] std::uint32_t topic_levels(Bytes topic) noexcept;

/// What topic_bytes_valid does with all but plain ASCII.
[[nodiscard]] bool topic_bytes_valid_slow(const std::uint8_t* text, std::size_t bytes) noexcept;
/// Valid UTF-8 without U+0000, '+' and '#'; no bytes at all are valid here.
[[nodiscard]] inline bool topic_bytes_valid(const std::uint8_t* text, std::size_t bytes) noexcept {
  if (swar::none(text, bytes, swar::not_plain_topic)) [[likely]] return true;
  return topic_bytes_valid_slow(text, bytes);
}

/// A Topic Name: valid UTF-8, 1 to 65,535 bytes [MQTT-4.7.3-1] [MQTT-4.7.3-3], no U+0000
/// [MQTT-4.7.3-2], no '+' or '#' [MQTT-4.7.0-1] [MQTT-3.3.2-2], at most max_levels levels.
[[nodiscard]] bool valid_topic_name(Bytes topic, std::uint32_t max_levels = kAnyLevels) noexcept;

/// A Topic Filter without its $share part: valid UTF-8, 1 to 65,535 bytes, '#' alone in the last
/// level [MQTT-4.7.1-1], '+' alone in its level [MQTT-4.7.1-2], at most max_levels levels.
[[nodiscard]] bool valid_topic_filter(Bytes filter, std::uint32_t max_levels = kAnyLevels) noexcept;

/// A Topic Filter as SUBSCRIBE and UNSUBSCRIBE carry it, taken apart.
struct FilterView {
  Bytes share_name;       ///< empty if not shared
  Bytes filter;           ///< what is matched against Topic Names: without $share/ShareName/
  bool shared = false;    ///< "$share/ShareName/filter"
  bool wildcard = false;  ///< '+' or '#' stands in it
};

/// Validates and takes apart. success, malformed_packet (not a UTF-8 Encoded String) or
/// topic_filter_invalid. `out` is garbage then. $share/… is a Shared Subscription in every version:
/// 3.1 and 3.1.1 clients cannot mean anything else by it on this broker.
[[nodiscard]] ReasonCode parse_topic_filter(Bytes topic_filter, FilterView& out) noexcept;

/// Is the first level of this Topic Name, or of this filter without its $share part, "$SYS"?
[[nodiscard]] inline bool is_system_topic(Bytes topic) noexcept {
  return topic.size() >= 4 && topic[0] == '$' && topic[1] == 'S' && topic[2] == 'Y' &&
         topic[3] == 'S' && (topic.size() == 4 || topic[4] == '/');
}

/// Does the filter (without its $share part) match the Topic Name [MQTT-4.7.2-1]? Both are valid.
/// For tests, rules and the client library; the broker matches with its trie.
[[nodiscard]] bool topic_matches(Bytes filter, Bytes topic) noexcept;

}  // namespace stmqtt::wire
