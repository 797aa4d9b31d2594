// What a subscription is to the router: who, how, and its name in the topic trie.
// Thread: any (values).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace stmqtt {

/// Subscription Options, in the layout of the SUBSCRIBE packet (MQTT 5.0, 3.8.3.1); of its reserved
/// bits one is ours.
struct SubscriptionOptions {
  static constexpr std::uint8_t kMonitor = 0x80;
  std::uint8_t bits = 0;

  [[nodiscard]] static constexpr SubscriptionOptions from_byte(std::uint8_t byte) noexcept {
    return {static_cast<std::uint8_t>(byte & 0x3F)};
  }
  [[nodiscard]] constexpr std::uint8_t qos() const noexcept { return bits & 3; }
  [[nodiscard]] constexpr bool no_local() const noexcept { return (bits & 4) != 0; }
  [[nodiscard]] constexpr bool retain_as_published() const noexcept { return (bits & 8) != 0; }
  /// 0 = send retained, 1 = only if the subscription is new, 2 = never.
  [[nodiscard]] constexpr std::uint8_t retain_handling() const noexcept { return bits >> 4 & 3; }
  /// Not in a packet: of a group's member that may not get all devices' topics.
  static constexpr std::uint8_t kNarrow = 0x40;
  [[nodiscard]] constexpr bool narrow() const noexcept { return (bits & kNarrow) != 0; }
  /// Of somebody who looks on: it does not count as a subscriber.
  [[nodiscard]] constexpr bool monitor() const noexcept { return (bits & kMonitor) != 0; }
  friend constexpr bool operator==(SubscriptionOptions, SubscriptionOptions) noexcept = default;
};

/// Names a subscription of a known session in the trie; valid while the session has it.
struct SubscriptionKey {
  std::uint32_t node = 0;
  std::uint32_t group = 0;  ///< 0 = not shared

  [[nodiscard]] constexpr bool shared() const noexcept { return group != 0; }
  friend constexpr bool operator==(const SubscriptionKey&,
                                   const SubscriptionKey&) noexcept = default;
};

/// A Topic Filter as SUBSCRIBE carries it, taken apart and validated by wire/; borrowed.
struct FilterParts {
  Bytes share_name;  ///< empty = not shared
  Bytes filter;      ///< without $share/ShareName/
};

/// Who subscribes, and how.
struct Subscriber {
  SessionRef session;
  std::uint32_t subscription_id = 0;  ///< 1 to 268,435,455; 0 = none
  SubscriptionOptions options;
  bool persistent = false;  ///< the session outlives its connection
};

}  // namespace stmqtt
