// The I/O thread's life and its loop; see io_thread.hpp. Connections: io_thread_connections.cpp,
// their bytes: io_thread_bytes.cpp, listeners: io_thread_accept.cpp.
// Thread: its own, except for open, start, join, wake and request_stop.
#include "io/io_thread.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/clock.hpp"
#include "base/fatal.hpp"

namespace stmqtt {
namespace {

// The longest sleep: timeouts are ints, and an hour costs nothing.
constexpr std::uint64_t kMaxSleepMs = 3'600'000;

}  // namespace

IoThread::IoThread(unsigned index, Handler& handler, contract::Counters& counters,
                   const IoThreadOptions& options) noexcept
    : handler_(handler),
      counters_(counters),
      flush_list_(options.outbound_high_watermark_bytes, options.outbound_low_watermark_bytes),
      flushing_(options.outbound_high_watermark_bytes, options.outbound_low_watermark_bytes),
      options_(options),
      index_(index) {}

IoThread::~IoThread() {
  join();
  // Adopted before a loop that never ran.
  owner_.release();
  while (!connections_.empty()) destroy(*connections_.back());
  free_released();
  if (reserve_fd_ >= 0) ::close(reserve_fd_);
  std::free(read_buffer_);
}

SystemError IoThread::open() noexcept {
  read_buffer_ = static_cast<std::uint8_t*>(
      std::malloc(options_.read_buffer_bytes + kMaxJoinedFrameBytes + Channel::kMaxHeldBytes));
  if (read_buffer_ == nullptr) return {ENOMEM, "malloc"};
  turn_ns_ = options_.clock_ns();
  const SystemError error = poller_.open();
  if (!error) reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  return error;
}

SystemError IoThread::start() noexcept {
  // Signals are the main thread's: Node handles them there.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread_, nullptr, &IoThread::thread_main, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return {error, "pthread_create"};
  started_ = true;
  return {};
}

void IoThread::set_watermarks(std::size_t high_bytes, std::size_t low_bytes) noexcept {
  owner_.check();
  flush_list_.set_watermarks(high_bytes, low_bytes);
  flushing_.set_watermarks(high_bytes, low_bytes);
}

void* IoThread::thread_main(void* self) noexcept {
  auto* thread = static_cast<IoThread*>(self);
  char name[16];
  std::snprintf(name, sizeof name, "st-mqttd/%u", thread->index_ % 1000);
  pthread_setname_np(pthread_self(), name);
  thread->run();
  return nullptr;
}

void IoThread::join() noexcept {
  if (!started_) return;
  started_ = false;
  request_stop();
  pthread_join(thread_, nullptr);
}

// Sleeping and waking, without a lost wake-up. The sleeper says `sleeping` and then looks for
// `signalled`; the waker says `signalled` and then looks for `sleeping` (Dekker's pattern). Each
// does both with one read-modify-write on the same word, so one of them is first in that word's
// order and the other sees it. The waker's exchange releases what it wrote before (a queue's
// element, say), the loop's exchange acquires it before it calls on_wake().
void IoThread::wake() noexcept {
  if (wake_.exchange(Wake::signalled, std::memory_order_acq_rel) == Wake::sleeping) poller_.wake();
}

void IoThread::request_stop() noexcept {
  stop_.store(true, std::memory_order_release);
  wake();
}

void IoThread::run() noexcept {
  owner_.release();
  owner_.check();
  turn_ns_ = options_.clock_ns();
  while (!stop_.load(std::memory_order_acquire)) turn(sleep());
  finish();
  owner_.release();
}

int IoThread::timeout_ms(std::uint64_t now_ms) noexcept {
  if (turn_again_ || !rerun_.empty() || !flush_list_.empty() || !line_.empty()) return 0;
  const std::uint64_t due =
      std::min({handler_.next_timer_ms(), next_deadline_ms_, next_listener_ms_});
  if (due <= now_ms) return 0;
  return static_cast<int>(std::min(due - now_ms, kMaxSleepMs));
}

std::size_t IoThread::sleep() noexcept {
  const std::uint64_t before_ns = options_.clock_ns();
  counters_.add(contract::Counter::busy_ns, static_cast<std::int64_t>(before_ns - turn_ns_));
  handler_.on_flushed(turn_ns_, before_ns);
  int timeout = timeout_ms(before_ns / 1'000'000);
  if (timeout != 0) {
    Wake expected = Wake::running;
    if (!wake_.compare_exchange_strong(expected, Wake::sleeping, std::memory_order_acq_rel)) {
      timeout = 0;  // signalled meanwhile
    }
  }
  const std::size_t events = poller_.wait(timeout);
  turn_ns_ = options_.clock_ns();
  // Without a sleep the word can only be `running` or `signalled`, and a plain look is enough.
  if (timeout != 0 || wake_.load(std::memory_order_relaxed) == Wake::signalled) {
    signalled_ = wake_.exchange(Wake::running, std::memory_order_acq_rel) == Wake::signalled;
  }
  return events;
}

void IoThread::turn(std::size_t events) noexcept {
  turn_again_ = false;
  ends_ = 0;
  if (signalled_) {
    signalled_ = false;
    handler_.on_wake();
  }
  rerun_all();
  for (std::size_t index = 0; index < events; index++) dispatch(poller_.event(index));
  const std::uint64_t now = turn_ms();
  if (next_listener_ms_ <= now) resume_listeners(now);
  if (next_deadline_ms_ <= now) close_expired(now);
  if (handler_.next_timer_ms() <= now) handler_.on_timers(now);
  end_turn();
  if (!line_.empty() || listener_ready_) [[unlikely]] serve_second(events);
}

void IoThread::end_turn() noexcept {
  handler_.on_turn_end();
  flush_all();
  free_released();
  counters_.add(contract::Counter::loop_turns);
}

void IoThread::dispatch(const PollEvent& event) noexcept {
  const PollTag tag = event.tag();
  switch (tag.kind()) {
    case PollTag::Kind::connection:
      on_ready(*static_cast<Connection*>(tag.object()), event);
      break;
    case PollTag::Kind::listener: {
      auto* listener = static_cast<Listener*>(tag.object());
      // An earlier call in this turn may have removed it.
      if (Listening* listening = find(*listener)) {
        listening->ready = true;
        listener_ready_ = true;
      }
      break;
    }
    case PollTag::Kind::wake:
      counters_.add(contract::Counter::wakeups);
      break;
  }
}

void IoThread::on_ready(Connection& connection, const PollEvent& event) noexcept {
  // An earlier event of this turn may have ended it; its memory is still there.
  if (connection.state_ == Connection::State::released) return;
  if (comes_second(connection, event)) [[unlikely]] {
    if (event.writable() && connection.state_ == Connection::State::open) {
      connection.unset(Connection::kBlocked);
      connection.mark();
    }
    line_up(connection);
    return;
  }
  if (connection.has(Connection::kEnded)) {
    unwatch(connection);  // the handler takes its time: a hang-up must not wake us all along
    return;
  }
  if (event.writable()) {
    connection.unset(Connection::kBlocked);
    connection.mark();
  }
  if (connection.state_ == Connection::State::closing) {
    // The flush at the end of the turn finds out how it ended.
    if (event.hung_up()) {
      connection.unset(Connection::kBlocked);
      connection.mark();
    }
    return;
  }
  if (!event.readable() && !event.hung_up()) return;
  if (connection.paused()) {
    if (event.hung_up()) {
      hang_up_while_paused(connection);
    } else {
      set_interest(connection);
    }
    return;
  }
  // Bytes that are left over go first; the poller reports the others again.
  if (!connection.has(Connection::kInRerun)) receive(connection);
}

void IoThread::finish() noexcept {
  handler_.on_stop();
  burying_ = true;
  while (!listeners_.empty()) remove_listener(*listeners_.back().listener);
  while (!connections_.empty()) destroy(*connections_.back());
  free_released();
  connections_.clear();
}

}  // namespace stmqtt
