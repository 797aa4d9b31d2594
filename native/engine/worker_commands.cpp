// Worker: connections that come from other threads, and commands of TypeScript's.
#include <cstring>

#include "engine/engine.hpp"
#include "engine/worker.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::CommandKind;
using contract::Counter;
using contract::EventKind;

void Worker::put(InboxItem&& item) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(item));
  }
  io_.wake();
}

void Worker::take_inbox() noexcept {
  {
    const std::lock_guard lock(inbox_mutex_);
    taken_.swap(inbox_);
  }
  for (InboxItem& item : taken_) {
    if (auto* arrival = std::get_if<Arrival>(&item)) {
      take_arrival(*arrival);
    } else if (auto* commands = std::get_if<CommandBytes>(&item)) {
      take_commands(*commands);
    } else {
      take_listener(std::get<ListenerChange>(item));
    }
  }
  taken_.clear();
}

void Worker::take_arrival(Arrival& arrival) noexcept {
  shard_.set_now(io_.turn_ms());
  if (arrival.link != nullptr) {
    // The outlet must be on this thread's flush list.
    auto link = std::make_unique<Link>(io_.flush_list(), arrival.link->id);
    link->credit_bytes = arrival.link->credit_bytes;
    link->credit_limit = arrival.link->credit_limit;
    link->unread = std::move(arrival.link->unread);
    link->queue = std::move(arrival.link->queue);
    Link& kept = *link;
    links_.emplace(kept.id, std::move(link));
    Client& client = shard_.arrive(kept, &kept, *arrival.limits, 0, ClientKind::link,
                                   arrival.connection_id, arrival.connecting);
    kept.client = &client;
    const std::uint32_t id = kept.id;
    shard_.settle(client);  // may close it, or move it once more
    if (links_.contains(id)) feed_link(*links_[id]);
    return;
  }
  const ListenerId listener = arrival.socket.listener;
  if (drain_deadline_ms_ != 0) {  // too late
    engine_.connection_closed(listener);
    if (arrival.connecting != nullptr) ConnectState::destroy(arrival.connecting);
    const int fd = std::exchange(arrival.socket.fd, -1);
    if (fd >= 0) io_.reject(fd);
    return;
  }
  Connection* connection = io_.adopt(std::move(arrival.socket), nullptr);
  if (connection == nullptr) {
    engine_.connection_closed(listener);
    if (arrival.connecting != nullptr) ConnectState::destroy(arrival.connecting);
    return;
  }
  open_connections_.fetch_add(1, std::memory_order_relaxed);
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
    return;
  }
  if (drain_deadline_ms_ != 0) return;
  const SystemError error = io_.add_listener(entry.socket);
  if (error) log(contract::LogLevel::error, CloseCause::socket_error, as_bytes("listener failed"));
}

void Worker::take_commands(const CommandBytes& commands) noexcept {
  shard_.set_now(io_.turn_ms());
  std::size_t at = 0;
  while (at < commands.records.size()) {
    contract::RecordHeader header;
    std::memcpy(&header, commands.records.data() + at, sizeof header);
    counters_.add(Counter::commands_received);
    take_command(commands.records.data() + at, static_cast<CommandKind>(header.kind));
    at += header.record_bytes;
  }
}

/// The lengths in it were checked when it was taken from JavaScript (Engine::submit).
void Worker::take_command(const std::uint8_t* record, CommandKind kind) noexcept {
  switch (kind) {
    case CommandKind::verdict: {
      contract::Verdict verdict;
      std::memcpy(&verdict, record, sizeof verdict);
      const std::uint8_t* at = record + sizeof verdict;
      const Bytes client_id{at, verdict.client_id_bytes};
      const Bytes username{at + verdict.client_id_bytes, verdict.username_bytes};
      const Bytes reason{username.data() + username.size(), verdict.reason_text_bytes};
      shard_.on_verdict(Shard::client_ref(verdict.connection_id), verdict, client_id, username,
                        reason);
      return;
    }
    case CommandKind::link_open: {
      contract::LinkOpen open;
      std::memcpy(&open, record, sizeof open);
      return open_link(open);
    }
    case CommandKind::link_bytes: {
      contract::LinkBytes bytes;
      std::memcpy(&bytes, record, sizeof bytes);
      return link_bytes(bytes, {record + sizeof bytes, bytes.data_bytes});
    }
    case CommandKind::link_credit: {
      contract::LinkCredit credit;
      std::memcpy(&credit, record, sizeof credit);
      const auto found = links_.find(credit.link_id);
      if (found == links_.end()) break;
      Link& link = *found->second;
      const std::uint64_t total = std::uint64_t{link.credit_bytes} + credit.consumed_bytes;
      link.credit_bytes = static_cast<std::uint32_t>(
          total < link.credit_limit ? total : std::uint64_t{link.credit_limit});
      if (!link.queue.empty()) link.mark();
      return;
    }
    case CommandKind::link_close: {
      contract::LinkClose close;
      std::memcpy(&close, record, sizeof close);
      const auto found = links_.find(close.link_id);
      if (found == links_.end()) break;
      Link& link = *found->second;
      link.close_cause = CloseCause::link_closed;
      if (link.client != nullptr) shard_.on_end(*link.client, CloseCause::link_closed);
      return;
    }
    case CommandKind::disconnect: {
      contract::Disconnect disconnect;
      std::memcpy(&disconnect, record, sizeof disconnect);
      const std::uint8_t* at = record + sizeof disconnect;
      return shard_.disconnect({at, disconnect.client_id_bytes},
                               static_cast<wire::ReasonCode>(disconnect.reason_code),
                               {at + disconnect.client_id_bytes, disconnect.reason_text_bytes});
    }
    case CommandKind::drain: {
      contract::Drain drain_command;
      std::memcpy(&drain_command, record, sizeof drain_command);
      return drain(drain_command.deadline_ms);
    }
  }
  counters_.add(Counter::commands_stale);
}

