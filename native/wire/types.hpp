// Words that everything in wire/ shares: protocol versions, Control Packet types, directions and
// the protocol's limits. wire/ makes no system call and allocates nothing. Thread: any (pure).
#pragma once

#include <cstddef>
#include <cstdint>

namespace stmqtt::wire {

/// The Protocol Level that CONNECT names.
enum class Version : std::uint8_t { v31 = 3, v311 = 4, v5 = 5 };

/// High four bits of a Control Packet's first byte (MQTT 5.0, 2.1.2).
enum class PacketType : std::uint8_t {
  connect = 1,
  connack = 2,
  publish = 3,
  puback = 4,
  pubrec = 5,
  pubrel = 6,
  pubcomp = 7,
  subscribe = 8,
  suback = 9,
  unsubscribe = 10,
  unsuback = 11,
  pingreq = 12,
  pingresp = 13,
  disconnect = 14,
  auth = 15,
};

/// Who sent the packet that is decoded: what may stand in it depends on that.
enum class Direction : std::uint8_t { from_client, from_server };

/// 0 is a forbidden type and no enumerator: compare, or give it to decode, which refuses it.
[[nodiscard]] constexpr PacketType packet_type(std::uint8_t first_byte) noexcept {
  return static_cast<PacketType>(first_byte >> 4);
}
/// "PUBLISH" and so on, as the standard writes them; "reserved" for 0.
[[nodiscard]] const char* packet_name(PacketType type) noexcept;

/// Largest Remaining Length, in bytes (MQTT 5.0, 2.1.4), and largest Variable Byte Integer.
inline constexpr std::uint32_t kMaxRemainingLength = 268'435'455;
/// First byte and at most four bytes of Remaining Length.
inline constexpr std::uint32_t kMaxHeaderBytes = 5;
/// Longest UTF-8 Encoded String or Binary Data, in bytes (MQTT 5.0, 1.5.4, 1.5.6).
inline constexpr std::size_t kMaxStringBytes = 65'535;

}  // namespace stmqtt::wire
