// See poller.hpp and poller_epoll.hpp. Thread: the poller's; wake() any.
#include "io/poller.hpp"

#if defined(__linux__)

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace stmqtt {
namespace {

epoll_event event_of(PollTag tag, Interest interest) noexcept {
  const auto bits = static_cast<std::uint8_t>(interest);
  epoll_event event = {};
  event.events = ((bits & static_cast<std::uint8_t>(Interest::read)) != 0 ? EPOLLIN | EPOLLRDHUP
                                                                         : 0U) |
                 ((bits & static_cast<std::uint8_t>(Interest::write)) != 0 ? EPOLLOUT : 0U);
  event.data.u64 = tag.bits;
  return event;
}

}  // namespace

SystemError Poller::open() noexcept {
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return {errno, "epoll_create1"};
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) {
    const SystemError error = {errno, "eventfd"};
    close();
    return error;
  }
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = PollTag::of(PollTag::Kind::wake, nullptr).bits;
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) != 0) {
    const SystemError error = {errno, "epoll_ctl"};
    close();
    return error;
  }
  return {};
}

void Poller::close() noexcept {
  if (wake_fd_ >= 0) ::close(wake_fd_);
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
  wake_fd_ = -1;
  epoll_fd_ = -1;
}

bool Poller::add(int fd, PollTag tag, Interest interest) noexcept {
  epoll_event event = event_of(tag, interest);
  return ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::modify(int fd, PollTag tag, Interest interest) noexcept {
  // Cannot fail for a descriptor that was added and is open: nothing is allocated.
  epoll_event event = event_of(tag, interest);
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void Poller::remove(int fd) noexcept {
  epoll_event event = {};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, &event);
}

std::size_t Poller::wait(int timeout_ms) noexcept {
  const int count = ::epoll_wait(epoll_fd_, events_, static_cast<int>(kEventsPerWait), timeout_ms);
  // EINTR is the only error that an open poller can have; it counts as nothing ready.
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

void Poller::wake() noexcept {
  const std::uint64_t one = 1;
  // EAGAIN would mean 2^64 - 1 wake-ups are pending: the poller is awake then.
  [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

}  // namespace stmqtt

#endif
