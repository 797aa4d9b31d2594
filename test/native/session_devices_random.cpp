// Device topics and DirectWrites against a model: random clients, filters, publishes, retained messages,
// writes, ends and returns; after each step everybody has got what the model says, and nothing else.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "session_access_fixture.hpp"

namespace stmqtt::test {
namespace {

const std::string kDevices = "v1/devices/";
const std::vector<std::string> kPatterns = {"telemetry", "attributes", "rpc/request/+"};
constexpr int kClients = 6;  ///< the last two are services

std::vector<std::string> levels_of(const std::string& topic) {
  std::vector<std::string> levels(1);
  for (const char c : topic) {
    if (c == '/') levels.emplace_back();
    else levels.back() += c;
  }
  return levels;
}

bool matches(const std::string& filter, const std::string& topic) {
  const auto wanted = levels_of(filter);
  const auto given = levels_of(topic);
  for (std::size_t at = 0; at < wanted.size(); ++at) {
    if (wanted[at] == "#") return true;
    if (at >= given.size() || (wanted[at] != "+" && wanted[at] != given[at])) return false;
  }
  return wanted.size() == given.size();
}

bool in_patterns(const std::string& rest) {
  return std::any_of(kPatterns.begin(), kPatterns.end(),
                     [&](const std::string& pattern) { return matches(pattern, rest); });
}

/// What stands behind "v1/devices/<id>/"; the id goes to `id`. Empty: it is no such topic.
std::string rest_of(const std::string& text, std::string& id) {
  if (text.rfind(kDevices, 0) != 0) return {};
  const std::size_t slash = text.find('/', kDevices.size());
  if (slash == std::string::npos) return {};
  id = text.substr(kDevices.size(), slash - kDevices.size());
  return text.substr(slash + 1);
}

std::string joined(const std::multiset<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text + "; ";
  return all;
}

struct Who {
  std::string id;
  bool service = false;
  Peer* peer = nullptr;  ///< null: away
  std::set<std::string> filters;  ///< inside
  bool by_me = false;             ///< it has subscribed by `me`
};

/// The rules of docs/DEVICES.md in the plainest words.
struct Rules {
  /// False: it may not. `text` becomes what it is inside.
  static bool enter(const Who& who, std::string& text) {
    std::string id;
    const std::string rest = rest_of(text, id);
    if (rest.empty()) return true;
    if (id == "me") {
      // Word by word: a filter of its own is one of the patterns, or within one.
      if (!in_patterns(rest)) return false;
      text = kDevices + who.id + "/" + rest;
      return true;
    }
    return who.service || id == who.id || id == "+";
  }
  static bool may_see(const Who& who, const std::string& topic) {
    std::string id;
    return rest_of(topic, id).empty() || who.service || id == who.id;
  }
  static std::string shown(const Who& who, const std::string& topic) {
    std::string id;
    const std::string rest = rest_of(topic, id);
    // Whichever of its filters matched.
    if (rest.empty() || id != who.id || !who.by_me) return topic;
    return kDevices + "me/" + rest;
  }
};

class Run {
 public:
  explicit Run(unsigned seed) : bed_(threads(3)), random_(seed) {
    DeviceOptions options;
    options.mode = MeMode::scoped;
    options.patterns = kPatterns;
    const auto shared = std::make_shared<const DeviceOptions>(options);
    for (unsigned shard = 0; shard < 3; ++shard) bed_.net().set_device(shard, shared);
    services_.role = contract::Role::service;
    for (int n = 0; n < kClients; ++n) {
      who_[n].service = n >= kClients - 2;
      who_[n].id = (who_[n].service ? "s" : "d") + std::to_string(n);
    }
  }

  void step() {
    Who& who = who_[below(kClients)];
    if (who.peer == nullptr) {
      who.peer = &bed_.ready(named(who.id), below(3), who.service ? &services_ : nullptr);
      return;
    }
    switch (below(8)) {
      case 0:
        who.peer->cut();
        bed_.settle();
        who.peer = nullptr;
        who.filters.clear();
        who.by_me = false;
        return;
      case 1:
      case 2:
        return subscribe(who);
      case 3:
        return write();
      default:
        return publish(who);
    }
  }

 private:
  using Expected = std::map<std::string, std::multiset<std::string>>;  ///< by client: "topic payload"

  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  std::string some_id() { return who_[below(kClients)].id; }

  std::string topic(const Who& who) {
    static const char* const kRests[] = {"telemetry", "attributes", "rpc/request/7", "other"};
    const std::string rest = kRests[below(4)];
    if (below(5) == 0) return "plant/" + std::to_string(below(2));
    // Services have no topics of their own here.
    const bool me = !who.service && below(2) == 0;
    return kDevices + (me ? "me" : some_id()) + "/" + rest;
  }
  std::string filter(const Who& who) {
    static const char* const kWide[] = {"#",        "v1/#",    "+/devices/#", "v1/devices/+/telemetry",
                                        "plant/+", "+/+/+/#", "v1/devices/+/rpc/request/+"};
    if (below(2) == 0) return kWide[below(7)];
    return below(3) == 0 && !who.service ? kDevices + "me/rpc/request/+" : topic(who);
  }

