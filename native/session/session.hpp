// A Session: what is kept of a client across its connections (MQTT 5.0, 4.1): subscriptions, the
// send window, the queue behind it, QoS 2 identifiers received, the Will, the expiry. This class
// sends; who is to get what is decided by the shard. No sockets.
// Thread: the session's home thread.
#pragma once

#include <cstdint>

#include <utility>

#include "base/ring_queue.hpp"
#include "base/timer_wheel.hpp"
#include "contract/counters.hpp"
#include "route/retained_index.hpp"
#include "session/client.hpp"
#include "session/delivery.hpp"
#include "session/device_topics.hpp"
#include "session/direct_write.hpp"
#include "session/directory.hpp"
#include "session/latency.hpp"
#include "session/packet_id_map.hpp"
#include "session/publication.hpp"
#include "session/subscription_table.hpp"

namespace stmqtt {

class AccessChecks;
class DeliverDesk;
class LogHandover;
namespace wire {
struct PublishOut;
}
class HookNotices;

/// Bits of Session::device.
enum DeviceFlag : std::uint8_t {
  kDeviceMe = 1,       ///< "v1/devices/me/…" are its own device's topics
  kDeviceScoped = 2,   ///< it may not get at other devices' topics
  kDeviceHasId = 4,
  kDeviceIdOfKey = 8,  ///< the id is its Client Identifier, without the tenant
  kDeviceService = 16,
  kDeviceWide = 32,    ///< scoped, and its subscriptions match topics of other devices
  kDeviceTold = 64,    ///< who published is told to others
  kDeviceUnfit = 128,  ///< its id cannot stand in a topic
};

/// Bits of Session::dress: how its client sees messages otherwise than they are.
enum DressFlag : std::uint8_t {
  kDressTenant = 1,     ///< without its tenant's prefix
  kDressMe = 2,         ///< its own device's topics as "v1/devices/me/…"
  kDressAnyMe = 4,      ///< those of all devices
  kDressPublisher = 8,  ///< MQTT 5.0: with the publisher's Client Identifier, on device topics
  kDressOrigin = 16,    ///< with all that is known of the publisher
};

/// What a session needs of its shard to send. Thread: the shard's.
struct SendContext {
  contract::Counters& counters;
  Gate& gate;
  PromiseQueue& promises;
  FormScratch& scratch;
  PoolVector<SessionRef>& losers;  ///< sessions that lost messages by overflow since last asked
  AccessChecks& access;
  DirectWrites& writes;
  HookNotices& notices;
  DeliverDesk& desk;
  std::uint64_t now_ms;
  TurnDeliveries deliveries{};
};

/// A QoS 2 Packet Identifier received: from PUBLISH to PUBREL.
struct InboundId {
  std::uint16_t packet_id = 0;
  bool committing = false;  ///< the store has not granted it; the message was not delivered yet
  bool counted = false;     ///< counts in the present client's inbound_unacked
};

/// The Will as CONNECT gave it; its expiry counts from its publication.
struct Will {
  Message* message = nullptr;  ///< owns a count
  std::uint32_t delay_s = 0;
  std::uint32_t expiry_s = 0;
  bool expires = false;
};

/// Retained messages still to be sent for one subscription, and what logs have for it.
struct RetainedScan {
  RetainedScan* next = nullptr;
  std::uint8_t* filter = nullptr;  ///< from the pool, filter_bytes; owned
  std::uint32_t filter_bytes = 0;
  std::uint32_t subscription_id = 0;
  std::uint64_t since = 0;
  SubscriptionKey key;
  SubscriptionOptions options;
  RetainedCursor cursor;
  LogHandover* handover = nullptr;  ///< owned; comes behind the retained messages

