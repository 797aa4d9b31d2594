// Which counter a Control Packet adds to, by its type. PUBLISH has none here: shard_publish.cpp and
// session_send.cpp count it by QoS.
// Thread: any (pure).
#pragma once

#include <array>
#include <cstddef>

#include "contract/counters.hpp"
#include "wire/types.hpp"

namespace stmqtt {

/// Of a packet that came. Those that only a server may send are invalid, as is the reserved type 0,
/// and a PUBLISH that comes before CONNECT.
[[nodiscard]] inline contract::Counter received_counter(wire::PacketType type) noexcept {
  using contract::Counter;
  static constexpr std::array<Counter, 16> kCounters = {
      Counter::packets_received_invalid,      // reserved
      Counter::packets_received_connect,      //
      Counter::packets_received_invalid,      // CONNACK
      Counter::packets_received_invalid,      // PUBLISH
      Counter::packets_received_puback,       //
      Counter::packets_received_pubrec,       //
      Counter::packets_received_pubrel,       //
      Counter::packets_received_pubcomp,      //
      Counter::packets_received_subscribe,    //
      Counter::packets_received_invalid,      // SUBACK
      Counter::packets_received_unsubscribe,  //
      Counter::packets_received_invalid,      // UNSUBACK
      Counter::packets_received_pingreq,      //
      Counter::packets_received_invalid,      // PINGRESP
      Counter::packets_received_disconnect,   //
      Counter::packets_received_auth,
  };
  return kCounters[static_cast<std::size_t>(type) & 15];
}

/// Of an acknowledgement that goes out: PUBACK, PUBREC, PUBREL or PUBCOMP.
[[nodiscard]] constexpr contract::Counter sent_ack_counter(wire::PacketType type) noexcept {
  return static_cast<contract::Counter>(
      static_cast<std::size_t>(contract::Counter::packets_sent_puback) +
      static_cast<std::size_t>(type) - static_cast<std::size_t>(wire::PacketType::puback));
}
static_assert(sent_ack_counter(wire::PacketType::pubcomp) ==
              contract::Counter::packets_sent_pubcomp);

}  // namespace stmqtt