  void subscribe(Who& who) {
    const std::string asked = filter(who);
    const Context context("filter", who.id + " subscribes to " + asked);
    std::string inside = asked;
    const bool granted = Rules::enter(who, inside);
    who.peer->subscribe(asked, 0);
    bed_.settle();
    std::multiset<std::string> retained;
    ReasonCode code = ReasonCode::unspecified_error;
    for (const Packet& packet : who.peer->take()) {
      if (packet.type == wire::PacketType::suback) code = code_of(packet);
      else retained.insert(packet.topic + " " + packet.payload);
    }
    CHECK_EQ(code, granted ? ReasonCode::success : ReasonCode::not_authorized);
    std::multiset<std::string> expected;
    if (granted) {
      who.filters.insert(inside);
      who.by_me = who.by_me || asked.rfind(kDevices + "me/", 0) == 0;
      for (const auto& [topic, payload] : retained_) {
        if (matches(inside, topic) && Rules::may_see(who, topic)) {
          expected.insert(Rules::shown(who, topic) + " " + payload);
        }
      }
    }
    CHECK_EQ(joined(retained), joined(expected));
    compare({});
  }

  void publish(Who& who) {
    const std::string given = topic(who);
    const std::string payload = std::to_string(++number_);
    const bool retain = below(4) == 0;
    const Context context("publish", who.id + " publishes to " + given);
    std::string inside = given;
    const bool allowed = Rules::enter(who, inside);
    who.peer->publish(given, payload, 1, 1, retain);
    bed_.settle();
    Expected expected;
    if (allowed) {
      if (retain) retained_[inside] = payload;
      for (const Who& one : who_) {
        if (one.peer == nullptr || !Rules::may_see(one, inside)) continue;
        const bool hit = std::any_of(one.filters.begin(), one.filters.end(),
                                     [&](const std::string& own) { return matches(own, inside); });
        if (hit) expected[one.id].insert(Rules::shown(one, inside) + " " + payload);
      }
    }
    compare(expected, &who, !allowed);
  }

  /// The topic goes out as it was given, to whom it names and nobody else.
  void write() {
    const Who& to = who_[below(kClients)];
    const std::string given = topic(who_[0]);
    const std::string payload = std::to_string(++number_);
    const Context context("write", "to " + to.id + ": " + given);
    contract::DirectWrite record{};
    record.write_id = number_;
    record.instance = contract::kAnyInstance;
    MessageParts parts;
    parts.topic = as_bytes(given);
    parts.payload = as_bytes(payload);
    const SessionRef home = bed_.net().shard(0).find_home(as_bytes(to.id));
    Shard& shard = bed_.net().shard(home.valid() ? home.thread : 0);
    shard.set_now(bed_.net().now_ms());
    shard.direct_write(home, record, as_bytes(to.id), parts);
    bed_.settle();
    REQUIRE(!bed_.written.empty());
    const bool there = to.peer != nullptr;
    CHECK_EQ(bed_.written.back().write_id, number_);
    CHECK_EQ(bed_.written.back().outcome,
             static_cast<std::uint8_t>(there ? contract::WriteOutcome::delivered
                                             : contract::WriteOutcome::dropped));
    Expected expected;
    if (there) expected[to.id].insert(given + " " + payload);
    compare(expected);
  }

  /// `publisher` has got its PUBACK too.
  void compare(const Expected& expected, const Who* publisher = nullptr, bool denied = false) {
    for (const Who& one : who_) {
      if (one.peer == nullptr) continue;
      const Context context("client", one.id);
      std::multiset<std::string> got;
      bool acknowledged = false;
      for (const Packet& packet : one.peer->take()) {
        if (packet.type == wire::PacketType::puback) {
          acknowledged = true;
          CHECK_EQ(packet.reason == ReasonCode::not_authorized, denied);
        } else {
          got.insert(packet.topic + " " + packet.payload);
        }
      }
      CHECK_EQ(acknowledged, &one == publisher);
      const auto found = expected.find(one.id);
      CHECK_EQ(joined(got), found == expected.end() ? std::string{} : joined(found->second));
      CHECK(!one.peer->closed());
    }
  }

  Bed bed_;
  Limits services_;
  std::mt19937 random_;
  Who who_[kClients];
  std::map<std::string, std::string> retained_;
  std::uint64_t number_ = 0;
};

STMQTT_TEST("devices, random: who gets what of device topics and DirectWrites is as the model says") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    const Context context("seed", std::to_string(seed));
    Run run(seed);
    for (int step = 0; step < 200; ++step) run.step();
  }
}

}  // namespace
}  // namespace stmqtt::test
