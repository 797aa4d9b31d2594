// Shard: SUBSCRIBE packets and CONNECTs that hooks must see. A SUBSCRIBE stays in its connection's read
// buffer, with all that comes behind it, and is read again when the verdict is there.
// Thread: the shard's.
#include <algorithm>
#include <string>

#include "session/room_waits.hpp"
#include "session/shard.hpp"
#include "wire/decode.hpp"
#include "wire/topic.hpp"

namespace stmqtt {

using contract::Counter;
using wire::ReasonCode;

/// True: hooks have had their say, or none is concerned. False: it is to be read again.
bool Shard::pass_subscribe_hooks(Client& client, std::uint8_t first_byte, Bytes body) noexcept {
  SubscribeWait* wait = hooks_.find_subscribe(client.ref);
  if (wait != nullptr) {
    if (wait->answered) return true;
    pause(client, PauseCause::hooks);
    return false;
  }
  wire::SubscribeView view;
  if (wire::decode_subscribe(first_byte, body, client.version, view) != ReasonCode::success) {
    return true;  // on_subscribe() says what is wrong with it
  }
  HookWait longest;
  bool hooked = false;
  wire::SubscriptionView one;
  for (wire::SubscriptionCursor cursor(view); cursor.next(one);) {
    const HookNeeds needs = hooks_.needs_of_filter(inner_filter(*client.session, one.filter.filter));
    if ((needs.kinds & kHookSubscribe) == 0) continue;
    hooked = true;
    longest.timeout_ms = std::max(longest.timeout_ms, needs.subscribe.timeout_ms);
    longest.drops = longest.drops || needs.subscribe.drops;
  }
  if (!hooked) return true;
  pause(client, PauseCause::hooks);
  if (!ask_subscribe_hooks(client, view)) {
    hooks_.crowded_out.push_back(client.ref);
    RoomWaits::retry_soon(*this);
    return false;
  }
  SubscribeWait& asked = hooks_.open_subscribe(client.ref);
  asked.kind = kSubscribeHookTimer;
  asked.drops_late = longest.drops;
  wheel_.schedule(asked, cx_.now_ms + longest.timeout_ms);
  return false;
}

bool Shard::ask_subscribe_hooks(const Client& client, const wire::SubscribeView& view) noexcept {
  const Session& session = *client.session;
  contract::SubscribeHook event{};
  // The verdict has to find it here, also where it began on another thread.
  event.connection_id = connection_id(options_.thread, client.ref);
  event.listener_id = client.listener_id;
  event.subscription_id = view.subscription_identifier;
  event.protocol_level = static_cast<std::uint8_t>(client.version);
  const Bytes username{session.username, session.username_bytes};
  const Bytes tenant = session.identity == nullptr ? Bytes{} : session.identity->tenant();
  if (session.is_link) event.flags |= contract::kHookIsLink;
  if (!tenant.empty() && session.limits().tenant_mode == TenantMode::transparent) {
    event.flags |= contract::kHookIsInTenant;
  }
  const Bytes device = session.device_id();
  event.client_id_bytes = static_cast<std::uint32_t>(session.client_id().size());
  event.username_bytes = static_cast<std::uint32_t>(username.size());
  event.tenant_bytes = static_cast<std::uint32_t>(tenant.size());
  event.device_id_bytes = static_cast<std::uint32_t>(device.size());
  event.filters_bytes = static_cast<std::uint32_t>(view.filters.size());
  event.instance = session.key().instance();
  if (!host_.event(contract::EventKind::subscribe_hook, event.header, sizeof event,
                   {session.client_id(), username, tenant, device, view.filters})) {
    return false;
  }
  counters_.add(Counter::hook_subscribes);
  return true;
}

void Shard::on_subscribe_verdict(const contract::HookVerdict& verdict, Bytes answers) noexcept {
  const ClientRef ref = client_ref(verdict.hook_id);
  SubscribeWait* wait = hooks_.find_subscribe(ref);
  if (wait == nullptr || wait->answered) {
    counters_.add(Counter::hook_verdicts_late);
    return;
  }
  if ((verdict.flags & contract::kHookVerdictTimedOut) != 0) counters_.add(Counter::hook_timeouts);
  if ((verdict.flags & contract::kHookVerdictFailed) != 0) counters_.add(Counter::hook_errors);
  wheel_.cancel(*wait);
  wait->answers.append(answers.data(), answers.size());
  wait->answered = true;
  resume(*find_client(ref), PauseCause::hooks);
}

void Shard::on_subscribe_hook_timer(SubscribeWait& wait) noexcept {
  counters_.add(Counter::hook_timeouts);
  wait.answered = true;
  wait.refused = wait.drops_late;
  if (Client* client = find_client(wait.client)) resume(*client, PauseCause::hooks);
}

/// What hooks have made of the next filter of a SUBSCRIBE: success, or the code it is refused with.
ReasonCode Shard::hooked_subscription(SubscribeWait& wait, wire::SubscriptionView& one) noexcept {
  if (wait.refused) return ReasonCode::implementation_specific_error;
  constexpr std::size_t kHead = 4;
  const Bytes rest = Bytes{wait.answers.data(), wait.answers.size()}.subspan(wait.read);
  if (rest.size() < kHead) return ReasonCode::success;  // nothing was said of it
  const std::size_t bytes = std::size_t{rest[2]} | std::size_t{rest[3]} << 8;
  if (bytes > rest.size() - kHead) return ReasonCode::unspecified_error;
  wait.read += static_cast<std::uint32_t>(kHead + bytes);
  if (rest[0] != 0) return static_cast<ReasonCode>(rest[0]);
  one.qos = std::min(one.qos, rest[1]);
  if (bytes == 0) return ReasonCode::success;
  one.topic_filter = rest.subspan(kHead, bytes);
  return wire::parse_topic_filter(one.topic_filter, one.filter);
}

/// What a filter without its $share part is inside, where it is one. Valid until the next call.
Bytes Shard::inner_filter(const Session& session, Bytes filter) noexcept {
#ifdef STMQTT_MUTANT_HOOKS_SEE_FILTERS_AS_WRITTEN
  return filter;
#endif
  if ((session.device & kDeviceMe) != 0) {
    static_cast<void>(device_.enter(session, filter, MeUse::unsubscribe));
  }
  if (!wire::is_system_topic(filter)) {
    static_cast<void>(to_internal(session.identity, session.limits(), filter));
  }
  return filter;
}

/// That it is there, or has gone: `notice` says which.
void Shard::tell_subscription(const Session& session, const wire::FilterView& filter,
                              contract::Notice notice) noexcept {
  const Bytes inner = inner_filter(session, filter.filter);
  std::string text;
  if (filter.shared) text.append("$share/").append(as_text(filter.share_name)).append("/");
  text += as_text(inner);
  notices_.subscription(session, inner, as_bytes(text), notice);
}

/// CONNECT was accepted: hooks may still refuse it, or lower what it gets. True: they are asked.
bool Shard::ask_connect_hooks(Client& client) noexcept {
  if (!hooks_.wants(kHookConnect) || client.is_link) return false;
  client.connecting->hooked = true;
  request_verdict(client);
  return true;
}

}  // namespace stmqtt
