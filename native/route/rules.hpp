// Access rules compiled for matching: who may publish and subscribe to what. A RuleSet is immutable
// and counted; clients select the rules that are about them once (select), so that a check only asks
// topics: a trie over levels, with nodes for '+' and for placeholders (%c %u %t %d). The first rule
// that fits decides. Rules see topics in their internal form.
// Thread: any may read; compiled by whoever has the text.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/ip_address.hpp"
#include "contract/records.hpp"

namespace stmqtt {

enum class RuleEffect : std::uint8_t { deny, allow };
/// Bits of Rule::actions. To subscribe is also to receive.
enum class RuleAction : std::uint8_t { publish = 1, subscribe = 2 };
enum class RulePlaceholder : std::uint8_t { client_id, username, tenant, device_id };

/// What decides where no rule fits: automatic = deny where there are rules, for all or for the
/// client alone, else allow.
enum class RuleDefault : std::uint8_t { automatic, allow, deny };

struct RuleOptions {
  RuleDefault fallback = RuleDefault::automatic;
  bool disconnects_v3 = false;  ///< a 3.x client that may not publish is closed
  bool narrows = false;         ///< a subscription wider than allowed gets what is allowed
};

/// What placeholders stand for, by RulePlaceholder; empty = has none. Borrowed.
struct RuleValues {
  Bytes of[4];
};

/// Whom rules are about. Borrowed for the call.
struct RuleSubject {
  RuleValues values;
  Bytes groups;  ///< names, NUL between them
  Bytes certificate;
  IpAddress address;  ///< unknown for a Unix socket
  std::string_view listener;
  contract::Role role = contract::Role::unset;
};

/// One rule as it is written. Lists that are not given are about everybody.
struct Rule {
  struct List {
    bool given = false;
    std::vector<std::string> texts;
  };
  RuleEffect effect = RuleEffect::allow;
  std::uint8_t actions = 3;
  std::uint8_t max_qos = 2;
  bool with_retain = true;
  std::uint8_t anonymous = 2;  ///< 0, 1; 2 = either
  contract::Role role = contract::Role::unset;
  List users;
  List clients;
  List groups;
  List certificates;
  bool addresses_given = false;
  bool unix_sockets = false;  ///< "unix" is in the list of addresses
  std::vector<IpNetwork> networks;
  List listeners;
  std::vector<std::string> filters;
  std::string name;
};

/// What is wrong with which rule, counted from 0.
struct RuleError {
  std::uint32_t rule = 0;
  const char* text = nullptr;
};

struct RuleRequest {
  RuleAction action = RuleAction::publish;
  std::uint8_t qos = 0;
  bool retain = false;  ///< of a publish
};

inline constexpr std::uint32_t kNoRule = 0xFFFFFFFF;

/// How much of what a filter can match may be received.
enum class RuleCover : std::uint8_t { none, some, all };

/// Bits of rules by number.
using RuleBits = std::span<const std::uint64_t>;

class RuleSet {
 public:
  /// From the form that src/native/rules.ts writes. Null: `error` says what is wrong.
  [[nodiscard]] static std::shared_ptr<const RuleSet> read(Bytes form, const RuleOptions& options,
                                                           RuleError& error);
  /// Null where a filter is not a Topic Filter, or has more than 128 levels.
  [[nodiscard]] static std::shared_ptr<const RuleSet> compile(std::vector<Rule> rules,
                                                              const RuleOptions& options,
                                                              RuleError& error);

  [[nodiscard]] const RuleOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::uint32_t size() const noexcept {
    return static_cast<std::uint32_t>(rules_.size());
  }
  /// Its name, or "rule 7" (from 1).
  [[nodiscard]] std::string name(std::uint32_t rule) const;
  [[nodiscard]] RuleEffect effect(std::uint32_t rule) const noexcept {
    return rules_[rule].effect;
  }

