#include "session/access.hpp"

#include <algorithm>

#include "session/host.hpp"
#include "wire/topic.hpp"

namespace stmqtt {
namespace {

constexpr std::string_view kTenants = "/tenants/";
constexpr std::size_t kMaxTenantBytes = 64;

bool fits_all(const RuleSet& set, PoolVector<std::uint64_t>& bits, const RuleSubject& subject) {
  bits.resize(static_cast<std::uint32_t>(set.bit_words()));
  return set.select(subject, {bits.data(), bits.size()});
}

RuleBits view_of(const PoolVector<std::uint64_t>& bits) noexcept {
  return {bits.data(), bits.size()};
}

}  // namespace

AccessChecks::AccessChecks(const Host& host) : host_(host) {
  RuleError unused;
  rules_ = RuleSet::compile({}, {}, unused);
}

RuleValues AccessChecks::values_of(const AccessSubject& subject) noexcept {
  return {{subject.client_id, subject.username, subject.identity->tenant(),
           subject.identity->device_id()}};
}

void AccessChecks::select(const AccessSubject& subject) noexcept {
  const Identity& identity = *subject.identity;
  Access& access = *identity.access;
  RuleSubject about;
  about.values = values_of(subject);
  about.groups = identity.groups();
  about.certificate = identity.certificate_name();
  about.address = access.address;
  about.listener = as_text(host_.listener_name(access.listener_id));
  about.role = identity.role;
  access.global = rules_;
  access.any = fits_all(*rules_, access.global_bits, about);
  if (access.own != nullptr && fits_all(*access.own, access.own_bits, about)) access.any = true;
  switch (rules_->options().fallback) {
    case RuleDefault::allow:
      access.fallback = RuleEffect::allow;
      break;
    case RuleDefault::deny:
      access.fallback = RuleEffect::deny;
      break;
    case RuleDefault::automatic:
      access.fallback = rules_->size() > 0 || access.own != nullptr ? RuleEffect::deny
                                                                    : RuleEffect::allow;
      break;
  }
  // Odd steps of the golden ratio: none comes twice, none is 0, and they spread in the table.
  access.serial = next_serial_ += 0x9E3779B97F4A7C15ULL;
  if (access.serial == 0) access.serial = next_serial_ += 0x9E3779B97F4A7C15ULL;
}

DecidedBy AccessChecks::look_up(const AccessSubject& subject, const RuleRequest& request,
                                Bytes topic) noexcept {
  const Access& access = *subject.identity->access;
  if (access.global.get() != rules_.get()) select(subject);
  const RuleValues values = values_of(subject);
  const auto ask = [&](const RuleSet* set, const PoolVector<std::uint64_t>& bits) -> DecidedBy {
    if (set == nullptr || set->size() == 0) return {};
    const std::uint32_t rule = set->decide(view_of(bits), values, request, topic);
    if (rule == kNoRule) return {};
    const bool allows = set->effect(rule) == RuleEffect::allow;
    return {allows ? Decision::allow : Decision::deny, set, rule,
            allows && may_be_device_topic(topic) && set->names_devices(rule, values, topic)};
  };
  const DecidedBy own = ask(access.own.get(), access.own_bits);
  return own.decision != Decision::none ? own : ask(access.global.get(), access.global_bits);
}

bool AccessChecks::may_receive(Session& session, Bytes topic) noexcept {
  if ((session.device & kDeviceWide) != 0 && may_be_device_topic(topic) &&
      !may_receive_device(session, topic)) {
    return false;
  }
  const bool system = wire::is_system_topic(topic);
  // "/tenants/a" itself matches "/tenants/a/#", and has no name on the other side.
  if (session.topic_skip != 0 && !system && topic.size() <= session.topic_skip) return false;
  if (session.identity == nullptr || session.identity->access == nullptr || !session.narrowed) {
    return true;
  }
  const RuleRequest request{RuleAction::subscribe, 0, false};
  switch (decide(session, request, topic, TopicTrie::hash(topic))) {
    case Decision::allow:
      return true;
    case Decision::deny:
      return false;
    case Decision::none:
      break;
  }
  if (system) return session.limits().sys_read && session.identity->tenant().empty();
  return session.identity->access->fallback == RuleEffect::allow;
}

bool AccessChecks::may_receive_device(const Session& session, Bytes topic) noexcept {
  const DevicePlace place = find_device(topic);
  if (!place.found || session.is_own(place)) return true;
  return opens_device(session, {RuleAction::subscribe, 0, false}, topic, TopicTrie::hash(topic));
}

bool AccessChecks::opens_filter(const Session& session, Bytes filter, std::uint8_t qos) {
  if (session.identity == nullptr || session.identity->access == nullptr) return false;
  const Access& access = *session.identity->access;
  const AccessSubject subject = subject_of(session);
  if (access.global.get() != rules_.get()) select(subject);
  const RuleValues values = values_of(subject);
  return (access.own != nullptr &&
          access.own->opens_devices(view_of(access.own_bits), values, qos, filter)) ||
         access.global->opens_devices(view_of(access.global_bits), values, qos, filter);
}

RuleCover AccessChecks::cover(const Session& session, Bytes filter, std::uint8_t qos,
                              DecidedBy& by) {
  const Identity& identity = *session.identity;
  const Access& access = *identity.access;
  const AccessSubject subject = subject_of(session);
  if (access.global.get() != rules_.get()) select(subject);
  const RuleValues values = values_of(subject);
  RuleSet::Covering covering;
  if (access.own != nullptr) {
    access.own->cover(view_of(access.own_bits), values, qos, filter, covering);
  }
  access.global->cover(view_of(access.global_bits), values, qos, filter, covering);
  RuleEffect otherwise = access.fallback;
  if (wire::is_system_topic(filter)) {  // where no rule speaks of it, sys_readers does
    otherwise = session.limits().sys_read && identity.tenant().empty() ? RuleEffect::allow
                                                                       : RuleEffect::deny;
  }
  RuleSet::finish(covering, otherwise);
  by = {Decision::deny, covering.set, covering.rule};
  return covering.cover;
}

std::string tenant_prefix(Bytes tenant) {
  return std::string(kTenants) + std::string(as_text(tenant)) + '/';
}

bool has_tenant_prefix(Bytes topic, Bytes tenant) noexcept {
  const std::string_view text = as_text(topic);
  const std::size_t end = kTenants.size() + tenant.size();
  return text.size() > end && text.starts_with(kTenants) &&
#ifdef STMQTT_MUTANT_TENANT_PREFIX_ENDS_ANYWHERE
         text.substr(kTenants.size(), tenant.size()) == as_text(tenant);
#else
         text.substr(kTenants.size(), tenant.size()) == as_text(tenant) && text[end] == '/';
#endif
}

bool valid_tenant(Bytes tenant) noexcept {
  return !tenant.empty() && tenant.size() <= kMaxTenantBytes &&
         std::ranges::all_of(tenant, [](std::uint8_t c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

}  // namespace stmqtt
