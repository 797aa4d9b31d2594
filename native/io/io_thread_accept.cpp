// Accepting: bounded batches per turn, and what to do when no descriptor is left. See io_thread.hpp.
// Thread: the I/O thread.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/io_thread.hpp"
#include "io/socket_address.hpp"

namespace stmqtt {
namespace {

// How long a listener rests after an error that more calls would not mend.
constexpr std::uint64_t kRestMs = 100;
constexpr std::uint64_t kSecondNs = 1'000'000'000;

// Errors of the one connection that was to be accepted, not of the listener: accept(2) hands down
// network errors that came in before.
bool concerns_one_peer(int error) noexcept {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

int accept_one(int fd, sockaddr_storage& from) noexcept {
  socklen_t from_bytes = sizeof from;
  from.ss_family = AF_UNSPEC;
  return ::accept4(fd, reinterpret_cast<sockaddr*>(&from), &from_bytes,
                   SOCK_NONBLOCK | SOCK_CLOEXEC);
}

}  // namespace

SystemError IoThread::add_listener(Listener& listener, const AcceptPacing& pacing) noexcept {
  owner_.check();
  if (!poller_.add(listener.fd(), PollTag::of(PollTag::Kind::listener, &listener),
                   Interest::read)) {
    return {errno, "epoll_ctl"};
  }
  listeners_.push_back({&listener, 0, 1, pacing, kSecondNs, turn_ns_, 0, false});
  return {};
}

void IoThread::remove_listener(Listener& listener) noexcept {
  owner_.check();
  Listening* listening = find(listener);
  if (listening == nullptr) return;
  poller_.remove(listener.fd());
  listeners_.erase_at(static_cast<std::size_t>(listening - listeners_.begin()));
}

IoThread::Listening* IoThread::find(const Listener& listener) noexcept {
  for (Listening& listening : listeners_) {
    if (listening.listener == &listener) return &listening;
  }
  return nullptr;
}

// For all that are ready, until their part of the time is spent; each at least once, so that none
// keeps another waiting for ever.
void IoThread::accept_ready() noexcept {
  listener_ready_ = false;
  for (std::uint32_t index = 0; index < listeners_.size(); index++) {
    if (!std::exchange(listeners_[index].ready, false)) continue;
    accept_from(*listeners_[index].listener);
  }
}

void IoThread::accept_from(Listener& listener) noexcept {
  // As many as came last time, and twice as many if those were all taken: a single connection then
  // costs one call, not a second one that finds nothing.
  std::uint32_t allowed = paced(*find(listener), find(listener)->accepts);
  if (allowed == 0) return;
  const std::uint32_t most = handler_.may_accept(listener.id());
  if (most == 0) {
    pause_listener(*find(listener), UINT64_MAX);
    return;
  }
  allowed = std::min(allowed, most);
  std::uint32_t accepted = 0;
  int error = 0;
  while (accepted < allowed) {
    sockaddr_storage from;
    const int fd = accept_one(listener.fd(), from);
    if (fd < 0) {
      error = errno;
      if (concerns_one_peer(error)) {
        accepted++;  // counts as work done, so that a flood of these ends the turn too
        error = 0;
        continue;
      }
      break;
    }
    accepted++;
    counters_.add(contract::Counter::connections_accepted);
    handler_.on_accepted(fd, listener.id(), peer_address_of(from));
    if (find(listener) == nullptr) return;  // removed by the handler
    if (spent()) break;
  }
  Listening* listening = find(listener);
  spend(*listening, accepted);
  listening->accepts = error == 0 ? std::min(allowed * 2, std::max(1U, options_.accepts_per_turn))
                                  : std::max(1U, accepted);
  if (error == 0 || error == EAGAIN || error == EWOULDBLOCK) return;
  shed(*listening, error);
}

// How many of those that wait may be accepted now. None: the listener is left out of the poller until
// one may. Looked at only where somebody waits, so that a quiet listener costs no wake-ups.
std::uint32_t IoThread::paced(Listening& listening, std::uint32_t wanted) noexcept {
  const AcceptPacing& pacing = listening.pacing;
  std::uint64_t due_ms = 0;
  if (pacing.delay_ms > 1) {
    if (turn_ms() < listening.next_ms) {
      due_ms = listening.next_ms;
    } else {
      wanted = 1;
    }
  }
  if (pacing.max_per_s > 0) {
    const std::uint64_t each_ns = kSecondNs / pacing.max_per_s;
    listening.credit_ns =
        std::min(kSecondNs, listening.credit_ns + (turn_ns_ - listening.credited_at_ns));
    listening.credited_at_ns = turn_ns_;
    if (listening.credit_ns < each_ns) {
      const std::uint64_t missing_ns = each_ns - listening.credit_ns;
      due_ms = std::max(due_ms, (turn_ns_ + missing_ns) / 1'000'000 + 1);
    } else {
      wanted = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(wanted, listening.credit_ns / std::max<std::uint64_t>(1, each_ns)));
    }
  }
  if (due_ms == 0) return wanted;
  counters_.add(contract::Counter::accepts_paced);
  pause_listener(listening, due_ms);
  return 0;
}

void IoThread::spend(Listening& listening, std::uint32_t accepted) noexcept {
  if (accepted == 0) return;
  if (listening.pacing.delay_ms > 1) listening.next_ms = turn_ms() + listening.pacing.delay_ms;
  if (listening.pacing.max_per_s > 0) {
    const std::uint64_t used_ns = kSecondNs / listening.pacing.max_per_s * accepted;
    listening.credit_ns -= std::min(listening.credit_ns, used_ns);
  }
}

// No descriptor or memory is left. Those who wait get an end at once, one after the other over the
// descriptor held in reserve, rather than a silence of unknown length; then the listener rests,
// because the poller would report it again immediately.
void IoThread::shed(Listening& listening, int error) noexcept {
  unsigned closed = 0;
  if ((error == EMFILE || error == ENFILE) && reserve_fd_ >= 0) {
    ::close(reserve_fd_);
    while (closed < options_.accepts_per_turn) {
      sockaddr_storage from;
      const int fd = accept_one(listening.listener->fd(), from);
      if (fd < 0) break;
      ::close(fd);
      closed++;
    }
    reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  pause_listener(listening, turn_ms() + kRestMs);
  handler_.on_accept_failed(listening.listener->id(), error, closed);
}

void IoThread::pause_listener(Listening& listening, std::uint64_t until_ms) noexcept {
  poller_.modify(listening.listener->fd(),
                 PollTag::of(PollTag::Kind::listener, listening.listener), Interest::none);
  listening.paused_until_ms = until_ms;
  listening.accepts = 1;
  next_listener_ms_ = std::min(next_listener_ms_, listening.paused_until_ms);
}

void IoThread::readmit(const Listener& listener) noexcept {
  owner_.check();
  Listening* listening = find(listener);
  if (listening == nullptr || listening->paused_until_ms != UINT64_MAX) return;
  listening->paused_until_ms = 0;
  poller_.modify(listening->listener->fd(),
                 PollTag::of(PollTag::Kind::listener, listening->listener), Interest::read);
}

void IoThread::resume_listeners(std::uint64_t now_ms) noexcept {
  next_listener_ms_ = UINT64_MAX;
  if (reserve_fd_ < 0) reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  for (Listening& listening : listeners_) {
    if (listening.paused_until_ms == 0) continue;
    if (listening.paused_until_ms > now_ms) {
      next_listener_ms_ = std::min(next_listener_ms_, listening.paused_until_ms);
      continue;
    }
    listening.paused_until_ms = 0;
    poller_.modify(listening.listener->fd(),
                   PollTag::of(PollTag::Kind::listener, listening.listener), Interest::read);
  }
}

}  // namespace stmqtt
