// What waits for the store: acknowledgements owed to clients, and steps of QoS 2 that must not be
// seen before they are durable. One FIFO for each I/O thread, in the order of tickets, so that
// acknowledgements keep their order [MQTT-4.6.0-2], [MQTT-4.6.0-3].
// Thread: the I/O thread that owns it.
#pragma once

#include <cstdint>

#include "base/ids.hpp"
#include "base/message.hpp"
#include "base/ring_queue.hpp"
#include "base/vec.hpp"
#include "session/gate.hpp"
#include "session/subscription_table.hpp"
#include "wire/reason_code.hpp"

namespace stmqtt {

/// Names a client (an admitted or arriving connection) of this thread.
struct ClientRef {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;  ///< 0 = nobody
  [[nodiscard]] constexpr bool valid() const noexcept { return generation != 0; }
  friend constexpr bool operator==(const ClientRef&, const ClientRef&) noexcept = default;
};

enum class PromiseKind : std::uint8_t {
  puback,
  pubrec,
  pubcomp,
  suback,          ///< with its Reason Codes
  unsuback,        ///< with its Reason Codes
  connack,         ///< the client becomes active
  route,           ///< QoS 2: the message may now go to its receivers
  send_publish,    ///< QoS 2: a session's committed Packet Identifier may be used
  send_pubrel,
};

struct Promise {
  Ticket ticket = kGranted;
  ClientRef client;
  SessionRef session;
  MessageRef message;            ///< route; puback, pubrec: its payload is the Reason String
  std::uint8_t* codes = nullptr; ///< suback, unsuback: from the pool, code_count bytes; owned
  PoolVector<SubscriptionName> subscriptions;  ///< suback: those that it promises
  std::uint32_t code_count = 0;
  std::uint64_t query_id = 0;    ///< suback, unsuback: this query is answered, no client; 0 = none
  std::uint16_t packet_id = 0;
  PromiseKind kind = PromiseKind::puback;
  bool depends = true;  ///< false = only keeps its place behind others; the outcome is not its own
  wire::ReasonCode reason = wire::ReasonCode::success;
};

using PromiseQueue = RingQueue<Promise>;

}  // namespace stmqtt
