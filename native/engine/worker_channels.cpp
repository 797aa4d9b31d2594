// Worker: what lies between a listener's sockets and MQTT, and what is known from it.
#include "engine/engine.hpp"
#include "engine/worker.hpp"
#include "io/outside_tls.hpp"
#include "io/tls_channel.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;

namespace {

Counter counter_of(TlsFailureCause cause) noexcept {
  switch (cause) {
    case TlsFailureCause::unfinished:
      return Counter::tls_failed_unfinished;
    case TlsFailureCause::not_tls:
      return Counter::tls_failed_not_tls;
    case TlsFailureCause::version:
      return Counter::tls_failed_version;
    case TlsFailureCause::certificate:
      return Counter::tls_failed_certificate;
    case TlsFailureCause::refused:
      return Counter::tls_failed_refused;
    case TlsFailureCause::protocol:
      return Counter::tls_failed_protocol;
  }
  return Counter::tls_failed_protocol;
}

}  // namespace

void Worker::add_channels(ListenerEntry& entry, DetachedConnection& to) noexcept {
  // From the socket up: PROXY header, TLS, WebSocket.
  Channel* highest = nullptr;
  const auto add = [&](Channel* channel) {
    if (highest == nullptr) {
      to.channel = channel;
    } else {
      highest->set_above(channel);
    }
    highest = channel;
  };
  const ChannelSettings& settings = *entry.channels.load(std::memory_order_acquire);
  if (settings.proxy) add(make_proxy_channel(*settings.proxy));
  if (entry.has_tls) {
    const TlsContextRef context = entry.tls.get();
    add(TlsChannel::make(*context.get()));
  }
  if (entry.tls_outside) add(make_outside_channel());
  if (settings.websocket) add(make_websocket_channel(*settings.websocket));
  if (to.channel == nullptr) return;
  to.open_by_ms = io_.turn_ms() + entry.handshake_timeout_ms.load(std::memory_order_relaxed);
}

void Worker::on_open(Connection& connection) noexcept {
  SecureChannel* tls = SecureChannel::find(connection.channel());
  if (tls != nullptr) count_tls(*tls);
}

void Worker::count_tls(SecureChannel& tls) noexcept {
  if (!tls.take_done()) return;
  counters_.add(Counter::tls_handshakes);
  if (tls.resumed()) counters_.add(Counter::tls_resumed);
}

CloseCause Worker::cause_of(const EndReason& reason) noexcept {
  switch (reason.kind) {
    case EndKind::peer_closed:
      return CloseCause::peer_closed;
    case EndKind::channel_failed:
      break;
    case EndKind::socket_error:
    case EndKind::flushed:
    case EndKind::deadline_passed:
      return CloseCause::socket_error;
  }
  switch (reason.channel) {
    case ChannelKind::proxy:
      return CloseCause::proxy_header_invalid;
    case ChannelKind::tls:
      return CloseCause::tls_failed;
    case ChannelKind::websocket:
      return CloseCause::websocket_failed;
  }
  return CloseCause::socket_error;
}

void Worker::count_channel_end(const Connection& connection) noexcept {
  SecureChannel* tls = SecureChannel::find(connection.channel());
  if (tls == nullptr) return;
  if (tls->was_open()) return count_tls(*tls);  // what lies above it may not have come so far
  counters_.add(Counter::tls_handshakes_failed);
  counters_.add(counter_of(tls->cause()));
}

contract::Transport Worker::transport(const Client& client) const noexcept {
  const auto* connection = static_cast<const Connection*>(client.transport);
  if (client.is_link) return contract::Transport::tcp;
  const bool tls = find_channel(connection->channel(), ChannelKind::tls) != nullptr;
  if (find_channel(connection->channel(), ChannelKind::websocket) != nullptr) {
    return tls ? contract::Transport::wss : contract::Transport::ws;
  }
  if (tls) return contract::Transport::tls;
  return connection->peer().family == PeerAddress::Family::unix_socket
             ? contract::Transport::unix_socket
             : contract::Transport::tcp;
}

Bytes Worker::certificate(const Client& client) const noexcept {
  if (client.is_link) return {};
  SecureChannel* tls = SecureChannel::find(static_cast<const Connection*>(client.transport)->channel());
  if (tls == nullptr) return {};
  // Borrowed for the call: the connection does not keep it.
  const Bytes der = tls->certificate();
  certificate_.clear();
  for (const std::uint8_t byte : der) certificate_.push_back(byte);
  tls->drop_certificate();
  return {certificate_.begin(), certificate_.size()};
}

}  // namespace stmqtt