  [[nodiscard]] static RetainedScan* make(Bytes filter) noexcept;
  static void destroy(RetainedScan* scan) noexcept;
};

inline constexpr std::uint32_t kNeverExpires = 0xFFFFFFFF;

class Session : public TimerNode {
 public:
  Session(SessionRef ref, SessionKey* key, const Limits* limits) noexcept
      : ref_(ref), key_(key), limits_(limits) {}
  /// Drops all messages; counts are corrected by discard() before.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- sending
  /// Sends, queues or drops (counted) one message.
  void deliver(SendContext& cx, Publication& publication, const DeliveryOptions& options) noexcept;
  /// deliver() of a message whose topic hooks want to see on its way to receivers.
  void deliver_hooked(SendContext& cx, Publication& publication,
                      const DeliveryOptions& options) noexcept;
  /// A retained message, or one of a log, that hooks want to see, or that comes behind one: waits in
  /// front of what was published since. False: there is no room now.
  [[nodiscard]] bool queue_ahead(SendContext& cx, Publication& publication,
                                 const DeliveryOptions& options) noexcept;
  /// Deliveries wait in front of what was published since a subscription.
  [[nodiscard]] bool has_ahead() const noexcept { return ahead_ > 0; }
  /// The delivery with an ask that has not ended.
  [[nodiscard]] Delivery& asked(std::uint32_t ask) noexcept;
  /// Hooks have answered about the delivery with this ask; `changed` may be none. The ask ends.
  void on_delivery_verdict(SendContext& cx, std::uint32_t ask, HookState state,
                           MessageRef changed) noexcept;
  /// Sends a retained message now, ahead of the queue; the window is open for QoS 1 and 2.
  void send_retained(SendContext& cx, Publication& publication,
                     const DeliveryOptions& options) noexcept;
  /// Sends or queues a message of the application's for this client alone, with its topic as it is;
  /// the outcome goes to cx.writes once it is known. `may_wait`: the session may keep it.
  void write_direct(SendContext& cx, Publication& publication, std::uint8_t qos,
                    const WriteMark& mark) noexcept;
  /// The client acknowledged. False: the Packet Identifier is not in use in that state.
  [[nodiscard]] bool on_puback(SendContext& cx, std::uint16_t packet_id,
                               wire::ReasonCode reason) noexcept;
  [[nodiscard]] bool on_pubrec(SendContext& cx, std::uint16_t packet_id,
                               wire::ReasonCode reason) noexcept;
  [[nodiscard]] bool on_pubcomp(SendContext& cx, std::uint16_t packet_id) noexcept;
  /// The store granted a Packet Identifier, or a PUBREC.
  void on_granted(SendContext& cx, PromiseKind kind, std::uint16_t packet_id) noexcept;
  /// The store failed it: what it was for waits for the next connection.
  void on_failed(PromiseKind kind, std::uint16_t packet_id) noexcept;
  /// Fills window and outbound queue from what waits.
  void pump(SendContext& cx) noexcept;

  // --- connection
  /// The client became active: resends what is in the window, then pumps [MQTT-4.4.0-1].
  void attach(SendContext& cx, Client& client) noexcept;
  void detach(SendContext& cx) noexcept;
  /// The client is admitted but not active yet: it counts for takeover, and gets nothing.
  void set_arriving(Client* client) noexcept { client_ = client; }
  /// Gives up everything in queue and window, with the gauges.
  void discard(SendContext& cx) noexcept;
  /// Moves deliveries of shared groups that `movable(group)` says have another connected member
  /// to `out`, oldest first: unsent ones and unacknowledged QoS 1.
  template <class F>
  void take_shared(SendContext& cx, F&& movable, RingQueue<Delivery>& out) noexcept;
  /// Memory that an idle session does not need.
  void trim() noexcept;

