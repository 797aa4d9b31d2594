// What scenes about rules and tenants have in common.
// Thread: one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/bed.hpp"
#include "runner.hpp"
#include "wire/topic.hpp"

namespace stmqtt::test {

using model::Bed;
using model::ConnectText;
using model::NetOptions;
using model::Packet;
using model::Peer;
using wire::ReasonCode;
using wire::Version;

inline constexpr std::uint8_t kPublish = 1;
inline constexpr std::uint8_t kSubscribe = 2;

inline Rule a_rule(RuleEffect effect, std::vector<std::string> filters, std::uint8_t actions) {
  Rule made;
  made.effect = effect;
  made.actions = actions;
  made.filters = std::move(filters);
  return made;
}
inline Rule allow(std::vector<std::string> filters, std::uint8_t actions = 3) {
  return a_rule(RuleEffect::allow, std::move(filters), actions);
}
inline Rule deny(std::vector<std::string> filters, std::uint8_t actions = 3) {
  return a_rule(RuleEffect::deny, std::move(filters), actions);
}

inline void set_rules(Bed& bed, std::vector<Rule> rules, const RuleOptions& options = {}) {
  RuleError error;
  const auto set = RuleSet::compile(std::move(rules), options, error);
  REQUIRE(set != nullptr);
  for (unsigned shard = 0; shard < bed.net().shards(); ++shard) bed.net().set_rules(shard, set);
}

inline NetOptions threads(unsigned count) {
  NetOptions options;
  options.shards = count;
  return options;
}
inline ConnectText named(const std::string& id) {
  ConnectText text;
  text.client_id = id;
  return text;
}
inline ConnectText persistent(const std::string& id) {
  ConnectText text = named(id);
  text.clean_start = false;
  text.session_expiry_s = 1000;
  return text;
}

/// The code of a SUBACK or UNSUBACK with one.
inline ReasonCode code_of(const Packet& packet) {
  return packet.reasons.size() == 1 ? packet.reasons[0] : ReasonCode::unspecified_error;
}

/// Accepts and changes nothing.
inline contract::Verdict accepting() {
  contract::Verdict verdict{};
  return verdict;
}

/// One rule in the form that TypeScript writes: allow publishing to one filter.
inline std::string own_rule(const std::string& filter) {
  const auto u16 = [](std::size_t n) {
    return std::string{static_cast<char>(n & 0xFF), static_cast<char>(n >> 8)};
  };
  std::string body{1, 1, 2, 1, 2, 0, 0, 0};
  for (int list = 0; list < 6; ++list) body += "\xFF\xFF";
  body += u16(1) + u16(filter.size()) + filter + u16(0);
  return std::string{1, 0, 0, 0} + u16(body.size()) + std::string(2, '\0') + body;
}
/// Borrowed from what is given.
inline VerdictTexts with_rules(const std::string& rules, const std::string& device) {
  VerdictTexts texts;
  texts.rules = as_bytes(rules);
  texts.device_id = as_bytes(device);
  return texts;
}

}  // namespace stmqtt::test
