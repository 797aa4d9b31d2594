// Device topics as texts: which ids are fit, where they stand, what filters reach, what `me` becomes
// and what a client may not say of itself. No sessions.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner.hpp"
#include "session/device_scope.hpp"
#include "session/publisher.hpp"

namespace stmqtt::test {
namespace {

STMQTT_TEST("device topics: which ids are fit to be a level") {
  for (const char* fit : {"pump-1", "a.b", "Me", "mе" /* Cyrillic */, "$SYS", " ", "v1"}) {
    CHECK(fit_device_id(as_bytes(std::string_view(fit))));
  }
  for (const char* unfit : {"", "me", "a/b", "/", "+", "a+", "#", "x#y"}) {
    CHECK(!fit_device_id(as_bytes(std::string_view(unfit))));
  }
  CHECK(!fit_device_id(as_bytes(std::string_view("a\0b", 3))));
}

STMQTT_TEST("device topics: where the id stands") {
  const auto id_of = [](std::string_view topic) {
    const DevicePlace place = find_device(as_bytes(topic));
    return !place.found ? std::string("none") : std::string(as_text(place.id));
  };
  CHECK(id_of("v1/devices/pump/telemetry") == "pump");
  CHECK(id_of("v1/devices/pump") == "pump");
  CHECK(id_of("v1/devices/") == "");
  CHECK(id_of("v1/devices//x") == "");
  CHECK(id_of("v1/devices") == "none");
  CHECK(id_of("v1/device/pump") == "none");
  CHECK(id_of("v2/devices/pump") == "none");
  CHECK(id_of("/v1/devices/pump") == "none");
  CHECK(id_of("/tenants/acme/v1/devices/pump/x") == "pump");
  CHECK(id_of("/tenants//v1/devices/pump/x") == "pump");
  CHECK(id_of("/tenants/acme/v1/devices") == "none");
  CHECK(id_of("/tenants/a/b/v1/devices/pump") == "none");
  CHECK(id_of("/tenants/") == "none");
  CHECK(id_of("/tenants") == "none");
  const DevicePlace place = find_device(as_bytes(std::string_view("/tenants/a/v1/devices/x/y")));
  CHECK(place.behind_tenant && as_text(place.tenant) == "a" && place.id_at == 22);
}

STMQTT_TEST("device topics: which filters reach them") {
  for (const char* filter : {"#", "+/#", "+/devices/#", "v1/#", "v1/+/x/y", "v1/devices/+",
                             "v1/devices/#", "v1/devices/a/b", "+/+/+", "/#", "/tenants/#",
                             "/tenants/a/+/+/x", "+/+/+/+/+/+"}) {
    CHECK(reaches_devices(as_bytes(std::string_view(filter))));
  }
  for (const char* filter : {"a/#", "v1", "v1/devices", "v1/+", "+/+", "v2/devices/+/#",
                             "+/gateway/#", "/tenants", "/tenants/+", "$SYS/#", "v1x/devices/a",
                             "/tenants/+/x/#", "/tenants/+/v1/devices"}) {
    CHECK(!reaches_devices(as_bytes(std::string_view(filter))));
  }
}

STMQTT_TEST("device topics: which there are under me") {
  const std::vector<std::string> patterns{"telemetry", "rpc/request/+", "x/#"};
  const auto meets = [&](std::string_view rest) { return meets_patterns(patterns, as_bytes(rest)); };
  for (const char* rest : {"/telemetry", "/rpc/request/7", "/rpc/request/", "/x", "/x/y/z", "/#",
                           "/+", "/rpc/#", "/rpc/+/7", "/+/request/+"}) {
    CHECK(meets(rest));
  }
  for (const char* rest : {"", "/", "/telemetry/", "/telemetry/x", "/rpc/request", "/rpc/request/7/8",
                           "/rpc/response/+", "/Telemetry", "/+/+"}) {
    CHECK(meets(rest) == (std::string_view(rest) == "/+/+"));  // x/# matches x/y
  }
  CHECK(!meets_patterns({}, as_bytes(std::string_view("/#"))));
  CHECK(meets_patterns({"#"}, {}));
}

STMQTT_TEST("device topics: by me behind a tenant only where that is what the client writes") {
  DeviceOptions options;
  options.mode = MeMode::scoped;
  options.patterns = {"#"};
  DeviceScope scope;
  scope.set_options(std::make_shared<const DeviceOptions>(options));
  const auto entered = [&](TenantMode mode, std::string_view topic) {
    MeSubject who;
    who.flags = kDeviceMe | kDeviceScoped | kDeviceHasId;
    who.tenant_mode = mode;
    who.self.id = as_bytes(std::string_view("pump"));
    if (mode != TenantMode::off) who.self.tenant = as_bytes(std::string_view("red"));
    Bytes bytes = as_bytes(topic);
    CHECK(scope.enter(who, bytes, MeUse::publish) == MeFit::fits);
    return std::string(as_text(bytes));
  };
  const std::string_view red = "/tenants/red/v1/devices/me/x";
  const std::string_view blue = "/tenants/blue/v1/devices/me/x";
  CHECK_EQ(entered(TenantMode::enforced, red), "/tenants/red/v1/devices/pump/x");
  CHECK_EQ(entered(TenantMode::enforced, blue), blue);
  CHECK_EQ(entered(TenantMode::transparent, red), red);
  CHECK_EQ(entered(TenantMode::off, red), red);
  CHECK_EQ(entered(TenantMode::off, "v1/devices/me/x"), "v1/devices/pump/x");
}

STMQTT_TEST("device topics: what a client says of who published is found, and left out") {
  using namespace std::string_view_literals;
  const std::string_view own = "&\0\x01""a\0\x01""b"sv;
  for (const std::string_view name : {"publisher_client_id", "publisher_device_id",
                                      "publisher_username", "publisher_tenant"}) {
    const Context context("name", std::string(name));
    std::string all(own);
    all += std::string("&\0", 2) + static_cast<char>(name.size()) + std::string(name);
    all += "\0\x01x"sv;
    all += own;
    CHECK(claims_origin(as_bytes(all)));
    std::vector<std::uint8_t> kept(all.size());
    kept.resize(copy_without_origin(as_bytes(all), kept.data()));
    CHECK_EQ(std::string(kept.begin(), kept.end()), std::string(own) + std::string(own));
  }
  CHECK(!claims_origin(as_bytes(own)));
}

}  // namespace
}  // namespace stmqtt::test
