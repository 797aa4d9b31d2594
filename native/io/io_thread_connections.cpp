// What happens to a connection from adopt() to its end: what the poller watches, closing with and
// without a flush, lingering, moving to another thread. See io_thread.hpp.
// Thread: the I/O thread.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "base/pool.hpp"
#include "io/io_thread.hpp"

namespace stmqtt {
namespace {

// How long a closed connection may take to read our last bytes and close its side. Only what it
// still sends is at stake: at the end of this the kernel answers that with a reset.
constexpr std::uint64_t kLingerMs = 1000;
// Of a crowd that came at once and said nothing: the others' deadlines wait for the next turn.
constexpr unsigned kExpiredPerTurn = 64;

contract::Counter counter_of(PauseCause cause) noexcept {
  switch (cause) {
    case PauseCause::outbox:
      return contract::Counter::paused_outbox;
    case PauseCause::verdict:
      return contract::Counter::paused_verdict;
    case PauseCause::store:
      return contract::Counter::paused_store;
    case PauseCause::queue_full:
      return contract::Counter::paused_queue_full;
    case PauseCause::memory_budget:
      return contract::Counter::paused_memory_budget;
    case PauseCause::rate:
      return contract::Counter::paused_rate;
    case PauseCause::hooks:
      return contract::Counter::paused_hooks;
  }
  return contract::Counter::paused_outbox;
}

}  // namespace

DetachedConnection::DetachedConnection(DetachedConnection&& other) noexcept
    : fd(std::exchange(other.fd, -1)),
      id(other.id),
      listener(other.listener),
      peer(other.peer),
      unread(std::exchange(other.unread, nullptr)),
      unsent(std::move(other.unsent)),
      channel(std::exchange(other.channel, nullptr)),
      open_by_ms(other.open_by_ms) {}

DetachedConnection& DetachedConnection::operator=(DetachedConnection&& other) noexcept {
  std::swap(fd, other.fd);
  std::swap(id, other.id);
  std::swap(listener, other.listener);
  std::swap(peer, other.peer);
  std::swap(unread, other.unread);
  unsent.swap(other.unsent);
  std::swap(channel, other.channel);
  std::swap(open_by_ms, other.open_by_ms);
  return *this;
}

DetachedConnection::~DetachedConnection() {
  if (fd >= 0) ::close(fd);
  PendingBytes::destroy(unread);
  destroy_channels(channel);
}

Connection* IoThread::adopt(DetachedConnection&& from, void* user, Standing standing) noexcept {
  owner_.check();
  auto* connection = ::new (pool_allocate(sizeof(Connection)))
      Connection(flush_list_, from.fd, from.id, from.listener, from.peer);
  if (!poller_.add(from.fd, PollTag::of(PollTag::Kind::connection, connection), Interest::read)) {
    connection->fd_ = -1;
    connection->~Connection();
    pool_free(connection, sizeof(Connection));
    reject(std::exchange(from.fd, -1));
    return nullptr;
  }
  from.fd = -1;
  connection->user = user;
  connection->newcomer_ = standing == Standing::newcomer ? 1 : 0;
  connection->set(Connection::kRead);
  connection->index_ = connections_.size();
  connections_.push_back(connection);
  connection->pending_ = std::exchange(from.unread, nullptr);
  connection->channel_ = std::exchange(from.channel, nullptr);
  if (connection->channel_ != nullptr) {
    if (from.open_by_ms != 0 && !all_open(connection->channel_)) {
      const std::uint64_t allowed_ms = from.open_by_ms - std::min(from.open_by_ms, turn_ms());
      set_deadline(*connection, from.open_by_ms, from.open_by_ms + allowed_ms);
    }
    if (channel_bytes(connection->channel_) > 0) {
      connection->mark();
      count_outbound(*connection);
    }
  }
  if (connection->pending_ != nullptr || ended_in_channel(*connection)) schedule_rerun(*connection);
  if (!from.unsent.empty()) {
    connection->queue = std::move(from.unsent);
    // An on_writable may have been owed there; one call too many does no harm, one too few does.
    connection->set(Connection::kWasHigh);
    connection->mark();
    count_outbound(*connection);
  }
  return connection;
}

void IoThread::reject(int fd) noexcept {
  ::close(fd);
  counters_.add(contract::Counter::connections_closed);
}

void IoThread::release(Connection& connection) noexcept {
  owner_.check();
  switch (connection.state_) {
    case Connection::State::open:
    case Connection::State::left:
    case Connection::State::closing:
      leave(connection);
      break;
    case Connection::State::flushed:
      linger(connection);
      break;
    case Connection::State::lingering:
    case Connection::State::leaving:
    case Connection::State::released:
      break;
  }
}

// Last words and the end of a socket and a TLS session take long: behind those who stay.
void IoThread::leave(Connection& connection) noexcept {
  const bool silent =
      connection.state_ == Connection::State::closing || connection.has(Connection::kEnded);
  if (burying_) {
    if (!silent) send_last_words(connection);
    destroy(connection);
    return;
  }
  if (silent) connection.set(Connection::kSendFailed);
  connection.state_ = Connection::State::leaving;
  connection.user = nullptr;
  connection.timer.unlink();
  connection.unmark();
  connection.queue.clear();
  count_outbound(connection);
  forget_deadline(connection);
  PendingBytes::destroy(std::exchange(connection.pending_, nullptr));
  line_up(connection);
}

DetachedConnection IoThread::detach(Connection& connection, Bytes rest) noexcept {
  owner_.check();
  DetachedConnection away(connection.fd_, connection.id_, connection.listener_, connection.peer_);
  if (!rest.empty()) {
    away.unread = PendingBytes::make(rest.size());
    store_bytes(away.unread->data(), rest);
    away.unread->end = static_cast<std::uint32_t>(rest.size());
  } else {
    away.unread = std::exchange(connection.pending_, nullptr);
  }
  unwatch(connection);
  away.unsent = std::move(connection.queue);
  if (connection.channel_ != nullptr) {
    counters_.add(contract::Counter::outbound_bytes,
                  -static_cast<std::int64_t>(std::exchange(connection.channel_->counted_bytes_, 0)));
    away.channel = std::exchange(connection.channel_, nullptr);
  }
  connection.fd_ = -1;
  forget(connection);
  return away;
}

void IoThread::pause(Connection& connection, PauseCause cause) noexcept {
  owner_.check();
  if (connection.paused_for(cause)) return;
  counters_.add(counter_of(cause));
  // The poller is told when it next reports the connection: most pauses are over before that.
  connection.pauses_ = static_cast<std::uint8_t>(connection.pauses_ | static_cast<unsigned>(cause));
}

void IoThread::resume(Connection& connection, PauseCause cause) noexcept {
  owner_.check();
  if (!connection.paused_for(cause)) return;
  connection.pauses_ =
      static_cast<std::uint8_t>(connection.pauses_ & ~static_cast<unsigned>(cause));
  if (connection.paused() || connection.state_ != Connection::State::open ||
      connection.has(Connection::kEnded)) {
    return;
  }
  // A connection that cannot be watched again would hang for ever: the rerun ends it.
  if (!set_interest(connection) || connection.pending_ != nullptr || ended_in_channel(connection)) {
    schedule_rerun(connection);
  }
}

void IoThread::close_after_flush(Connection& connection, std::uint64_t deadline_ms) noexcept {
  owner_.check();
  if ((connection.state_ != Connection::State::open &&
       connection.state_ != Connection::State::left) ||
      connection.has(Connection::kEnded)) {
    return;
  }
  leave_line(connection);
  connection.state_ = Connection::State::closing;
  connection.pauses_ = 0;
  PendingBytes::destroy(std::exchange(connection.pending_, nullptr));
  forget_deadline(connection);  // of its channels
  set_deadline(connection, deadline_ms);
  set_interest(connection);
  connection.mark();
}

// ---- what the poller watches ----

bool IoThread::set_interest(Connection& connection) noexcept {
  const bool read =
      (connection.state_ == Connection::State::open && !connection.paused()) ||
      connection.state_ == Connection::State::lingering;
  const bool write = connection.has(Connection::kBlocked);
  const bool watched = !connection.has(Connection::kUnwatched);
  if (watched && read == connection.has(Connection::kRead) &&
      write == connection.has(Connection::kWrite)) {
    return true;
  }
  const auto interest = static_cast<Interest>((read ? 1 : 0) | (write ? 2 : 0));
  const PollTag tag = PollTag::of(PollTag::Kind::connection, &connection);
  if (watched) {
    poller_.modify(connection.fd_, tag, interest);
  } else if (poller_.add(connection.fd_, tag, interest)) {
    connection.unset(Connection::kUnwatched);
  } else {
    return false;
  }
  connection.unset(Connection::kRead);
  connection.unset(Connection::kWrite);
  if (read) connection.set(Connection::kRead);
  if (write) connection.set(Connection::kWrite);
  return true;
}

void IoThread::unwatch(Connection& connection) noexcept {
  if (connection.has(Connection::kUnwatched)) return;
  // Explicitly, though close() would do it: a child process between fork and exec also holds the
  // socket, and the poller would go on reporting it under a pointer that is gone.
  poller_.remove(connection.fd_);
  connection.set(Connection::kUnwatched);
  connection.unset(Connection::kRead);
  connection.unset(Connection::kWrite);
}

// ---- the end ----

void IoThread::end(Connection& connection, EndReason reason) noexcept {
  if (connection.has(Connection::kEnded)) return;
  connection.set(Connection::kEnded);
  forget_deadline(connection);
  // A peer that was told something, an alert for example, gets the time to read it.
  const bool told = (reason.kind == EndKind::peer_closed || reason.kind == EndKind::channel_failed) &&
                    send_last_words(connection);
  if (reason.kind == EndKind::flushed || told) {
    connection.state_ = Connection::State::flushed;
  } else {
    unwatch(connection);
  }
  connection.unmark();
  connection.queue.clear();
  count_outbound(connection);
  PendingBytes::destroy(std::exchange(connection.pending_, nullptr));
  turn_again_ = true;
  handler_.on_end(connection, reason);
}

void IoThread::linger(Connection& connection) noexcept {
  connection.user = nullptr;
  connection.timer.unlink();
  connection.queue.clear();
  connection.unmark();
  drop_channels(connection);
  connection.state_ = Connection::State::lingering;
  ::shutdown(connection.fd_, SHUT_WR);
  discard_input(connection);
  if (connection.state_ == Connection::State::released) return;
  connection.unset(Connection::kBlocked);
  set_deadline(connection, turn_ms() + kLingerMs);
  set_interest(connection);
}

void IoThread::destroy(Connection& connection) noexcept {
  unwatch(connection);
  ::close(connection.fd_);
  connection.fd_ = -1;
  counters_.add(contract::Counter::connections_closed);
  forget(connection);
}

// Takes it off every list; the memory goes at the end of the turn, because events of this turn and
// callers further up the stack may still name it.
void IoThread::forget(Connection& connection) noexcept {
  connection.unmark();
  connection.timer.unlink();
  connection.queue.clear();
  count_outbound(connection);
  forget_deadline(connection);
  leave_line(connection);
  PendingBytes::destroy(std::exchange(connection.pending_, nullptr));
  drop_channels(connection);
  if (connection.has(Connection::kInRerun)) {
    for (PoolVector<Connection*>* list : {&rerun_, &rerunning_}) {
      std::replace(list->begin(), list->end(), &connection, static_cast<Connection*>(nullptr));
    }
  }
  connections_.erase_unordered(connection.index_);
  if (connection.index_ < connections_.size()) {
    connections_[connection.index_]->index_ = connection.index_;
  }
  connection.state_ = Connection::State::released;
  released_.push_back(&connection);
}

void IoThread::free_released() noexcept {
  if (released_.empty()) return;
  for (Connection* connection : released_) {
    connection->~Connection();
    pool_free(connection, sizeof(Connection));
  }
  released_.clear();
}

// ---- deadlines of closing and lingering connections ----

void IoThread::set_deadline(Connection& connection, std::uint64_t at_ms,
                            std::uint64_t latest_ms) noexcept {
  connection.deadline_index_ = deadlines_.size();
  deadlines_.push_back({&connection, at_ms, latest_ms});
  next_deadline_ms_ = std::min(next_deadline_ms_, at_ms);
}

void IoThread::forget_deadline(Connection& connection) noexcept {
  const std::uint32_t index = connection.deadline_index_;
  if (index == Connection::kNoDeadline) return;
  connection.deadline_index_ = Connection::kNoDeadline;
  deadlines_.erase_unordered(index);
  if (index < deadlines_.size()) deadlines_[index].connection->deadline_index_ = index;
}

void IoThread::limit_deadlines(std::uint64_t deadline_ms) noexcept {
  owner_.check();
  for (Deadline& deadline : deadlines_) {
    if (deadline.connection->state_ != Connection::State::closing) continue;
    deadline.at_ms = std::min(deadline.at_ms, deadline_ms);
    next_deadline_ms_ = std::min(next_deadline_ms_, deadline.at_ms);
  }
}

// Whoever stands in line has sent something that we did not read: its time stood still meanwhile.
// But not for ever: a crowd that sees to it that its bytes always wait gets twice its time at most.
bool IoThread::put_off(Deadline& deadline, std::uint64_t now_ms) noexcept {
  const std::uint64_t waited_ms = take_wait_ms(*deadline.connection);
  if (waited_ms == 0 || now_ms >= deadline.latest_ms) return false;
  deadline.at_ms = std::min(now_ms + waited_ms, deadline.latest_ms);
  return true;
}

void IoThread::close_expired(std::uint64_t now_ms) noexcept {
  // Backwards: what ends takes the last one's place. A handler that ends others in between may make
  // this pass over one of them; the next turn finds it.
  std::uint64_t next = UINT64_MAX;
  unsigned left = kExpiredPerTurn;
  for (std::uint32_t index = deadlines_.size(); index-- > 0 && left > 0;) {
    if (index >= deadlines_.size()) continue;
    const Deadline deadline = deadlines_[index];
    if (deadline.at_ms > now_ms) {
      next = std::min(next, deadline.at_ms);
      continue;
    }
    left--;
    if (deadline.connection->state_ == Connection::State::lingering) {
      destroy(*deadline.connection);
    } else if (deadline.connection->state_ == Connection::State::open) {
      if (put_off(deadlines_[index], now_ms)) continue;
      end(*deadline.connection, not_open_in_time(*deadline.connection));
    } else {
      end(*deadline.connection, {EndKind::deadline_passed});
    }
  }
  next_deadline_ms_ = next;
  for (const Deadline& deadline : deadlines_) {
    next_deadline_ms_ = std::min(next_deadline_ms_, deadline.at_ms);
  }
}

}  // namespace stmqtt