  [[nodiscard]] std::size_t bit_words() const noexcept { return (rules_.size() + 63) / 64; }
  /// Sets the bits of the rules that are about this client; true if there is one.
  [[nodiscard]] bool select(const RuleSubject& subject, std::span<std::uint64_t> bits) const;

  /// The first selected rule that fits, or kNoRule.
  [[nodiscard]] std::uint32_t decide(RuleBits bits, const RuleValues& values,
                                     const RuleRequest& request, Bytes topic) const noexcept;

  /// Whether this rule matches the topic by a filter that has "v1/devices/" in it literally, alone
  /// or behind "/tenants/<any>/": not by the way, as "#" does.
  [[nodiscard]] bool names_devices(std::uint32_t rule, const RuleValues& values,
                                   Bytes topic) const;
  /// Whether a selected rule allows to receive all that `filter` matches by such a filter.
  [[nodiscard]] bool opens_devices(RuleBits bits, const RuleValues& values, std::uint8_t qos,
                                   Bytes filter) const;

  /// What cover() of two sets, one after the other, has found so far.
  struct Covering {
    bool decided = false;
    bool some_allowed = false;
    bool some_denied = false;
    RuleCover cover = RuleCover::none;
    std::uint32_t rule = kNoRule;      ///< that denied; kNoRule = the default
    const RuleSet* set = nullptr;      ///< of the rule
  };
  /// Conservative: what several rules allow together, and no single one, is not found to be allowed.
  void cover(RuleBits bits, const RuleValues& values, std::uint8_t qos, Bytes filter,
             Covering& so_far) const;
  /// After the last set; `otherwise`: the default.
  static void finish(Covering& covering, RuleEffect otherwise) noexcept;

 private:
  static constexpr std::uint32_t kNone = 0;
  static constexpr std::uint32_t kMaxLevels = 128;
  struct Piece {
    bool placeholder = false;
    RulePlaceholder which = RulePlaceholder::client_id;
    std::string text;
  };
  using Template = std::vector<Piece>;
  struct Edge {
    std::string level;
    std::uint32_t node;
  };
  struct TemplateEdge {
    Template level;
    std::string text;  ///< as written: equal texts are one edge
    std::uint32_t node;
  };
  struct Node {
    std::uint32_t plus = kNone;             ///< child by '+'
    std::vector<Edge> edges;                ///< by level, sorted once all are there
    std::vector<TemplateEdge> templates;
    std::vector<std::uint32_t> ends;        ///< filters that end here, ascending
    std::vector<std::uint32_t> hashes;      ///< filters that go on with '#' here, ascending
  };
  struct Filter {
    std::uint32_t rule;
    std::string text;
  };
  /// How a template stands to a level.
  enum class Fit : std::uint8_t { no, yes, deny_only };
  struct Search;
  struct Overlap;

  RuleSet() = default;
  [[nodiscard]] static bool parse_template(std::string_view level, Template& out);
  [[nodiscard]] static Fit usable(const Template& level, const RuleValues& values) noexcept;
  [[nodiscard]] static Fit fits(const Template& level, const RuleValues& values,
                                Bytes text) noexcept;
  [[nodiscard]] bool add_filter(std::uint32_t rule, const std::string& text);
  [[nodiscard]] bool covers(const std::string& rule_filter, const RuleValues& values,
                            Bytes filter) const;
  void search(Search& in, std::uint32_t node, Bytes rest, bool ended, bool first,
              bool deny_only) const noexcept;
  void overlap(Overlap& in, std::uint32_t node, Bytes rest, bool ended, bool first,
               bool deny_only) const;
  void take_all(Overlap& in, std::uint32_t node, bool first, bool deny_only) const;

  RuleOptions options_;
  std::vector<Rule> rules_;
  std::vector<Filter> filters_;
  std::vector<Node> nodes_;
};

/// `*` stands for any run of bytes, the empty one too.
[[nodiscard]] bool wildcard_matches(std::string_view pattern, std::string_view text) noexcept;

}  // namespace stmqtt
