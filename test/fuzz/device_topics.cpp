// Fuzz target: device topics. Where an id stands must be what plain splitting says; a topic by `me`
// becomes the client's own device's and nobody else's, and is by `me` again on its way out; a filter
// that matches any device topic must be known as one that reaches them.
#include <cstdint>
#include <memory>
#include <string>

#include "session/device_scope.hpp"
#include "tokens.hpp"
#include "wire/topic.hpp"

namespace {

using namespace stmqtt;
using namespace stmqtt::fuzz;

constexpr std::string_view kLevels[] = {"v1", "v1", "devices", "devices", "me", "me", "pump",
                                        "",   "tenants", "a", "telemetry", "x", "$SYS"};

/// "[/tenants/<tenant>/]v1/devices/<id>[/rest]"
struct Place {
  bool found = false;
  bool within = false;
  std::string tenant, id;
};
Place place_of(const std::string& topic) {
  const auto levels = split(topic);
  Place place;
  std::size_t at = 0;
  if (levels.size() >= 4 && levels[0].empty() && levels[1] == "tenants") {
    place.within = true;
    place.tenant = levels[2];
    at = 3;
  }
  if (levels.size() < at + 3 || levels[at] != "v1" || levels[at + 1] != "devices") return {};
  place.found = true;
  place.id = levels[at + 2];
  return place;
}

void check_place(const std::string& topic) {
  const Place expected = place_of(topic);
  const DevicePlace found = find_device(as_bytes(topic));
  require(found.found == expected.found, "found");
  if (!expected.found) return;
  require(may_be_device_topic(as_bytes(topic)), "may be a device topic");
  require(found.behind_tenant == expected.within && as_text(found.tenant) == expected.tenant,
          "its tenant");
  require(as_text(found.id) == expected.id, "its id");
  require(topic.compare(found.id_at, expected.id.size(), expected.id) == 0, "where its id is");
}

/// No device topic escapes a filter that is said not to reach any.
void check_reach(const std::string& filter, const std::string& topic) {
  if (matches(filter, topic) && place_of(topic).found) {
    require(reaches_devices(as_bytes(filter)), "a filter reaches devices");
  }
  if (filter.find_first_of("+#") == std::string::npos) {
    require(reaches_devices(as_bytes(filter)) == place_of(filter).found, "a literal filter");
  }
}

void check_me(Tokens& input, const std::string& topic) {
  static const std::vector<std::string> kPatterns[] = {{"#"}, {"telemetry", "x/+/#"}, {}};
  const auto& patterns = kPatterns[input.below(3)];
  DeviceOptions options;
  options.mode = MeMode::scoped;
  options.patterns = patterns;
  DeviceScope scope;
  scope.set_options(std::make_shared<const DeviceOptions>(options));
  const bool unfit = input.below(8) == 0;
  const std::string id(input.below(3) == 0 ? input.text(9) : input.below(2) == 0 ? "pump" : "");
  const bool has_id = fit_device_id(as_bytes(id)) && !unfit;
  const std::string tenant(input.below(2) == 0 ? "a" : "");
  MeSubject who;
  who.flags = static_cast<std::uint8_t>(kDeviceMe | kDeviceScoped | (has_id ? kDeviceHasId : 0) |
                                        (unfit ? kDeviceUnfit : 0));
  who.is_link = input.below(3) == 0;
  who.tenant_mode = tenant.empty() ? TenantMode::off
                    : input.below(2) == 0 ? TenantMode::enforced
                                          : TenantMode::transparent;
  who.self = {has_id ? as_bytes(id) : Bytes{},
              who.tenant_mode == TenantMode::off ? Bytes{} : as_bytes(tenant)};
  const MeUse use = static_cast<MeUse>(input.below(3));
  const Place place = place_of(topic);
  Bytes entered = as_bytes(topic);
  const MeFit fit = scope.enter(who, entered, use);
  const std::string result(as_text(entered));
  // Behind a prefix only where that is the client's to write.
  const bool is_me = place.found && place.id == "me" &&
                     (!place.within || who.is_link ||
                      (who.tenant_mode == TenantMode::enforced && place.tenant == tenant));
  if (!is_me) {
    require(fit == MeFit::fits && result == topic, "not by me: as it was");
    return;
  }
  const bool is_any = !has_id && who.is_link && use != MeUse::publish;
  if (!has_id && !is_any) {
    require(fit == (unfit ? MeFit::unfit_id : MeFit::no_id), "without an id: refused");
    return;
  }
  const std::size_t at = find_device(as_bytes(topic)).id_at;
  const std::string rest = topic.substr(at + 2);
  if (topic.find_first_of("+#") == std::string::npos && use != MeUse::unsubscribe) {
    bool allowed = false;
    for (const std::string& pattern : patterns) {
      allowed = allowed || (rest.empty() ? pattern == "#" : matches(pattern, rest.substr(1)));
    }
    require(allowed == (fit != MeFit::pattern), "patterns");
  }
  if (fit != MeFit::fits) {
    require(fit == MeFit::pattern || fit == MeFit::too_long, "why not");
    return;
  }
  require(result == topic.substr(0, at) + (is_any ? "+" : id) + rest, "its own device's topic");
  const DevicePlace own = find_device(as_bytes(result));
  if (is_any) return;
  // Within a tenant once its step has been taken.
  if (who.tenant_mode == TenantMode::off && !place.within) {
    require(is_own(who.self, own), "is its own");
  }
  PoolVector<std::uint8_t> buffer;
  require(as_text(topic_by_me(buffer, as_bytes(result), 0, own)) == topic, "and by me again");
  if (place.within) {
    const std::size_t skip = own.id_at - kDeviceRoot.size();
    require(as_text(topic_by_me(buffer, as_bytes(result), skip, own)) == topic.substr(skip),
            "and by me without the tenant");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Tokens input(data, size);
  while (!input.empty()) {
    // Mostly near device topics.
    std::string topic(input.below(3) == 0 ? "" : input.below(3) == 0 ? "/tenants/a/v1/devices/"
                                                                     : "v1/devices/");
    topic += input.levels(kLevels, false);
    const std::string filter = input.levels(kLevels, true);
    check_place(topic);
    check_place(filter);
    check_place(input.text(30));
    check_reach(filter, topic);
    check_reach(topic, topic);
    check_me(input, topic);
    check_me(input, "v1/devices/me/" + filter);
  }
  return 0;
}
