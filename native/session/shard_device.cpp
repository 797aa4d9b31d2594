// Shard: `me`, and whose device topics clients may use. The step by `me` comes before the tenant's,
// the scope is judged behind it and behind the rules, on the internal form of topics.
// Thread: the shard's.
#include <string>

#include "session/access.hpp"
#include "session/publisher.hpp"
#include "session/shard.hpp"
#include "route/topic_levels.hpp"

namespace stmqtt {

using contract::Counter;

namespace {

constexpr const char* kForeign = "it is another device's topic";

const char* reason_of(MeFit fit) noexcept {
  switch (fit) {
    case MeFit::fits:
      break;
    case MeFit::no_id:
      return "the client has no device id (device.device_id_from)";
    case MeFit::unfit_id:
      return "the client's device id cannot be a level of a topic";
    case MeFit::pattern:
      return "device.me_patterns has no pattern for it";
    case MeFit::too_long:
      return "it is too long with the device id";
  }
  return "";
}

}  // namespace

/// publish_'s topic becomes its device's. False: refused.
bool Shard::enter_device(Client& client) noexcept {
  const Bytes given = publish_.topic;
  const MeFit fit = device_.enter(*client.session, publish_.topic, MeUse::publish);
  if (fit == MeFit::fits) return true;
  refuse_me(&client, "PUBLISH", given, fit);
  deny_publish(client);
  return false;
}

/// publish_'s topic is not another device's, or a rule opens it. False: refused.
bool Shard::stay_in_scope(Client& client, std::uint64_t topic_hash) noexcept {
  const Session& session = *client.session;
#ifdef STMQTT_MUTANT_DEVICE_PUBLISH_NOT_JUDGED
  return true;
#endif
  if (!is_foreign(session, publish_.topic)) return true;
  const RuleRequest request{RuleAction::publish, publish_.qos, publish_.retain};
  if (access_.opens_device(session, request, publish_.topic, topic_hash)) return true;
  counters_.add(Counter::device_denied_publish);
  note_scope(&client, "PUBLISH", publish_.topic, kForeign);
  deny_publish(client);
  return false;
}

bool Shard::admit_device_filter(Session& session, Bytes& filter) noexcept {
  const Bytes given = filter;
  const MeFit fit = device_.enter(session, filter, MeUse::subscribe);
  if (fit != MeFit::fits) {
    refuse_me(session.client(), "SUBSCRIBE", given, fit);
    return false;
  }
  if (filter.data() != given.data()) session.dress |= kDressMe;
  return true;
}

/// A filter that names another device is refused; one that matches others' topics by wildcards is
/// granted, and what comes by it is looked at.
bool Shard::admit_device_filter_inside(Session& session, Bytes filter, std::uint8_t qos) noexcept {
  const DevicePlace place = find_device(filter);
  const bool is_literal = place.found && !is_plus(place.id) && !is_hash(place.id) &&
                          !(place.behind_tenant && is_plus(place.tenant));
  if (is_literal && session.is_own(place)) return true;
#ifndef STMQTT_MUTANT_DEVICE_FILTER_NOT_JUDGED
  if (is_literal && !access_.opens_filter(session, filter, qos)) {
    counters_.add(Counter::device_denied_subscribe);
    note_scope(session.client(), "SUBSCRIBE", filter, kForeign);
    return false;
  }
#endif
#ifndef STMQTT_MUTANT_WIDE_FILTERS_UNGUARDED
  if (is_literal || reaches_devices(filter)) {
    session.device |= kDeviceWide;
    session.guarded = true;
  }
#endif
  return true;
}

/// Of a CONNECT: the internal form of the Will Topic is not another device's, or a rule opens it.
bool Shard::may_will_to(const Client& client, Bytes topic, const MeSubject& who) noexcept {
  if ((who.flags & kDeviceScoped) == 0 || !may_be_device_topic(topic)) return true;
  const DevicePlace place = find_device(topic);
  if (!place.found || is_own(who.self, place)) return true;
#ifdef STMQTT_MUTANT_DEVICE_WILL_NOT_JUDGED
  return true;
#endif
  const ConnectState& state = *client.connecting;
  if (state.identity != nullptr && state.identity->access != nullptr) {
    const AccessSubject subject{state.identity, state.client_id, state.username};
    const RuleRequest request{RuleAction::publish, state.view.will_qos, state.view.will_retain};
    if (access_.look_up(subject, request, topic).names_devices) return true;
  }
  note_scope(&client, "Will", topic, kForeign);
  return false;
}

/// Of a message whose topic a hook has changed: on a device's topic it is told whose that is.
void Shard::tell_origin(const HeldQueue& queue, MessageParts& parts) noexcept {
  const bool on_device = may_be_device_topic(parts.topic);
  const Session* session = find_session(queue.session);
  if (session == nullptr) {
    if (on_device) parts.origin = {};
  } else if ((session->device & kDeviceTold) != 0 && (on_device || !parts.origin.empty())) {
    parts.origin = write_origin(origin_, *session, parts.topic);
  }
}

/// The client may be null: somebody subscribes for a session that has none.
void Shard::refuse_me(const Client* client, const char* what, Bytes topic, MeFit fit) noexcept {
  counters_.add(fit == MeFit::no_id      ? Counter::me_refused_no_id
                : fit == MeFit::unfit_id ? Counter::me_refused_unfit_id
                                         : Counter::me_refused_pattern);
  note_scope(client, what, topic, reason_of(fit));
}

void Shard::note_scope(const Client* client, const char* what, Bytes topic,
                      const char* why) noexcept {
  if (client == nullptr) return;
  note_denied(*client, what, topic, std::string("device scope: ") + why);
}

}  // namespace stmqtt