void Worker::open_link(const contract::LinkOpen& command) noexcept {
  auto link = std::make_unique<Link>(io_.flush_list(), command.link_id);
  link->credit_bytes = link->credit_limit = command.credit_bytes;
  Link& kept = *link;
  links_.emplace(command.link_id, std::move(link));
  if (drain_deadline_ms_ != 0) {
    kept.close_cause = CloseCause::shutting_down;
    kept.closing = true;
    kept.mark();
    return;
  }
  kept.client = &shard_.open(kept, &kept, engine_.link_limits(), 0, ClientKind::link);
}

void Worker::link_bytes(const contract::LinkBytes& command, Bytes bytes) noexcept {
  const auto found = links_.find(command.link_id);
  if (found == links_.end()) {
    counters_.add(Counter::commands_stale);
    return;
  }
  Link& link = *found->second;
  link.unread.insert(link.unread.end(), bytes.begin(), bytes.end());
  feed_link(link);
}

void Worker::feed_link(Link& link) noexcept {
  if (link.client == nullptr || link.unread.empty()) return;
  const std::uint32_t id = link.id;
  // Taken out for the call: it may move or end the link.
  std::vector<std::uint8_t> bytes;
  bytes.swap(link.unread);
  const Received received = shard_.on_bytes(*link.client, {bytes.data(), bytes.size()});
  if (received.consumed == bytes.size()) return;
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(received.consumed));
  const auto found = links_.find(id);
  if (found != links_.end()) {
    found->second->unread = std::move(bytes);
  } else {
    engine_.forward_link_bytes(id, {bytes.data(), bytes.size()});
  }
}

void Worker::end_link(Link& link) noexcept {
  contract::LinkClosed event{};
  event.link_id = link.id;
  event.cause = static_cast<std::uint16_t>(link.close_cause);
  event_now(EventKind::link_closed, event.header, sizeof event, {});
  engine_.forget_link(link.id);
  links_.erase(link.id);
}

void Worker::drain(std::uint32_t deadline_ms) noexcept {
  if (drain_deadline_ms_ != 0) return;
  drain_deadline_ms_ = io_.turn_ms() + deadline_ms;
  engine_.for_each_listener([this](ListenerEntry& entry) {
    if (entry.thread == index_) take_listener({&entry, ListenerChange::Kind::remove});
  });
  shard_.close_all();
  io_.wake();  // on_turn_end must look whether all are gone
}

void Worker::check_drained() noexcept {
  if (drain_reported_ || open_connections_.load(std::memory_order_relaxed) > 0 ||
      !links_.empty()) {
    return;
  }
  drain_reported_ = true;
  if (!engine_.thread_drained()) return;
  contract::Drained event{};
  event.unflushed_connections = engine_.unflushed();
  event_now(EventKind::drained, event.header, sizeof event, {});
}

/// At most ten a second from each thread; the next one tells how many were left out.
void Worker::log(contract::LogLevel level, CloseCause cause, Bytes text) noexcept {
  if (level > engine_.options().log_level) return;
  if (io_.turn_ms() - last_log_ms_ < 100) {
    ++suppressed_logs_;
    counters_.add(Counter::log_records_suppressed);
    return;
  }
  last_log_ms_ = io_.turn_ms();
  contract::Log event{};
  event.suppressed = std::exchange(suppressed_logs_, 0);
  event.cause = static_cast<std::uint16_t>(cause);
  event.level = static_cast<std::uint8_t>(level);
  event.text_bytes = static_cast<std::uint32_t>(text.size());
  this->event(EventKind::log, event.header, sizeof event, {Bytes{}, Bytes{}, text});
}

}  // namespace stmqtt
