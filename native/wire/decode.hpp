// From the bytes of one Control Packet to a view. `first_byte` is the packet's first byte, `body`
// what the Remaining Length counts. They answer success or what the connection must end with:
// malformed_packet (cannot be parsed), protocol_error (parsed, but forbidden) or a code of its own
// (MQTT 5.0, 4.13.1). On 3.x any failure closes the connection [MQTT-4.8.0-1 of 3.1.1].
// Rules that need a session's or listener's state are not here. Thread: any (pure).
#pragma once

#include "wire/decode_publish.hpp"
#include "wire/views.hpp"

namespace stmqtt::wire {

[[nodiscard]] ReasonCode decode_connect(std::uint8_t first_byte, Bytes body,
                                        ConnectView& out) noexcept;
[[nodiscard]] ReasonCode decode_connack(std::uint8_t first_byte, Bytes body, Version version,
                                        ConnackView& out) noexcept;
// decode_publish: wire/decode_publish.hpp

/// What decode_ack does with all but the plainest forms.
[[nodiscard]] ReasonCode decode_ack_slow(std::uint8_t first_byte, Bytes body, Version version,
                                         AckView& out) noexcept;

/// PUBACK, PUBREC, PUBREL or PUBCOMP, as first_byte says.
[[nodiscard]] inline ReasonCode decode_ack(std::uint8_t first_byte, Bytes body, Version version,
                                           AckView& out) noexcept {
  // 0x40, 0x50, 0x62, 0x70: the flags are those of the type [MQTT-2.1.3-1] [MQTT-3.6.1-1].
  const bool plain = first_byte == 0x40 || first_byte == 0x50 || first_byte == 0x62 ||
                     first_byte == 0x70;
  if (plain && body.size() == 2) [[likely]] {
    out.packet_id = load_u16(body.data());
    out.reason = ReasonCode::success;
    out.reason_string = {};
    out.properties = {};
    if (out.packet_id != 0) [[likely]] return ReasonCode::success;
  }
  return decode_ack_slow(first_byte, body, version, out);
}

[[nodiscard]] ReasonCode decode_subscribe(std::uint8_t first_byte, Bytes body, Version version,
                                          SubscribeView& out) noexcept;
[[nodiscard]] ReasonCode decode_suback(std::uint8_t first_byte, Bytes body, Version version,
                                       SubackView& out) noexcept;
[[nodiscard]] ReasonCode decode_unsubscribe(std::uint8_t first_byte, Bytes body, Version version,
                                            UnsubscribeView& out) noexcept;
[[nodiscard]] ReasonCode decode_unsuback(std::uint8_t first_byte, Bytes body, Version version,
                                         SubackView& out) noexcept;
/// PINGREQ or PINGRESP: nothing but the header.
[[nodiscard]] ReasonCode decode_ping(std::uint8_t first_byte, Bytes body, Version version) noexcept;
/// In 3.x only a client sends it.
[[nodiscard]] ReasonCode decode_disconnect(std::uint8_t first_byte, Bytes body, Version version,
                                           Direction direction, DisconnectView& out) noexcept;
/// In 3.x there is no AUTH: protocol_error.
[[nodiscard]] ReasonCode decode_auth(std::uint8_t first_byte, Bytes body, Version version,
                                     Direction direction, AuthView& out) noexcept;

/// May this side send a packet of this type in this version at all? `type` may be 0, the forbidden
/// one. success, malformed_packet for types that do not exist, protocol_error for the other's.
[[nodiscard]] ReasonCode check_packet_type(PacketType type, Version version,
                                           Direction direction) noexcept;

}  // namespace stmqtt::wire
