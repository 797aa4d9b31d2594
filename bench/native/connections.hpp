// Sockets of the generator: non-blocking dial, one epoll set, one shared read buffer that frames are
// parsed in, and one outgoing buffer per connection that is sent once per loop turn.
// Thread: the generator's only one.
#pragma once

#include <netinet/in.h>
#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "layer.hpp"
#include "wire.hpp"

namespace stmqtt::bench {

struct Target {
  std::string host = "127.0.0.1";
  std::uint16_t port = 1883;
  Version version = Version::v311;
  Transport transport = Transport::tcp;
  Credentials credentials;
};

// Prints the reason and ends the process: a run that cannot be set up has no result.
[[noreturn]] void fail(const std::string& doing);

struct Connection {
  int fd = -1;
  std::uint32_t index = 0;       // the scenario's own number for it
  std::uint16_t window = 0;      // the peer's Receive Maximum, 0 until CONNACK
  std::uint16_t acks_wanted = 0;  // SUBACK and UNSUBACK packets still to come
  bool waits_to_write = false;
  bool in_flush_list = false;
  std::uint32_t sent_bytes = 0;  // of `out`, or of `wire` where there is a layer
  Bytes out;
  std::unique_ptr<Layer> layer;  // null = packets go to the socket as they are
  Bytes wire;                    // what the layer made of `out`
  Bytes rest;  // the head of a packet whose tail was not read yet

  [[nodiscard]] bool is_open() const { return fd >= 0; }
};

class Loop {
 public:
  explicit Loop(const Target& target);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Connects; `source` picks the local address 127.0.<source>.1, so that many short connections do
  // not run out of ports. The Connection must not move while it is open.
  void dial(Connection& connection, std::uint32_t source);
  void close(Connection& connection);
  // Sends what `connection.out` holds at the end of this loop turn.
  void flush_later(Connection& connection) {
    if (connection.in_flush_list) return;
    connection.in_flush_list = true;
    flush_list_.push_back(&connection);
  }
  void flush_all();
  // Until something is to be read or sent, or `nanoseconds` are over.
  void wait(std::uint64_t nanoseconds);

  // One turn. Handler: void on_frame(Connection&, const Frame&); void on_close(Connection&);
  // void on_read(), before the frames of one read; void on_turn(), after all reads and before the
  // sends. timeout_ms as for epoll_wait.
  template <class Handler>
  void turn(int timeout_ms, Handler& handler) {
    const int ready = epoll_wait(epoll_fd_, events_, kMaxEvents, timeout_ms);
    for (int i = 0; i < ready; ++i) {
      auto& connection = *static_cast<Connection*>(events_[i].data.ptr);
      if (!connection.is_open()) continue;
      if ((events_[i].events & EPOLLOUT) != 0) flush_later(connection);
      if ((events_[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read(connection, handler);
    }
    handler.on_turn();
    flush_all();
  }

 private:
  static constexpr int kMaxEvents = 1024;
  static constexpr std::size_t kReadBytes = 512 * 1024;

  // Bytes now in read_buffer_, the kept head included; 0 if nothing new was there, -1 if it closed.
  [[nodiscard]] std::int64_t receive(Connection& connection);
  [[nodiscard]] std::int64_t receive_layered(Connection& connection);

  template <class Handler>
  void read(Connection& connection, Handler& handler) {
    const std::int64_t bytes = receive(connection);
    if (bytes < 0) {
      close(connection);
      handler.on_close(connection);
    }
    if (bytes <= 0) return;
    handler.on_read();
    const std::uint8_t* at = read_buffer_.data();
    const std::uint8_t* const end = at + bytes;
    Frame frame;
    while (at < end) {
      const Scan scan = scan_frame(at, static_cast<std::size_t>(end - at), frame);
      if (scan == Scan::malformed) fail("reading a packet the broker sent: malformed length");
      if (scan == Scan::partial) break;
      at += frame.total_bytes;
      handler.on_frame(connection, frame);
      if (!connection.is_open()) return;
    }
    connection.rest.assign(at, end);
  }

  Target target_;
  int epoll_fd_ = -1;
  Bytes read_buffer_;
  Bytes wire_buffer_;  // what was read, where there is a layer
  std::vector<Connection*> flush_list_;
  epoll_event events_[kMaxEvents];
};

// Dials all, sends CONNECT with client ids `prefix<index>` and waits for every CONNACK. Batches stay
// below the smallest listen backlog (mosquitto: 100), since a dropped SYN costs a second.
void connect_all(Loop& loop, const Target& target, std::span<Connection> connections,
                 const std::string& prefix, std::uint32_t session_expiry_s);

// Subscribes `connection` to `filters`, as many per packet as fit 16 KiB, and waits for the SUBACKs.
void subscribe(Loop& loop, const Target& target, Connection& connection,
               const std::vector<std::string>& filters, std::uint8_t qos);

// Sends DISCONNECT on all and closes them.
void disconnect_all(Loop& loop, std::span<Connection> connections);

}  // namespace stmqtt::bench
