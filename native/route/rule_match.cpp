// RuleSet: which rule decides about a Topic Name, and how much of a Topic Filter is allowed.
#include <algorithm>

#include "route/rules.hpp"
#include "route/topic_levels.hpp"

namespace stmqtt {
namespace {

bool has(RuleBits bits, std::uint32_t rule) noexcept {
  return (bits[rule / 64] >> rule % 64 & 1) != 0;
}

bool fits_request(const Rule& rule, const RuleRequest& request) noexcept {
  return (rule.actions & static_cast<std::uint8_t>(request.action)) != 0 &&
         request.qos <= rule.max_qos && (rule.with_retain || !request.retain);
}

/// Takes the first level off `rest`; `ended` becomes true when it was the last.
Bytes take_level(Bytes& rest, bool& ended) noexcept {
  const void* slash = rest.empty() ? nullptr : std::memchr(rest.data(), '/', rest.size());
  if (slash == nullptr) {
    ended = true;
    return rest;
  }
  const auto length =
      static_cast<std::size_t>(static_cast<const std::uint8_t*>(slash) - rest.data());
  const Bytes level = rest.first(length);
  rest = rest.subspan(length + 1);
  return level;
}

/// "v1/devices/…" or "/tenants/<any>/v1/devices/…".
bool names_device_topics(std::string_view filter) noexcept {
  constexpr std::string_view kTenants = "/tenants/";
  if (filter.starts_with(kTenants)) {
    const std::size_t end = filter.find('/', kTenants.size());
    filter = end == std::string_view::npos ? std::string_view{} : filter.substr(end + 1);
  }
  return filter.starts_with("v1/devices/");
}

}  // namespace

struct RuleSet::Search {
  RuleBits bits;
  const RuleValues& values;
  const RuleRequest& request;
  bool dollar;                ///< the topic begins with '$'
  std::uint32_t best = kNoRule;
};

std::uint32_t RuleSet::decide(RuleBits bits, const RuleValues& values, const RuleRequest& request,
                              Bytes topic) const noexcept {
  Search in{bits, values, request, starts_with_dollar(topic)};
  search(in, 0, topic, false, true, false);
  return in.best;
}

void RuleSet::search(Search& in, std::uint32_t node, Bytes rest, bool ended, bool first,
                     bool deny_only) const noexcept {
  const Node& here = nodes_[node];
  const auto take = [&](const std::vector<std::uint32_t>& filters) {
    for (const std::uint32_t filter : filters) {
      const std::uint32_t rule = filters_[filter].rule;
      if (rule >= in.best) return;
      if (!has(in.bits, rule) || !fits_request(rules_[rule], in.request)) continue;
      if (deny_only && rules_[rule].effect == RuleEffect::allow) continue;
      in.best = rule;
      return;
    }
  };
  // A wildcard in the first level does not match $-topics [MQTT-4.7.2-1].
  if (!(first && in.dollar)) take(here.hashes);
  if (ended) return take(here.ends);
  const Bytes level = take_level(rest, ended);
  const auto edge =
      std::ranges::lower_bound(here.edges, as_text(level), {},
                               [](const Edge& e) { return std::string_view(e.level); });
  if (edge != here.edges.end() && edge->level == as_text(level)) {
    search(in, edge->node, rest, ended, false, deny_only);
  }
  if (here.plus != kNone && !(first && in.dollar)) {
    search(in, here.plus, rest, ended, false, deny_only);
  }
  for (const TemplateEdge& child : here.templates) {
    const Fit fit = fits(child.level, in.values, level);
    // Nobody is at the broker's own topics by calling himself "$SYS".
    const bool named = child.level.front().placeholder || fit == Fit::deny_only;
    if (fit == Fit::no || (first && in.dollar && named)) continue;
    search(in, child.node, rest, ended, false, deny_only || fit == Fit::deny_only);
  }
}

struct RuleSet::Overlap {
  const RuleValues& values;
  bool dollar;  ///< the filter begins with '$'
  std::vector<std::uint32_t> filters;
  RuleBits bits;

