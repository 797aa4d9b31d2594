// Shard: tenants and rules: what CONNECT, PUBLISH, SUBSCRIBE, Wills and deliveries must pass. Rules
// see the internal form of topics, that is, behind the tenant.
// Thread: the shard's.
#include <algorithm>
#include <string>

#include "base/pool.hpp"
#include "session/access.hpp"
#include "session/shard.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::ReasonCode;

namespace {

/// Subscriptions of a session that are looked at to see that it may still get all it gets. With
/// more, each delivery is checked instead.
constexpr std::uint32_t kLookedAt = 256;

/// What stands before topics of this client inside; empty = nothing is put there.
Bytes hidden_tenant(const Identity* identity, const Limits& limits) noexcept {
  return limits.tenant_mode == TenantMode::transparent && identity != nullptr ? identity->tenant()
                                                                              : Bytes{};
}

/// Whether it can be a level of a topic, and is not the one that stands for each client's own.
bool can_be_device(Bytes id) noexcept {
  return !id.empty() && as_text(id) != "me" &&
         std::ranges::none_of(id, [](std::uint8_t c) {
           return c == '/' || c == '+' || c == '#' || c == 0;
         });
}

}  // namespace

/// The tenant and the rest of what is known, from the verdict (null = there was none) and the
/// listener; the final Client Identifier. False: the client was refused.
bool Shard::identify(Client& client, const contract::Verdict* verdict,
                     const VerdictTexts& texts) noexcept {
  ConnectState& state = *client.connecting;
  const Limits& limits = *client.limits;
  IdentityParts parts;
  parts.tenant = texts.tenant;
  parts.device_id = texts.device_id;
  parts.groups = texts.groups;
  parts.certificate_name = texts.certificate_name;
  state.judged = verdict != nullptr;
  if (client.is_link) {
    const LinkSelf self = host_.link_self(client);
    parts.device_id = self.device_id;
    parts.role = self.role;
  }
  if (verdict != nullptr) {
    parts.role = static_cast<contract::Role>(verdict->role);
    parts.limits = {verdict->max_messages_per_s, verdict->max_bytes_per_s,
                    verdict->max_subscriptions, verdict->max_packet_size};
    if (verdict->expires_s != contract::kVerdictUnset32) {
      // At least 1: 0 is never.
      parts.expires_at_ms = std::max<std::uint64_t>(1, cx_.now_ms + verdict->expires_s * 1000ULL);
    }
  }
  if (parts.tenant.empty()) parts.tenant = as_bytes(limits.tenant);
  if (parts.role == contract::Role::unset) parts.role = limits.role;
  const bool bad_tenant = parts.tenant.empty() ? limits.tenant_mode != TenantMode::off
                                               : !valid_tenant(parts.tenant);
  if (bad_tenant && !client.is_link) {
    counters_.add(Counter::tenant_violations);
    refuse(client, {CloseCause::not_authorized, ReasonCode::not_authorized,
                    parts.tenant.empty() ? "no tenant, where clients must have one"
                                         : "the tenant's name is not letters, digits, '_' and '-'"});
    return false;
  }
  std::shared_ptr<const RuleSet> own;
  if (!texts.rules.empty()) {
    RuleError error;
    own = RuleSet::read(texts.rules, {}, error);
    if (own == nullptr) {
      refuse(client, {CloseCause::refused, ReasonCode::implementation_specific_error,
                      "a rule of the verdict is not valid"});
      return false;
    }
  }
  // Otherwise give_access() says so, where somebody may ask.
  if (verdict == nullptr && !client.is_link && parts.known()) {
    parts.device_id = own_device(client, state.client_id);
  }
  if (state.identity != nullptr) Identity::destroy(state.identity);
  state.identity = parts.known() || own != nullptr ? Identity::make(parts) : nullptr;
  if (own != nullptr) {
    state.identity->access = pool_new<Access>();
    state.identity->access->own = std::move(own);
  }
  if (!parts.tenant.empty() && state.tenant_prefix_bytes == 0) {
    std::string id(as_text(parts.tenant));
    id += '.';
    state.tenant_prefix_bytes = static_cast<std::uint16_t>(id.size());
    id += as_text(state.client_id);
    override_texts(state, as_bytes(id), state.username);
  }
  return true;
}

