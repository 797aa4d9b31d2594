// IP addresses and networks (CIDR) as values, read from text without the system's help: for those
// that must not include socket headers. An IPv4-mapped IPv6 address is the IPv4 address.
// Thread: any (pure).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace stmqtt {

struct IpAddress {
  enum class Kind : std::uint8_t { none, v4, v6 };

  Kind kind = Kind::none;
  std::uint8_t bytes[16] = {};  ///< network byte order; v4: the first four, the others 0

  [[nodiscard]] static IpAddress v4(const std::uint8_t* four) noexcept;
  /// The IPv4 address where it is a mapped one (::ffff:0:0/96).
  [[nodiscard]] static IpAddress v6(const std::uint8_t* sixteen) noexcept;
  [[nodiscard]] bool known() const noexcept { return kind != Kind::none; }
  friend bool operator==(const IpAddress&, const IpAddress&) noexcept = default;
};

/// "192.0.2.1" or "2001:db8::1", all of the text; no zone, no brackets, no leading zeros in IPv4.
/// Kind::none: it is neither.
[[nodiscard]] IpAddress parse_ip_address(std::string_view text) noexcept;

struct IpNetwork {
  IpAddress address;
  std::uint8_t prefix_bits = 0;  ///< 0 to 32 for v4, to 128 for v6

  [[nodiscard]] bool contains(const IpAddress& other) const noexcept;
  friend bool operator==(const IpNetwork&, const IpNetwork&) noexcept = default;
};

/// "10.0.0.0/8", "::1" (alone in its network). Bits behind the prefix mean nothing and are cleared.
/// address.kind is none: it is no network.
[[nodiscard]] IpNetwork parse_ip_network(std::string_view text) noexcept;

[[nodiscard]] bool contains(std::span<const IpNetwork> networks, const IpAddress& address) noexcept;

}  // namespace stmqtt
