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
  std::uint8_t flags = 0;
  if (state.identity != nullptr && !state.identity->device_id().empty()) {
    if (fit_device_id(state.identity->device_id())) flags |= kDeviceHasId;
  } else if (!client.is_link && !state.judged && options_->id_from_client &&
             fit_device_id(own_client_id(state))) {
    flags |= kDeviceHasId | kDeviceIdOfKey;
  }
  const contract::Role role =
      state.identity == nullptr ? contract::Role::unset : state.identity->role;
  // A link is the process itself, unless it was opened for a device.
  const bool own_link = client.is_link && role == contract::Role::unset &&
                        (flags & kDeviceHasId) == 0;
  if (role == contract::Role::service || own_link) flags |= kDeviceService;
  if (options_->mode == MeMode::scoped) {
    flags |= kDeviceMe;
    if ((flags & kDeviceService) == 0) flags |= kDeviceScoped;
  }
  return flags;
}

void DeviceScope::settle(const Client& client, Session& session) const noexcept {
  std::uint8_t flags = flags_of(client);
  if ((flags & kDeviceScoped) != 0 && session.subscriptions.size() > 0) {
    // They were made by whom the client was then.
    const bool is_same = (session.device & kDeviceScoped) != 0 &&
                         as_text(session.device_id()) ==
                             as_text(device_id_of(*client.connecting, flags));
    if (!is_same || (session.device & kDeviceWide) != 0) flags |= kDeviceWide;
  }
  session.device = flags;
}

}  // namespace stmqtt
