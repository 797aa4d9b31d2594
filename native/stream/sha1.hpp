// SHA-1 and base64, for Sec-WebSocket-Accept alone (RFC 6455, 4.2.2): a check that the peer speaks
// WebSocket, not a matter of security. Thread: any (pure).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace stmqtt::stream {

/// RFC 3174. For short texts: at most 119 bytes, which is two blocks.
[[nodiscard]] std::array<std::uint8_t, 20> sha1(std::string_view text) noexcept;

/// RFC 4648, 4, of 20 bytes; no terminator.
[[nodiscard]] std::array<char, 28> base64(const std::array<std::uint8_t, 20>& bytes) noexcept;

}  // namespace stmqtt::stream