  // --- state
  [[nodiscard]] const SessionRef& ref() const noexcept { return ref_; }
  [[nodiscard]] const SessionKey& key() const noexcept { return *key_; }
  [[nodiscard]] Bytes client_id() const noexcept { return key_->client_id(); }
  /// The caller's from here on; the session ends without it.
  [[nodiscard]] SessionKey* release_key() noexcept { return std::exchange(key_, nullptr); }
  [[nodiscard]] Client* client() const noexcept { return client_; }
  [[nodiscard]] bool persistent() const noexcept { return expiry_s != 0; }
  [[nodiscard]] bool can_send() const noexcept {
    return client_ != nullptr && client_->active();
  }
  [[nodiscard]] bool queue_is_full() const noexcept {
    return queue_.size() >= limits_->max_queued_messages ||
           queued_bytes_ >= limits_->max_queued_bytes;
  }
  /// More than three quarters of a bound are used: not yet the time to say that there is room.
  [[nodiscard]] bool queue_is_nearly_full() const noexcept {
    return queue_.size() > limits_->max_queued_messages / 4 * 3 ||
           queued_bytes_ > limits_->max_queued_bytes / 4 * 3;
  }
  [[nodiscard]] std::uint32_t queued() const noexcept {
    return static_cast<std::uint32_t>(queue_.size());
  }
  [[nodiscard]] std::uint64_t queued_bytes() const noexcept { return queued_bytes_; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return window_.size(); }
  /// Messages lost to its bounds and its client's since it was made.
  [[nodiscard]] std::uint32_t dropped() const noexcept { return dropped_; }
  /// Visits what is in the window, oldest first.
  template <class F>
  void each_in_window(F&& visit) noexcept {
    PoolVector<std::uint16_t> ids;
    oldest_first(ids);
    for (const std::uint16_t id : ids) {
      if (!visit(*window_.find(id))) return;
    }
  }
  /// A QoS 1/2 message could be sent right now.
  [[nodiscard]] bool window_open() const noexcept {
    return can_send() && unsent_ == 0 && window_.size() < client_->send_maximum;
  }
  [[nodiscard]] std::uint64_t take_lost() noexcept {
    return std::exchange(lost_, 0);
  }
  void set_limits(const Limits* limits) noexcept { limits_ = limits; }
  [[nodiscard]] const Limits& limits() const noexcept { return *limits_; }

  /// Which device it is: one level of a topic. Empty = none, or one that cannot stand in a topic.
  [[nodiscard]] Bytes device_id() const noexcept {
    if ((device & kDeviceHasId) == 0) return {};
    if ((device & kDeviceIdOfKey) == 0) return identity->device_id();
    const std::size_t tenant = identity == nullptr ? 0 : identity->tenant().size();
    return client_id().subspan(tenant == 0 ? 0 : tenant + 1);
  }
  [[nodiscard]] DeviceSelf device_self() const noexcept {
    const bool within = identity != nullptr && limits_->tenant_mode != TenantMode::off;
    return {device_id(), within ? identity->tenant() : Bytes{}};
  }
  /// Whether this is where its own device's topics are.
  [[nodiscard]] bool is_own(const DevicePlace& place) const noexcept {
    return stmqtt::is_own(device_self(), place);
  }
  /// Whether it may use all devices' topics by who it is; rules may allow it, too.
  [[nodiscard]] bool is_service() const noexcept { return (device & kDeviceService) != 0; }

  // Owned by the shard, which reads and writes them.
  SubscriptionTable subscriptions;
  PacketIdMap<InboundId> inbound;
  RetainedScan* scans = nullptr;     ///< owned list
  Will* will = nullptr;              ///< owned
  std::uint8_t* username = nullptr;  ///< from the pool; owned
  std::uint32_t username_bytes = 0;
  std::uint32_t expiry_s = 0;        ///< Session Expiry Interval; kNeverExpires
  Identity* identity = nullptr;      ///< of its latest client; owned; null = nothing is known
  std::uint64_t expires_at_ms = 0;   ///< 0 = not running
  std::uint64_t will_due_ms = 0;     ///< 0 = not running
  bool authenticated = false;        ///< username stands behind a verdict
  bool resumable = false;            ///< a CONNACK told of it: a later one has Session Present
  bool marked_full = false;          ///< its flag in SessionFlags is set
  bool is_link = false;              ///< of a link of this process
  bool guarded = false;              ///< deliveries ask AccessChecks::may_receive
  bool narrowed = false;             ///< its subscriptions are wider than what it may get
  std::uint16_t topic_skip = 0;      ///< bytes of its topics that its client does not see
  /// CloseCause of the last connection that ended; none = there was none.
  std::uint8_t last_cause = 0;
  std::uint8_t device = 0;           ///< DeviceFlag bits
  std::uint8_t dress = 0;            ///< DressFlag bits
  bool in_hook_line = false;         ///< DeliverDesk::line_ has it
  // Seconds of the monotonic clock, for queries.
  std::uint32_t created_s = 0;
  std::uint32_t connected_s = 0;
  std::uint32_t disconnected_s = 0;  ///< of the last connection; 0 = none has ended

