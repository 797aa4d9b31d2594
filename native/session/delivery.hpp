// One message on its way to one session: an entry of the send window or of the queue.
// Thread: the session's home thread.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/message.hpp"
#include "base/pool.hpp"
#include "route/shared_group.hpp"
#include "session/direct_write.hpp"

namespace stmqtt {

/// How a session gets a message; decided from the subscriptions that matched.
struct DeliveryOptions {
  std::uint8_t qos = 0;         ///< never above the publication's [MQTT-3.8.4-8]
  bool retain = false;          ///< the RETAIN flag to send
  std::span<const std::uint32_t> subscription_ids;  ///< borrowed for the call
  SharedState* group = nullptr;  ///< borrowed; set when it came through a Shared Subscription
};

/// What few deliveries have, so that the others need no room for it.
struct DeliveryExtras {
  SharedState* group = nullptr;  ///< owns a count
  WriteMark write;               ///< of a DirectWrite
  Message* original = nullptr;   ///< owns a count; before a hook changed it for this receiver
  std::uint32_t ask = 0;         ///< of a delivery that hooks are asked about: see DeliverDesk
  std::uint32_t id_count = 0;

  [[nodiscard]] std::uint32_t* ids() noexcept {
    return reinterpret_cast<std::uint32_t*>(this + 1);
  }
  [[nodiscard]] static DeliveryExtras* make(SharedState* group,
                                            std::span<const std::uint32_t> ids) noexcept;
  static void destroy(DeliveryExtras* extras) noexcept;
};

enum class DeliveryState : std::uint8_t {
  queued,
  committing,   ///< QoS 2: its Packet Identifier waits for the store
  uncommitted,  ///< the store failed it; tried again on the next connection
  unsent,       ///< in the window, not sent on this connection yet
  sent,         ///< waits for PUBACK or PUBREC
  pubrec_committing,  ///< PUBREC came; waits for the store before PUBREL
  pubrec_uncommitted, ///< the store failed it; tried again on the next connection
  released,     ///< PUBREL sent, or to be sent after a reconnect; waits for PUBCOMP
};

/// What hooks make of a delivery that waits in the queue.
enum class HookState : std::uint8_t {
  unseen,    ///< whether one looks at its topic is not known
  unhooked,  ///< none did when it was looked at last
  waiting,   ///< until hooks may be asked about it
  asked,     ///< waits for its verdict
  passed,    ///< may go, as it is by now
  dropped,   ///< goes nowhere; leaves when it is its turn
};

/// Trivially movable; whoever takes it out of its container destroys it with drop_delivery().
struct Delivery {
  Message* message = nullptr;  ///< owns a count; null where no resend can be asked for
  DeliveryExtras* extras = nullptr;   ///< owned
  std::uint32_t subscription_id = 0;  ///< the single one; 0 = none or in extras
  std::uint16_t packet_id = 0;        ///< 0 = none yet
  std::uint8_t qos : 2 = 0;
  std::uint8_t retain : 1 = 0;
  std::uint8_t dup : 1 = 0;           ///< was sent on an earlier connection
  std::uint8_t on_wire : 1 = 0;       ///< PUBREL state: PUBREL sent on this connection
  std::uint8_t ahead : 1 = 0;         ///< in the queue, in front of what came since a subscription
  DeliveryState state : 4 = DeliveryState::queued;
  HookState hook : 4 = HookState::unseen;
};
static_assert(sizeof(Delivery) == 24);

/// The Subscription Identifiers to send with it. Valid while the delivery is neither moved nor
/// dropped.
[[nodiscard]] inline std::span<const std::uint32_t> subscription_ids(const Delivery& d) noexcept {
  if (d.extras != nullptr && d.extras->id_count > 0) return {d.extras->ids(), d.extras->id_count};
  if (d.subscription_id != 0) return {&d.subscription_id, 1};
  return {};
}
[[nodiscard]] inline SharedState* shared_group(const Delivery& d) noexcept {
  return d.extras == nullptr ? nullptr : d.extras->group;
}
/// It waits for a hook, and what is behind it in the queue does, too.
[[nodiscard]] inline bool is_held(const Delivery& d) noexcept {
  return d.hook == HookState::asked || d.hook == HookState::waiting;
}
[[nodiscard]] inline bool is_direct(const Delivery& d) noexcept {
  return d.extras != nullptr && d.extras->write.direct;
}
/// What the store knows it as.
[[nodiscard]] inline Message* stored_message(const Delivery& d) noexcept {
  return d.extras != nullptr && d.extras->original != nullptr ? d.extras->original : d.message;
}
/// Before hooks changed it for its receiver.
inline void restore_message(Delivery& d) noexcept {
#ifdef STMQTT_MUTANT_CHANGED_FOR_OTHERS
  return;
#endif
  if (d.extras == nullptr || d.extras->original == nullptr) return;
  if (d.message != nullptr) d.message->release();
  d.message = std::exchange(d.extras->original, nullptr);
}
inline void drop_message(Delivery& d) noexcept {
  restore_message(d);
  if (d.message != nullptr) d.message->release();
  d.message = nullptr;
}
inline void drop_delivery(Delivery& d) noexcept {
  drop_message(d);
  if (d.extras != nullptr) DeliveryExtras::destroy(d.extras);
  d.extras = nullptr;
}

}  // namespace stmqtt
