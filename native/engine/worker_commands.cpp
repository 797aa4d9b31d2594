// Worker: connections that come from other threads, and commands of TypeScript's.
#include <algorithm>
#include <cstring>

#include "engine/engine.hpp"
#include "engine/worker.hpp"
#include "session/delay_steps.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::CommandKind;
using contract::Counter;
using contract::EventKind;

namespace {
constexpr std::uint32_t kFineLogsPerSecond = 1000;
/// How often clients are looked at that still wait for something when the broker stops.
constexpr std::uint64_t kDrainLookMs = 5;

/// Of commands in one turn, so that those who are connected get theirs: 64 clients that come or go,
/// or as many messages as one batch of events brings.
constexpr std::uint32_t kSharePerTurn = 4096;

std::uint32_t share_of(CommandKind kind) noexcept {
  switch (kind) {
    case CommandKind::verdict:
    case CommandKind::link_open:
    case CommandKind::link_close:
    case CommandKind::disconnect:
    case CommandKind::query:
      return kSharePerTurn / 64;
    case CommandKind::link_bytes:
    case CommandKind::link_credit:
    case CommandKind::drain:
    case CommandKind::publish:
    case CommandKind::hook_verdict:
    case CommandKind::direct_write:
      return 1;
  }
  return 1;
}
}

void Worker::put(InboxItem&& item) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(item));
  }
  io_.wake();
}

void Worker::put_arrival(Arrival&& arrival) {
  engine_.connection_leaves();
  put(std::move(arrival));
}

void Worker::take_inbox() noexcept {
  std::uint32_t share = kSharePerTurn;
  bool done = take_items(share);  // what was left
  if (done) {
    {
      const std::lock_guard lock(inbox_mutex_);
      taken_.swap(inbox_);
    }
    done = take_items(share);
  }
  if (!done) io_.wake();
}

/// In order; false: this turn's share is spent, and the rest waits for the next turn.
bool Worker::take_items(std::uint32_t& share) noexcept {
  for (; taken_at_ < taken_.size(); ++taken_at_) {
    if (auto* commands = std::get_if<CommandBytes>(&taken_[taken_at_])) {
      if (!take_commands(*commands, share)) return false;
    } else {
      take_item(taken_[taken_at_]);
    }
  }
  taken_.clear();
  taken_at_ = 0;
  return true;
}

void Worker::take_item(InboxItem& item) noexcept {
  if (auto* arrival = std::get_if<Arrival>(&item)) {
    take_arrival(*arrival);
    engine_.connection_came();
  } else if (auto* gone = std::get_if<LinkGone>(&item)) {
    forget_routes(*gone);
  } else if (auto* trace = std::get_if<TraceChange>(&item)) {
    take_trace(*trace);
  } else if (auto* change = std::get_if<RulesChange>(&item)) {
    shard_.set_turn(io_.turn_ns());
    shard_.set_rules(std::move(change->rules));
  } else if (auto* hooks = std::get_if<HooksChange>(&item)) {
    shard_.set_turn(io_.turn_ns());
    shard_.set_hooks(std::move(hooks->hooks));
  } else if (std::holds_alternative<BansChanged>(item)) {
    shard_.set_turn(io_.turn_ns());
    shard_.check_bans();
  } else if (auto* settings = std::get_if<Settings>(&item)) {
    take_settings(*settings->live);
  } else {
    take_listener(std::get<ListenerChange>(item));
  }
}

