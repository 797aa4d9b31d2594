// Shard: verdicts on deliveries that wait for hooks in their sessions' queues, the time that is over for
// them, and sessions that wait until more may be asked about.
// Thread: the shard's.
#include "session/shard.hpp"

namespace stmqtt {

using contract::Counter;
using contract::HookAction;

/// A retained message, or one of a log: at once, or, where hooks want to see it, or one before it, in
/// front of the queue. False: there is no room for it now.
bool Shard::send_ahead(Session& session, Publication& publication,
                       const DeliveryOptions& options) noexcept {
  const bool above_high = session.client()->outlet->above_high();
  const bool hooked = desk_.awake() && desk_.wants(publication.parts().topic);
  if (hooked || session.has_ahead()) [[unlikely]] {
    return !above_high && session.queue_ahead(cx_, publication, options);
  }
  if (above_high || (options.qos != 0 && !session.window_open())) return false;
  session.send_retained(cx_, publication, options);
  return true;
}

void Shard::on_delivery_verdict(const contract::HookVerdict& verdict,
                                const HookVerdictTexts& texts) noexcept {
  DeliveryAsk* ask = desk_.find(verdict.hook_id);
  if (ask == nullptr) {
    counters_.add(Counter::hook_verdicts_late);
    return;
  }
  if ((verdict.flags & contract::kHookVerdictTimedOut) != 0) counters_.add(Counter::hook_timeouts);
  if ((verdict.flags & contract::kHookVerdictFailed) != 0) counters_.add(Counter::hook_errors);
  const auto action = static_cast<HookAction>(verdict.action);
  const HookState state = action == HookAction::drop ? HookState::dropped : HookState::passed;
  MessageRef changed;
  if (action == HookAction::change) {
    MessageParts parts = find_session(ask->session)->asked(ask->slot).message->parts();
    parts.properties = texts.properties;
    parts.payload = texts.payload;
    changed = MessageRef::adopt(Message::make(parts));
    counters_.add(Counter::hook_changes);
  }
  judge_delivery(*ask, state, std::move(changed));
  call_hook_line();
}

/// The ask ends with it, and its session goes on.
void Shard::judge_delivery(const DeliveryAsk& ask, HookState state, MessageRef changed) noexcept {
  Session& session = *find_session(ask.session);
  session.on_delivery_verdict(cx_, ask.slot, state, std::move(changed));
  session.pump(cx_);
  if (session.scans != nullptr) pump_scans(session);
  mark_full(session);
}

/// Its time is over.
void Shard::end_ask(const DeliveryAsk& ask) noexcept {
  counters_.add(Counter::hook_timeouts);
  judge_delivery(ask, ask.drops_late ? HookState::dropped : HookState::passed, {});
}

void Shard::call_hook_line() noexcept {
  // Each once: one that finds no room for its message stands in line again.
  for (std::uint32_t left = desk_.in_line(); left > 0 && desk_.may_call(); --left) {
    Session* session = find_session(desk_.call());
    if (session == nullptr) continue;
    session->in_hook_line = false;
    session->pump(cx_);
    if (session->scans != nullptr) pump_scans(*session);
    mark_full(*session);
  }
}

void Shard::end_asks() noexcept {
  desk_.end();
  while (const DeliveryAsk* ask = desk_.next(0)) end_ask(*ask);
  desk_.look_again();
  call_hook_line();
}

}  // namespace stmqtt
