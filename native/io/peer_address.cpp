// See peer_address.hpp and socket_address.hpp. Thread: any.
#include "io/peer_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstring>

#include "io/socket_address.hpp"

namespace stmqtt {

std::size_t PeerAddress::to_text(char (&out)[kMaxTextBytes]) const noexcept {
  char host[INET6_ADDRSTRLEN] = "";
  int bytes = 0;
  switch (family) {
    case Family::none:
      bytes = std::snprintf(out, sizeof out, "unknown");
      break;
    case Family::unix_socket:
      bytes = std::snprintf(out, sizeof out, "unix");
      break;
    case Family::ipv4:
      ::inet_ntop(AF_INET, address, host, sizeof host);
      bytes = std::snprintf(out, sizeof out, "%s:%u", host, port);
      break;
    case Family::ipv6:
      ::inet_ntop(AF_INET6, address, host, sizeof host);
      bytes = std::snprintf(out, sizeof out, "[%s]:%u", host, port);
      break;
  }
  return bytes < 0 ? 0 : static_cast<std::size_t>(bytes);
}

IpAddress PeerAddress::ip() const noexcept {
  switch (family) {
    case Family::none:
    case Family::unix_socket:
      return {};
    case Family::ipv4:
      return IpAddress::v4(address);
    case Family::ipv6:
      return IpAddress::v6(address);
  }
  return {};
}

PeerAddress peer_address_of(const sockaddr_storage& from) noexcept {
  PeerAddress peer;
  if (from.ss_family == AF_UNIX) {
    peer.family = PeerAddress::Family::unix_socket;
  } else if (from.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof v4);
    peer.family = PeerAddress::Family::ipv4;
    peer.port = ntohs(v4.sin_port);
    std::memcpy(peer.address, &v4.sin_addr, 4);
  } else if (from.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &from, sizeof v6);
    peer.port = ntohs(v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      peer.family = PeerAddress::Family::ipv4;
      std::memcpy(peer.address, v6.sin6_addr.s6_addr + 12, 4);
    } else {
      peer.family = PeerAddress::Family::ipv6;
      std::memcpy(peer.address, &v6.sin6_addr, 16);
    }
  }
  return peer;
}

std::string host_text_of(const sockaddr_storage& from) noexcept {
  char text[INET6_ADDRSTRLEN] = "";
  if (from.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof v4);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  } else if (from.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &from, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  }
  return text;
}

std::uint16_t port_of(const sockaddr_storage& from) noexcept {
  if (from.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &from, sizeof v4);
    return ntohs(v4.sin_port);
  }
  if (from.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &from, sizeof v6);
    return ntohs(v6.sin6_port);
  }
  return 0;
}

}  // namespace stmqtt