void Worker::take_arrival(Arrival& arrival) noexcept {
  shard_.set_turn(io_.turn_ns());
  if (arrival.link != nullptr) return take_link(arrival);
  const ListenerId listener = arrival.socket.listener;
  if (drain_deadline_ms_ != 0) {  // too late
    engine_.connection_closed(listener, arrival.socket.peer, arrival.counted);
    if (arrival.connecting != nullptr) ConnectState::destroy(arrival.connecting);
    const int fd = std::exchange(arrival.socket.fd, -1);
    if (fd >= 0) io_.reject(fd);
    return;
  }
  Connection* connection = io_.adopt(std::move(arrival.socket), nullptr, Standing::newcomer);
  if (connection == nullptr) {
    engine_.connection_closed(listener, arrival.socket.peer, arrival.counted);
    if (arrival.connecting != nullptr) ConnectState::destroy(arrival.connecting);
    return;
  }
  open_connections_.fetch_add(1, std::memory_order_relaxed);
  connection->counted = arrival.counted;
  if (arrival.connecting == nullptr) {
    connection->user = &shard_.open(*connection, connection, *arrival.limits, listener,
                                    ClientKind::socket);
    return;
  }
  Client& client = shard_.arrive(*connection, connection, *arrival.limits, listener,
                                 ClientKind::socket, arrival.connection_id, arrival.connecting);
  connection->user = &client;
  shard_.settle(client);
}

void Worker::take_listener(const ListenerChange& change) noexcept {
  ListenerEntry& entry = *change.entry;
  if (change.kind == ListenerChange::Kind::remove) {
    io_.remove_listener(entry.socket);
    entry.socket.close();
    return engine_.listener_closed(entry);
  }
  if (drain_deadline_ms_ != 0 || entry.removed.load(std::memory_order_relaxed)) return;
  const SystemError error = io_.add_listener(entry.socket, entry.pacing);
  if (error) log(contract::LogLevel::error, CloseCause::socket_error, as_bytes("listener failed"));
}

void Worker::take_settings(const LiveOptions& live) noexcept {
  live_ = live;
  io_.set_accepts_per_turn(live.accepts_per_turn);
  io_.set_watermarks(live.outbound_high_watermark_bytes, live.outbound_low_watermark_bytes);
  shard_.set_verdicts(live.authenticate ? Verdicts::wanted : Verdicts::none,
                      live.enhanced_auth ? Verdicts::wanted : Verdicts::none,
                      live.verdict_timeout_ms);
  shard_.set_device(std::make_shared<const DeviceOptions>(live.device));
  shard_.set_match_cache(live.match_cache_bytes);
  shard_.set_log_rules(live_.log);
  shard_.set_turn(io_.turn_ns());
  shard_.logs().set_options(live_.logs);
  DelaySteps::configure(shard_, live.delayed);
  tap_changed();
}

void Worker::take_trace(TraceChange& change) noexcept {
  shard_.set_turn(io_.turn_ns());
  if (change.trace != nullptr) {
    shard_.add_trace(std::move(change.trace));
  } else {
    shard_.remove_trace(change.id);
  }
  tap_changed();
}

void Worker::tap_changed() noexcept {
  io_.set_tap(shard_.taps() ? IoThread::Tap::on : IoThread::Tap::off);
  for (const auto& [id, link] : links_) link->shown = link->queue.bytes();
}

bool Worker::take_commands(const CommandBytes& commands, std::uint32_t& share) noexcept {
  shard_.set_turn(io_.turn_ns());
  while (record_at_ < commands.records.size()) {
    contract::RecordHeader header;
    const std::uint8_t* record = commands.records.data() + record_at_;
    std::memcpy(&header, record, sizeof header);
    const auto kind = static_cast<CommandKind>(header.kind);
    const std::uint32_t costs = share_of(kind);
    if (share < costs) return false;
    share -= costs;
    record_at_ += header.record_bytes;
    if (commands.hop == 0) counters_.add(Counter::commands_received);
    take_command(record, kind, commands.hop);
  }
  record_at_ = 0;
  return true;
}

