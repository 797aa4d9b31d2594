// Worker: what its I/O thread tells it.
#include <cstring>

#include "base/clock.hpp"
#include <algorithm>

#include "engine/engine.hpp"
#include "engine/worker.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;

namespace {

/// Items of one other thread handled in one turn; the rest waits for the next.
constexpr std::size_t kCrossedPerTurn = 8192;

IoThreadOptions io_options(const EngineOptions& options) {
  IoThreadOptions io;
  io.outbound_high_watermark_bytes = options.outbound_high_watermark_bytes;
  io.outbound_low_watermark_bytes = options.outbound_low_watermark_bytes;
  io.accepts_per_turn = options.accepts_per_turn;
  return io;
}

ShardOptions shard_options(const EngineOptions& options, ThreadIndex index) {
  ShardOptions shard;
  shard.thread = index;
  shard.threads = options.io_threads;
  shard.match_cache_bytes = options.match_cache_bytes;
  shard.client_id_prefix = options.client_id_prefix;
  shard.verdict_timeout_ms = options.verdict_timeout_ms;
  shard.authenticate = options.authenticate;
  shard.enhanced_auth = options.enhanced_auth;
  return shard;
}

}  // namespace

Worker::Worker(Engine& engine, ThreadIndex index, Store& store)
    : engine_(engine),
      index_(index),
      live_(engine.options()),
      io_(index, *this, counters_, io_options(engine.options())),
      gate_(store.open_gate(index, {[](void* io) { static_cast<IoThread*>(io)->wake(); }, &io_})),
      shard_(engine.tables(), gate_, *this, counters_, shard_options(engine.options(), index),
             now_ms()),
      random_(random_u64()) {
  shard_.set_log_rules(live_.log);
  shard_.set_device(std::make_shared<const DeviceOptions>(live_.device));
  shard_.logs().set_options(live_.logs);
  tap_changed();
  for (unsigned to = 0; to < engine.options().io_threads; ++to) {
    outboxes_.push_back(std::make_unique<Outbox>());
  }
}

Worker::~Worker() {
  // Clients point to outlets: links go after the shard's clients, which go in its destructor.
  taken_.erase(taken_.begin(), taken_.begin() + static_cast<std::ptrdiff_t>(taken_at_));
  for (std::vector<InboxItem>* items : {&taken_, &inbox_}) {
    for (InboxItem& item : *items) {
      if (auto* arrival = std::get_if<Arrival>(&item)) {
        if (arrival->connecting != nullptr) ConnectState::destroy(arrival->connecting);
      }
    }
  }
}

void Worker::on_accept_failed(ListenerId, int error, unsigned shed) noexcept {
  counters_.add(Counter::connections_refused, shed);
  counters_.add(Counter::refused_socket_error, shed);
  log(contract::LogLevel::error, CloseCause::socket_error, as_bytes(std::strerror(error)));
}

std::size_t Worker::on_bytes(Connection& connection, Bytes bytes) noexcept {
  auto* client = static_cast<Client*>(connection.user);
  if (client == nullptr) return bytes.size();
  if ((connection.counted & kAddressOpen) != 0 && !admit_late(connection)) [[unlikely]] {
    return bytes.size();
  }
  // After a long wait the shard's time is of the turn before: timers set from it would be early.
  shard_.set_turn(io_.turn_ns());
  in_bytes_ = &connection;
  const Received received = shard_.on_bytes(*client, bytes);
  in_bytes_ = nullptr;
  if (moving_ != nullptr) {
    // The shard gave the connection to another thread; what lies behind its CONNECT goes with it.
    Connection* moving = moving_;
    moving_ = nullptr;
    move_->socket = io_.detach(*moving, bytes.subspan(received.consumed));
    engine_.worker(move_to_).put_arrival(std::move(*move_));
    move_.reset();
    return received.consumed;
  }
  if (received.wanted > 0) connection.want(received.wanted);
  return received.consumed;
}

void Worker::on_writable(Connection& connection) noexcept {
  shard_.set_turn(io_.turn_ns());
  if (auto* client = static_cast<Client*>(connection.user)) shard_.on_writable(*client);
}

