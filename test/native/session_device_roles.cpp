// What a re-authentication with another role changes for a client's device topics.
#include "runner.hpp"
#include "session/device_scope.hpp"

namespace stmqtt::test {
namespace {

STMQTT_TEST("device topics: what another role changes for a client that is here") {
  using contract::Role;
  constexpr unsigned kWho = kDeviceMe | kDeviceHasId | kDeviceIdOfKey;
  const auto with = [](unsigned flags, Role role, std::size_t subscriptions) -> unsigned {
    return device_flags_with_role(static_cast<std::uint8_t>(flags), role, subscriptions);
  };
  // A service may get at all devices' topics, and as a device again only at its own; which device
  // it is stays.
  CHECK_EQ(with(kWho | kDeviceScoped | kDeviceWide, Role::service, 3), kWho | kDeviceService);
  for (const Role device : {Role::device, Role::unset}) {
    CHECK_EQ(with(kWho | kDeviceService, device, 0), kWho | kDeviceScoped);
    CHECK_EQ(with(kWho | kDeviceService, device, 1), kWho | kDeviceScoped | kDeviceWide);
    // As it was: its subscriptions were made as a device.
    CHECK_EQ(with(kWho | kDeviceScoped, device, 1), kWho | kDeviceScoped);
    CHECK_EQ(with(kWho | kDeviceScoped | kDeviceWide, device, 0),
             kWho | kDeviceScoped | kDeviceWide);
    // Where devices are not kept apart nobody is scoped.
    CHECK_EQ(with(kDeviceHasId | kDeviceService, device, 1), unsigned{kDeviceHasId});
  }
}

}  // namespace
}  // namespace stmqtt::test
