// The poller on Linux: level-triggered epoll, and an eventfd for wake-ups that is edge-triggered,
// so that it never has to be read. Thread: see poller.hpp.
#pragma once

#include <sys/epoll.h>

#include <cstddef>

#include "io/system_error.hpp"

namespace stmqtt {

class PollEvent {
 public:
  [[nodiscard]] PollTag tag() const noexcept {
    return {static_cast<std::uintptr_t>(event_.data.u64)};
  }
  [[nodiscard]] bool readable() const noexcept { return (event_.events & EPOLLIN) != 0; }
  [[nodiscard]] bool writable() const noexcept { return (event_.events & EPOLLOUT) != 0; }
  [[nodiscard]] bool hung_up() const noexcept {
    return (event_.events & (EPOLLHUP | EPOLLERR)) != 0;
  }
  [[nodiscard]] bool peer_closed() const noexcept {
    return (event_.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  }

 private:
  friend class Poller;
  explicit PollEvent(const epoll_event& event) noexcept : event_(event) {}
  const epoll_event& event_;
};

class Poller {
 public:
  Poller() noexcept = default;
  ~Poller() { close(); }
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  [[nodiscard]] SystemError open() noexcept;
  void close() noexcept;

  [[nodiscard]] bool add(int fd, PollTag tag, Interest interest) noexcept;
  void modify(int fd, PollTag tag, Interest interest) noexcept;
  void remove(int fd) noexcept;

  [[nodiscard]] std::size_t wait(int timeout_ms) noexcept;
  [[nodiscard]] PollEvent event(std::size_t index) const noexcept {
    return PollEvent(events_[index]);
  }

  void wake() noexcept;

  static constexpr std::size_t kEventsPerWait = 256;

 private:
  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  epoll_event events_[kEventsPerWait];
};

}  // namespace stmqtt