void Worker::on_end(Connection& connection, EndReason reason) noexcept {
  shard_.set_turn(io_.turn_ns());
  if (auto* client = static_cast<Client*>(connection.user)) {
    // close_client() releases it.
    shard_.on_end(*client, cause_of(reason), as_bytes(reason.text));
    return;
  }
  if (reason.kind == EndKind::deadline_passed && drain_deadline_ms_ != 0) {
    engine_.count_unflushed();
  }
  release(connection);
}

void Worker::on_put_off(Connection& connection) noexcept {
  shard_.set_turn(io_.turn_ns());
  shard_.on_end(*static_cast<Client*>(connection.user), CloseCause::client_disconnect);
}

void Worker::release(Connection& connection) noexcept {
  engine_.connection_closed(connection.listener(), connection.peer(),
                            std::exchange(connection.counted, std::uint8_t{0}));
  io_.release(connection);
  open_connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::on_wake() noexcept {
  shard_.set_turn(io_.turn_ns());
  take_inbox();
  take_crossed();
  if (readmit_.load(std::memory_order_relaxed)) readmit_listeners();
}

void Worker::take_crossed() noexcept {
  shard_.set_turn(io_.turn_ns());
  bool more = false;
  for (unsigned from = 0; from < engine_.options().io_threads; ++from) {
    if (from == index_) continue;
    const std::size_t count = engine_.worker(static_cast<ThreadIndex>(from))
                                  .outbox(index_)
                                  .consume([this](CrossItem&& item) { shard_.on_item(item); },
                                           kCrossedPerTurn);
    more = more || count == kCrossedPerTurn;
    // The producer may have overflow that waits for room in the ring.
    if (count > 0) engine_.worker(static_cast<ThreadIndex>(from)).consumed_by(index_);
  }
  if (more) io_.wake();
}

void Worker::on_timers(std::uint64_t now_ms) noexcept {
  static_cast<void>(now_ms);
  shard_.set_turn(io_.turn_ns());
  shard_.on_timers();
}

std::uint64_t Worker::next_timer_ms() noexcept {
  return std::min(shard_.next_timer_ms(), drain_look_ms_);
}

void Worker::on_turn_end() noexcept {
  shard_.set_turn(io_.turn_ns());
  for (std::size_t at = 0; at < rerun_links_.size(); ++at) {
    const auto found = links_.find(rerun_links_[at]);
    if (found == links_.end()) continue;
    found->second->rerun = false;
    feed_link(*found->second);
  }
  rerun_links_.clear();
  shard_.end_turn();
  bool overflow = false;
  for (unsigned to = 0; to < outboxes_.size(); ++to) {
    if (to == index_) continue;
    if (outboxes_[to]->flush()) engine_.worker(static_cast<ThreadIndex>(to)).wake();
    overflow = overflow || outboxes_[to]->has_overflow();
  }
  if (overflow != has_overflow_.load(std::memory_order_relaxed)) {
    has_overflow_.store(overflow, std::memory_order_seq_cst);
    // The consumer may have looked just before: look once more.
    if (overflow) io_.wake();
  }
  if (was_congested_ && !congested()) {
    was_congested_ = false;
    shard_.on_uncongested();
  }
  if (drain_deadline_ms_ != 0) step_drain();
  if (shard_.has_dismissals()) io_.wake();
  if (events_.publish()) engine_.wake_javascript();
}

void Worker::on_flush(Connection& connection, std::size_t from) noexcept {
  // What was written by who closed it was shown then.
  const auto* client = static_cast<const Client*>(connection.user);
  if (client != nullptr) shard_.show_outbound(*client, connection.queue, from);
}

void Worker::on_flushed(std::uint64_t turn_ns, std::uint64_t now_ns) noexcept {
  shard_.measure_turn(turn_ns, now_ns, latency_);
}

void Worker::on_stop() noexcept {
  links_.clear();
  static_cast<void>(events_.publish());  // what was written since the last turn's end can be read
}

}  // namespace stmqtt
