// Pages of listings: what one may hold, and where the next goes on. Thread: any (values).
#pragma once

#include <cstddef>
#include <cstdint>

namespace stmqtt {

/// What a page of a listing may hold, and how times are told in it.
struct PageBounds {
  std::uint32_t rows = 200;
  std::int64_t wall_offset_ms = 0;  ///< the wall clock minus the monotonic one

  static constexpr std::size_t kBytes = 64 << 10;
  static constexpr std::uint32_t kSlots = 4096;  ///< looked at, with a session in them or not
};
/// A listing is at its end.
inline constexpr std::uint32_t kListed = 0xFFFFFFFF;

/// Where a listing of subscriptions goes on: at this session, with the keys that are not less.
/// Keys do not change while a subscription stands, so none is listed twice, and none passed over.
struct SubscriptionPlace {
  std::uint32_t slot = 0;   ///< kListed = at the end
  std::uint64_t key = 0;    ///< node, group
};

/// Where a listing of routes goes on: sessions by slot and hit, then groups by key and serial.
struct RoutePlace {
  enum class Part : std::uint8_t { sessions, groups, end } part = Part::sessions;
  std::uint64_t first = 0;  ///< slot; of a group its key: node, group
  std::uint32_t then = 0;   ///< hit; serial
};

}  // namespace stmqtt