/// The lengths in it were checked when it was taken from JavaScript (Engine::submit).
void Worker::take_command(const std::uint8_t* record, CommandKind kind,
                          std::uint32_t hop) noexcept {
  switch (kind) {
    case CommandKind::verdict: {
      contract::Verdict verdict;
      std::memcpy(&verdict, record, sizeof verdict);
      shard_.on_verdict(Shard::client_ref(verdict.connection_id), verdict,
                        VerdictTexts::of(verdict, record + sizeof verdict));
      return;
    }
    case CommandKind::link_open: {
      contract::LinkOpen open;
      std::memcpy(&open, record, sizeof open);
      return open_link(open, {record + sizeof open, open.device_id_bytes});
    }
    case CommandKind::link_bytes:
    case CommandKind::link_credit:
    case CommandKind::link_close:
      return take_link_command(record, kind, hop);
    case CommandKind::disconnect: {
      contract::Disconnect disconnect;
      std::memcpy(&disconnect, record, sizeof disconnect);
      const std::uint8_t* at = record + sizeof disconnect;
      return shard_.disconnect({at, disconnect.client_id_bytes}, disconnect.instance,
                               static_cast<wire::ReasonCode>(disconnect.reason_code),
                               {at + disconnect.client_id_bytes, disconnect.reason_text_bytes});
    }
    case CommandKind::drain: {
      contract::Drain drain_command;
      std::memcpy(&drain_command, record, sizeof drain_command);
      return drain(drain_command.deadline_ms);
    }
    case CommandKind::publish: {
      contract::Publish publish;
      std::memcpy(&publish, record, sizeof publish);
      const std::uint8_t* at = record + sizeof publish;
      MessageParts parts;
      parts.topic = {at, publish.topic_bytes};
      parts.payload = {at + publish.topic_bytes, publish.payload_bytes};
      parts.qos = publish.qos;
      parts.retain = publish.retain != 0;
      if (publish.expiry_s != 0) parts.expires_at_ms = shard_.now_ms() + publish.expiry_s * 1000ULL;
      return shard_.publish_own(parts);
    }
    case CommandKind::hook_verdict: {
      contract::HookVerdict verdict;
      std::memcpy(&verdict, record, sizeof verdict);
      return shard_.on_hook_verdict(verdict,
                                    HookVerdictTexts::of(verdict, record + sizeof verdict));
    }
    case CommandKind::query:
      return take_query(record);
    case CommandKind::direct_write:
      return take_write(record);
  }
}

/// As a query about a session, it follows the session where that has moved meanwhile.
void Worker::take_write(const std::uint8_t* record) noexcept {
  contract::DirectWrite write;
  std::memcpy(&write, record, sizeof write);
  const std::uint8_t* at = record + sizeof write;
  const Bytes client_id{at, write.client_id_bytes};
  SessionRef session = shard_.find_home(client_id, write.instance);
  if (session.valid() && session.thread == index_ && write.instance == contract::kAnyInstance) {
    const Instance there = shard_.who_is_there(session);
    session = there.session;
    write.instance = there.number;
  }
  if (session.valid() && session.thread != index_) {
    std::vector<std::uint8_t> aimed(record, record + write.header.record_bytes);
    std::memcpy(aimed.data(), &write, sizeof write);
    return forward(aimed, session.thread, 1);
  }
  MessageParts parts;
  parts.topic = {client_id.data() + client_id.size(), write.topic_bytes};
  parts.properties = {parts.topic.data() + parts.topic.size(), write.properties_bytes};
  parts.payload = {parts.properties.data() + parts.properties.size(), write.payload_bytes};
  shard_.direct_write(session, write, client_id, parts);
}

void Worker::drain(std::uint32_t deadline_ms) noexcept {
  if (drain_deadline_ms_ != 0) return;
  drain_deadline_ms_ = io_.turn_ms() + deadline_ms;
  engine_.for_each_listener([this](ListenerEntry& entry) {
    if (entry.thread == index_) take_listener({&entry, ListenerChange::Kind::remove});
  });
  // Bytes that were flushed late are cut at the deadline; queues that wait for acknowledgements
  // before, so that their connections can still say goodbye.
  drain_close_ms_ = drain_deadline_ms_ - deadline_ms / 4;
  io_.limit_deadlines(drain_deadline_ms_);
  shard_.begin_drain();
  drain_step_ = DrainStep::quieting;
  drain_look_ms_ = drain_close_ms_;
  io_.wake();  // on_turn_end goes on
}

