// Session: sending of single messages: at once, into the queue, or out of it.
#include <cstring>

#include "base/hash.hpp"
#include "session/access.hpp"
#include "session/deliver_desk.hpp"
#include "session/asks.hpp"
#include "session/hook_notices.hpp"
#include "session/session.hpp"
#include "wire/encode.hpp"

namespace stmqtt {

using contract::Counter;
using contract::DropCause;
using contract::WriteCause;

void Session::deliver(SendContext& cx, Publication& publication,
                      const DeliveryOptions& options) noexcept {
  if (options.qos == 0) return deliver_qos0(cx, publication, options);
  // Behind a queue, a running scan of retained messages, or a full window, order is kept by the
  // queue [MQTT-4.6.0-6].
  if (queue_.empty() && scans == nullptr && window_open() && !client_->outlet->above_high())
      [[likely]] {
    return send_first(cx, publication, options);
  }
  static_cast<void>(enqueue(cx, publication, options));
}

void Session::deliver_qos0(SendContext& cx, Publication& publication,
                           const DeliveryOptions& options) noexcept {
  if (!can_send()) [[unlikely]] {
    cx.counters.add(Counter::dropped_offline_qos0);
    cx.notices.dropped(this, publication.parts().topic, 0, DropCause::offline_qos0);
    return;
  }
  // Behind those that wait already, for a scan or below the watermark [MQTT-4.6.0-6].
  if (scans != nullptr || queued_qos0_ > 0) [[unlikely]] {
    static_cast<void>(enqueue(cx, publication, options));
    return;
  }
  if (client_->outlet->above_high()) [[unlikely]] {
    cx.counters.add(Counter::dropped_outbound_watermark);
    cx.notices.dropped(this, publication.parts().topic, 0, DropCause::outbound_watermark);
    ++dropped_;
    return;
  }
  static_cast<void>(send_qos0(cx, publication, options));
}

void Session::send_retained(SendContext& cx, Publication& publication,
                            const DeliveryOptions& options) noexcept {
  if (options.qos == 0) {
    static_cast<void>(send_qos0(cx, publication, options));
  } else {
    send_first(cx, publication, options);
  }
}

/// With QoS 0 and DUP 0 [MQTT-4.3.1-1].
Session::Sent Session::send_qos0(SendContext& cx, Publication& publication,
                                 const DeliveryOptions& options) noexcept {
  const bool plain = !client_->is_v5() ||
                     (options.subscription_ids.empty() && client_->aliases_out == nullptr);
  const Sent sent =
      plain ? write_form(cx, publication, 0, options.retain, 0)
            : write_parts(cx, publication.parts(),
                          publication.payload_is_shared() ? &publication.block() : nullptr, 0,
                          options.retain, false, 0, options.subscription_ids);
  if (sent == Sent::too_large) drop_too_large(cx, publication.parts().topic, 0);
  return sent;
}

bool Session::keeps_message(const SendContext& cx, SharedState* group) const noexcept {
  return persistent() || group != nullptr || cx.notices.wants_acks();
}

void Session::drop_too_large(SendContext& cx, Bytes topic, std::uint8_t qos) noexcept {
  cx.counters.add(Counter::dropped_packet_too_large);
  cx.notices.dropped(this, topic, qos, DropCause::packet_too_large);
  ++dropped_;
}

/// Opens a place in the window and sends, with DUP 0 [MQTT-4.3.2-2], [MQTT-4.3.3-2]. The window is
/// open. The place is taken until PUBACK [MQTT-4.3.2-3], or PUBREC and PUBCOMP [MQTT-4.3.3-3].
void Session::send_first(SendContext& cx, Publication& publication,
                         const DeliveryOptions& options) noexcept {
  Delivery d;
  d.packet_id = take_packet_id();
  d.qos = options.qos & 3;
  d.retain = options.retain;
  d.state = DeliveryState::sent;
  const bool committed = options.qos < 2 || !persistent() ||
                         !asks_store(cx.gate, CommitKind::outbound_id);
  if (keeps_message(cx, options.group) || !committed) {
    d.message = &publication.block();
    d.message->acquire();
  }
  const auto& ids = options.subscription_ids;
  if (ids.size() == 1 && options.group == nullptr) {
    d.subscription_id = ids[0];
  } else if (!ids.empty() || options.group != nullptr) {
    d.extras = DeliveryExtras::make(options.group, ids);
  }
  if (!committed) {
    // A QoS 2 Packet Identifier of a persistent session is durable before it is used.
    commit(cx, d, PromiseKind::send_publish);
    window_.insert(d);
    cx.counters.add(Counter::messages_in_flight);
    return;
  }
  const bool plain = !client_->is_v5() || (ids.empty() && client_->aliases_out == nullptr);
  const Sent sent =
      plain ? write_form(cx, publication, options.qos, options.retain, d.packet_id)
            : write_parts(cx, publication.parts(),
                          publication.payload_is_shared() ? &publication.block() : nullptr,
                          options.qos, options.retain, false, d.packet_id, ids);
  if (sent == Sent::too_large) {
    // Counts as delivered: the client will never see it [MQTT-3.1.2-25].
    drop_too_large(cx, publication.parts().topic, options.qos);
    drop_delivery(d);
    return;
  }
  window_.insert(d);
  cx.counters.add(Counter::messages_in_flight);
}

Session::Sent Session::write_form(SendContext& cx, Publication& publication, std::uint8_t qos,
                                  bool retain, std::uint16_t packet_id) noexcept {
  std::uint16_t skip = 0;
  bool own_form = false;
  if (dress != 0) [[unlikely]] {
    own_form = needs_own_form(publication.parts());
    skip = skip_of(publication);
  }
  if (own_form || publication.encode_in_place(client_->version, qos, retain, skip)) {
    return write_parts(cx, publication.parts(),
                       publication.payload_is_shared() ? &publication.block() : nullptr, qos,
                       retain, false, packet_id, {});
  }
  const PublishForm& form =
      publication.form(client_->version, qos, retain, skip, cx.now_ms);
  if (form.packet_bytes > client_->max_packet_out) [[unlikely]] return Sent::too_large;
  OutboundQueue& out = client_->outlet->queue;
  if (form.bytes <= OutboundQueue::kMaxReserveBytes) [[likely]] {
    std::uint8_t* at = out.reserve(form.bytes);
    std::memcpy(at, form.data, form.bytes);
    if (qos != 0) store_u16(at + form.packet_id_at, packet_id);
    out.commit(form.bytes);
  } else {
    // Only a head with tens of kilobytes of properties; rare enough to patch the form itself.
    if (qos != 0) store_u16(const_cast<std::uint8_t*>(form.data) + form.packet_id_at, packet_id);
    out.append({form.data, form.bytes});
  }
  if (publication.payload_is_shared()) {
    Message& block = publication.block();
    out.append_shared(MessageRef::share(&block), block.payload());
  }
  client_->outlet->mark();
  cx.deliveries.sent(publication.parts().published);
  cx.counters.add(Counter::packets_sent);
  cx.counters.add(qos == 0   ? Counter::publish_sent_qos0
                  : qos == 1 ? Counter::publish_sent_qos1
                             : Counter::publish_sent_qos2);
  return Sent::sent;
}

Session::Sent Session::write_parts(SendContext& cx, const MessageParts& parts, Message* message,
                                   std::uint8_t qos, bool retain, bool dup,
                                   std::uint16_t packet_id,
                                   std::span<const std::uint32_t> ids) noexcept {
  wire::PublishOut out;
  out.version = client_->version;
  out.topic = parts.topic;
  out.qos = qos;
  out.retain = retain;
  out.dup = dup;
  out.packet_id = packet_id;
  out.payload = parts.payload;
  if (dress != 0) [[unlikely]] dress_up(cx.scratch, parts, out);
  OutgoingAliases::Use use;
  if (client_->is_v5()) {
    out.forward_properties = parts.properties;
    out.subscription_ids = ids;
    out.has_message_expiry =
        remaining_expiry(parts.expires_at_ms, cx.now_ms, out.message_expiry_s);
    if (client_->aliases_out != nullptr) {
      use = client_->aliases_out->use(out.topic, hash_bytes(out.topic, 0));
      out.topic_alias = use.alias;
      if (use.known) out.topic = {};
    }
  }
  const wire::PublishSizes sizes = wire::measure_publish(out);
  if (sizes.total == 0 || sizes.total > client_->max_packet_out) return Sent::too_large;
  OutboundQueue& queue = client_->outlet->queue;
  const bool by_reference = message != nullptr && parts.payload.size() >= kSharedPayloadBytes;
  const std::size_t bytes = by_reference ? sizes.head : sizes.total;
  if (bytes <= OutboundQueue::kMaxReserveBytes) {
    std::uint8_t* at = queue.reserve(bytes);
    if (by_reference) {
      wire::encode_publish_head(out, sizes, at);
    } else {
      wire::encode_publish(out, sizes, at);
    }
    queue.commit(bytes);
  } else {
    PoolVector<std::uint8_t>& buffer = cx.scratch.buffers[0];
    buffer.resize(static_cast<std::uint32_t>(bytes));
    if (by_reference) {
      wire::encode_publish_head(out, sizes, buffer.data());
    } else {
      wire::encode_publish(out, sizes, buffer.data());
    }
    queue.append({buffer.data(), bytes});
  }
  if (by_reference) queue.append_shared(MessageRef::share(message), message->payload());
  if (client_->aliases_out != nullptr) client_->aliases_out->commit(use);
  client_->outlet->mark();
  cx.deliveries.sent(parts.published);
  cx.counters.add(Counter::packets_sent);
  cx.counters.add(qos == 0   ? Counter::publish_sent_qos0
                  : qos == 1 ? Counter::publish_sent_qos1
                             : Counter::publish_sent_qos2);
  return Sent::sent;
}

Session::Sent Session::write_delivery(SendContext& cx, const Delivery& d) noexcept {
  MessageParts parts;
  parts.topic = d.message->topic();
  parts.properties = d.message->properties();
  parts.payload = d.message->payload();
  parts.origin = d.message->origin();
  parts.expires_at_ms = d.message->expires_at_ms();
  // A resend is the peer's doing, or the network's.
  parts.published = d.dup ? 0 : d.message->published();
  // DUP is 0 at the first sending and 1 at each later one [MQTT-3.3.1-1], [MQTT-3.3.1-3].
  const std::uint8_t own_dress = dress;
  if (is_direct(d)) [[unlikely]] dress = 0;  // what was given is what the client is to see
  const Sent sent = write_parts(cx, parts, d.message, d.qos, d.retain, d.dup, d.packet_id,
                                subscription_ids(d));
  dress = own_dress;
  return sent;
}

void Session::write_pubrel(SendContext& cx, std::uint16_t packet_id) noexcept {
  std::uint8_t* at = client_->outlet->queue.reserve(wire::kMaxPlainAckBytes);
  const std::uint8_t* end = wire::encode_ack(wire::PacketType::pubrel, client_->version, packet_id,
                                             wire::ReasonCode::success, at);
  client_->outlet->queue.commit(static_cast<std::size_t>(end - at));
  client_->outlet->mark();
  cx.counters.add(Counter::packets_sent);
  cx.counters.add(Counter::packets_sent_pubrel);
}

bool Session::is_denied(SendContext& cx, const Delivery& delivery) noexcept {
#ifdef STMQTT_MUTANT_QUEUED_NOT_JUDGED
  return false;
#endif
  // The application's own doing is not judged.
  return !is_direct(delivery) && !cx.access.may_receive(*this, delivery.message->topic());
}

inline HookState Session::hook_state(SendContext& cx, Delivery& d) noexcept {
  if (d.hook == HookState::unseen && !cx.desk.awake()) [[likely]] return HookState::passed;
  return consult(cx, d);
}

void Session::pump_qos0(SendContext& cx) noexcept {
  if (queued_qos0_ == 0) return;
  bool waits = false;  // for a hook: those behind it do, too
  queue_.erase_if([&](Delivery& d) {
    if (d.qos != 0 || waits || client_->outlet->above_high()) return false;
    WriteEnd end = WriteEnd::delivered();
    if (guarded && is_denied(cx, d)) {
      cx.counters.add(Counter::denied_delivery);
    } else if (d.message->expires_at_ms() != 0 && d.message->expires_at_ms() <= cx.now_ms) {
      cx.counters.add(Counter::dropped_expired);  // [MQTT-3.3.2-5]
      cx.notices.dropped(this, d.message->topic(), 0, DropCause::expired);
      end = WriteEnd::dropped(WriteCause::expired);
    } else if (const HookState hook = hook_state(cx, d); hook == HookState::asked) {
      waits = true;
      return false;
    } else if (hook == HookState::dropped) {
      note_hook_drop(cx, d);
      end = WriteEnd::dropped(WriteCause::hook);
    } else if (write_delivery(cx, d) == Sent::too_large) {
      drop_too_large(cx, d.message->topic(), 0);
      end = WriteEnd::dropped(WriteCause::too_large);
    }
    leave_queue(cx, d);
    end_delivery(cx, d, end);
    return true;
  });
}

/// A full window holds back PUBLISH of QoS 1 and 2 and nothing else [MQTT-3.3.4-10],
/// [MQTT-4.9.0-3].
void Session::pump(SendContext& cx) noexcept {
  if (!can_send()) return;
  while (unsent_ > 0 && window_.size() - unsent_ < client_->send_maximum &&
         !client_->outlet->above_high()) {
    std::uint16_t oldest = 0;
    window_.for_each([&](const Delivery& d) {
      if (d.state == DeliveryState::unsent && (oldest == 0 || age(d.packet_id) > age(oldest))) {
        oldest = d.packet_id;
      }
    });
    --unsent_;
    send_in_window(cx, oldest);
  }
  // Retained messages come first; what arrived since waits behind them.
#ifndef STMQTT_MUTANT_QUEUE_PASSES_SCAN
  if ((scans != nullptr && ahead_ == 0) || unsent_ > 0) return;
#endif
  if (!queue_.empty() && cx.desk.awake()) [[unlikely]] ask_ahead(cx);
  while (!queue_.empty() && !client_->outlet->above_high()) {
#ifndef STMQTT_MUTANT_LIVE_PASSES_ASKED_RETAINED
    if (scans != nullptr && !queue_.front().ahead) return;
#endif
    Delivery& front = queue_.front();
    if (front.message->expires_at_ms() != 0 && front.message->expires_at_ms() <= cx.now_ms) {
      cx.counters.add(Counter::dropped_expired);  // [MQTT-3.3.2-5]
      cx.notices.dropped(this, front.message->topic(), front.qos, DropCause::expired);
      drop_front(cx, WriteEnd::dropped(WriteCause::expired));
      continue;
    }
    if (guarded && is_denied(cx, front)) [[unlikely]] {
      cx.counters.add(Counter::denied_delivery);
      drop_front(cx, WriteEnd::dropped(WriteCause::none));
      continue;
    }
    const HookState hook = hook_state(cx, front);
#ifndef STMQTT_MUTANT_ASKED_DOES_NOT_HOLD
    if (hook == HookState::asked) return;
#endif
    if (hook == HookState::dropped) [[unlikely]] {
      note_hook_drop(cx, front);
      drop_front(cx, WriteEnd::dropped(WriteCause::hook));
      continue;
    }
    if (front.qos == 0) {
      WriteEnd end = WriteEnd::delivered();
      if (write_delivery(cx, front) == Sent::too_large) {
        drop_too_large(cx, front.message->topic(), 0);
        end = WriteEnd::dropped(WriteCause::too_large);
      }
      drop_front(cx, end);
      continue;
    }
    // [MQTT-3.3.4-9], [MQTT-4.9.0-2]
    if (window_.size() >= client_->send_maximum) return front.ahead ? void() : pump_qos0(cx);
    leave_queue(cx, front);
    Delivery d = front;
    queue_.pop_front();
    d.packet_id = take_packet_id();
    cx.counters.add(Counter::messages_in_flight);
    if (d.qos == 2 && persistent() && asks_store(cx.gate, CommitKind::outbound_id)) {
      commit(cx, d, PromiseKind::send_publish);
      window_.insert(d);
      continue;
    }
    window_.insert(d);
    send_in_window(cx, d.packet_id);
  }
}

void Session::send_in_window(SendContext& cx, std::uint16_t packet_id) noexcept {
  Delivery* d = window_.find(packet_id);
  // One that was sent before is sent again [MQTT-4.4.0-1]: its client may have it.
  if (guarded && !d->dup && d->message != nullptr && is_denied(cx, *d)) [[unlikely]] {
    d->state = DeliveryState::sent;
    cx.counters.add(Counter::denied_delivery);
    return finish(cx, *d, WriteEnd::dropped(WriteCause::none));
  }
  d->state = DeliveryState::sent;  // first: finish() must not count it as unsent once more
  if (write_delivery(cx, *d) == Sent::too_large) {
    drop_too_large(cx, d->message->topic(), d->qos);
    finish(cx, *d, WriteEnd::dropped(WriteCause::too_large));
    return;
  }
  if (!keeps_message(cx, shared_group(*d))) drop_message(*d);
}

std::uint16_t Session::take_packet_id() noexcept {
  // Unused and not zero [MQTT-2.2.1-4], [MQTT-4.3.2-1], [MQTT-4.3.3-1]; the window is smaller than
  // the number space.
  while (next_packet_id_ == 0 || window_.find(next_packet_id_) != nullptr) ++next_packet_id_;
  return next_packet_id_++;
}

}  // namespace stmqtt
