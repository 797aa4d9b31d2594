// Worker: what its shard asks of it.
#include <chrono>

#include "engine/engine.hpp"
#include "engine/worker.hpp"

namespace stmqtt {

using contract::Counter;
using contract::EventKind;

namespace {

constexpr std::uint64_t kCloseFlushMs = 5'000;

Connection* socket_of(const Client& client) noexcept {
  return client.is_link ? nullptr : static_cast<Connection*>(client.transport);
}
Link* link_of(const Client& client) noexcept {
  return client.is_link ? static_cast<Link*>(client.transport) : nullptr;
}

/// Events that are left out where TypeScript is far behind. Those that stay are bounded by the
/// number of clients. A CONNECT that cannot be asked about is refused by the shard.
bool may_be_dropped(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::connect_request:
    case EventKind::auth_request:
    case EventKind::connected:
    case EventKind::refused:
    case EventKind::session_ended:
    case EventKind::log:
    case EventKind::alert:
    case EventKind::trace:
    case EventKind::publish_hook:
    case EventKind::subscribe_hook:
    case EventKind::deliver_hook:
    case EventKind::notice:
      return true;
    case EventKind::disconnected:
    case EventKind::link_bytes:
    case EventKind::link_closed:
    case EventKind::drained:
    case EventKind::trace_end:
    case EventKind::reply:
    case EventKind::written:
      return false;
  }
  return false;
}

}  // namespace

void Worker::post(ThreadIndex to, CrossItem&& item) noexcept {
  outboxes_[to]->post(std::move(item));
}

bool Worker::crossing() const noexcept {
  for (const auto& outbox : outboxes_) {
    if (outbox->taken() != outbox->posted()) return true;
  }
  return false;
}

void Worker::mark_crossing() noexcept {
  for (const auto& outbox : outboxes_) outbox->mark();
}

bool Worker::passed_mark() const noexcept {
  for (const auto& outbox : outboxes_) {
    if (!outbox->passed_mark()) return false;
  }
  return true;
}

bool Worker::congested() const noexcept {
  std::size_t bytes = 0;
  for (const auto& outbox : outboxes_) bytes += outbox->overflow_bytes();
  // Between the bounds it stays as it was.
  if (bytes > Outbox::kHighBytes) return const_cast<Worker*>(this)->was_congested_ = true;
  return was_congested_ && bytes > Outbox::kLowBytes;
}

bool Worker::event(EventKind kind, contract::RecordHeader& fixed, std::size_t fixed_bytes,
                   std::initializer_list<Bytes> strings) noexcept {
  const bool wanted =
      (live_.event_mask >> static_cast<unsigned>(kind) & 1U) != 0;
  // A trace was asked for by its own call.
  const bool always = kind == EventKind::connect_request || kind == EventKind::auth_request ||
                      kind == EventKind::trace || kind == EventKind::trace_end ||
                      kind == EventKind::publish_hook || kind == EventKind::deliver_hook ||
                      kind == EventKind::subscribe_hook || kind == EventKind::notice;
  if (!wanted && !always) return false;
  if (kind == EventKind::log &&
      !admit_log(reinterpret_cast<contract::Log&>(fixed), *strings.begin())) {
    return false;
  }
  if (kind == EventKind::session_ended && (live_.event_mask & contract::kMaskEndsWithConnection) == 0 &&
      reinterpret_cast<contract::SessionEnded&>(fixed).cause ==
          static_cast<std::uint16_t>(contract::SessionEndCause::with_connection)) {
    return false;
  }
  if (kind == EventKind::trace) {
    reinterpret_cast<contract::Trace&>(fixed).time_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now().time_since_epoch())
            .count());
  }
  if (may_be_dropped(kind) && events_.crowded()) {
    if (kind == EventKind::publish_hook || kind == EventKind::subscribe_hook ||
        kind == EventKind::deliver_hook) {
      return false;  // not left out: its client waits
    }
    counters_.add(Counter::events_dropped);
    return false;
  }
  event_now(kind, fixed, fixed_bytes, strings);
  return true;
}

void Worker::event_now(EventKind kind, contract::RecordHeader& fixed, std::size_t fixed_bytes,
                       std::initializer_list<Bytes> strings) noexcept {
  events_.write(kind, fixed, fixed_bytes, strings);
  counters_.add(Counter::events_sent);
  counters_.add(Counter::event_bytes, fixed.record_bytes);
}

/// At most one for each that TypeScript has under way: no bound leaves it out.
void Worker::written(contract::Written& event) noexcept {
  event_now(EventKind::written, event.header, sizeof event, {});
}

