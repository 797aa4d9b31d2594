// Session: acknowledgements, connections coming and going, the end.
#include "session/asks.hpp"
#include "session/hook_notices.hpp"
#include "session/log_handovers.hpp"
#include "session/session.hpp"

#include <algorithm>
#include <new>

#include "base/pool.hpp"

namespace stmqtt {

using contract::Counter;

DeliveryExtras* DeliveryExtras::make(SharedState* group,
                                     std::span<const std::uint32_t> ids) noexcept {
  auto* extras =
      new (pool_allocate(sizeof(DeliveryExtras) + ids.size_bytes())) DeliveryExtras;
  extras->group = group;
  if (group != nullptr) group->acquire();
  extras->id_count = static_cast<std::uint32_t>(ids.size());
  std::copy(ids.begin(), ids.end(), extras->ids());
  return extras;
}

void DeliveryExtras::destroy(DeliveryExtras* extras) noexcept {
  if (extras->group != nullptr) extras->group->release();
  if (extras->original != nullptr) extras->original->release();
  pool_free(extras, sizeof(DeliveryExtras) + extras->id_count * sizeof(std::uint32_t));
}

RetainedScan* RetainedScan::make(Bytes filter) noexcept {
  auto* scan = pool_new<RetainedScan>();
  scan->filter_bytes = static_cast<std::uint32_t>(filter.size());
  scan->filter = static_cast<std::uint8_t*>(pool_allocate(filter.size()));
  store_bytes(scan->filter, filter);
  return scan;
}

void RetainedScan::destroy(RetainedScan* scan) noexcept {
  if (scan->handover != nullptr) pool_delete(scan->handover);
  pool_free(scan->filter, scan->filter_bytes);
  pool_delete(scan);
}

Session::~Session() {
  window_.for_each([](Delivery& d) { drop_delivery(d); });
  while (!queue_.empty()) {
    drop_delivery(queue_.front());
    queue_.pop_front();
  }
  while (scans != nullptr) {
    RetainedScan* next = scans->next;
    RetainedScan::destroy(scans);
    scans = next;
  }
  if (will != nullptr) {
    will->message->release();
    pool_delete(will);
  }
  if (username != nullptr) pool_free(username, username_bytes);
  if (identity != nullptr) Identity::destroy(identity);
  if (key_ != nullptr) SessionKey::destroy(key_);
}

void Session::discard(SendContext& cx) noexcept {
  const auto lost = static_cast<std::int64_t>(queue_.size() + window_.size());
  cx.counters.add(Counter::messages_queued, -static_cast<std::int64_t>(queue_.size()));
  cx.counters.add(Counter::messages_in_flight, -static_cast<std::int64_t>(window_.size()));
  if (lost > 0) cx.counters.add(Counter::dropped_session_ended, lost);
  if (asked_ > 0) withdraw_asks(cx);
  ahead_ = 0;
  const WriteEnd end = WriteEnd::dropped(contract::WriteCause::session_ended);
  window_.for_each([&](Delivery& d) { end_delivery(cx, d, end); });
  window_.clear();
  unsent_ = 0;
  while (!queue_.empty()) {
    end_delivery(cx, queue_.front(), end);
    queue_.pop_front();
  }
  queued_bytes_ = 0;
  queued_qos0_ = 0;
}

void Session::finish(SendContext& cx, Delivery& delivery, const WriteEnd& end) noexcept {
  if (delivery.state == DeliveryState::unsent) --unsent_;
  const std::uint16_t packet_id = delivery.packet_id;
  if (persistent()) {
    cx.gate.note(
        Commit{CommitKind::outbound_done, packet_id, ref_, stored_message(delivery), nullptr, {}});
  }
  end_delivery(cx, delivery, end);
  window_.erase(packet_id);
  cx.counters.add(Counter::messages_in_flight, -1);
}

bool Session::on_puback(SendContext& cx, std::uint16_t packet_id,
                        wire::ReasonCode reason) noexcept {
  Delivery* d = window_.find(packet_id);
  if (d == nullptr || d->qos != 1 || d->state != DeliveryState::sent) return false;
  // A refusal acknowledges, and discards the message too [MQTT-4.4.0-2], [MQTT-4.8.2-6]; it is
  // never offered to another member.
  if (wire::is_error(reason)) cx.counters.add(Counter::dropped_refused_by_receiver);
  cx.notices.acknowledged(*this, d->message, 1, packet_id, reason);
  finish(cx, *d, WriteEnd::answered(reason));
  pump(cx);
  return true;
}

bool Session::on_pubrec(SendContext& cx, std::uint16_t packet_id,
                        wire::ReasonCode reason) noexcept {
  Delivery* d = window_.find(packet_id);
  if (d == nullptr || d->qos != 2) return false;
  switch (d->state) {
    case DeliveryState::queued:
    case DeliveryState::committing:
    case DeliveryState::uncommitted:
    case DeliveryState::unsent:
      return false;
    case DeliveryState::pubrec_committing:
    case DeliveryState::pubrec_uncommitted:
      return true;  // PUBREL follows once the first PUBREC is durable
    case DeliveryState::released:
      // A repeated PUBREC is answered again [MQTT-4.3.3-4].
      write_pubrel(cx, packet_id);
      return true;
    case DeliveryState::sent:
      break;
  }
  cx.notices.acknowledged(*this, d->message, 2, packet_id, reason);
  if (wire::is_error(reason)) {  // frees the Packet Identifier [MQTT-4.3.3-4]
    cx.counters.add(Counter::dropped_refused_by_receiver);
    finish(cx, *d, WriteEnd::answered(reason));
    pump(cx);
    return true;
  }
  drop_message(*d);
  if (persistent() && asks_store(cx.gate, CommitKind::outbound_pubrec)) {
    commit(cx, *d, PromiseKind::send_pubrel);
    return true;
  }
  // From here on PUBREL is what may be sent again [MQTT-4.3.3-5], PUBLISH is not [MQTT-4.3.3-6].
  d->state = DeliveryState::released;
  write_pubrel(cx, packet_id);
  return true;
}

bool Session::on_pubcomp(SendContext& cx, std::uint16_t packet_id) noexcept {
  Delivery* d = window_.find(packet_id);
  if (d == nullptr || d->state != DeliveryState::released) return false;
  finish(cx, *d, WriteEnd::delivered());
  pump(cx);
  return true;
}

void Session::on_granted(SendContext& cx, PromiseKind kind, std::uint16_t packet_id) noexcept {
  Delivery* d = window_.find(packet_id);
  if (d == nullptr) return;
  if (kind == PromiseKind::send_pubrel && d->state == DeliveryState::pubrec_committing) {
    d->state = DeliveryState::released;
    if (can_send()) write_pubrel(cx, packet_id);
  } else if (kind == PromiseKind::send_publish && d->state == DeliveryState::committing) {
    d->state = DeliveryState::unsent;
    ++unsent_;
    if (!can_send()) return;
    // The client may have come back with a smaller Receive Maximum meanwhile.
    if (unsent_ == 1 && window_.size() <= client_->send_maximum &&
        !client_->outlet->above_high()) {
      unsent_ = 0;
      send_in_window(cx, packet_id);
    } else {
      pump(cx);
    }
  }
}

void Session::on_failed(PromiseKind kind, std::uint16_t packet_id) noexcept {
  Delivery* d = window_.find(packet_id);
  if (d == nullptr) return;
  if (kind == PromiseKind::send_pubrel && d->state == DeliveryState::pubrec_committing) {
    d->state = DeliveryState::pubrec_uncommitted;
  } else if (kind == PromiseKind::send_publish && d->state == DeliveryState::committing) {
    d->state = DeliveryState::uncommitted;
  }
}

void Session::commit(SendContext& cx, Delivery& delivery, PromiseKind step) noexcept {
  const bool publish = step == PromiseKind::send_publish;
  Promise promise;
  promise.kind = step;
  promise.session = ref_;
  promise.packet_id = delivery.packet_id;
  promise.ticket = cx.gate.commit(
      Commit{publish ? CommitKind::outbound_id : CommitKind::outbound_pubrec, delivery.packet_id,
             ref_, stored_message(delivery), nullptr, {}});
  delivery.state = publish ? DeliveryState::committing : DeliveryState::pubrec_committing;
  cx.promises.push_back(std::move(promise));
}

void Session::oldest_first(PoolVector<std::uint16_t>& out) noexcept {
  window_.for_each([&](const Delivery& d) { out.push_back(d.packet_id); });
  std::sort(out.begin(), out.end(),
            [this](std::uint16_t a, std::uint16_t b) { return age(a) > age(b); });
}

void Session::attach(SendContext& cx, Client& client) noexcept {
  client_ = &client;
  if (window_.empty()) return pump(cx);
  PoolVector<std::uint16_t> ids;
  oldest_first(ids);
  unsent_ = 0;
  for (const std::uint16_t id : ids) {
    Delivery* d = window_.find(id);
    if (d->state == DeliveryState::sent) {
      d->dup = 1;  // [MQTT-3.3.1-1]
      d->state = DeliveryState::unsent;
    }
    if (d->state == DeliveryState::unsent) ++unsent_;
    if (d->state == DeliveryState::uncommitted) commit(cx, *d, PromiseKind::send_publish);
    if (d->state == DeliveryState::pubrec_uncommitted) commit(cx, *d, PromiseKind::send_pubrel);
  }
  // In the order in which they were sent first [MQTT-4.4.0-1], [MQTT-4.6.0-1], as far as this
  // connection's Receive Maximum allows; pump() sends the rest. Expiry is not looked at: it ends
  // with the first PUBLISH [MQTT-4.3.3-7].
  for (const std::uint16_t id : ids) {
    Delivery* d = window_.find(id);
    if (d->state == DeliveryState::released) {
      write_pubrel(cx, id);
    } else if (d->state == DeliveryState::unsent &&
               window_.size() - unsent_ < client.send_maximum && !client.outlet->above_high()) {
      --unsent_;
      send_in_window(cx, id);
    }
  }
  pump(cx);
}

void Session::detach(SendContext& cx) noexcept {
  client_ = nullptr;
  // Whoever comes next is another receiver to hooks.
#ifndef STMQTT_MUTANT_ASKS_OUTLIVE_CONNECTION
  if (asked_ > 0) [[unlikely]] withdraw_asks(cx);
#endif
  if (cx.writes.under_way() > 0) [[unlikely]] settle_writes(cx);
  // QoS 0 is not kept for a client that is away.
  if (queued_qos0_ == 0) return;
  queue_.erase_if([&](Delivery& d) {
    if (d.qos != 0) return false;
    cx.notices.dropped(this, d.message->topic(), 0, contract::DropCause::offline_qos0);
    leave_queue(cx, d);
    drop_delivery(d);
    cx.counters.add(Counter::dropped_offline_qos0);
    return true;
  });
}

void Session::trim() noexcept {
  window_.trim();
  inbound.trim();
}

}  // namespace stmqtt
