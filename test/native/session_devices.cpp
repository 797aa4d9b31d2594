// Who is which device, and who is a service: what CONNECT settles.
#include "session_access_fixture.hpp"

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

}  // namespace
}  // namespace stmqtt::test
