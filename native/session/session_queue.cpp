// Session: the queue behind the send window: its bounds, and what comes and leaves.
#include "session/deliver_desk.hpp"
#include "session/hook_notices.hpp"
#include "session/session.hpp"

namespace stmqtt {

using contract::Counter;
using contract::DropCause;
using contract::WriteCause;

bool Session::enqueue(SendContext& cx, Publication& publication,
                      const DeliveryOptions& options) noexcept {
  const std::uint32_t bytes = publication.logical_bytes();
  // The queue's bounds; "refuse" is a race at worst here: the publisher is refused before.
  while (queue_.size() >= limits_->max_queued_messages ||
         queued_bytes_ + bytes > limits_->max_queued_bytes) {
    if (lost_++ == 0) cx.losers.push_back(ref_);
    ++dropped_;
    if (limits_->queue_overflow != QueueOverflow::drop_oldest || queue_.empty()) {
      cx.counters.add(queue_.size() >= limits_->max_queued_messages
                          ? Counter::dropped_queue_full_newest
                          : Counter::dropped_queue_bytes);
      cx.notices.dropped(this, publication.parts().topic, options.qos,
                         queue_.size() >= limits_->max_queued_messages
                             ? DropCause::queue_full_newest
                             : DropCause::queue_bytes);
      return false;
    }
    cx.counters.add(Counter::dropped_queue_full_oldest);
    cx.notices.dropped(this, queue_.front().message->topic(), queue_.front().qos,
                       DropCause::queue_full_oldest);
    drop_front(cx, WriteEnd::dropped(WriteCause::queue_full));
  }
  queued_bytes_ += bytes;
  if (options.qos == 0) ++queued_qos0_;
  queue_.push_back(make_delivery(publication, options));
  cx.counters.add(Counter::messages_queued);
  return true;
}

Delivery Session::make_delivery(Publication& publication,
                                const DeliveryOptions& options) noexcept {
  Delivery d;
  d.message = &publication.block();
  d.message->acquire();
  d.qos = options.qos & 3;
  d.retain = options.retain;
  const auto& ids = options.subscription_ids;
  if (ids.size() == 1 && options.group == nullptr) {
    d.subscription_id = ids[0];
  } else if (!ids.empty() || options.group != nullptr) {
    d.extras = DeliveryExtras::make(options.group, ids);
  }
  return d;
}

void Session::drop_front(SendContext& cx, const WriteEnd& end) noexcept {
  leave_queue(cx, queue_.front());
  end_delivery(cx, queue_.front(), end);
  queue_.pop_front();
}

void Session::leave_queue(SendContext& cx, Delivery& delivery) noexcept {
  if (is_held(delivery)) [[unlikely]] end_ask(cx, delivery);
  delivery.hook = HookState::unseen;
  if (delivery.ahead) --ahead_;
  delivery.ahead = 0;
  queued_bytes_ -= delivery.message->logical_bytes();
  if (delivery.qos == 0) --queued_qos0_;
  cx.counters.add(Counter::messages_queued, -1);
}

bool Session::queue_ahead(SendContext& cx, Publication& publication,
                          const DeliveryOptions& options) noexcept {
  const std::uint32_t bytes = publication.logical_bytes();
  // The bounds of the queue hold, but one always fits: what waits there waits for these.
  const bool full = queue_.size() >= limits_->max_queued_messages ||
                    queued_bytes_ + bytes > limits_->max_queued_bytes;
  if (ahead_ >= DeliverDesk::kMaxOfReceiver || (ahead_ > 0 && full)) return false;
  Delivery d = make_delivery(publication, options);
  d.ahead = 1;
  queue_.insert(ahead_, std::move(d));
  ++ahead_;
  queued_bytes_ += bytes;
  if (options.qos == 0) ++queued_qos0_;
  cx.counters.add(Counter::messages_queued);
  return true;
}

}  // namespace stmqtt
