// What a client may do: its selection of rules, and the checks that sessions and shards ask.
// Selections are made anew when they are used after the rules have changed.
// In the path: PUBLISH, SUBSCRIBE, Will and delivery ask here, if the session has an Identity.
// Thread: the shard's.
#pragma once

#include <memory>

#include "base/ip_address.hpp"
#include "base/vec.hpp"
#include "route/decision_cache.hpp"
#include "route/rules.hpp"
#include "route/topic_trie.hpp"
#include "session/session.hpp"

namespace stmqtt {

class Host;

/// One client's selection. Behind its Identity; from the pool.
struct Access {
  std::shared_ptr<const RuleSet> own;     ///< of its verdict; null = none
  std::shared_ptr<const RuleSet> global;  ///< of which global_bits are; null = not selected yet
  PoolVector<std::uint64_t> own_bits;
  PoolVector<std::uint64_t> global_bits;
  std::uint64_t serial = 0;  ///< of this selection, for the cache
  IpAddress address;         ///< unknown for a Unix socket
  std::uint32_t listener_id = 0;
  RuleEffect fallback = RuleEffect::allow;
  bool any = false;          ///< a rule is about this client
};

/// How a topic stands to its client's tenant.
enum class TenantFit : std::uint8_t { fits, outside, too_long };

enum class Decision : std::uint8_t { deny, allow, none };

/// Whom a check is about. Borrowed for the call.
struct AccessSubject {
  const Identity* identity = nullptr;  ///< its access is there
  Bytes client_id;
  Bytes username;
};

/// What decided, for logs.
struct DecidedBy {
  Decision decision = Decision::none;
  const RuleSet* set = nullptr;  ///< null = the default
  std::uint32_t rule = kNoRule;
  bool names_devices = false;    ///< it allows, and by a filter that names "v1/devices/" itself

  [[nodiscard]] std::string text() const {
    return set == nullptr ? "the default" : set->name(rule);
  }
};

class AccessChecks {
 public:
  explicit AccessChecks(const Host& host);

  /// For everybody, from the next check on.
  void set_rules(std::shared_ptr<const RuleSet> rules) noexcept { rules_ = std::move(rules); }
  /// Every client from a network needs a selection.
  [[nodiscard]] bool has_rules() const noexcept {
    return rules_->size() > 0 || rules_->options().fallback == RuleDefault::deny;
  }
  [[nodiscard]] const RuleOptions& options() const noexcept { return rules_->options(); }

  [[nodiscard]] static AccessSubject subject_of(const Session& session) noexcept {
    return {session.identity, session.client_id(), {session.username, session.username_bytes}};
  }

  /// The session has an access.
  [[nodiscard]] Decision decide(const Session& session, const RuleRequest& request, Bytes topic,
                                std::uint64_t topic_hash) noexcept {
    return static_cast<Decision>(decided(session, request, topic, topic_hash) & 3);
  }
  /// Whether a rule that names device topics lets the session use this one, which is another
  /// device's.
  [[nodiscard]] bool opens_device(const Session& session, const RuleRequest& request, Bytes topic,
                                  std::uint64_t topic_hash) noexcept {
    return session.identity != nullptr && session.identity->access != nullptr &&
           (decided(session, request, topic, topic_hash) & kNamesDevices) != 0;
  }
  /// Likewise for all that a filter matches.
  [[nodiscard]] bool opens_filter(const Session& session, Bytes filter, std::uint8_t qos);

  [[nodiscard]] bool may_publish(const Session& session, const RuleRequest& request, Bytes topic,
                                 std::uint64_t topic_hash) noexcept {
    const Decision decision = decide(session, request, topic, topic_hash);
    return decision == Decision::none ? session.identity->access->fallback == RuleEffect::allow
                                      : decision == Decision::allow;
  }
  /// Whether this session, which is guarded, may get a message of this topic.
  [[nodiscard]] bool may_receive(Session& session, Bytes topic) noexcept;
  /// How much of a filter's topics it may get at this QoS. `by`: who denied.
  [[nodiscard]] RuleCover cover(const Session& session, Bytes filter, std::uint8_t qos,
                                DecidedBy& by);
  /// Without the cache: for what is asked once, and to say why.
  [[nodiscard]] DecidedBy look_up(const AccessSubject& subject, const RuleRequest& request,
                                  Bytes topic) noexcept;

 private:
  static constexpr unsigned kNamesDevices = 4;  ///< beside a Decision, in the cache
  [[nodiscard]] std::uint8_t decided(const Session& session, const RuleRequest& request,
                                     Bytes topic, std::uint64_t topic_hash) noexcept {
    Access& access = *session.identity->access;
    if (access.global.get() != rules_.get()) [[unlikely]] select(subject_of(session));
    if (!access.any) return static_cast<std::uint8_t>(Decision::none);
    const DecisionCache::Key key{
        access.serial, topic_hash, topic,
        static_cast<std::uint8_t>(static_cast<unsigned>(request.action) | request.qos << 2 |
                                  (request.retain ? 16 : 0))};
    if (const std::uint8_t* known = cache_.find(key)) [[likely]] {
      return *known;
    }
    const DecidedBy by = look_up(subject_of(session), request, topic);
    const auto decision = static_cast<std::uint8_t>(static_cast<unsigned>(by.decision) |
                                                    (by.names_devices ? kNamesDevices : 0));
    cache_.put(key, decision);
    return decision;
  }
  /// Of a session that is scoped, and its subscriptions wide.
  [[nodiscard]] bool may_receive_device(const Session& session, Bytes topic) noexcept;
  [[nodiscard]] static RuleValues values_of(const AccessSubject& subject) noexcept;
  void select(const AccessSubject& subject) noexcept;

  const Host& host_;
  std::shared_ptr<const RuleSet> rules_;  ///< never null
  DecisionCache cache_;
  std::uint64_t next_serial_ = 0;
};

/// "/tenants/<tenant>/".
[[nodiscard]] std::string tenant_prefix(Bytes tenant);
[[nodiscard]] bool has_tenant_prefix(Bytes topic, Bytes tenant) noexcept;
/// Letters, digits, '_' and '-', 1 to 64 of them: it becomes a level, and a part of identifiers.
[[nodiscard]] bool valid_tenant(Bytes tenant) noexcept;

}  // namespace stmqtt
