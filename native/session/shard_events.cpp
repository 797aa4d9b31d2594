// Shard: what TypeScript and the operator are told.
#include "session/shard.hpp"

namespace stmqtt {

using contract::Counter;

namespace {

std::uint32_t length(Bytes bytes) noexcept { return static_cast<std::uint32_t>(bytes.size()); }

Bytes detail_of(const Closing& closing) noexcept {
  if (!closing.reason_text.empty()) return closing.reason_text;
  return closing.detail == nullptr ? Bytes{} : as_bytes(closing.detail);
}

Bytes username_of(const Client& client) noexcept {
  if (client.session == nullptr) return {};
  return {client.session->username, client.session->username_bytes};
}

/// What an operator should hear of: the peer broke the rules, was refused, or was let down by us.
/// Ends that belong to the daily round are events only.
bool is_fault(contract::CloseCause cause) noexcept {
  using contract::CloseCause;
  switch (cause) {
    case CloseCause::malformed_packet:
    case CloseCause::protocol_error:
    case CloseCause::packet_too_large:
    case CloseCause::refused:
    case CloseCause::receive_maximum_exceeded:
    case CloseCause::topic_alias_invalid:
    case CloseCause::quota_exceeded:
    case CloseCause::topic_invalid:
    case CloseCause::store_failed:
    case CloseCause::outbound_overflow:
    case CloseCause::version_refused:
    case CloseCause::connections_exceeded:
    case CloseCause::capability_refused:
    case CloseCause::not_authorized:
    case CloseCause::banned:
    case CloseCause::rate_exceeded:
    case CloseCause::tls_failed:
    case CloseCause::proxy_header_invalid:
    case CloseCause::websocket_failed:
    case CloseCause::hook_refused:
    case CloseCause::duplicate_client_id:
      return true;
    case CloseCause::none:
    case CloseCause::client_disconnect:
    case CloseCause::peer_closed:
    case CloseCause::socket_error:
    case CloseCause::keep_alive_timeout:
    case CloseCause::connect_timeout:
    case CloseCause::taken_over:
    case CloseCause::administrative:
    case CloseCause::shutting_down:
    case CloseCause::link_closed:
    case CloseCause::credentials_expired:
      return false;
  }
  return false;
}

/// The host limits the rate.
void log_fault(Host& host, const Client& client, const Closing& closing, Bytes client_id,
               Bytes from) noexcept {
  if (!is_fault(closing.cause)) return;
  const Bytes detail = detail_of(closing);
  const Bytes text = detail.empty() ? as_bytes(wire::reason_text(closing.reason)) : detail;
  contract::Log event{};
  event.connection_id = client.connection_id;
  event.cause = static_cast<std::uint16_t>(closing.cause);
  event.level = static_cast<std::uint8_t>(contract::LogLevel::warn);
  event.reason_code = static_cast<std::uint8_t>(closing.reason);
  event.module = static_cast<std::uint8_t>(contract::LogModule::session);
  event.client_id_bytes = length(client_id);
  event.address_bytes = length(from);
  event.text_bytes = length(text);
  if (client.session != nullptr) event.instance = client.session->key().instance();
  host.event(contract::EventKind::log, event.header, sizeof event, {client_id, from, text});
}

}  // namespace

void Shard::measure_turn(std::uint64_t turn_ns, std::uint64_t now_ns,
                         LatencyHistogram& into) noexcept {
  cx_.deliveries.measure(counters_.read(Counter::publish_sent_qos0) +
                             counters_.read(Counter::publish_sent_qos1) +
                             counters_.read(Counter::publish_sent_qos2),
                         turn_ns, now_ns, into);
}

void Shard::emit_connected(Client& client, std::uint8_t flags) noexcept {
  char address[Host::kAddressBytes];
  const Bytes from = host_.address(client, address);
  const Session& session = *client.session;
  contract::Connected event{};
  event.connection_id = client.connection_id;
  event.listener_id = client.listener_id;
  event.session_expiry_s = session.expiry_s;
  event.keep_alive_s = client.keep_alive_s;
  event.protocol_level = static_cast<std::uint8_t>(client.version);
  event.flags = flags;
  event.client_id_bytes = length(session.client_id());
  event.username_bytes = session.username_bytes;
  event.address_bytes = length(from);
  event.instance = session.key().instance();
  client.announced = host_.event(contract::EventKind::connected, event.header, sizeof event,
                                 {session.client_id(), username_of(client), from});
}

void Shard::emit_disconnected(const Client& client, const Closing& closing) noexcept {
  char address[Host::kAddressBytes];
  const Bytes from = host_.address(client, address);
  const Bytes client_id = client.session->client_id();
  log_fault(host_, client, closing, client_id, from);
  if (!client.announced) return;
  const Bytes detail = detail_of(closing);
  contract::Disconnected event{};
  event.connection_id = client.connection_id;
  event.cause = static_cast<std::uint16_t>(closing.cause);
  event.reason_code = static_cast<std::uint8_t>(closing.reason);
  event.flags = client.is_link ? contract::kConnectIsLink : 0;
  event.client_id_bytes = length(client_id);
  event.username_bytes = length(username_of(client));
  event.address_bytes = length(from);
  event.detail_bytes = length(detail);
  event.instance = client.session->key().instance();
  host_.event(contract::EventKind::disconnected, event.header, sizeof event,
              {client_id, username_of(client), from, detail});
}

void Shard::emit_refused(const Client& client, const Closing& closing) noexcept {
  char address[Host::kAddressBytes];
  const Bytes from = host_.address(client, address);
  const Bytes client_id =
      client.connecting == nullptr ? Bytes{} : client.connecting->view.client_id;
  log_fault(host_, client, closing, client_id, from);
  const Bytes detail = detail_of(closing);
  contract::Refused event{};
  event.connection_id = client.connection_id;
  event.listener_id = client.listener_id;
  event.cause = static_cast<std::uint16_t>(closing.cause);
  event.reason_code = static_cast<std::uint8_t>(closing.reason);
  event.protocol_level =
      client.connecting == nullptr ? 0 : static_cast<std::uint8_t>(client.version);
  event.client_id_bytes = length(client_id);
  event.address_bytes = length(from);
  event.detail_bytes = length(detail);
  host_.event(contract::EventKind::refused, event.header, sizeof event,
              {client_id, from, detail});
}

/// Sessions whose queues overflowed, at most once a second each turn's worth together.
void Shard::emit_alerts() noexcept {
  if (cx_.now_ms - last_alert_ms_ < 1000) return;
  last_alert_ms_ = cx_.now_ms;
  for (const SessionRef& ref : losers_) {
    Session* session = find_session(ref);
    if (session == nullptr) continue;
    contract::Alert event{};
    event.alert = static_cast<std::uint16_t>(contract::AlertKind::queue_overflow);
    event.count = session->take_lost();
    event.client_id_bytes = length(session->client_id());
    event.instance = session->key().instance();
    host_.event(contract::EventKind::alert, event.header, sizeof event, {session->client_id()});
  }
  losers_.clear();
}

void Shard::report_memory() noexcept {
  const std::int64_t message_bytes = Message::thread_bytes();
  counters_.add(Counter::message_bytes, message_bytes - counters_.read(Counter::message_bytes));
  const std::int64_t bytes = message_bytes + counters_.read(Counter::outbound_bytes);
  if (bytes == reported_bytes_) return;
  tables_.memory_bytes.fetch_add(bytes - reported_bytes_, std::memory_order_relaxed);
  reported_bytes_ = bytes;
}

/// Logs go before publishers pause.
void Shard::shed_logs() noexcept {
  const std::int64_t excess = tables_.memory_bytes.load(std::memory_order_relaxed) -
                              static_cast<std::int64_t>(
                                  tables_.max_memory_bytes.load(std::memory_order_relaxed));
  if (excess <= 0) return;
  logs_.shed(static_cast<std::uint64_t>(excess));
  report_memory();
}

/// The budget is used up: QoS 0 is being dropped, or publishers pause. At most every ten seconds.
void Shard::alert_memory() noexcept {
  if (last_memory_alert_ms_ != 0 && cx_.now_ms - last_memory_alert_ms_ < 10'000) return;
  last_memory_alert_ms_ = cx_.now_ms;
  contract::Alert event{};
  event.alert = static_cast<std::uint16_t>(contract::AlertKind::memory_budget);
  event.count = static_cast<std::uint64_t>(tables_.memory_bytes.load(std::memory_order_relaxed));
  host_.event(contract::EventKind::alert, event.header, sizeof event, {Bytes{}});
}

}  // namespace stmqtt
