// RuleSet::read: rules from the form in which TypeScript hands them over. See src/native/rules.ts.
#include "route/rules.hpp"

namespace stmqtt {
namespace {

constexpr std::uint16_t kNotGiven = 0xFFFF;

class Reader {
 public:
  explicit Reader(Bytes form) noexcept : rest_(form) {}

  [[nodiscard]] bool good() const noexcept { return good_; }
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] Bytes bytes(std::size_t count) noexcept {
    if (count > rest_.size()) good_ = false;
    if (!good_) return {};
    const Bytes taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  [[nodiscard]] std::uint32_t number(std::size_t width) noexcept {
    std::uint32_t value = 0;
    const Bytes from = bytes(width);
    for (std::size_t at = from.size(); at > 0; --at) value = value << 8 | from[at - 1];
    return value;
  }
  [[nodiscard]] std::string text() noexcept {
    const Bytes from = bytes(number(2));
    return std::string(as_text(from));
  }
  /// False: the list is not given.
  template <class F>
  bool list(F&& each) noexcept {
    const std::uint32_t count = number(2);
    if (!good_ || count == kNotGiven) return false;
    for (std::uint32_t at = 0; good_ && at < count; ++at) each(text());
    return true;
  }
  void read(Rule::List& to) noexcept {
    to.given = list([&](std::string&& text) { to.texts.push_back(std::move(text)); });
  }

 private:
  Bytes rest_;
  bool good_ = true;
};

constexpr const char* kBroken = "its form is broken";

/// Null, or what is wrong.
const char* read_rule(Bytes form, Rule& to) {
  Reader in(form);
  const std::uint32_t effect = in.number(1);
  to.effect = effect == 0 ? RuleEffect::deny : RuleEffect::allow;
  to.actions = static_cast<std::uint8_t>(in.number(1));
  to.max_qos = static_cast<std::uint8_t>(in.number(1));
  to.with_retain = in.number(1) != 0;
  to.anonymous = static_cast<std::uint8_t>(in.number(1));
  const std::uint32_t role = in.number(1);
  to.role = static_cast<contract::Role>(role);
  static_cast<void>(in.number(2));
  if (effect > 1 || to.actions == 0 || to.actions > 3 || to.max_qos > 2 || to.anonymous > 2 ||
      role > 2) {
    return kBroken;
  }
  in.read(to.users);
  in.read(to.clients);
  in.read(to.groups);
  in.read(to.certificates);
  bool networks_good = true;
  to.addresses_given = in.list([&](std::string&& text) {
    if (text == "unix") {
      to.unix_sockets = true;
      return;
    }
    to.networks.push_back(parse_ip_network(text));
    networks_good = networks_good && to.networks.back().address.known();
  });
  in.read(to.listeners);
  Rule::List filters;
  in.read(filters);
  to.filters = std::move(filters.texts);
  to.name = in.text();
  if (!in.good() || !in.at_end()) return kBroken;
  if (!networks_good) return "an address is neither an IP address nor a network";
  if (to.filters.empty()) return "it has no filters";
  return nullptr;
}

}  // namespace

std::shared_ptr<const RuleSet> RuleSet::read(Bytes form, const RuleOptions& options,
                                             RuleError& error) {
  Reader in(form);
  const std::uint32_t count = in.number(4);
  std::vector<Rule> rules;
  for (std::uint32_t at = 0; at < count; ++at) {
    const Bytes body = in.bytes(in.number(4));
    if (!in.good()) {
      error = {at, kBroken};
      return nullptr;
    }
    rules.emplace_back();
    if (const char* wrong = read_rule(body, rules.back()); wrong != nullptr) {
      error = {at, wrong};
      return nullptr;
    }
  }
  if (!in.good() || !in.at_end()) {
    error = {count, kBroken};
    return nullptr;
  }
  return compile(std::move(rules), options, error);
}

}  // namespace stmqtt
