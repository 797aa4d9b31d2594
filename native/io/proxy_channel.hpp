// The first channel of a listener behind a proxy: takes the PROXY header off a connection's bytes,
// puts the address it names in the place of the proxy's, and leaves. A header that is missing, bad or
// from somebody who is not a trusted proxy ends the connection. Thread: the I/O thread.
#pragma once

#include <vector>

#include "base/ip_address.hpp"
#include "io/channel.hpp"
#include "stream/proxy_header.hpp"

namespace stmqtt {

/// Of a listener. Immutable; outlives its connections.
struct ProxySettings {
  stream::ProxyVersions versions = stream::ProxyVersions::any;
  /// Whose headers are believed; a Unix socket's peers are, its file's mode lets nobody else in.
  std::vector<IpNetwork> trusted;

  friend bool operator==(const ProxySettings&, const ProxySettings&) = default;
};

/// Kind none: not an IP address.
[[nodiscard]] IpAddress ip_address_of(const PeerAddress& peer) noexcept;
void set_address(PeerAddress& peer, const IpAddress& address, std::uint16_t port) noexcept;
[[nodiscard]] bool trusts(const std::vector<IpNetwork>& trusted, const PeerAddress& peer) noexcept;

[[nodiscard]] Channel* make_proxy_channel(const ProxySettings& settings) noexcept;

}  // namespace stmqtt
