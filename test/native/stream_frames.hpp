// Frames as a WebSocket client sends them, for the tests of stream/ and io/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stmqtt::test {

enum class Masking : std::uint8_t { masked, plain };

/// One frame; `first` is its first byte: FIN, reserved bits and opcode.
inline std::string client_frame(unsigned first, std::string_view payload,
                                std::uint32_t mask = 0x37FA213D,
                                Masking masking = Masking::masked) {
  std::string frame(1, static_cast<char>(first));
  const unsigned bit = masking == Masking::masked ? 0x80 : 0;
  const std::uint64_t size = payload.size();
  if (size < 126) {
    frame += static_cast<char>(bit | size);
  } else if (size <= 0xFFFF) {
    frame += static_cast<char>(bit | 126);
    for (int shift = 8; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift);
  } else {
    frame += static_cast<char>(bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift);
  }
  if (masking == Masking::plain) return frame.append(payload);
  char key[4];
  for (int i = 0; i < 4; ++i) key[i] = static_cast<char>(mask >> (24 - 8 * i));
  frame.append(key, 4);
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame += static_cast<char>(payload[i] ^ key[i & 3]);
  }
  return frame;
}

inline constexpr unsigned kFinal = 0x80;
inline constexpr unsigned kBinaryFrame = 0x82;
inline constexpr unsigned kCloseFrame = 0x88;
inline constexpr unsigned kPingFrame = 0x89;
inline constexpr unsigned kPongFrame = 0x8A;

}  // namespace stmqtt::test
