#include "session/publisher.hpp"

#include <algorithm>
#include <string_view>

#include "session/session.hpp"
#include "wire/encode_publish.hpp"
#include "wire/properties.hpp"

namespace stmqtt {
namespace {

constexpr std::string_view kClientId = "publisher_client_id";
constexpr std::string_view kDeviceId = "publisher_device_id";
constexpr std::string_view kUsername = "publisher_username";
constexpr std::string_view kTenant = "publisher_tenant";
constexpr std::size_t kMaxValueBytes = 1024;

bool is_told(Bytes value) noexcept { return !value.empty() && value.size() <= kMaxValueBytes; }

std::size_t property_size(std::string_view name, Bytes value) noexcept {
  return is_told(value) ? 5 + name.size() + value.size() : 0;
}

std::uint8_t* store_property(std::uint8_t* to, std::string_view name, Bytes value) noexcept {
  if (!is_told(value)) return to;
  *to++ = static_cast<std::uint8_t>(wire::PropertyId::user_property);
  to = store_bytes(store_u16(to, static_cast<std::uint16_t>(name.size())), as_bytes(name));
  return store_bytes(store_u16(to, static_cast<std::uint16_t>(value.size())), value);
}

bool is_origin_name(Bytes name) noexcept {
  const std::string_view text = as_text(name);
  return text == kClientId || text == kDeviceId || text == kUsername || text == kTenant;
}

/// Of one encoded property.
bool is_origin(Bytes property) noexcept {
  return property[0] == static_cast<std::uint8_t>(wire::PropertyId::user_property) &&
         is_origin_name(property.subspan(3, load_u16(property.data() + 1)));
}

}  // namespace

Bytes write_origin(PoolVector<std::uint8_t>& buffer, const Session& session,
                   Bytes topic) noexcept {
  const Bytes client_id = session.client_id();
  const Bytes username{session.username, session.username_bytes};
  const Bytes tenant = session.identity == nullptr ? Bytes{} : session.identity->tenant();
  // On a device topic: whose it is, whoever publishes there. `me` is left in topics only where
  // devices share them.
  const DevicePlace place = may_be_device_topic(topic) ? find_device(topic) : DevicePlace{};
  const bool is_named = place.found && as_text(place.id) != kMe;
  const Bytes device = is_named ? place.id : session.device_id();
  const std::size_t first = property_size(kClientId, client_id);
  buffer.resize(static_cast<std::uint32_t>(2 + first + property_size(kDeviceId, device) +
                                           property_size(kUsername, username) +
                                           property_size(kTenant, tenant)));
  std::uint8_t* to = store_u16(buffer.data(), static_cast<std::uint16_t>(first));
  to = store_property(to, kClientId, client_id);
  to = store_property(to, kDeviceId, device);
  to = store_property(to, kUsername, username);
  store_property(to, kTenant, tenant);
  return {buffer.data(), buffer.size()};
}

Bytes origin_client(Bytes origin) noexcept { return origin.subspan(2, load_u16(origin.data())); }

Bytes origin_all(Bytes origin) noexcept { return origin.subspan(2); }

Bytes write_origin_device(PoolVector<std::uint8_t>& buffer, Bytes id) noexcept {
  buffer.resize(static_cast<std::uint32_t>(property_size(kDeviceId, id)));
  store_property(buffer.data(), kDeviceId, id);
  return {buffer.data(), buffer.size()};
}

bool claims_origin(Bytes properties) noexcept {
  bool any = false;
  wire::for_each_user_property(properties, [&](const wire::UserProperty& property) {
#ifndef STMQTT_MUTANT_CLIENTS_TELL_THE_PUBLISHER
    any = any || is_origin_name(property.name);
#endif
  });
  return any;
}

std::size_t copy_without_origin(Bytes properties, std::uint8_t* out) noexcept {
  std::uint8_t* const start = out;
  while (!properties.empty()) {
    const Bytes one = properties.first(wire::property_bytes(properties.data()));
    if (wire::is_forwarded(one[0]) && !is_origin(one)) out = store_bytes(out, one);
    properties = properties.subspan(one.size());
  }
  return static_cast<std::size_t>(out - start);
}

bool Session::needs_own_form(const MessageParts& parts) const noexcept {
  if ((dress & (kDressMe | kDressAnyMe)) != 0 && may_be_device_topic(parts.topic)) return true;
  if (parts.origin.empty() || !client_->is_v5()) return false;
  return (dress & kDressOrigin) != 0 ||
         ((dress & kDressPublisher) != 0 && may_be_device_topic(parts.topic));
}

void Session::dress_up(FormScratch& scratch, const MessageParts& parts,
                       wire::PublishOut& out) const noexcept {
  const Bytes topic = parts.topic;
  const std::size_t skip = topic[0] == '$' ? 0 : topic_skip;
  const DevicePlace place = (dress & ~kDressTenant) != 0 && may_be_device_topic(topic)
                                ? find_device(topic)
                                : DevicePlace{};
  if (client_->is_v5()) {
    if ((dress & kDressOrigin) != 0) {
      if (!parts.origin.empty()) {
        out.more_properties = origin_all(parts.origin);
      } else if (place.found && as_text(place.id) != kMe) {
        out.more_properties = write_origin_device(scratch.told, place.id);
      }
    } else if ((dress & kDressPublisher) != 0 && place.found && !parts.origin.empty()) {
      out.more_properties = origin_client(parts.origin);
    }
  }
  const bool as_me = place.found && ((dress & kDressAnyMe) != 0 ||
                                     ((dress & kDressMe) != 0 && is_own(place)));
  out.topic = as_me ? topic_by_me(scratch.topic, topic, skip, place) : topic.subspan(skip);
}

}  // namespace stmqtt
