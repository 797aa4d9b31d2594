#include "route/rules.hpp"

#include <algorithm>

#include "route/topic_levels.hpp"
#include "wire/topic.hpp"

namespace stmqtt {
namespace {

bool any_matches(const Rule::List& list, Bytes value) noexcept {
  if (!list.given) return true;
  if (value.empty()) return false;
  return std::ranges::any_of(list.texts, [&](const std::string& pattern) {
    return wildcard_matches(pattern, as_text(value));
  });
}

bool any_group_matches(const Rule::List& list, std::string_view groups) noexcept {
  if (!list.given) return true;
  while (!groups.empty()) {
    const std::size_t end = std::min(groups.find('\0'), groups.size());
    if (any_matches(list, as_bytes(groups.substr(0, end)))) return true;
    groups.remove_prefix(std::min(end + 1, groups.size()));
  }
  return false;
}

bool is_about(const Rule& rule, const RuleSubject& subject) noexcept {
  const auto value = [&](RulePlaceholder which) {
    return subject.values.of[static_cast<std::size_t>(which)];
  };
  const Bytes user = value(RulePlaceholder::username);
  if (rule.anonymous != 2 && (rule.anonymous == 1) != user.empty()) return false;
  if (rule.role != contract::Role::unset && rule.role != subject.role) return false;
  if (rule.addresses_given &&
      !(subject.address.known() ? contains(rule.networks, subject.address) : rule.unix_sockets)) {
    return false;
  }
  return any_matches(rule.users, user) &&
         any_matches(rule.clients, value(RulePlaceholder::client_id)) &&
         any_group_matches(rule.groups, as_text(subject.groups)) &&
         any_matches(rule.certificates, subject.certificate) &&
         any_matches(rule.listeners, as_bytes(subject.listener));
}

}  // namespace

bool wildcard_matches(std::string_view pattern, std::string_view text) noexcept {
  std::size_t at = 0;
  std::size_t in = 0;
  std::size_t star = std::string_view::npos;  // the last '*', and where the text behind it began
  std::size_t mark = 0;
  while (in < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      mark = in;
    } else if (at < pattern.size() && pattern[at] == text[in]) {
      ++at;
      ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++mark;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

std::string RuleSet::name(std::uint32_t rule) const {
  const std::string& given = rules_[rule].name;
  return given.empty() ? "rule " + std::to_string(rule + 1) : given;
}

bool RuleSet::select(const RuleSubject& subject, std::span<std::uint64_t> bits) const {
  bool any = false;
  std::ranges::fill(bits, 0);
  for (std::size_t rule = 0; rule < rules_.size(); ++rule) {
    if (!is_about(rules_[rule], subject)) continue;
    bits[rule / 64] |= std::uint64_t{1} << rule % 64;
    any = true;
  }
  return any;
}

/// False: nothing of it is a placeholder. Text without escapes is in the only piece then.
bool RuleSet::parse_template(std::string_view level, Template& out) {
  out.clear();
  bool any = false;
  Piece text;
  for (std::size_t at = 0; at < level.size(); ++at) {
    const char next = level[at] == '%' && at + 1 < level.size() ? level[at + 1] : '\0';
    const std::size_t which = std::string_view("cutd").find(next);
    if (next == '%') {
      text.text += '%';
      ++at;
    } else if (next != '\0' && which != std::string_view::npos) {
      if (!text.text.empty()) out.push_back(text);
      text.text.clear();
      Piece piece;
      piece.placeholder = true;
      piece.which = static_cast<RulePlaceholder>(which);
      out.push_back(piece);
      any = true;
      ++at;
    } else {
      text.text += level[at];
    }
  }
  if (!text.text.empty() || out.empty()) out.push_back(text);
  return any;
}

/// Whether its placeholders have values that can stand in a level. One without a value is about
/// nobody; one whose value would be several levels or a wildcard allows nothing, and denies as '+'.
RuleSet::Fit RuleSet::usable(const Template& level, const RuleValues& values) noexcept {
  Fit fit = Fit::yes;
  for (const Piece& piece : level) {
    if (!piece.placeholder) continue;
    const Bytes value = values.of[static_cast<std::size_t>(piece.which)];
    if (value.empty()) return Fit::no;
    const std::string_view unfit("+#/\0", 4);
    if (as_text(value).find_first_of(unfit) != std::string_view::npos) fit = Fit::deny_only;
  }
  return fit;
}

RuleSet::Fit RuleSet::fits(const Template& level, const RuleValues& values, Bytes text) noexcept {
  const Fit fit = usable(level, values);
  if (fit != Fit::yes) return fit;
  std::string_view rest = as_text(text);
  for (const Piece& piece : level) {
    const std::string_view wanted =
        piece.placeholder ? as_text(values.of[static_cast<std::size_t>(piece.which)])
                          : std::string_view(piece.text);
    if (!rest.starts_with(wanted)) return Fit::no;
    rest.remove_prefix(wanted.size());
  }
  return rest.empty() ? Fit::yes : Fit::no;
}

bool RuleSet::add_filter(std::uint32_t rule, const std::string& text) {
  // A bound on levels, because matching goes down by calls.
  if (!wire::valid_topic_filter(as_bytes(text), kMaxLevels)) return false;
  const auto number = static_cast<std::uint32_t>(filters_.size());
  filters_.push_back({rule, text});
  std::uint32_t node = 0;
  const auto new_node = [this] {
    nodes_.emplace_back();
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  };
  Bytes level;
  Template pieces;
  for (TopicLevels levels(as_bytes(filters_.back().text)); levels.next(level);) {
    if (is_hash(level)) {
      nodes_[node].hashes.push_back(number);
      return true;
    }
    std::uint32_t child = kNone;
    if (is_plus(level)) {
      child = nodes_[node].plus;
      if (child == kNone) {
        child = new_node();
        nodes_[node].plus = child;
      }
    } else if (parse_template(as_text(level), pieces)) {
      for (const TemplateEdge& edge : nodes_[node].templates) {
        if (edge.text == as_text(level)) child = edge.node;
      }
      if (child == kNone) {
        child = new_node();
        nodes_[node].templates.push_back({pieces, std::string(as_text(level)), child});
      }
    } else {
      // Sorted all the time: large sets are read once, and their levels come mostly in order.
      auto& edges = nodes_[node].edges;
      const std::string& name = pieces.front().text;
      const auto place = std::ranges::lower_bound(edges, name, {}, &Edge::level);
      if (place != edges.end() && place->level == name) {
        child = place->node;
      } else {
        const auto index = place - edges.begin();
        child = new_node();
        auto& again = nodes_[node].edges;  // the nodes may have moved
        again.insert(again.begin() + index, {name, child});
      }
    }
    node = child;
  }
  nodes_[node].ends.push_back(number);
  return true;
}

std::shared_ptr<const RuleSet> RuleSet::compile(std::vector<Rule> rules, const RuleOptions& options,
                                                RuleError& error) {
  const std::shared_ptr<RuleSet> set(new RuleSet);
  set->options_ = options;
  set->rules_ = std::move(rules);
  set->nodes_.emplace_back();
  for (std::uint32_t rule = 0; rule < set->rules_.size(); ++rule) {
    for (const std::string& filter : set->rules_[rule].filters) {
      if (set->add_filter(rule, filter)) continue;
      error = {rule, "a filter is not a Topic Filter of at most 128 levels"};
      return nullptr;
    }
  }
  return set;
}

}  // namespace stmqtt