/// What was acknowledged reaches its receivers: no thread takes messages any more, then all that
/// crosses has arrived, then each client gets what its session holds, and is told goodbye.
void Worker::step_drain() noexcept {
  const std::uint64_t now = io_.turn_ms();
  const bool late = now >= drain_close_ms_;
  if (drain_step_ == DrainStep::quieting) {
    if ((has_overflow_.load(std::memory_order_relaxed) || shard_.holds()) && !late) return;
    shard_.end_holds();  // only where it is late
    drain_step_ = DrainStep::quiet;
    engine_.thread_quiet();
    drain_look_ms_ = drain_close_ms_;  // a thread that is stuck holds nobody up for ever
  }
  if (drain_step_ == DrainStep::quiet) {
    if (!engine_.all_quiet() && !late) return;
    take_crossed();  // all of it is visible now, and no ring holds more than one call takes
    drain_step_ = DrainStep::closing;
    drain_look_ms_ = now;
  }
  if (drain_step_ == DrainStep::closing && now >= drain_look_ms_) {
    if (late) shard_.end_asks();
    const std::size_t left = shard_.close_finished();
    drain_look_ms_ = std::min(now + kDrainLookMs, drain_close_ms_);
    if (left > 0 && late) {
      for (std::size_t cut = shard_.close_all(); cut > 0; --cut) engine_.count_unflushed();
    }
    if (left == 0 || late) {
      drain_step_ = DrainStep::closed;
      drain_look_ms_ = ~std::uint64_t{0};
    }
    io_.wake();  // what was closed is flushed, and somebody must look whether all are gone
  }
  check_drained();
}

void Worker::check_drained() noexcept {
  if (open_connections_.load(std::memory_order_relaxed) > 0 || !links_.empty()) return;
  if (!drain_reported_) {
    drain_reported_ = true;
    engine_.thread_drained();
  }
  if (!engine_.tell_drained()) return;
  contract::Drained event{};
  event.unflushed_connections = engine_.unflushed();
  event_now(EventKind::drained, event.header, sizeof event, {});
}

/// At most ten a second from each thread, and of debug and trace a thousand, so that those who look
/// closely see something, and the others lose nothing by it. The next one tells how many were left
/// out.
bool Worker::admit_log(contract::Log& record, Bytes client_id) noexcept {
  const auto level = static_cast<contract::LogLevel>(record.level);
  if (!live_.log.wants(level, static_cast<contract::LogModule>(record.module), client_id)) {
    return false;
  }
  if (level >= contract::LogLevel::debug) {
    const std::uint64_t second = io_.turn_ms() / 1000;
    if (second != fine_log_second_) fine_logs_ = 0;
    fine_log_second_ = second;
    if (++fine_logs_ > kFineLogsPerSecond) {
      ++suppressed_fine_logs_;
      counters_.add(Counter::log_records_suppressed);
      return false;
    }
    record.suppressed = std::exchange(suppressed_fine_logs_, 0);
    return true;
  }
  if (io_.turn_ms() - last_log_ms_ < 100) {
    ++suppressed_logs_;
    counters_.add(Counter::log_records_suppressed);
    return false;
  }
  last_log_ms_ = io_.turn_ms();
  record.suppressed = std::exchange(suppressed_logs_, 0);
  return true;
}

void Worker::log(contract::LogLevel level, CloseCause cause, Bytes text) noexcept {
  contract::Log event{};
  event.cause = static_cast<std::uint16_t>(cause);
  event.level = static_cast<std::uint8_t>(level);
  event.module = static_cast<std::uint8_t>(contract::LogModule::listener);
  event.text_bytes = static_cast<std::uint32_t>(text.size());
  this->event(EventKind::log, event.header, sizeof event, {Bytes{}, Bytes{}, text});
}

}  // namespace stmqtt
