// Who is served first. In a storm (a fleet that comes back, or goes) thousands of sockets are ready at
// once, and a TLS handshake or an end takes the time of hundreds of packets. So connections that are
// established and stay are served first, in each turn, all of them; the others stand in line behind,
// for a bounded time. Whoever is still in line at the end is taken out of the poller: thousands that
// are ready and not served would otherwise stand between the thread and those it wants to hear of.
// Thread: the I/O thread.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "io/io_thread.hpp"

namespace stmqtt {
namespace {

// The second line's share where the first takes long: a quarter of the thread, so that those who
// want in make progress however busy it is.
constexpr std::uint64_t kFirstPerSecond = 3;

}  // namespace

// Those who come, and those who go: an end costs 30 times what a packet costs, and nobody waits for
// its result. Being paused, closed or ended already costs nothing and is seen to at once.
bool IoThread::comes_second(const Connection& connection, const PollEvent& event) noexcept {
  if (connection.state_ == Connection::State::lingering ||
      connection.state_ == Connection::State::leaving ||
      connection.state_ == Connection::State::left) {
    return true;
  }
  if (connection.state_ != Connection::State::open || connection.has(Connection::kEnded) ||
      connection.paused()) {
    return false;
  }
  return (connection.newcomer_ != 0 && (event.readable() || event.hung_up())) ||
         event.peer_closed();
}

bool IoThread::put_off_end(Connection& connection) noexcept {
  owner_.check();
  if (burying_ || connection.state_ != Connection::State::open || connection.has(Connection::kEnded) ||
      ++ends_ <= options_.ends_per_turn) {
    return false;
  }
  connection.state_ = Connection::State::left;
  forget_deadline(connection);
  line_up(connection);
  return true;
}

void IoThread::line_up(Connection& connection) noexcept {
  if (connection.place_ != Connection::kNoPlace) {
    // resume() has it watched again while it stands in line.
    unwatch(connection);
    return;
  }
  if (line_.empty()) line_base_ = 0;
  connection.place_ = (line_base_ + line_.size()) & Connection::kLastPlace;
  line_.push_back({&connection, turn_ms()});
  line_watched_++;
}

void IoThread::leave_line(Connection& connection) noexcept {
  if (connection.place_ == Connection::kNoPlace) return;
  line_[(connection.place_ - line_base_) & Connection::kLastPlace].connection = nullptr;
  connection.place_ = Connection::kNoPlace;
}

std::uint64_t IoThread::take_wait_ms(Connection& connection) noexcept {
  if (connection.place_ == Connection::kNoPlace) return 0;
  Place& place = line_[(connection.place_ - line_base_) & Connection::kLastPlace];
  const std::uint64_t now_ms = turn_ms();
  const std::uint64_t waited_ms = now_ms - std::min(now_ms, place.since_ms);
  place.since_ms = now_ms;
  return std::max<std::uint64_t>(1, waited_ms);
}

void IoThread::give_back(Connection& connection, std::uint64_t waited_ms) noexcept {
  if (connection.state_ != Connection::State::open || connection.has(Connection::kEnded)) return;
  if (connection.deadline_index_ != Connection::kNoDeadline) {
    Deadline& deadline = deadlines_[connection.deadline_index_];
    deadline.at_ms = std::min(deadline.at_ms + waited_ms, deadline.latest_ms);
  }
  handler_.on_waited(connection, waited_ms);
}

// A turn of its own, though without a look at the poller: what the first line wrote is flushed, and
// what is measured from the turn's beginning begins anew.
void IoThread::serve_second(std::size_t events) noexcept {
  const std::uint64_t now = options_.clock_ns();
  const std::uint64_t first_ns = now - std::min(now, turn_ns_);
  counters_.add(contract::Counter::busy_ns, static_cast<std::int64_t>(first_ns));
  handler_.on_flushed(turn_ns_, now);
  turn_ns_ = now;
  // Where the poller had more to tell than it could, established ones may be among it: a step or two,
  // and look.
  const std::uint64_t second_ns = std::max(events < Poller::kEventsPerWait ? options_.second_ns : 0,
                                           first_ns / kFirstPerSecond);
  // Accepting is cheap, and what is not accepted in time is lost in the end: but not all the time.
  second_until_ns_ = now + second_ns / 2;
  burying_ = true;
  if (listener_ready_) accept_ready();
  second_until_ns_ = now + second_ns;
  while (!line_.empty()) {
    const Place place = line_.take_front();
    Connection* connection = place.connection;
    line_base_ = (line_base_ + 1) & Connection::kLastPlace;
    line_watched_ = std::min(line_watched_, line_.size());
    if (connection == nullptr) continue;
    connection->place_ = Connection::kNoPlace;
    if (turn_ms() > place.since_ms) give_back(*connection, turn_ms() - place.since_ms);
    serve(*connection);
    if (spent()) break;
  }
  for (std::uint32_t back = 1; back <= line_watched_; back++) {
    Connection* connection = line_[line_.size() - back].connection;
    if (connection != nullptr) unwatch(*connection);
  }
  counters_.add(contract::Counter::connections_put_off, line_watched_);
  line_watched_ = 0;
  ends_ = 0;
  end_turn();
  burying_ = false;
}

void IoThread::serve(Connection& connection) noexcept {
  if (connection.state_ == Connection::State::lingering) {
    discard_input(connection);
  } else if (connection.state_ == Connection::State::left) {
    handler_.on_put_off(connection);
    return;
  } else if (connection.state_ == Connection::State::leaving) {
    send_last_words(connection);
    destroy(connection);
  } else if (connection.state_ == Connection::State::open &&
             !connection.has(Connection::kEnded) && !connection.paused() &&
             !connection.has(Connection::kInRerun)) {
    // Bytes that are left over go first, in the next turn; the poller reports the others again.
    receive(connection);
  }
  // Whoever closes it in between says what is to be watched; an end needs nothing more.
  if (!connection.has(Connection::kUnwatched) || connection.fd_ < 0 ||
      connection.has(Connection::kEnded) || connection.state_ == Connection::State::closing) {
    return;
  }
  if (!set_interest(connection)) end(connection, {EndKind::socket_error, errno});
}

}  // namespace stmqtt
