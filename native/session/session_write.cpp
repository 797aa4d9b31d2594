// Session: DirectWrites: messages of the application's for this client alone.
#include "session/deliver_desk.hpp"
#include "session/session.hpp"

namespace stmqtt {

using contract::Counter;
using contract::WriteCause;

void Session::write_direct(SendContext& cx, Publication& publication, std::uint8_t qos,
                           const WriteMark& mark) noexcept {
  DeliveryOptions options;
  options.qos = qos;
  if (client_ == nullptr) {
#ifndef STMQTT_MUTANT_WRITES_ALWAYS_WAIT
    if (!mark.may_wait) {
      return cx.writes.tell(mark.id, key(), WriteEnd::dropped(WriteCause::not_connected));
    }
#endif
    if (!enqueue(cx, publication, options)) {
      return cx.writes.tell(mark.id, key(), WriteEnd::dropped(WriteCause::queue_full));
    }
    mark_write(cx, queue_.back(), {0, true, true});
    return cx.writes.tell(mark.id, key(), WriteEnd::queued());
  }
  if (options.qos > client_->max_qos) options.qos = client_->max_qos;
  const bool hooked = cx.desk.awake() && cx.desk.wants(publication.parts().topic);
  const bool sends = can_send() && scans == nullptr && !hooked;
  const bool above_high = client_->outlet->above_high();
  const std::uint8_t own_dress = dress;
  if (options.qos == 0 && sends && queued_qos0_ == 0) {
    if (above_high) {
      cx.counters.add(Counter::dropped_outbound_watermark);
      ++dropped_;
      return cx.writes.tell(mark.id, key(), WriteEnd::dropped(WriteCause::outbound_full));
    }
#ifndef STMQTT_MUTANT_WRITES_ARE_DRESSED
    dress = 0;
#endif
    const Sent sent = send_qos0(cx, publication, options);
    dress = own_dress;
    return cx.writes.tell(mark.id, key(),
                          sent == Sent::sent ? WriteEnd::delivered()
                                             : WriteEnd::dropped(WriteCause::too_large));
  }
  // As deliver() has it: behind what waits already [MQTT-4.6.0-6].
  if (options.qos > 0 && sends && queue_.empty() && window_open() && !above_high) {
    dress = 0;
    send_first(cx, publication, options);
    dress = own_dress;
    Delivery* sent = window_.find(static_cast<std::uint16_t>(next_packet_id_ - 1));
    if (sent != nullptr) return mark_write(cx, *sent, mark);
    return cx.writes.tell(mark.id, key(), WriteEnd::dropped(WriteCause::too_large));
  }
  if (!enqueue(cx, publication, options)) {
    return cx.writes.tell(mark.id, key(), WriteEnd::dropped(WriteCause::queue_full));
  }
  mark_write(cx, queue_.back(), mark);
  if (hooked) pump(cx);
}

/// The delivery has just been made, without extras.
void Session::mark_write(SendContext& cx, Delivery& d, const WriteMark& mark) noexcept {
  d.extras = DeliveryExtras::make(nullptr, {});
  d.extras->write = mark;
#ifdef STMQTT_MUTANT_WRITES_UNDER_WAY_NOT_COUNTED
  return;
#endif
  if (mark.id != 0) cx.writes.begin();
}

void Session::settle_write(SendContext& cx, Delivery& d, const WriteEnd& end) noexcept {
  cx.writes.settle(std::exchange(d.extras->write.id, 0), key(), end);
}

/// Those that the session may keep are queued. Others are given up, as far as they can be: one that
/// was sent is sent again where the session is resumed [MQTT-4.4.0-1], for its client may have it.
void Session::settle_writes(SendContext& cx) noexcept {
  const WriteEnd lost = WriteEnd::dropped(WriteCause::connection_lost);
  const auto waits = [](const Delivery& d) {
    return d.extras != nullptr && d.extras->write.id != 0;
  };
  const auto stays = [&](const Delivery& d) {
#ifdef STMQTT_MUTANT_WRITES_OUTLIVE_CONNECTIONS
    return persistent() && d.qos > 0;
#endif
    return persistent() && d.qos > 0 && d.extras->write.may_wait;
  };
  PoolVector<std::uint16_t> ids;
  oldest_first(ids);
  for (const std::uint16_t id : ids) {
    Delivery& d = *window_.find(id);
    if (!waits(d)) continue;
    const bool has_it = d.state == DeliveryState::pubrec_committing ||
                        d.state == DeliveryState::pubrec_uncommitted ||
                        d.state == DeliveryState::released;
    if (d.state == DeliveryState::unsent && !d.dup && !stays(d)) {
      finish(cx, d, lost);
    } else {
#ifdef STMQTT_MUTANT_RECEIVED_WRITES_ARE_LOST
      settle_write(cx, d, stays(d) && !has_it ? WriteEnd::queued() : lost);
#else
      settle_write(cx, d, has_it ? WriteEnd::delivered() : stays(d) ? WriteEnd::queued() : lost);
#endif
    }
  }
  queue_.erase_if([&](Delivery& d) {
    if (!waits(d)) return false;
    if (stays(d)) {
      settle_write(cx, d, WriteEnd::queued());
      return false;
    }
    leave_queue(cx, d);
    end_delivery(cx, d, lost);
    return true;
  });
}

}  // namespace stmqtt
