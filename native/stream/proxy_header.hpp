// The header that a proxy puts in front of a connection's bytes to tell whose connection it is:
// PROXY protocol, versions 1 (a line of text) and 2 (binary), as HAProxy specifies them. First of
// the stages between socket and MQTT. Keeps no state: give it the bytes from the connection's first
// one on, again and with more of them after `incomplete`. Thread: any (pure).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/ip_address.hpp"

namespace stmqtt::stream {

/// Which versions are taken.
enum class ProxyVersions : std::uint8_t { v1, v2, any };

/// The longest line of version 1, CRLF included.
inline constexpr std::size_t kMaxProxyV1Bytes = 107;
/// Signature, command, family and length of version 2.
inline constexpr std::size_t kProxyV2PrefixBytes = 16;
/// The longest version 2 header taken: addresses and TLVs, certificates of a TLS proxy included.
inline constexpr std::size_t kMaxProxyV2Bytes = 4096;

struct ProxyHeader {
  enum class Status : std::uint8_t { incomplete, done, invalid };
  /// Whom the header names.
  enum class Source : std::uint8_t {
    proxy,        ///< LOCAL, UNKNOWN or UNSPEC: the connection is the proxy's own
    ip,
    unix_socket,
  };

  Status status = Status::incomplete;
  Source source = Source::proxy;
  std::uint16_t port = 0;    ///< of the source; host byte order
  std::uint32_t bytes = 0;   ///< done: of the header; incomplete: how many are needed at least
  IpAddress address;         ///< of the source
  const char* fault = "";    ///< invalid: what is wrong, for the operator
};

/// What is done or invalid stays so whatever comes behind it.
[[nodiscard]] ProxyHeader parse_proxy_header(Bytes bytes, ProxyVersions versions) noexcept;

}  // namespace stmqtt::stream
