// Sockets of the generator: dial, receive, send, and the set-up steps that all scenarios share.
// Thread: the generator's only one.
#include "connections.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "measure.hpp"

namespace stmqtt::bench {

namespace {

constexpr std::size_t kConnectBatch = 50;
constexpr std::uint32_t kCompactBytes = 256 * 1024;
constexpr std::uint64_t kSetupTimeoutNs = 120'000'000'000;

// What set-up waits for; a PUBLISH that comes early (retained) is ignored here.
struct SetupHandler {
  Version version = Version::v311;
  std::uint64_t connacks = 0;

  void on_frame(Connection& connection, const Frame& frame) {
    switch (frame.type()) {
      case kConnack:
        connection.window = connack_window(frame, version);
        if (connection.window == 0) fail("connecting: the broker refused, code " + std::to_string(frame.body[1]));
        ++connacks;
        break;
      case kSuback: {
        // v5 has properties before the codes; no broker under test sends any on success.
        for (std::uint32_t i = version == Version::v5 ? 3 : 2; i < frame.body_bytes; ++i) {
          if (frame.body[i] > 2) fail("subscribing: the broker refused, code " + std::to_string(frame.body[i]));
        }
        [[fallthrough]];
      }
      case kUnsuback:
        if (connection.acks_wanted > 0) --connection.acks_wanted;
        break;
      default:
        break;
    }
  }
  void on_close(Connection& connection) {
    fail("setting up: the broker closed connection " + std::to_string(connection.index));
  }
  void on_read() {}
  void on_turn() {}
};

template <class Done>
void run_until(Loop& loop, SetupHandler& handler, const char* doing, Done done) {
  const std::uint64_t deadline = now_ns() + kSetupTimeoutNs;
  while (!done()) {
    loop.turn(100, handler);
    if (now_ns() > deadline) fail(std::string(doing) + ": no answer in 120 s");
  }
}

}  // namespace

void fail(const std::string& doing) {
  std::fprintf(stderr, "generator: %s%s%s\n", doing.c_str(), errno != 0 ? ": " : "",
               errno != 0 ? std::strerror(errno) : "");
  std::exit(2);
}

Loop::Loop(const Target& target) : target_(target), read_buffer_(kReadBytes) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  errno = 0;
}

Loop::~Loop() { ::close(epoll_fd_); }

void Loop::dial(Connection& connection, std::uint32_t source) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("opening a socket");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (source > 0 && target_.host.starts_with("127.")) {
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    address.sin_addr.s_addr = htonl(0x7F000001u | (source & 0xFF) << 8);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("binding a source address");
  }
  address.sin_port = htons(target_.port);
  if (inet_pton(AF_INET, target_.host.c_str(), &address.sin_addr) != 1) fail("reading --host " + target_.host);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
    fail("connecting to " + target_.host + ":" + std::to_string(target_.port));
  }
  errno = 0;
  connection.fd = fd;
  connection.window = 0;
  connection.waits_to_write = false;
  connection.sent_bytes = 0;
  connection.out.clear();
  connection.rest.clear();
  connection.wire.clear();
  connection.layer.reset();
  if (target_.transport == Transport::tls) connection.layer = make_tls_layer();
  if (target_.transport == Transport::websocket) connection.layer = make_websocket_layer();
  if (connection.layer != nullptr) {
    connection.layer->open(connection.wire);
    flush_later(connection);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &connection;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) fail("watching a socket");
}

void Loop::close(Connection& connection) {
  if (!connection.is_open()) return;
  ::close(connection.fd);
  connection.fd = -1;
}

std::int64_t Loop::receive(Connection& connection) {
  if (connection.layer != nullptr) return receive_layered(connection);
  const std::size_t kept = connection.rest.size();
  if (kept + 64 * 1024 > read_buffer_.size()) read_buffer_.resize(2 * (kept + 64 * 1024));
  std::memcpy(read_buffer_.data(), connection.rest.data(), kept);
  const ssize_t got = recv(connection.fd, read_buffer_.data() + kept, read_buffer_.size() - kept, 0);
  if (got > 0) return static_cast<std::int64_t>(kept) + got;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    errno = 0;
    return 0;
  }
  return -1;
}