/// Where nobody is asked, a client is the device that its Client Identifier names.
Bytes Shard::own_device(const Client& client, Bytes client_id) const noexcept {
  const bool is_own = !client.is_link && device_.id_from_client() && can_be_device(client_id) &&
                      host_.admission(client.listener_id) == Admission::open;
  return is_own ? client_id : Bytes{};
}

/// Where there are rules, each client has a selection of them; links are the process itself.
void Shard::give_access(const Client& client, Identity*& identity) noexcept {
  if (client.is_link) return;
  if (identity == nullptr) {
    if (!access_.has_rules()) return;
    IdentityParts parts;  // without a tenant, so the final Client Identifier is the client's own
    const ConnectState* state = client.connecting;
    if (state != nullptr && !state->authenticated) {
      parts.device_id = own_device(client, state->client_id);
    } else if (state == nullptr && !client.session->authenticated) {
      parts.device_id = own_device(client, client.session->client_id());
    }
    identity = Identity::make(parts);
  }
  if (identity->access == nullptr) {
    if (!access_.has_rules()) return;
    identity->access = pool_new<Access>();
  }
  identity->access->address = host_.ip_address(client);
  identity->access->listener_id = client.listener_id;
}

/// The Will is judged as the PUBLISH that it becomes, before anything of the session is touched.
bool Shard::admit_will(Client& client) noexcept {
  const ConnectState& state = *client.connecting;
  const wire::ConnectView& view = state.view;
  if (!view.has_will) return true;
  Bytes topic = view.will_topic;
  const MeSubject who = device_.subject_of(client);
  if (const MeFit me = device_.enter(who, topic, MeUse::publish); me != MeFit::fits) {
    refuse_me(&client, "Will", topic, me);
    refuse(client, {CloseCause::not_authorized, ReasonCode::not_authorized, "Will not allowed"});
    return false;
  }
  Counter cause = Counter::tenant_violations;
  TenantFit fit = TenantFit::fits;
  if (!wire::is_system_topic(topic)) fit = to_internal(state.identity, *client.limits, topic);
  if (fit == TenantFit::fits && state.identity != nullptr && state.identity->access != nullptr) {
    const AccessSubject subject{state.identity, state.client_id, state.username};
    const RuleRequest request{RuleAction::publish, view.will_qos, view.will_retain};
    const DecidedBy by = access_.look_up(subject, request, topic);
    const bool allowed = by.decision == Decision::none
                             ? state.identity->access->fallback == RuleEffect::allow
                             : by.decision == Decision::allow;
#ifdef STMQTT_MUTANT_WILL_NOT_JUDGED
    if (false) {
#else
    if (!allowed) {
#endif
      fit = TenantFit::outside;
      cause = Counter::denied_will;
      note_denied(client, "Will", topic, by.text());
    }
  }
  if (fit == TenantFit::fits && !may_will_to(client, topic, who)) {
    fit = TenantFit::outside;
    cause = Counter::device_denied_will;
  }
#ifdef STMQTT_MUTANT_WILL_FROM_ANY_TENANT
  if (cause == Counter::tenant_violations) return true;
#endif
  if (fit == TenantFit::fits) return true;
  counters_.add(cause);
  if (fit == TenantFit::too_long) {
    refuse(client, {CloseCause::topic_invalid, ReasonCode::topic_name_invalid,
                    "Will Topic is too long behind the tenant's prefix"});
  } else {
    refuse(client, {CloseCause::not_authorized, ReasonCode::not_authorized, "Will not allowed"});
  }
  return false;
}

/// Makes the internal form of a Topic Name, or of a filter without its $share part, in internal_.
TenantFit Shard::to_internal(const Identity* identity, const Limits& limits,
                                    Bytes& topic) noexcept {
  if (identity == nullptr || identity->tenant().empty()) return TenantFit::fits;
  switch (limits.tenant_mode) {
    case TenantMode::off:
      return TenantFit::fits;
    case TenantMode::enforced:
      return has_tenant_prefix(topic, identity->tenant()) ? TenantFit::fits : TenantFit::outside;
    case TenantMode::transparent:
      break;
  }
  // Inside they would not begin with '$' any more, so that wildcards would match them.
  if (topic.empty() || topic[0] == '$') return TenantFit::outside;
  const std::string prefix = tenant_prefix(identity->tenant());
  if (prefix.size() + topic.size() > 65'535) return TenantFit::too_long;
  internal_.resize(static_cast<std::uint32_t>(prefix.size() + topic.size()));
  store_bytes(store_bytes(internal_.data(), as_bytes(prefix)), topic);
  topic = {internal_.data(), internal_.size()};
  return TenantFit::fits;
}

bool Shard::enter_tenant(Client& client, const Session& session,
                         std::uint64_t& topic_hash) noexcept {
  const TenantFit fit = to_internal(session.identity, session.limits(), publish_.topic);
#ifndef STMQTT_MUTANT_PUBLISH_TO_ANY_TENANT
  if (fit != TenantFit::fits) {
    counters_.add(Counter::tenant_violations);
    deny_publish(client);
    return false;
  }
#endif
  if (session.topic_skip != 0) topic_hash = TopicTrie::hash(publish_.topic);
  return true;
}

void Shard::tell_denied(Client& client, const Session& session,
                        const RuleRequest& request) noexcept {
  counters_.add(Counter::denied_publish);
  if (denials_.wants(cx_.now_ms) || may_log(contract::LogLevel::debug)) {
    note_denied(client, "PUBLISH", publish_.topic,
                access_.look_up(AccessChecks::subject_of(session), request, publish_.topic).text());
  }
  deny_publish(client);
}

void Shard::deny_publish(Client& client) noexcept {
  if (client.is_v5() || !access_.options().disconnects_v3) return refuse_publish(client);
  counters_.add(Counter::packets_received);
  counters_.add(Counter::publish_refused_not_authorized);
  close(client, {CloseCause::not_authorized, ReasonCode::not_authorized, "PUBLISH not allowed"});
}

/// `filter` without its $share part becomes the internal one, and `qos` what may be granted.
ReasonCode Shard::admit_filter(Session& session, Bytes& filter, std::uint8_t& qos) noexcept {
  const bool system = wire::is_system_topic(filter);
  const Identity* identity = session.identity;
  if ((session.device & kDeviceMe) != 0 && !admit_device_filter(session, filter)) {
    return ReasonCode::not_authorized;
  }
  if (!system) {
    const TenantFit fit = to_internal(identity, session.limits(), filter);
#ifdef STMQTT_MUTANT_SUBSCRIBE_TO_ANY_TENANT
    if (fit == TenantFit::too_long) {
#else
    if (fit != TenantFit::fits) {
#endif
      counters_.add(Counter::tenant_violations);
      return fit == TenantFit::too_long ? ReasonCode::topic_filter_invalid
                                        : ReasonCode::not_authorized;
    }
  }
  if ((session.device & kDeviceScoped) != 0 && !system &&
      !admit_device_filter_inside(session, filter, qos)) {
    return ReasonCode::not_authorized;
  }
  if (identity == nullptr || identity->access == nullptr) {
    if (!system) return ReasonCode::success;
    // The only filters that match $SYS/…: wildcards in the first level do not [MQTT-4.7.2-1].
    const bool tenant = identity != nullptr && !identity->tenant().empty();
    if (tenant) counters_.add(Counter::tenant_violations);
#ifdef STMQTT_MUTANT_TENANTS_READ_SYS
    return session.limits().sys_read ? ReasonCode::success : ReasonCode::not_authorized;
#endif
    return session.limits().sys_read && !tenant ? ReasonCode::success : ReasonCode::not_authorized;
  }
  DecidedBy by;
  for (std::uint8_t asked = qos;; --asked) {
    const RuleCover cover = access_.cover(session, filter, asked, by);
#ifdef STMQTT_MUTANT_SUBSCRIBE_NOT_JUDGED
    if (true) {
#else
    if (cover == RuleCover::all || (cover == RuleCover::some && access_.options().narrows)) {
#endif
      if (cover == RuleCover::some) session.narrowed = session.guarded = true;
      qos = asked;
      return ReasonCode::success;
    }
    if (asked == 0 || !access_.options().narrows) break;
  }
  counters_.add(Counter::denied_subscribe);
  if (session.client() != nullptr) {
    note_denied(*session.client(), "SUBSCRIBE", filter, by.text());
  }
  return ReasonCode::not_authorized;  // 0x80 for 3.x
}

/// What a session gets is checked where its subscriptions are wider than what it may get, and where
/// its topics lose their tenant's prefix.
void Shard::guard(Session& session) noexcept {
  const Bytes tenant = hidden_tenant(session.identity, session.limits());
  session.topic_skip =
      tenant.empty() ? 0 : static_cast<std::uint16_t>(tenant_prefix(tenant).size());
  session.narrowed = false;
  if (session.identity != nullptr && session.identity->access != nullptr &&
      session.subscriptions.size() > 0) {
    session.narrowed = !is_wholly_allowed(session);
  }
  session.guarded = session.narrowed || session.topic_skip != 0 ||
                    (session.device & kDeviceWide) != 0;
  session.dress = static_cast<std::uint8_t>((session.dress & ~kDressTenant) |
                                            (session.topic_skip != 0 ? kDressTenant : 0));
}

bool Shard::is_wholly_allowed(const Session& session) noexcept {
  if (session.subscriptions.size() > kLookedAt) return false;
  PoolVector<SubscriptionKey> keys;
  session.subscriptions.keys(keys);
  SubscriptionText text;
  DecidedBy by;
  for (const SubscriptionKey key : keys) {
    if (!tables_.trie.describe(key, session.ref(), text)) continue;
    wire::FilterView parts;
    if (wire::parse_topic_filter(as_bytes(text.filter), parts) != ReasonCode::success) return false;
    if (access_.cover(session, parts.filter, text.options.qos(), by) != RuleCover::all) return false;
  }
  return true;
}

void Shard::set_rules(std::shared_ptr<const RuleSet> rules) noexcept {
  access_.set_rules(std::move(rules));
  std::uint32_t looked_at = 0;
  for (std::uint32_t slot = 0; slot < sessions_.slots(); ++slot) {
    Session* session = sessions_.at(slot);
    if (session == nullptr || session->is_link) continue;
    if (session->client() != nullptr) {
      give_access(*session->client(), session->identity);
    } else if (access_.has_rules()) {  // for its Will, and whoever subscribes for it
      if (session->identity == nullptr) session->identity = Identity::make({});
      if (session->identity->access == nullptr) session->identity->access = pool_new<Access>();
    }
    if (session->identity == nullptr || session->identity->access == nullptr) continue;
    const std::uint32_t subscriptions = session->subscriptions.size();
    if (subscriptions == 0) continue;
    looked_at += subscriptions;
    if (looked_at <= kLookedAt * 16) {
#ifndef STMQTT_MUTANT_NEW_RULES_SPARE_CONNECTED
      guard(*session);
#endif
    } else {
      // Many: nobody waits for all of them now; deliveries are checked until the next connection.
      session->narrowed = session->guarded = true;
    }
  }
}

/// For the query `denials`, and for the log.
void Shard::note_denied(const Client& client, const char* what, Bytes topic,
                        std::string_view by) noexcept {
  if (denials_.wants(cx_.now_ms)) {
    Denial denial;
    denial.at_ms = cx_.now_ms;
    Bytes username;
    if (client.session != nullptr) {
      denial.client_id = as_text(client.session->client_id());
      username = {client.session->username, client.session->username_bytes};
    } else if (client.connecting != nullptr) {
      denial.client_id = as_text(client.connecting->client_id);
      username = client.connecting->username;
    }
    denial.username = as_text(username);
    denial.action = what;
    denial.topic = as_text(topic);
    denial.rule = by;
    denials_.add(std::move(denial));
  }
  if (!may_log(contract::LogLevel::debug)) return;
  log(contract::LogLevel::debug, contract::LogModule::auth, client,
      std::string(what) + " '" + std::string(as_text(topic)) + "' denied by " + std::string(by));
}

}  // namespace stmqtt