 private:
  friend class SessionTestPeer;
  enum class Sent : std::uint8_t { sent, too_large };

  void deliver_qos0(SendContext& cx, Publication& publication,
                    const DeliveryOptions& options) noexcept;
  Sent send_qos0(SendContext& cx, Publication& publication,
                 const DeliveryOptions& options) noexcept;
  void send_first(SendContext& cx, Publication& publication,
                  const DeliveryOptions& options) noexcept;
  /// False: dropped, counted, by the queue's bounds.
  bool enqueue(SendContext& cx, Publication& publication, const DeliveryOptions& options) noexcept;
  void drop_front(SendContext& cx, const WriteEnd& end) noexcept;
  /// drop_delivery(), and who waits for its end is told.
  void end_delivery(SendContext& cx, Delivery& d, const WriteEnd& end) noexcept {
    if (d.extras != nullptr && d.extras->write.id != 0) [[unlikely]] settle_write(cx, d, end);
    drop_delivery(d);
  }
  void settle_write(SendContext& cx, Delivery& d, const WriteEnd& end) noexcept;
  void mark_write(SendContext& cx, Delivery& d, const WriteMark& mark) noexcept;
  /// The connection has ended: what that means for DirectWrites.
  void settle_writes(SendContext& cx) noexcept;
  [[nodiscard]] Delivery make_delivery(Publication& publication,
                                       const DeliveryOptions& options) noexcept;
  // session_hooks.cpp
  /// Asks about those at the front of the queue that hooks want to see.
  void ask_ahead(SendContext& cx) noexcept;
  void ask(SendContext& cx, Delivery& d) noexcept;
  /// What is to be done with one whose turn it is: passed, asked (it waits), or dropped.
  [[nodiscard]] HookState hook_state(SendContext& cx, Delivery& d) noexcept;
  [[nodiscard]] HookState consult(SendContext& cx, Delivery& d) noexcept;
  /// It is held no longer.
  void end_ask(SendContext& cx, Delivery& d) noexcept;
  void withdraw_asks(SendContext& cx) noexcept;
  void note_hook_drop(SendContext& cx, const Delivery& d) noexcept;
  /// Takes a delivery that is about to leave the queue out of the sums.
  void leave_queue(SendContext& cx, Delivery& delivery) noexcept;
  /// QoS 0 does not wait behind QoS 1 and 2 for the window.
  void pump_qos0(SendContext& cx) noexcept;
  [[nodiscard]] Sent write_form(SendContext& cx, Publication& publication, std::uint8_t qos,
                                bool retain, std::uint16_t packet_id) noexcept;
  [[nodiscard]] Sent write_delivery(SendContext& cx, const Delivery& delivery) noexcept;
  [[nodiscard]] Sent write_parts(SendContext& cx, const MessageParts& parts, Message* message,
                                 std::uint8_t qos, bool retain, bool dup, std::uint16_t packet_id,
                                 std::span<const std::uint32_t> ids) noexcept;
  void drop_too_large(SendContext& cx, Bytes topic, std::uint8_t qos) noexcept;
  void write_pubrel(SendContext& cx, std::uint16_t packet_id) noexcept;
  /// Asks the store for this step of QoS 2, send_publish or send_pubrel.
  void commit(SendContext& cx, Delivery& delivery, PromiseKind step) noexcept;
  /// First or repeated sending of a delivery that is in the window.
  void send_in_window(SendContext& cx, std::uint16_t packet_id) noexcept;
  void finish(SendContext& cx, Delivery& delivery, const WriteEnd& end) noexcept;
  /// It sees this one otherwise than others with its version and tenant.
  [[nodiscard]] bool needs_own_form(const MessageParts& parts) const noexcept;
  /// Topic and properties as its client sees them.
  void dress_up(FormScratch& scratch, const MessageParts& parts,
                wire::PublishOut& out) const noexcept;
  /// How much of the topic its client does not see.
  [[nodiscard]] std::uint16_t skip_of(const Publication& publication) const noexcept {
    return publication.parts().topic[0] == '$' ? 0 : topic_skip;
  }
  /// Rules may have changed since it was queued.
  [[nodiscard]] bool is_denied(SendContext& cx, const Delivery& delivery) noexcept;
  [[nodiscard]] std::uint16_t take_packet_id() noexcept;
  [[nodiscard]] std::uint16_t age(std::uint16_t packet_id) const noexcept {
    return static_cast<std::uint16_t>(next_packet_id_ - packet_id);
  }
  /// On this connection or on an earlier one.
  [[nodiscard]] static bool was_sent(const Delivery& d) noexcept {
    return d.dup || (d.state != DeliveryState::committing &&
                     d.state != DeliveryState::uncommitted && d.state != DeliveryState::unsent);
  }
  /// Packet Identifiers of the window, oldest first.
  void oldest_first(PoolVector<std::uint16_t>& out) noexcept;
  /// A message is only ever needed again for a resend to the same session on another connection,
  /// for another member of its group, or for who asked for acknowledgements.
  [[nodiscard]] bool keeps_message(const SendContext& cx, SharedState* group) const noexcept;

