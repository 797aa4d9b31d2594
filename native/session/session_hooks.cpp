// Session: deliveries that hooks want to see before they go out. They wait in the queue, and everything
// behind them, so the order is the queue's; those next to go are asked about together, and answers
// may come in any order.
#include <algorithm>

#include "session/deliver_desk.hpp"
#include "session/hook_notices.hpp"
#include "session/session.hpp"

namespace stmqtt {

using contract::Counter;
using contract::DropCause;

void Session::deliver_hooked(SendContext& cx, Publication& publication,
                             const DeliveryOptions& options) noexcept {
  // Above the watermark QoS 0 is dropped, as ever; what is kept for a client that is away is asked
  // about when it is back.
  const bool above_high = can_send() && client_->outlet->above_high();
  if (!can_send() || (options.qos == 0 && above_high)) return deliver(cx, publication, options);
  if (asked_ >= DeliverDesk::kMaxOfReceiver) cx.counters.add(Counter::hook_waits_receiver);
  if (!enqueue(cx, publication, options)) return;
  pump(cx);
}

void Session::ask_ahead(SendContext& cx) noexcept {
  const std::uint32_t reach = std::min(queue_.size(), DeliverDesk::kMaxOfReceiver);
  for (std::uint32_t at = 0; at < reach; ++at) {
    Delivery& d = queue_[at];
    if (d.hook != HookState::unseen && d.hook != HookState::waiting) continue;
    // Behind a scan that goes on only what stands before it can go out.
    if (scans != nullptr && !d.ahead) return;
    if (!cx.desk.wants(d.message->topic())) {
      if (d.hook == HookState::unseen) d.hook = HookState::unhooked;
      continue;
    }
    const bool expired = d.message->expires_at_ms() != 0 && d.message->expires_at_ms() <= cx.now_ms;
    if (expired || (guarded && is_denied(cx, d))) continue;  // nobody gets it
    if (cx.desk.late(d.message->topic()) != DeliverDesk::Late::no) return;
    ask(cx, d);
    if (d.hook != HookState::asked) return;
  }
}

void Session::ask(SendContext& cx, Delivery& d) noexcept {
  if (d.hook != HookState::waiting) {
    if (asked_ >= DeliverDesk::kMaxOfReceiver) return;
    d.hook = HookState::waiting;
    ++asked_;
    if (d.qos != 0) ++queued_qos0_;
  }
  const std::uint32_t name = cx.desk.ask(*this, d, cx.now_ms);
  if (name == DeliverDesk::kNone) return;
  if (d.extras == nullptr) d.extras = DeliveryExtras::make(nullptr, {});
  d.extras->ask = name;
  d.hook = HookState::asked;
}

HookState Session::consult(SendContext& cx, Delivery& d) noexcept {
  switch (d.hook) {
    case HookState::asked:
    case HookState::passed:
    case HookState::dropped:
      return d.hook;
    case HookState::unseen:
    case HookState::unhooked:
    case HookState::waiting:
      break;
  }
  // Hooks may have come or gone since it was looked at.
  if (!cx.desk.awake() || !cx.desk.wants(d.message->topic())) return HookState::passed;
  const DeliverDesk::Late late = cx.desk.late(d.message->topic());
  if (late != DeliverDesk::Late::no) {
    cx.counters.add(Counter::hook_timeouts);
    return late == DeliverDesk::Late::drops ? HookState::dropped : HookState::passed;
  }
  ask(cx, d);
  return HookState::asked;  // or it waits until it may be
}

void Session::end_ask(SendContext& cx, Delivery& d) noexcept {
  if (d.hook == HookState::asked) cx.desk.forget(d.extras->ask);
  d.hook = HookState::unseen;
  --asked_;
  if (d.qos != 0) --queued_qos0_;
}

void Session::withdraw_asks(SendContext& cx) noexcept {
  for (std::uint32_t at = 0; at < queue_.size() && asked_ > 0; ++at) {
    if (is_held(queue_[at])) end_ask(cx, queue_[at]);
  }
}

Delivery& Session::asked(std::uint32_t ask) noexcept {
  std::uint32_t at = 0;
  while (queue_[at].hook != HookState::asked || queue_[at].extras->ask != ask) ++at;
  return queue_[at];
}

void Session::on_delivery_verdict(SendContext& cx, std::uint32_t ask, HookState state,
                                  MessageRef changed) noexcept {
  Delivery& d = asked(ask);
  end_ask(cx, d);
  d.hook = state;
  if (!changed) return;
  queued_bytes_ += changed->logical_bytes();
  queued_bytes_ -= d.message->logical_bytes();
  // Another receiver may yet get it as it was, and the store knows no other.
  d.extras->original = std::exchange(d.message, changed.detach());
}

void Session::note_hook_drop(SendContext& cx, const Delivery& d) noexcept {
  cx.counters.add(Counter::dropped_by_deliver_hook);
  cx.notices.dropped(this, d.message->topic(), d.qos, DropCause::deliver_hook);
  ++dropped_;
}

}  // namespace stmqtt