  void take(const RuleSet& set, const std::vector<std::uint32_t>& from, bool deny_only) {
    for (const std::uint32_t filter : from) {
      const std::uint32_t rule = set.filters_[filter].rule;
      if (!has(bits, rule)) continue;
      if (deny_only && set.rules_[rule].effect == RuleEffect::allow) continue;
      filters.push_back(filter);
    }
  }
};

/// Everything from this node on.
void RuleSet::take_all(Overlap& in, std::uint32_t node, bool first, bool deny_only) const {
  const Node& here = nodes_[node];
  in.take(*this, here.hashes, deny_only);
  in.take(*this, here.ends, deny_only);
  if (here.plus != kNone) take_all(in, here.plus, false, deny_only);
  for (const Edge& edge : here.edges) {
    if (first && !edge.level.empty() && edge.level[0] == '$') continue;
    take_all(in, edge.node, false, deny_only);
  }
  for (const TemplateEdge& child : here.templates) {
    const Fit fit = usable(child.level, in.values);
    if (fit != Fit::no) take_all(in, child.node, false, deny_only || fit == Fit::deny_only);
  }
}

void RuleSet::overlap(Overlap& in, std::uint32_t node, Bytes rest, bool ended, bool first,
                      bool deny_only) const {
  const Node& here = nodes_[node];
  if (!ended) {
    Bytes peek = rest;
    bool last = false;
    if (is_hash(take_level(peek, last))) return take_all(in, node, first, deny_only);
  }
  if (!(first && in.dollar)) in.take(*this, here.hashes, deny_only);
  if (ended) return in.take(*this, here.ends, deny_only);
  const Bytes level = take_level(rest, ended);
  const bool plus = is_plus(level);
  for (const Edge& edge : here.edges) {
    if (plus ? first && !edge.level.empty() && edge.level[0] == '$' : edge.level != as_text(level)) {
      continue;
    }
    overlap(in, edge.node, rest, ended, false, deny_only);
  }
  if (here.plus != kNone && !(first && in.dollar)) {
    overlap(in, here.plus, rest, ended, false, deny_only);
  }
  for (const TemplateEdge& child : here.templates) {
    const Fit fit = plus ? usable(child.level, in.values) : fits(child.level, in.values, level);
    const bool named = child.level.front().placeholder || fit == Fit::deny_only;
    if (fit == Fit::no || (first && in.dollar && named)) continue;
    overlap(in, child.node, rest, ended, false, deny_only || fit == Fit::deny_only);
  }
}

/// Whether a rule's filter matches whatever `filter` matches.
bool RuleSet::covers(const std::string& rule_filter, const RuleValues& values,
                     Bytes filter) const {
  TopicLevels ours(as_bytes(rule_filter));
  TopicLevels theirs(filter);
  Bytes our;
  Bytes their;
  Template pieces;
  const bool dollar = starts_with_dollar(filter);
  for (bool first = true; ours.next(our); first = false) {
    if (is_hash(our)) return !(first && dollar);  // its parent level, too
    if (!theirs.next(their) || is_hash(their)) return false;
    if (is_plus(our)) {
      if (first && dollar) return false;
      continue;
    }
    if (is_plus(their)) return false;
    static_cast<void>(parse_template(as_text(our), pieces));
    if (fits(pieces, values, their) != Fit::yes) return false;
    if (first && dollar && pieces.front().placeholder) return false;
  }
  return !theirs.next(their);
}

bool RuleSet::names_devices(std::uint32_t rule, const RuleValues& values, Bytes topic) const {
  auto own = std::ranges::lower_bound(filters_, rule, {}, &Filter::rule);
  for (; own != filters_.end() && own->rule == rule; ++own) {
    if (names_device_topics(own->text) && covers(own->text, values, topic)) return true;
  }
  return false;
}

bool RuleSet::opens_devices(RuleBits bits, const RuleValues& values, std::uint8_t qos,
                            Bytes filter) const {
  const RuleRequest request{RuleAction::subscribe, qos, false};
  for (std::uint32_t rule = 0; rule < size(); ++rule) {
    if (has(bits, rule) && rules_[rule].effect == RuleEffect::allow &&
        fits_request(rules_[rule], request) && names_devices(rule, values, filter)) {
      return true;
    }
  }
  return false;
}

void RuleSet::cover(RuleBits bits, const RuleValues& values, std::uint8_t qos, Bytes filter,
                    Covering& so_far) const {
  if (so_far.decided) return;
  Overlap in{values, starts_with_dollar(filter), {}, bits};
  overlap(in, 0, filter, false, true, false);
  std::ranges::sort(in.filters);  // which is the order of the rules
  const RuleRequest request{RuleAction::subscribe, qos, false};
  const auto end = [&](RuleCover cover) {
    so_far.decided = true;
    so_far.cover = cover;
  };
  for (std::size_t at = 0; at < in.filters.size();) {
    const std::uint32_t number = filters_[in.filters[at]].rule;
    const Rule& rule = rules_[number];
    bool covered = false;
    for (; at < in.filters.size() && filters_[in.filters[at]].rule == number; ++at) {
      covered = covered || covers(filters_[in.filters[at]].text, values, filter);
    }
    if (!fits_request(rule, request)) continue;
    if (rule.effect == RuleEffect::allow) {
      if (covered) return end(so_far.some_denied ? RuleCover::some : RuleCover::all);
      so_far.some_allowed = true;
      continue;
    }
    if (so_far.rule == kNoRule) {
      so_far.rule = number;
      so_far.set = this;
    }
    if (covered) return end(so_far.some_allowed ? RuleCover::some : RuleCover::none);
    so_far.some_denied = true;
  }
}

void RuleSet::finish(Covering& covering, RuleEffect otherwise) noexcept {
  if (covering.decided) return;
  covering.decided = true;
  if (otherwise == RuleEffect::allow) {
    covering.cover = covering.some_denied ? RuleCover::some : RuleCover::all;
  } else {
    covering.cover = covering.some_allowed ? RuleCover::some : RuleCover::none;
  }
}

}  // namespace stmqtt
