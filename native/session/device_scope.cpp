#include "session/device_scope.hpp"

namespace stmqtt {
namespace {

/// The Client Identifier as the client has it.
Bytes own_client_id(const ConnectState& state) noexcept {
  return state.client_id.subspan(state.tenant_prefix_bytes);
}

Bytes device_id_of(const ConnectState& state, std::uint8_t flags) noexcept {
  if ((flags & kDeviceHasId) == 0) return {};
  return (flags & kDeviceIdOfKey) != 0 ? own_client_id(state) : state.identity->device_id();
}

}  // namespace

std::uint8_t DeviceScope::flags_of(const Client& client) const noexcept {
  const ConnectState& state = *client.connecting;
  unsigned flags = 0;
  Bytes id = state.identity == nullptr ? Bytes{} : state.identity->device_id();
  if (id.empty() && !client.is_link && !state.judged && options_->id_from_client) {
    id = own_client_id(state);
    flags |= kDeviceIdOfKey;
  }
  if (id.empty()) {
    flags = 0;
#ifdef STMQTT_MUTANT_ANY_DEVICE_ID_FITS
  } else if (true) {
#else
  } else if (fit_device_id(id)) {
#endif
    flags |= kDeviceHasId;
  } else {
    flags = kDeviceUnfit;
  }
  const contract::Role role =
      state.identity == nullptr ? contract::Role::unset : state.identity->role;
  // A link is the process itself, unless it was opened for a device.
  const bool is_process = client.is_link && role == contract::Role::unset && id.empty();
  if (role == contract::Role::service || is_process) flags |= kDeviceService;
  if (options_->mode != MeMode::off) flags |= kDeviceTold;
  if (options_->mode == MeMode::scoped) {
    flags |= kDeviceMe;
    if ((flags & kDeviceService) == 0) flags |= kDeviceScoped;
  }
  return static_cast<std::uint8_t>(flags);
}

MeSubject DeviceScope::subject_of(const Client& client) const noexcept {
  const ConnectState& state = *client.connecting;
  const TenantMode mode = client.limits->tenant_mode;
  const bool within = state.identity != nullptr && mode != TenantMode::off;
  MeSubject who;
  who.flags = flags_of(client);
  who.is_link = client.is_link;
  who.tenant_mode = mode;
  who.self = {device_id_of(state, who.flags), within ? state.identity->tenant() : Bytes{}};
  return who;
}

MeFit DeviceScope::enter(const MeSubject& who, Bytes& topic, MeUse use) noexcept {
  if ((who.flags & kDeviceMe) == 0 || !may_be_device_topic(topic)) return MeFit::fits;
  const DevicePlace place = find_device(topic);
  if (!place.found || as_text(place.id) != kMe) return MeFit::fits;
  // Behind a tenant's prefix only where it is what the client has to write.
#ifdef STMQTT_MUTANT_ME_IN_ANY_TENANT
  if (false && !who.is_link &&
#else
  if (place.behind_tenant && !who.is_link &&
#endif
      (who.tenant_mode != TenantMode::enforced ||
       as_text(place.tenant) != as_text(who.self.tenant))) {
    return MeFit::fits;
  }
  Bytes id = who.self.id;
  if (id.empty() && who.is_link && use != MeUse::publish) id = as_bytes(std::string_view("+"));
  if (id.empty()) return (who.flags & kDeviceUnfit) != 0 ? MeFit::unfit_id : MeFit::no_id;
  const Bytes before = topic.first(place.id_at);
  const Bytes behind = topic.subspan(place.id_at + place.id.size());
#ifdef STMQTT_MUTANT_ME_WITHOUT_PATTERNS
  if (false && !meets_patterns(options_->patterns, behind)) {
#else
  if (use != MeUse::unsubscribe && !meets_patterns(options_->patterns, behind)) {
#endif
    return MeFit::pattern;
  }
  const std::size_t bytes = before.size() + id.size() + behind.size();
  if (bytes > 65'535) return MeFit::too_long;
  buffer_.resize(static_cast<std::uint32_t>(bytes));
  store_bytes(store_bytes(store_bytes(buffer_.data(), before), id), behind);
  topic = {buffer_.data(), buffer_.size()};
  return MeFit::fits;
}

void DeviceScope::settle(const Client& client, Session& session) const noexcept {
  std::uint8_t flags = flags_of(client);
  if ((flags & kDeviceScoped) != 0 && session.subscriptions.size() > 0) {
    // They were made by whom the client was then.
    const bool is_same = (session.device & kDeviceScoped) != 0 &&
                         as_text(session.device_id()) ==
                             as_text(device_id_of(*client.connecting, flags));
#ifndef STMQTT_MUTANT_ANOTHER_DEVICE_KEEPS_ITS_RIGHTS
    if (!is_same || (session.device & kDeviceWide) != 0) flags |= kDeviceWide;
#endif
  }
  session.device = flags;
  const bool keeps_me = (flags & kDeviceMe) != 0 && session.subscriptions.size() > 0;
  std::uint8_t dress = keeps_me ? session.dress & kDressMe : 0;
  if (client.is_link) {
    if ((flags & kDeviceTold) != 0) dress |= kDressOrigin;
    if ((flags & kDeviceMe) != 0) dress |= kDressAnyMe;
  } else if ((flags & kDeviceTold) != 0 && (flags & kDeviceService) != 0) {
    dress |= kDressPublisher;
  }
  session.dress = dress;
}

std::uint8_t device_flags_with_role(std::uint8_t flags, contract::Role role,
                                    std::size_t subscriptions) noexcept {
  if (role == contract::Role::service) {
    return static_cast<std::uint8_t>((flags | kDeviceService) & ~(kDeviceScoped | kDeviceWide));
  }
  flags &= static_cast<std::uint8_t>(~kDeviceService);
  if ((flags & kDeviceMe) == 0) return flags;
  // What it has subscribed to as a service may match topics of other devices.
#ifndef STMQTT_MUTANT_FORMER_SERVICE_KEEPS_ITS_RIGHTS
  if ((flags & kDeviceScoped) == 0 && subscriptions > 0) flags |= kDeviceWide;
#endif
  return flags | kDeviceScoped;
}

void DeviceScope::change_role(Session& session, contract::Role role) noexcept {
  session.device = device_flags_with_role(session.device, role, session.subscriptions.size());
  session.dress &= static_cast<std::uint8_t>(~kDressPublisher);
  if ((session.device & kDeviceTold) != 0 && (session.device & kDeviceService) != 0) {
    session.dress |= kDressPublisher;
  }
}

}  // namespace stmqtt
