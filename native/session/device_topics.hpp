// Device topics, "[/tenants/<t>/]v1/devices/<id>[/…]": where the id stands in a topic, what of them a
// filter can match, and which topics there are under `me`. Knows no session.
// Thread: any (pure).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/vec.hpp"

namespace stmqtt {

/// What "v1/devices/me/…" is to clients.
enum class MeMode : std::uint8_t {
  off,     ///< a topic like any other
  scoped,  ///< their own device's topics; nobody but services gets at another's
  shared,  ///< one topic of all devices; who published is told beside it
};

/// The table [device], as far as it holds for traffic.
struct DeviceOptions {
  MeMode mode = MeMode::off;
  /// Where nobody is authenticated the Client Identifier is the device id; else there is none.
  bool id_from_client = true;
  /// What may stand behind "v1/devices/me/", as Topic Filters.
  std::vector<std::string> patterns;

  bool operator==(const DeviceOptions&) const noexcept = default;
};

inline constexpr std::string_view kDeviceRoot = "v1/devices/";
inline constexpr std::string_view kMe = "me";

/// False: it is no device topic, and none by `me`. For the path of each PUBLISH.
[[nodiscard]] inline bool may_be_device_topic(Bytes topic) noexcept {
  if (topic.size() < kDeviceRoot.size()) return false;
  return std::memcmp(topic.data(), "v1/devic", 8) == 0 ||
         std::memcmp(topic.data(), "/tenants", 8) == 0;
}

/// Where a device's id stands.
struct DevicePlace {
  bool found = false;
  bool behind_tenant = false;
  Bytes tenant;             ///< if behind_tenant
  std::size_t id_at = 0;    ///< offset of the id
  Bytes id;                 ///< one level; may be empty, or of a filter a wildcard
};
/// Of a Topic Name or Topic Filter (without its $share part), if its levels before the id are
/// there literally; the tenant may be a wildcard.
[[nodiscard]] DevicePlace find_device(Bytes topic) noexcept;

/// Where a client's own device topics are.
struct DeviceSelf {
  Bytes id;      ///< empty = it is none
  Bytes tenant;  ///< empty = its topics are not within a tenant
};
[[nodiscard]] inline bool is_own(const DeviceSelf& self, const DevicePlace& place) noexcept {
  return place.found && !self.id.empty() && as_text(place.id) == as_text(self.id) &&
         place.behind_tenant == !self.tenant.empty() &&
         as_text(place.tenant) == as_text(self.tenant);
}

/// A device's topic as the device sees it: "[…/]v1/devices/me/…", in `buffer`, without the first
/// `skip` bytes of `topic`; these end before the id.
[[nodiscard]] Bytes topic_by_me(PoolVector<std::uint8_t>& buffer, Bytes topic, std::size_t skip,
                                const DevicePlace& place) noexcept;

/// Whether a filter without its $share part matches any device topic.
[[nodiscard]] bool reaches_devices(Bytes filter) noexcept;

/// `/`, `+`, `#`, NUL or nothing in it, or "me": it cannot be a level of its own.
[[nodiscard]] bool fit_device_id(Bytes id) noexcept;

/// Whether there is a topic that one of the patterns and `rest` match; `rest`: what stands behind
/// "v1/devices/me" in a Topic Name or Topic Filter, empty or with its '/'.
[[nodiscard]] bool meets_patterns(const std::vector<std::string>& patterns, Bytes rest) noexcept;

}  // namespace stmqtt
