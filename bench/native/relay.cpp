// The floor of the benchmark: copies what each publisher sends to its subscriber or subscribers, with
// recv, send and epoll and nothing else. It reads CONNECT and SUBSCRIBE just far enough to answer, and
// looks for packet boundaries only where streams of several publishers meet. QoS 0 only.
// Usage: relay pipe|fanout|fanin|shared PORT
// Thread: its only one.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "wire.hpp"

namespace {

using namespace stmqtt::bench;

enum class Shape { pipe, fan_out, fan_in, shared };

struct Peer {
  int fd = -1;
  std::uint32_t number = 0;  // from the Client Identifier's end
  bool is_publisher = false;
  bool is_greeted = false;
  bool waits_to_write = false;
  bool in_flush_list = false;
  Bytes rest;
  Bytes out;
};

[[noreturn]] void fail(const char* doing) {
  std::perror(doing);
  std::exit(1);
}

class Relay {
 public:
  Relay(Shape shape, std::uint16_t port);
  [[noreturn]] void run();

 private:
  void accept_all();
  void read(Peer& peer);
  // Answers the packets of a peer that is no publisher yet; returns the bytes used.
  std::size_t answer(Peer& peer, const std::uint8_t* at, std::size_t bytes);
  void greet(Peer& peer, const Frame& connect);
  void copy(Peer& from, const std::uint8_t* at, std::size_t bytes);
  void send_now(Peer& to, const std::uint8_t* at, std::size_t bytes);
  void send_later(Peer& to, const std::uint8_t* at, std::size_t bytes);
  void flush(Peer& peer);
  void drop(Peer& peer);

  Shape shape_;
  int epoll_fd_;
  int listen_fd_;
  std::size_t next_shared_ = 0;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<Peer*> subscribers_;  // by number
  std::vector<Peer*> flush_list_;
  Bytes buffer_ = Bytes(512 * 1024);
};

Relay::Relay(Shape shape, std::uint16_t port) : shape_(shape) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  listen_fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listen_fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("relay: bind");
  if (listen(listen_fd_, 1024) != 0) fail("relay: listen");
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, listen_fd_, &event);
}

void Relay::run() {
  epoll_event events[1024];
  while (true) {
    const int ready = epoll_wait(epoll_fd_, events, 1024, -1);
    for (int i = 0; i < ready; ++i) {
      auto* peer = static_cast<Peer*>(events[i].data.ptr);
      if (peer == nullptr) {
        accept_all();
        continue;
      }
      if ((events[i].events & EPOLLOUT) != 0) flush(*peer);
      if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && peer->fd >= 0) read(*peer);
    }
    for (Peer* peer : flush_list_) {
      peer->in_flush_list = false;
      flush(*peer);
    }
    flush_list_.clear();
  }
}

void Relay::accept_all() {
  while (true) {
    const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peers_.push_back(std::make_unique<Peer>());
    peers_.back()->fd = fd;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = peers_.back().get();
    epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  }
}

void Relay::read(Peer& peer) {
  const std::size_t kept = peer.rest.size();
  std::memcpy(buffer_.data(), peer.rest.data(), kept);
  const ssize_t got = recv(peer.fd, buffer_.data() + kept, buffer_.size() - kept, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    drop(peer);
    return;
  }
  const std::size_t bytes = kept + static_cast<std::size_t>(got);
  std::size_t used = 0;
  if (!peer.is_publisher) used = answer(peer, buffer_.data(), bytes);
  if (peer.fd < 0) return;
  if (peer.is_publisher && used < bytes) {
    std::size_t whole = bytes;
    if (shape_ == Shape::fan_in || shape_ == Shape::shared) {
      Frame frame;
      whole = used;
      while (scan_frame(buffer_.data() + whole, bytes - whole, frame) == Scan::whole) whole += frame.total_bytes;
    }
    copy(peer, buffer_.data() + used, whole - used);
    used = whole;
  }
  peer.rest.assign(buffer_.begin() + static_cast<std::ptrdiff_t>(used), buffer_.begin() + static_cast<std::ptrdiff_t>(bytes));
}

