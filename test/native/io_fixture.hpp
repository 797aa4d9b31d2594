// What the io_*.cpp tests share: a handler whose calls are test lambdas, work posted to an I/O
// thread, blocking clients with a time limit, and a simple frame (4 bytes of length, then payload).
// Thread: FrameHandler's calls come on its I/O thread; post() and the clients are the test's.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/timer_wheel.hpp"
#include "io/io_thread.hpp"
#include "runner.hpp"

namespace stmqtt::test {

using contract::Counter;

inline constexpr std::uint64_t kPatienceMs = 20000;

template <class Condition>
bool eventually(Condition&& condition) {
  const std::uint64_t limit = now_ms() + kPatienceMs;
  while (!condition()) {
    if (now_ms() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline std::string frame_of(std::string_view payload) {
  std::string frame(4, '\0');
  store_u32(reinterpret_cast<std::uint8_t*>(frame.data()),
            static_cast<std::uint32_t>(payload.size()));
  return frame.append(payload);
}

/// Scans frames as the engine scans packets, and checks the promises of on_bytes.
class FrameHandler final : public Handler {
 public:
  // Defaults: adopt on the same thread, echo each frame, release at the end.
  std::function<void(int, ListenerId, const PeerAddress&)> accepted;
  std::function<void(Connection&, std::string_view)> frame;
  std::function<void(Connection&)> writable;
  std::function<void(Connection&)> open;
  std::function<void(Connection&)> put_off;
  std::function<void(Connection&, EndReason)> ended;
  std::function<void(ListenerId, int, unsigned)> accept_failed;
  std::function<void()> turn_end;
  std::function<void(Outlet&)> link;

  IoThread* io = nullptr;
  TimerWheel wheel{now_ms()};
  std::function<void(TimerNode&)> timer;
  std::atomic<int> ends{0};
  std::atomic<int> wakes{0};
  std::atomic<int> stops{0};
  std::uint64_t next_id = 1;
  // Set by a frame lambda that released, detached or closed the connection at hand.
  bool gone = false;
  // Within a frame lambda: what lies behind the frame.
  Bytes behind;

  /// Runs on the I/O thread, in its next turn.
  void post(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      posted_.push_back(std::move(work));
    }
    io->wake();
  }
  /// Runs on the I/O thread; returns when it is done.
  void call(const std::function<void()>& work) {
    std::atomic<bool> done{false};
    post([&] {
      work();
      done.store(true);
    });
    CHECK(eventually([&] { return done.load(); }));
  }
  void echo(Connection& connection, std::string_view payload) {
    connection.queue.append(as_bytes(frame_of(payload)));
    connection.mark();
  }

  void on_accepted(int fd, ListenerId listener, const PeerAddress& peer) noexcept override {
    if (accepted) return accepted(fd, listener, peer);
    static_cast<void>(io->adopt({fd, next_id++, listener, peer}, this));
  }
  void on_accept_failed(ListenerId listener, int error, unsigned shed) noexcept override {
    if (accept_failed) accept_failed(listener, error, shed);
  }
  std::size_t on_bytes(Connection& connection, Bytes bytes) noexcept override {
    CHECK(!connection.paused());
    CHECK(!connection.closing());
    CHECK(!bytes.empty());
    CHECK(connection.user != nullptr);
    std::size_t at = 0;
    gone = false;
    while (bytes.size() - at >= 4) {
      const std::size_t total = load_u32(bytes.data() + at) + std::size_t{4};
      if (bytes.size() - at < total) {
        connection.want(static_cast<std::uint32_t>(total));
        break;
      }
      const Bytes payload = bytes.subspan(at + 4, total - 4);
      at += total;
      behind = bytes.subspan(at);
      if (frame) {
        frame(connection, as_text(payload));
      } else {
        echo(connection, as_text(payload));
      }
      if (gone || connection.paused() || connection.closing()) return at;
    }
    return at;
  }
  void on_open(Connection& connection) noexcept override {
    if (open) open(connection);
  }
  void on_writable(Connection& connection) noexcept override {
    if (writable) writable(connection);
  }
  void on_end(Connection& connection, EndReason reason) noexcept override {
    ends++;
    if (ended) {
      ended(connection, reason);
    } else {
      io->release(connection);
    }
  }
  void on_put_off(Connection& connection) noexcept override { put_off(connection); }
  void on_wake() noexcept override {
    wakes++;
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard lock(mutex_);
      work.swap(posted_);
    }
    for (auto& item : work) item();
  }
  void on_timers(std::uint64_t at_ms) noexcept override {
    wheel.advance(at_ms, [this](TimerNode& node) { timer(node); });
  }
  std::uint64_t next_timer_ms() noexcept override { return wheel.next_due_ms(); }
  void on_turn_end() noexcept override {
    if (turn_end) turn_end();
  }
  void flush_link(Outlet& outlet) noexcept override {
    if (link) link(outlet);
  }
  void on_stop() noexcept override { stops++; }

 private:
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
};

/// One I/O thread with its handler, and a TCP listener on loopback. Set the lambdas, then start().
struct IoFixture {
  contract::Counters counters;
  FrameHandler handler;
  IoThread io;
  Listener listener{7};

  explicit IoFixture(const IoThreadOptions& options = {}, unsigned index = 0)
      : io(index, handler, counters, options) {
    handler.io = &io;
    CHECK_EQ(io.open().code, 0);
  }
  ~IoFixture() { stop(); }
  IoFixture(const IoFixture&) = delete;
  IoFixture& operator=(const IoFixture&) = delete;

  void listen(const ListenSpec& spec) {
    CHECK_EQ(listener.open(spec).code, 0);
    CHECK_EQ(io.add_listener(listener).code, 0);
  }
  void start() {
    if (listener.fd() < 0) listen({"127.0.0.1", 0, "", 0660, 128, Ipv6Scope::dual_stack});
    CHECK_EQ(io.start().code, 0);
  }
  void stop() { io.join(); }
  [[nodiscard]] std::int64_t count(Counter counter) const { return counters.read(counter); }
  /// Waits until the thread has received so many bytes in all.
  [[nodiscard]] bool received(std::int64_t bytes) const {
    return eventually([&] { return count(Counter::bytes_received) >= bytes; });
  }
};

/// A blocking client; every call gives up after kPatienceMs.
class Client {
 public:
  explicit Client(std::uint16_t port, int receive_buffer_bytes = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer_bytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(reinterpret_cast<sockaddr*>(&to), sizeof to);
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  explicit Client(const std::string& unix_path) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to = {};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, unix_path.c_str(), sizeof to.sun_path - 1);
    connect(reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  Client(Client&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(); }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool connected() const { return connected_; }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Exactly `count` bytes, or fewer at the end of the stream or of patience.
  std::string read(std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
      const ssize_t got = ::recv(fd_, bytes.data() + have, count - have, 0);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  std::string read_frame() {
    const std::string head = read(4);
    if (head.size() < 4) return "(no frame)";
    return read(load_u32(reinterpret_cast<const std::uint8_t*>(head.data())));
  }
  /// True if the stream ends properly, with nothing more before it.
  bool at_end() {
    char byte;
    return ::recv(fd_, &byte, 1, 0) == 0;
  }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void reset() {
    const linger now = {1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

 private:
  void connect(const sockaddr* to, socklen_t bytes) {
    const timeval limit = {static_cast<time_t>(kPatienceMs / 1000), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    connected_ = ::connect(fd_, to, bytes) == 0;
  }

  int fd_ = -1;
  bool connected_ = false;
};

/// Bytes whose position can be told from their value.
inline std::string pattern(std::size_t bytes, std::uint32_t salt = 0) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; i++) {
    text[i] = static_cast<char>((i * 2654435761U + salt * 40503U) >> 13);
  }
  return text;
}

}  // namespace stmqtt::test