void Worker::move_client(Client& client, ThreadIndex to) noexcept {
  auto arrival = std::make_unique<Arrival>();
  arrival->connecting = client.connecting;
  arrival->connection_id = client.connection_id;
  arrival->limits = client.limits;
  if (Link* link = link_of(client)) {
    link->client = nullptr;
    const auto found = links_.find(link->id);
    link_routes_[route_key(link->id, link->hop++)] = to;
    // Its outlet belongs to this thread's flush list: a new link object takes over there.
    arrival->link = std::move(found->second);
    arrival->link->unmark();
    links_.erase(found);
    engine_.worker(to).put_arrival(std::move(*arrival));
    return;
  }
  Connection& connection = *socket_of(client);
  connection.user = nullptr;
  arrival->counted = std::exchange(connection.counted, std::uint8_t{0});
  open_connections_.fetch_sub(1, std::memory_order_relaxed);
  if (in_bytes_ == &connection) {
    moving_ = &connection;
    move_ = std::move(arrival);
    move_to_ = to;
    return;
  }
  arrival->socket = io_.detach(connection, {});
  engine_.worker(to).put_arrival(std::move(*arrival));
}

void Worker::close_client(Client& client, CloseMode mode,
                          contract::CloseCause cause) noexcept {
  if (Link* link = link_of(client)) {
    link->client = nullptr;
    link->close_cause = cause;
    link->closing = true;
    link->mark();
    return;
  }
  Connection& connection = *socket_of(client);
  connection.user = nullptr;
  if (connection.channel() != nullptr) count_channel_end(connection);
  handshake_over(connection);
  if (mode == CloseMode::now) {
    release(connection);
    return;
  }
  const std::uint64_t deadline =
      drain_deadline_ms_ != 0 ? drain_deadline_ms_ : io_.turn_ms() + kCloseFlushMs;
  io_.close_after_flush(connection, deadline);
}

void Worker::show_written(Client& client) noexcept {
  if (Link* link = link_of(client)) {
    shard_.show_outbound(client, link->queue, link->shown);
    link->shown = link->queue.bytes();
    return;
  }
  Connection& connection = *socket_of(client);
  shard_.show_outbound(client, connection.queue, IoThread::counted(connection));
  io_.count_outbound(connection);
}

void Worker::pause(Client& client, PauseCause cause) noexcept {
  if (Connection* connection = socket_of(client)) io_.pause(*connection, cause);
}

void Worker::resume(Client& client, PauseCause cause) noexcept {
  if (Connection* connection = socket_of(client)) {
    io_.resume(*connection, cause);
    return;
  }
  Link& link = *link_of(client);
  if (link.rerun) return;
  link.rerun = true;
  rerun_links_.push_back(link.id);
  io_.wake();  // the bytes it kept are handled in the next turn
}

Bytes Worker::address(const Client& client, char* buffer) const noexcept {
  if (client.is_link) {
    static constexpr std::string_view kLink = "link";
    return as_bytes(kLink);
  }
  const auto* connection = static_cast<const Connection*>(client.transport);
  const std::size_t bytes =
      connection->peer().to_text(*reinterpret_cast<char(*)[PeerAddress::kMaxTextBytes]>(buffer));
  return {reinterpret_cast<const std::uint8_t*>(buffer), bytes};
}

IpAddress Worker::ip_address(const Client& client) const noexcept {
  if (client.is_link) return {};
  const PeerAddress& peer = static_cast<const Connection*>(client.transport)->peer();
  switch (peer.family) {
    case PeerAddress::Family::ipv4:
      return IpAddress::v4(peer.address);
    case PeerAddress::Family::ipv6:
      return IpAddress::v6(peer.address);
    case PeerAddress::Family::none:
    case PeerAddress::Family::unix_socket:
      break;
  }
  return {};
}

Bytes Worker::listener_name(std::uint32_t id) const noexcept {
  const ListenerEntry* entry = engine_.listener(id);
  return entry == nullptr ? Bytes{} : as_bytes(entry->name);
}

Admission Worker::admission(std::uint32_t id) const noexcept {
  const ListenerEntry* entry = engine_.listener(id);
  return entry == nullptr ? Admission::judged : entry->admission.load(std::memory_order_acquire);
}

void Worker::make_uuid(char out[36]) noexcept {
  stmqtt::make_uuid(*reinterpret_cast<char(*)[36]>(out));
}

}  // namespace stmqtt
