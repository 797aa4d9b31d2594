// Access rules as their documentation reads: from the first to the last, text against text. The
// model that RuleSet is held against.
// Thread: one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "route/rules.hpp"
#include "wire/topic.hpp"

namespace stmqtt::naive {

/// Put into its filter; `usable` is false where a value could not stand in one level, and `known`
/// where there is none.
struct Filled {
  std::string filter;
  bool known = true;
  bool usable = true;
};

inline Filled fill(std::string_view filter, const RuleValues& values, bool wild) {
  Filled out;
  std::size_t level = 0;  // where the level being written began
  bool replaced = false;
  const auto end_level = [&] {
    if (replaced) out.filter.resize(level), out.filter += '+';
    replaced = false;
  };
  for (std::size_t at = 0; at < filter.size(); ++at) {
    const char c = filter[at];
    const char next = c == '%' && at + 1 < filter.size() ? filter[at + 1] : '\0';
    const auto which = std::string_view("cutd").find(next);
    if (c == '/') {
      end_level();
      out.filter += c;
      level = out.filter.size();
    } else if (next == '%') {
      out.filter += '%';
      ++at;
    } else if (next != '\0' && which != std::string_view::npos) {
      ++at;
      const std::string_view value = as_text(values.of[which]);
      if (value.empty()) out.known = false;
      const bool bad = value.find_first_of("+#/") != std::string_view::npos;
      if (bad) out.usable = false;
      if (bad && wild) replaced = true;
      out.filter += value;
    } else {
      out.filter += c;
    }
  }
  end_level();
  return out;
}

/// -1 = none.
inline int decide(const std::vector<Rule>& rules, const RuleValues& values,
                  const RuleRequest& request, std::string_view topic) {
  for (std::size_t at = 0; at < rules.size(); ++at) {
    const Rule& rule = rules[at];
    if ((rule.actions & static_cast<int>(request.action)) == 0 || request.qos > rule.max_qos ||
        (request.retain && !rule.with_retain)) {
      continue;
    }
    const bool deny = rule.effect == RuleEffect::deny;
    for (const std::string& filter : rule.filters) {
      // Nobody is at the broker's own topics by his name.
      const bool named = filter.size() > 1 && filter[0] == '%' &&
                         std::string_view("cutd").find(filter[1]) != std::string_view::npos;
      if (named && topic.starts_with('$')) continue;
      const Filled filled = fill(filter, values, deny);
      if (!filled.known || (!deny && !filled.usable)) continue;
      if (wire::topic_matches(as_bytes(filled.filter), as_bytes(topic))) {
        return static_cast<int>(at);
      }
    }
  }
  return -1;
}

}  // namespace stmqtt::naive