std::int64_t Loop::receive_layered(Connection& connection) {
  wire_buffer_.resize(kReadBytes);
  const ssize_t got = recv(connection.fd, wire_buffer_.data(), wire_buffer_.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    errno = 0;
    return 0;
  }
  if (got <= 0) return -1;
  const bool was_open = connection.layer->is_open();
  Bytes packets = std::move(connection.rest);
  const std::size_t kept = packets.size();
  connection.layer->receive({wire_buffer_.data(), static_cast<std::size_t>(got)}, packets, connection.wire);
  if (!connection.wire.empty() || (!was_open && connection.layer->is_open())) flush_later(connection);
  if (packets.size() == kept) {
    connection.rest = std::move(packets);
    return 0;
  }
  if (read_buffer_.size() < packets.size()) read_buffer_.resize(packets.size());
  std::memcpy(read_buffer_.data(), packets.data(), packets.size());
  return static_cast<std::int64_t>(packets.size());
}

void Loop::wait(std::uint64_t nanoseconds) {
  pollfd ready{epoll_fd_, POLLIN, 0};
  const timespec limit{static_cast<time_t>(nanoseconds / 1'000'000'000), static_cast<long>(nanoseconds % 1'000'000'000)};
  ppoll(&ready, 1, &limit, nullptr);
  errno = 0;
}

void Loop::flush_all() {
  for (Connection* connection : flush_list_) {
    connection->in_flush_list = false;
    if (!connection->is_open()) continue;
    if (connection->layer != nullptr) connection->layer->send(connection->out, connection->wire);
    Bytes& out = connection->layer != nullptr ? connection->wire : connection->out;
    while (connection->sent_bytes < out.size()) {
      const ssize_t sent = send(connection->fd, out.data() + connection->sent_bytes,
                                out.size() - connection->sent_bytes, MSG_NOSIGNAL);
      if (sent <= 0) break;
      connection->sent_bytes += static_cast<std::uint32_t>(sent);
    }
    const bool all_sent = connection->sent_bytes == out.size();
    if (all_sent) {
      out.clear();
      connection->sent_bytes = 0;
    } else if (connection->sent_bytes > kCompactBytes) {
      out.erase(out.begin(), out.begin() + connection->sent_bytes);
      connection->sent_bytes = 0;
    }
    if (all_sent == connection->waits_to_write) {
      epoll_event event{};
      event.events = all_sent ? EPOLLIN : EPOLLIN | EPOLLOUT;
      event.data.ptr = connection;
      epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, connection->fd, &event);
      connection->waits_to_write = !all_sent;
    }
  }
  flush_list_.clear();
  errno = 0;
}

void connect_all(Loop& loop, const Target& target, std::span<Connection> connections,
                 const std::string& prefix, std::uint32_t session_expiry_s) {
  SetupHandler handler{target.version};
  for (std::size_t first = 0; first < connections.size(); first += kConnectBatch) {
    const std::size_t end = std::min(connections.size(), first + kConnectBatch);
    for (std::size_t i = first; i < end; ++i) {
      Connection& connection = connections[i];
      connection.index = static_cast<std::uint32_t>(i);
      loop.dial(connection, 1 + static_cast<std::uint32_t>(i / 20'000));
      put_connect(connection.out, target.version, prefix + std::to_string(i), session_expiry_s, target.credentials);
      loop.flush_later(connection);
    }
    loop.flush_all();
    run_until(loop, handler, "connecting", [&] { return handler.connacks == end; });
  }
}

void subscribe(Loop& loop, const Target& target, Connection& connection,
               const std::vector<std::string>& filters, std::uint8_t qos) {
  constexpr std::size_t kPacketBytes = 16 * 1024;
  SetupHandler handler{target.version};
  std::uint16_t packet_id = 0;
  for (std::size_t first = 0; first < filters.size();) {
    std::size_t end = first;
    for (std::size_t bytes = 0; end < filters.size() && bytes < kPacketBytes; ++end) bytes += filters[end].size() + 3;
    put_subscribe(connection.out, target.version, ++packet_id, &filters[first], end - first, qos);
    ++connection.acks_wanted;
    first = end;
  }
  loop.flush_later(connection);
  loop.flush_all();
  run_until(loop, handler, "subscribing", [&] { return connection.acks_wanted == 0; });
}

void disconnect_all(Loop& loop, std::span<Connection> connections) {
  for (Connection& connection : connections) {
    if (!connection.is_open()) continue;
    put_disconnect(connection.out);
    loop.flush_later(connection);
  }
  loop.flush_all();
  for (Connection& connection : connections) loop.close(connection);
}

}  // namespace stmqtt::bench
