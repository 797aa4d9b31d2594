#include "session/device_topics.hpp"

#include <algorithm>

#include "route/topic_levels.hpp"

namespace stmqtt {
namespace {

constexpr std::string_view kTenants = "/tenants/";
constexpr std::string_view kAnyDevice = "v1/devices/+/#";
constexpr std::string_view kAnyTenantDevice = "/tenants/+/v1/devices/+/#";

/// Whether two filters match a topic in common; a Topic Name is a filter, too. '#' matches its
/// parent level as well.
bool intersect(Bytes one, Bytes other) noexcept {
  TopicLevels ours(one);
  TopicLevels theirs(other);
  for (;;) {
    Bytes our;
    Bytes their;
    const bool more = ours.next(our);
    const bool more_there = theirs.next(their);
    if ((more && is_hash(our)) || (more_there && is_hash(their))) return true;
    if (!more || !more_there) return more == more_there;
    if (!is_plus(our) && !is_plus(their) && as_text(our) != as_text(their)) return false;
  }
}

}  // namespace

DevicePlace find_device(Bytes topic) noexcept {
  DevicePlace place;
  const std::string_view text = as_text(topic);
  std::size_t at = 0;
  if (text.starts_with(kTenants)) {
    const std::size_t end = text.find('/', kTenants.size());
    if (end == std::string_view::npos) return place;
    place.behind_tenant = true;
    place.tenant = topic.subspan(kTenants.size(), end - kTenants.size());
    at = end + 1;
  }
  if (!text.substr(at).starts_with(kDeviceRoot)) return place;
  place.found = true;
  place.id_at = at + kDeviceRoot.size();
  place.id = topic.subspan(place.id_at, std::min(text.find('/', place.id_at), text.size()) -
                                            place.id_at);
  return place;
}

Bytes topic_by_me(PoolVector<std::uint8_t>& buffer, Bytes topic, std::size_t skip,
                  const DevicePlace& place) noexcept {
  const Bytes before = topic.subspan(skip, place.id_at - skip);
  const Bytes behind = topic.subspan(place.id_at + place.id.size());
  buffer.resize(static_cast<std::uint32_t>(before.size() + kMe.size() + behind.size()));
  store_bytes(store_bytes(store_bytes(buffer.data(), before), as_bytes(kMe)), behind);
  return {buffer.data(), buffer.size()};
}

bool reaches_devices(Bytes filter) noexcept {
  return intersect(filter, as_bytes(kAnyDevice)) || intersect(filter, as_bytes(kAnyTenantDevice));
}

bool fit_device_id(Bytes id) noexcept {
  return !id.empty() && as_text(id) != kMe && std::ranges::none_of(id, [](std::uint8_t c) {
    return c == '/' || c == '+' || c == '#' || c == 0;
  });
}

bool meets_patterns(const std::vector<std::string>& patterns, Bytes rest) noexcept {
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    if (rest.empty()) return pattern == "#";
    return intersect(as_bytes(pattern), rest.subspan(1));
  });
}

}  // namespace stmqtt
