// The kernel's form of socket addresses into ours. Within io/ only. Thread: any (pure).
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "io/peer_address.hpp"

namespace stmqtt {

/// An IPv4 address in IPv6 clothes (::ffff:a.b.c.d, from a dual-stack listener) comes out as IPv4.
[[nodiscard]] PeerAddress peer_address_of(const sockaddr_storage& from) noexcept;
/// Without port and brackets: "127.0.0.1", "::1"; empty if it is neither.
[[nodiscard]] std::string host_text_of(const sockaddr_storage& from) noexcept;
[[nodiscard]] std::uint16_t port_of(const sockaddr_storage& from) noexcept;

}  // namespace stmqtt
