// Finds one Control Packet in a stream of bytes by its fixed header. Keeps no state: give it the
// bytes from the packet's first one on, again and with more of them after `incomplete`.
// The low four bits of the first byte are decode's business. Thread: any (pure).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "wire/types.hpp"

namespace stmqtt::wire {

struct Scan {
  enum class Status : std::uint8_t {
    incomplete,  ///< more bytes are needed; `total` says how many in all, once that is known
    frame,       ///< the whole packet is there
    malformed,   ///< the Remaining Length has no end within its four bytes
  };
  Status status = Status::incomplete;
  std::uint8_t first_byte = 0;
  bool overlong = false;  ///< Remaining Length takes more bytes than it needs; see scan(version)
  std::uint32_t header_bytes = 0;      ///< 2 to 5; 0 = not known yet
  std::uint32_t remaining_length = 0;  ///< bytes behind the header
  std::uint32_t total = 0;             ///< header_bytes + remaining_length; 0 = not known yet
};

/// The scan before the version is known, that is of CONNECT. Check `overlong` afterwards.
[[nodiscard]] inline Scan scan(Bytes bytes) noexcept {
  Scan result;
  const std::size_t size = bytes.size();
  if (size < 2) {
    if (size == 1) result.first_byte = bytes[0];
    return result;
  }
  const std::uint8_t* at = bytes.data();
  result.first_byte = at[0];
  std::uint32_t length = at[1];
  std::uint32_t header = 2;
  if (length >= 0x80) [[unlikely]] {
    length &= 0x7F;
    for (std::uint32_t shift = 7;; shift += 7, ++header) {
      // "The maximum number of bytes in the Variable Byte Integer field is four" (1.5.5; 3.1.1,
      // 2.2.3), so a fifth byte need not come before this is said.
      if (header == kMaxHeaderBytes) {
        result.status = Scan::Status::malformed;
        return result;
      }
      if (header == size) return result;
      const std::uint32_t byte = at[header];
      length |= (byte & 0x7F) << shift;
      if (byte < 0x80) {
        result.overlong = byte == 0;
        ++header;
        break;
      }
    }
  }
  result.header_bytes = header;
  result.remaining_length = length;
  result.total = header + length;
  if (size >= result.total) result.status = Scan::Status::frame;
  return result;
}

/// The scan of a connection whose version is known. MQTT 5.0 demands the shortest form of the
/// Remaining Length [MQTT-1.5.5-1]; 3.1 and 3.1.1 do not, and devices that pad it exist (mosquitto
/// takes it from them as well), so there it is accepted.
[[nodiscard]] inline Scan scan(Bytes bytes, Version version) noexcept {
  Scan result = scan(bytes);
  if (result.overlong && version == Version::v5) [[unlikely]] {
    result.status = Scan::Status::malformed;
  }
  return result;
}

}  // namespace stmqtt::wire