std::size_t Relay::answer(Peer& peer, const std::uint8_t* at, std::size_t bytes) {
  std::size_t used = 0;
  Frame frame;
  while (!peer.is_publisher && scan_frame(at + used, bytes - used, frame) == Scan::whole) {
    used += frame.total_bytes;
    if (frame.type() == kConnect) {
      greet(peer, frame);
    } else if (frame.type() == kSubscribe) {
      const std::uint8_t suback[] = {kSuback << 4, 3, frame.body[0], frame.body[1], 0};
      send_now(peer, suback, sizeof suback);
    } else if (frame.type() == kDisconnect) {
      drop(peer);
      return used;
    }
  }
  return used;
}

void Relay::greet(Peer& peer, const Frame& connect) {
  std::string_view text(reinterpret_cast<const char*>(connect.body), connect.body_bytes);
  const std::size_t dash = text.rfind('-');
  if (dash != std::string_view::npos) peer.number = static_cast<std::uint32_t>(std::atoi(std::string(text.substr(dash + 1)).c_str()));
  const std::uint8_t connack[] = {kConnack << 4, 2, 0, 0};
  send_now(peer, connack, sizeof connack);
  peer.is_publisher = text.find("-pub-") != std::string_view::npos;
  if (text.find("-sub-") == std::string_view::npos) return;
  if (subscribers_.size() <= peer.number) subscribers_.resize(peer.number + 1, nullptr);
  subscribers_[peer.number] = &peer;
}

void Relay::copy(Peer& from, const std::uint8_t* at, std::size_t bytes) {
  if (bytes == 0 || subscribers_.empty()) return;
  switch (shape_) {
    case Shape::pipe:
      if (from.number < subscribers_.size() && subscribers_[from.number] != nullptr) send_now(*subscribers_[from.number], at, bytes);
      break;
    case Shape::fan_out:
      for (Peer* to : subscribers_) {
        if (to != nullptr) send_now(*to, at, bytes);
      }
      break;
    case Shape::fan_in:
      if (subscribers_[0] != nullptr) send_later(*subscribers_[0], at, bytes);
      break;
    case Shape::shared: {
      Peer* to = subscribers_[next_shared_++ % subscribers_.size()];
      if (to != nullptr) send_later(*to, at, bytes);
      break;
    }
  }
}

void Relay::send_now(Peer& to, const std::uint8_t* at, std::size_t bytes) {
  if (to.fd < 0) return;
  std::size_t sent = 0;
  if (to.out.empty()) {
    const ssize_t result = send(to.fd, at, bytes, MSG_NOSIGNAL);
    if (result > 0) sent = static_cast<std::size_t>(result);
  }
  if (sent < bytes) send_later(to, at + sent, bytes - sent);
}

void Relay::send_later(Peer& to, const std::uint8_t* at, std::size_t bytes) {
  if (to.fd < 0) return;
  to.out.insert(to.out.end(), at, at + bytes);
  if (to.in_flush_list) return;
  to.in_flush_list = true;
  flush_list_.push_back(&to);
}

void Relay::flush(Peer& peer) {
  if (peer.fd < 0) return;
  if (!peer.out.empty()) {
    const ssize_t sent = send(peer.fd, peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
    if (sent > 0) peer.out.erase(peer.out.begin(), peer.out.begin() + sent);
  }
  const bool waits = !peer.out.empty();
  if (waits == peer.waits_to_write) return;
  epoll_event event{};
  event.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.ptr = &peer;
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, peer.fd, &event);
  peer.waits_to_write = waits;
}

// The Peer itself stays: events of this turn may still name it, and a run has few peers.
void Relay::drop(Peer& peer) {
  ::close(peer.fd);
  peer.fd = -1;
  if (peer.number < subscribers_.size() && subscribers_[peer.number] == &peer) subscribers_[peer.number] = nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc == 3 ? argv[1] : "";
  Shape shape = Shape::pipe;
  if (name == "fanout") shape = Shape::fan_out;
  else if (name == "fanin") shape = Shape::fan_in;
  else if (name == "shared") shape = Shape::shared;
  else if (name != "pipe") {
    std::fprintf(stderr, "usage: relay pipe|fanout|fanin|shared PORT\n");
    return 2;
  }
  Relay(shape, static_cast<std::uint16_t>(std::atoi(argv[2]))).run();
}
