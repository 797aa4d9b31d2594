// Where a peer comes from, in 20 bytes; its text is made when somebody asks.
// Thread: any (values).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/ip_address.hpp"

namespace stmqtt {

struct PeerAddress {
  enum class Family : std::uint8_t { none, unix_socket, ipv4, ipv6 };

  /// Enough for any text: "[", 39 of an IPv6 address, "]:", 5 digits.
  static constexpr std::size_t kMaxTextBytes = 64;

  Family family = Family::none;
  std::uint8_t reserved = 0;
  std::uint16_t port = 0;        ///< host byte order
  std::uint8_t address[16] = {}; ///< network byte order; the first four for ipv4

  /// "127.0.0.1:52110", "[::1]:4040", "unix", "unknown"; no terminator; returns how many bytes.
  std::size_t to_text(char (&out)[kMaxTextBytes]) const noexcept;
  /// Unknown for a Unix socket.
  [[nodiscard]] IpAddress ip() const noexcept;
  friend bool operator==(const PeerAddress&, const PeerAddress&) noexcept = default;
};
static_assert(sizeof(PeerAddress) == 20);

}  // namespace stmqtt
