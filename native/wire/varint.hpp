// Variable Byte Integers (MQTT 5.0, 1.5.5): seven bits a byte, least significant first, at most
// four bytes. Thread: any (pure).
#pragma once

#include <cstdint>

#include "wire/types.hpp"

namespace stmqtt::wire {

/// Bytes that the value takes, 1 to 4. The value is at most kMaxRemainingLength.
[[nodiscard]] constexpr std::uint32_t size_varint(std::uint32_t value) noexcept {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20'0000 ? 3 : 4;
}

/// Writes the shortest form [MQTT-1.5.5-1] and returns the position behind it.
inline std::uint8_t* store_varint(std::uint8_t* at, std::uint32_t value) noexcept {
  while (value >= 0x80) {
    *at++ = static_cast<std::uint8_t>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<std::uint8_t>(value);
  return at;
}

/// What load_varint found. `bytes` is 0 when the input ended too early or no Variable Byte Integer
/// stands there: more than four bytes, or more than its value needs [MQTT-1.5.5-1].
struct Varint {
  std::uint32_t value;
  std::uint32_t bytes;
};

[[nodiscard]] inline Varint load_varint(const std::uint8_t* at, const std::uint8_t* end) noexcept {
  if (at != end && *at < 0x80) return {*at, 1};
  std::uint32_t value = 0;
  for (std::uint32_t i = 0; i < 4 && at + i != end; ++i) {
    const std::uint32_t byte = at[i];
    value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) return byte == 0 ? Varint{0, 0} : Varint{value, i + 1};
  }
  return {0, 0};
}

}  // namespace stmqtt::wire
