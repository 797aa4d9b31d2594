// A listening socket: TCP over IPv4 or IPv6, or a Unix socket. The options of accepted sockets
// (TCP_NODELAY, keep-alive) are set on it, because Linux hands them down: no call per connection.
// Thread: opened and closed by the thread that builds the broker; accepted from by one I/O thread.
#pragma once

#include <cstdint>
#include <string>

#include "io/connection.hpp"
#include "io/system_error.hpp"

namespace stmqtt {

/// Whether a listener on the IPv6 wildcard address takes IPv4 connections too.
enum class Ipv6Scope : std::uint8_t { dual_stack, ipv6_only };

struct ListenSpec {
  std::string host;       ///< address or name; "" or "*" = every IPv4 address
  std::uint16_t port = 0; ///< 0 = the system chooses
  std::string unix_path;  ///< not empty = a Unix socket instead
  unsigned unix_mode = 0660;
  int backlog = 1024;
  Ipv6Scope ipv6_scope = Ipv6Scope::dual_stack;
};

/// How fast a listener's connections are accepted. What is beyond it waits in the system's backlog;
/// nothing is dropped.
struct AcceptPacing {
  std::uint32_t delay_ms = 0;   ///< from one to the next; 0 or 1 = none
  std::uint32_t max_per_s = 0;  ///< with a burst of one second's worth; 0 = no bound
};

class Listener {
 public:
  explicit Listener(ListenerId id) noexcept : id_(id) {}
  ~Listener() { close(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Binds and listens. On an error the listener is as before. A name is looked up, which may
  /// block; the first of its addresses that can be bound is taken. A Unix socket file that nobody
  /// answers on is replaced; one that somebody answers on is EADDRINUSE.
  [[nodiscard]] SystemError open(const ListenSpec& spec) noexcept;
  /// Idempotent. Removes the Unix socket file if it is still ours.
  void close() noexcept;

  [[nodiscard]] ListenerId id() const noexcept { return id_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// As bound: "127.0.0.1", "::", or the path of a Unix socket.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  /// As bound; 0 for a Unix socket.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  [[nodiscard]] SystemError open_tcp(const ListenSpec& spec) noexcept;
  [[nodiscard]] SystemError open_unix(const ListenSpec& spec) noexcept;

  ListenerId id_;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::string address_;
  std::uint64_t unix_device_ = 0;  // of the socket file, to know it again
  std::uint64_t unix_inode_ = 0;
};

}  // namespace stmqtt
