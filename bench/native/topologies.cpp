// Who publishes what to whom.
// Thread: any; pure functions.
#include "topologies.hpp"

#include <algorithm>

namespace stmqtt::bench {

namespace {

constexpr std::uint32_t kMixedPerSubscriber = 1000;
constexpr std::uint32_t kMixedTopics = 10'000;

std::string numbered(const char* prefix, std::uint32_t number) { return prefix + std::to_string(number); }

struct Device {
  std::string plant;
  std::string line;
  std::string device;
};

// 1,000 devices a plant, ten lines in each, as a large installation names them.
Device device(std::uint32_t number) {
  return {numbered("plant", number / 1000), numbered("line", number / 100 % 10), numbered("dev", number)};
}

std::string exact_filter(std::uint32_t number) {
  const Device d = device(number);
  return "site/" + d.plant + "/" + d.line + "/" + d.device + "/temperature";
}

std::string plus_filter(std::uint32_t number) {
  const Device d = device(number);
  switch (number % 4) {
    case 0: return "+/" + d.plant + "/" + d.line + "/" + d.device + "/temperature";
    case 1: return "site/+/" + d.line + "/" + d.device + "/temperature";
    case 2: return "site/" + d.plant + "/+/" + d.device + "/temperature";
    default: return "site/" + d.plant + "/" + d.line + "/" + d.device + "/+";
  }
}

std::string hash_filter(std::uint32_t number) {
  const Device d = device(number);
  return "site/" + d.plant + "/" + d.line + "/" + d.device + "/#";
}

}  // namespace

void plan_pipe(FlowPlan& plan, std::uint32_t pairs) {
  for (std::uint32_t i = 0; i < pairs; ++i) {
    plan.filters.push_back({numbered("pipe/", i)});
    plan.topics.push_back({{numbered("pipe/", i), 1}});
  }
}

void plan_fan_out(FlowPlan& plan, std::uint32_t subscribers) {
  plan.filters.assign(subscribers, {"fanout/topic"});
  plan.topics.push_back({{"fanout/topic", subscribers}});
}

void plan_fan_in(FlowPlan& plan, std::uint32_t publishers) {
  plan.filters.push_back({"fanin/#"});
  for (std::uint32_t i = 0; i < publishers; ++i) plan.topics.push_back({{numbered("fanin/", i), 1}});
}

void plan_shared(FlowPlan& plan, std::uint32_t publishers, std::uint32_t members) {
  plan.filters.assign(members, {"$share/group/shared/+"});
  for (std::uint32_t i = 0; i < publishers; ++i) plan.topics.push_back({{numbered("shared/", i), 1}});
}

std::vector<std::vector<std::string>> mixed_filters(std::uint32_t count, std::uint32_t per_chunk) {
  const std::uint32_t exact = count / 10 * 6;
  const std::uint32_t plus = count / 10 * 3;
  std::vector<std::vector<std::string>> chunks;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i % per_chunk == 0) chunks.emplace_back();
    if (i < exact) {
      chunks.back().push_back(exact_filter(i));
    } else if (i < exact + plus) {
      chunks.back().push_back(plus_filter(i - exact));
    } else {
      chunks.back().push_back(hash_filter(i - exact - plus));
    }
  }
  return chunks;
}

void plan_mixed(FlowPlan& plan, std::uint32_t publishers, std::uint32_t filter_count) {
  const std::uint32_t exact = filter_count / 10 * 6;
  const std::uint32_t plus = filter_count / 10 * 3;
  const std::uint32_t hash = filter_count - exact - plus;
  plan.filters = mixed_filters(filter_count, kMixedPerSubscriber);
  plan.topics.resize(publishers);
  const std::uint32_t topics = std::min(kMixedTopics, exact);
  for (std::uint32_t i = 0; i < topics; ++i) {
    const std::uint32_t number = i * (exact / topics);
    const std::uint32_t copies = 1u + (number < plus ? 1u : 0u) + (number < hash ? 1u : 0u);
    plan.topics[i % publishers].push_back({exact_filter(number), copies});
  }
}

}  // namespace stmqtt::bench
