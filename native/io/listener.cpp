// See listener.hpp. Thread: the one that builds the broker.
#include "io/listener.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "io/socket_address.hpp"

namespace stmqtt {
namespace {

// A peer that vanished without a word is found by MQTT's Keep Alive; these serve clients with
// Keep Alive 0 and sockets that have not sent CONNECT yet.
constexpr int kKeepAliveIdleS = 60;
constexpr int kKeepAliveIntervalS = 20;
constexpr int kKeepAliveProbes = 3;
// How long sent data may stay unacknowledged, or the peer's window closed, before the connection
// is given up; the kernel's own limit is about 15 minutes.
constexpr unsigned kUserTimeoutMs = 180'000;

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int detach() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

void set_option(int fd, int level, int name, int value) noexcept {
  // These only tune; a system that refuses one still serves.
  ::setsockopt(fd, level, name, &value, sizeof value);
}

int error_of_lookup(int result) noexcept {
  switch (result) {
    case EAI_SYSTEM:
      return errno;
    case EAI_MEMORY:
      return ENOMEM;
    case EAI_AGAIN:
      return EAGAIN;
    default:
      return EADDRNOTAVAIL;
  }
}

// True if nobody answers on the socket file: what a process leaves behind that was killed.
bool is_stale(const sockaddr_un& address) noexcept {
  struct stat found;
  if (::lstat(address.sun_path, &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (probe.get() < 0) return false;
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return false;
  }
  return errno == ECONNREFUSED;
}

}  // namespace

SystemError Listener::open(const ListenSpec& spec) noexcept {
  if (fd_ >= 0) return {EISCONN, "listen"};
  return spec.unix_path.empty() ? open_tcp(spec) : open_unix(spec);
}

SystemError Listener::open_tcp(const ListenSpec& spec) noexcept {
  std::string host = spec.host == "*" ? std::string() : spec.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints = {};
  hints.ai_family = host.empty() ? AF_INET : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  char service[8];
  std::snprintf(service, sizeof service, "%u", spec.port);
  addrinfo* found = nullptr;
  const int result = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), service, &hints, &found);
  if (result != 0) return {error_of_lookup(result), "getaddrinfo"};

  SystemError first_error;
  const auto try_address = [&](const addrinfo& at) {
    SystemError error;
    const auto failed = [&](const char* call) {
      error = {errno, call};
      if (!first_error) first_error = error;
      return false;
    };
    Descriptor fd(::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd.get() < 0) return failed("socket");
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (at.ai_family == AF_INET6) {
      set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY,
                 spec.ipv6_scope == Ipv6Scope::ipv6_only ? 1 : 0);
    }
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleS);
    set_option(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalS);
    set_option(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
    set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(kUserTimeoutMs));
    if (::bind(fd.get(), at.ai_addr, at.ai_addrlen) != 0) return failed("bind");
    if (::listen(fd.get(), spec.backlog) != 0) return failed("listen");
    sockaddr_storage bound = {};
    socklen_t bound_bytes = sizeof bound;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &bound_bytes) != 0) {
      return failed("getsockname");
    }
    address_ = host_text_of(bound);
    port_ = port_of(bound);
    fd_ = fd.detach();
    return true;
  };
  // IPv4 first: clients that look "localhost" up try both families, those that were told 127.0.0.1
  // do not.
  bool open = false;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const addrinfo* at = found; at != nullptr && !open; at = at->ai_next) {
      if (at->ai_family == family) open = try_address(*at);
    }
  }
  ::freeaddrinfo(found);
  if (open) return {};
  return first_error ? first_error : SystemError{EADDRNOTAVAIL, "getaddrinfo"};
}

SystemError Listener::open_unix(const ListenSpec& spec) noexcept {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (spec.unix_path.size() >= sizeof address.sun_path) return {ENAMETOOLONG, "bind"};
  std::memcpy(address.sun_path, spec.unix_path.data(), spec.unix_path.size());
  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return {errno, "socket"};
  // Linux creates the file with the mode of the socket, less the umask: so it is never, not even
  // for a moment, open to more users than asked for.
  ::fchmod(fd.get(), spec.unix_mode);
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd.get(), to, sizeof address) != 0) {
    if (errno != EADDRINUSE) return {errno, "bind"};
    if (!is_stale(address)) return {EADDRINUSE, "bind"};
    if (::unlink(address.sun_path) != 0 && errno != ENOENT) return {errno, "unlink"};
    if (::bind(fd.get(), to, sizeof address) != 0) return {errno, "bind"};
  }
  struct stat made;
  if (::lstat(address.sun_path, &made) != 0) return {errno, "lstat"};
  unix_device_ = made.st_dev;
  unix_inode_ = made.st_ino;
  address_ = spec.unix_path;
  SystemError error;
  if (::chmod(address.sun_path, spec.unix_mode) != 0) {  // what the umask took
    error = {errno, "chmod"};
  } else if (::listen(fd.get(), spec.backlog) != 0) {
    error = {errno, "listen"};
  }
  fd_ = fd.detach();
  if (error) close();
  return error;
}

void Listener::close() noexcept {
  if (fd_ < 0) return;
  if (unix_inode_ != 0) {
    struct stat found;
    // Another process may have put its own there.
    if (::lstat(address_.c_str(), &found) == 0 && found.st_dev == unix_device_ &&
        found.st_ino == unix_inode_) {
      ::unlink(address_.c_str());
    }
    unix_inode_ = 0;
  }
  ::close(fd_);
  fd_ = -1;
}

}  // namespace stmqtt