  std::uint32_t dropped_ = 0;
  /// QoS 0 goes into the queue while this is not 0: how many in it are of QoS 0, or held.
  std::uint32_t queued_qos0_ = 0;
  SessionRef ref_;
  std::uint16_t next_packet_id_ = 1;
  std::uint16_t unsent_ = 0;  ///< window entries not sent on this connection yet
  std::uint16_t asked_ = 0;   ///< in the queue: is_held()
  std::uint16_t ahead_ = 0;   ///< in the queue: Delivery::ahead
  SessionKey* key_;           ///< owned
  const Limits* limits_;      ///< of the listener of its latest client; borrowed
  Client* client_ = nullptr;  ///< borrowed; null while disconnected
  PacketIdMap<Delivery> window_;
  RingQueue<Delivery> queue_;
  std::uint64_t queued_bytes_ = 0;  ///< logical
  std::uint64_t lost_ = 0;          ///< by overflow, since the last alert
};

template <class F>
void Session::take_shared(SendContext& cx, F&& movable, RingQueue<Delivery>& out) noexcept {
  PoolVector<std::uint16_t> ids;
  oldest_first(ids);
  for (const std::uint16_t id : ids) {
    Delivery* d = window_.find(id);
    SharedState* group = shared_group(*d);
    // QoS 2 once sent stays with the session and ends with it [MQTT-4.8.2-5].
    if (group == nullptr || d->message == nullptr || (d->qos == 2 && was_sent(*d)) ||
        !movable(*group)) {
      continue;
    }
    if (d->state == DeliveryState::unsent) --unsent_;
    if (persistent()) {
      cx.gate.note(Commit{CommitKind::outbound_done, id, ref_, stored_message(*d), nullptr, {}});
    }
    Delivery moved = *d;
    restore_message(moved);  // what a hook made of it was for this receiver
    moved.packet_id = 0;
    moved.state = DeliveryState::queued;
    window_.erase(id);
    cx.counters.add(contract::Counter::messages_in_flight, -1);
    out.push_back(std::move(moved));
  }
  for (std::size_t at = 0; at < queue_.size(); ++at) {
    Delivery& d = queue_[at];
    SharedState* group = shared_group(d);
    if (group == nullptr || !movable(*group)) continue;
    leave_queue(cx, d);
    restore_message(d);
    out.push_back(Delivery{d});
    d.message = nullptr;  // marks it as taken
    d.extras = nullptr;
  }
  queue_.erase_if([](const Delivery& d) { return d.message == nullptr; });
}

}  // namespace stmqtt
