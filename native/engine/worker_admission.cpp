// Worker: who may come, and how many at a time.
#include <utility>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "engine/worker.hpp"

namespace stmqtt {
namespace {

/// Behind a proxy, whose header tells it.
bool address_comes_late(const ListenerEntry& entry) noexcept {
  const ChannelSettings& channels = *entry.channels.load(std::memory_order_acquire);
  return channels.proxy || (channels.websocket && !channels.websocket->trusted.empty());
}

}  // namespace

using contract::CloseCause;
using contract::Counter;

std::uint32_t Worker::may_accept(ListenerId listener) noexcept {
  ListenerEntry* entry = engine_.listener(listener);
  if (entry == nullptr) return UINT32_MAX;
  const std::uint32_t room = engine_.room_for_handshakes(*entry);
  if (room == 0) counters_.add(Counter::accepts_held);
  return room;
}

void Worker::on_accepted(int fd, ListenerId listener, const PeerAddress& peer) noexcept {
  ListenerEntry* entry = engine_.listener(listener);
  std::uint8_t counted = 0;
  const CloseCause cause = entry == nullptr ? CloseCause::connections_exceeded
                                            : admit(*entry, peer, counted);
  if (cause != CloseCause::none) return turn_away(fd, cause, peer);
  Arrival arrival;
  arrival.socket = DetachedConnection(fd, 0, listener, peer);
  arrival.limits = entry->limits.load(std::memory_order_acquire);
  add_channels(*entry, arrival.socket);
  if (entry->tls_outside && !hand_out(*entry, arrival.socket, counted)) return;
  if (entry->max_handshakes != 0) {
    engine_.handshake_begins(*entry);
    counted |= kCountedHandshake;
  }
  arrival.counted = counted;
  const ThreadIndex to = engine_.choose_thread();
  if (to == index_) {
    take_arrival(arrival);
  } else {
    engine_.worker(to).put_arrival(std::move(arrival));
  }
}

/// JavaScript gets the socket, and the connection the end of a pair instead. False: there was no
/// descriptor for that, and the connection is closed.
bool Worker::hand_out(ListenerEntry& entry, DetachedConnection& socket,
                      std::uint8_t counted) noexcept {
  OutsideSocket outside(entry.socket.id(), std::exchange(socket.fd, -1));
  outside.proxy_first = find_channel(socket.channel, ChannelKind::proxy) != nullptr;
  if (const SystemError error = outside.pair(socket.fd)) {
    engine_.connection_closed(entry.socket.id(), socket.peer, counted);
    io_.reject(std::exchange(outside.socket, -1));
    on_accept_failed(entry.socket.id(), error.code, 1);
    return false;
  }
  engine_.put_outside(std::move(outside));
  return true;
}

/// Bans and bounds that need no more than an address.
CloseCause Worker::admit(ListenerEntry& entry, const PeerAddress& peer,
                         std::uint8_t& counted) noexcept {
  const BanTable& bans = engine_.tables().bans;
  const IpAddress address = peer.ip();
#ifdef STMQTT_MUTANT_PROXY_IS_COUNTED
  const bool late = false;
#else
  const bool late = address_comes_late(entry);
#endif
#ifndef STMQTT_MUTANT_NO_BAN_AT_ACCEPT
  if (bans.any() && bans.bans_address(address, io_.turn_ms())) return CloseCause::banned;
#endif
  if (entry.addresses.any() && address.known() && !late) {
    switch (engine_.addresses().come(entry.socket.id(), address, entry.addresses, io_.turn_ns())) {
      case AddressTable::Answer::counted:
        counted |= kCountedAddress;
        break;
      case AddressTable::Answer::uncounted:
        counters_.add(Counter::addresses_uncounted);
        break;
      case AddressTable::Answer::too_many:
        counters_.add(Counter::refused_address_connections);
        return CloseCause::connections_exceeded;
      case AddressTable::Answer::too_fast:
        counters_.add(Counter::refused_address_rate);
        return CloseCause::rate_exceeded;
    }
  }
  if (engine_.admit_connection(entry)) {
    if (late) counted |= kAddressOpen;
    return CloseCause::none;
  }
  if ((counted & kCountedAddress) != 0) {
    engine_.addresses().leave(entry.socket.id(), address, io_.turn_ns());
  }
  return CloseCause::connections_exceeded;
}

void Worker::turn_away(int fd, CloseCause cause, const PeerAddress& peer) noexcept {
  counters_.add(Counter::connections_refused);
  counters_.add(contract::refused_counter(cause));
  io_.reject(fd);
  static constexpr std::string_view kBanned = "connection refused: its address is banned";
  static constexpr std::string_view kTooFast =
      "connection refused: max_connect_rate_per_address is reached";
  static constexpr std::string_view kTooMany =
      "connection refused: max_connections or max_connections_per_address is reached";
  const std::string_view text = cause == CloseCause::banned          ? kBanned
                                : cause == CloseCause::rate_exceeded ? kTooFast
                                                                     : kTooMany;
  char buffer[PeerAddress::kMaxTextBytes];
  const std::size_t bytes = peer.to_text(buffer);
  contract::Log event{};
  event.cause = static_cast<std::uint16_t>(cause);
  event.level = static_cast<std::uint8_t>(contract::LogLevel::warn);
  event.module = static_cast<std::uint8_t>(contract::LogModule::listener);
  event.address_bytes = static_cast<std::uint32_t>(bytes);
  event.text_bytes = static_cast<std::uint32_t>(text.size());
  this->event(contract::EventKind::log, event.header, sizeof event,
              {Bytes{}, {reinterpret_cast<const std::uint8_t*>(buffer), bytes}, as_bytes(text)});
}

/// Behind a proxy the address is known once its header was read: what on_accepted() asks of others
/// is asked then. False: the connection is closed.
bool Worker::admit_late(Connection& connection) noexcept {
  connection.counted &= static_cast<std::uint8_t>(~kAddressOpen);
#ifdef STMQTT_MUTANT_NO_BOUNDS_BEHIND_PROXY
  return true;
#endif
  const BanTable& bans = engine_.tables().bans;
  const IpAddress address = connection.peer().ip();
  ListenerEntry* entry = engine_.listener(connection.listener());
  CloseCause cause = CloseCause::none;
  if (bans.any() && bans.bans_address(address, io_.turn_ms())) {
    cause = CloseCause::banned;
  } else if (entry != nullptr && entry->addresses.any() && address.known()) {
    switch (engine_.addresses().come(connection.listener(), address, entry->addresses,
                                     io_.turn_ns())) {
      case AddressTable::Answer::counted:
        connection.counted |= kCountedAddress;
        break;
      case AddressTable::Answer::uncounted:
        counters_.add(Counter::addresses_uncounted);
        break;
      case AddressTable::Answer::too_many:
        counters_.add(Counter::refused_address_connections);
        cause = CloseCause::connections_exceeded;
        break;
      case AddressTable::Answer::too_fast:
        counters_.add(Counter::refused_address_rate);
        cause = CloseCause::rate_exceeded;
        break;
    }
  }
  if (cause == CloseCause::none) return true;
  shard_.set_turn(io_.turn_ns());
  shard_.on_end(*static_cast<Client*>(connection.user), cause);
  return false;
}

void Worker::handshake_over(Connection& connection) noexcept {
  if ((connection.counted & kCountedHandshake) == 0) return;
  connection.counted &= static_cast<std::uint8_t>(~kCountedHandshake);
  engine_.handshake_over(connection.listener());
}

void Worker::admitted(Client& client) noexcept {
  if (client.is_link) return;
  auto& connection = *static_cast<Connection*>(client.transport);
  io_.establish(connection);
  handshake_over(connection);
}

void Worker::on_waited(Connection& connection, std::uint64_t waited_ms) noexcept {
  shard_.set_turn(io_.turn_ns());
  auto* client = static_cast<Client*>(connection.user);
  if (client != nullptr) shard_.on_waited(*client, waited_ms);
}

std::uint64_t Worker::take_wait_ms(Client& client) noexcept {
  if (client.is_link) return 0;
  return io_.take_wait_ms(*static_cast<Connection*>(client.transport));
}

bool Worker::put_off_end(Client& client) noexcept {
  return !client.is_link && io_.put_off_end(*static_cast<Connection*>(client.transport));
}

void Worker::readmit_listeners() noexcept {
  readmit_.store(false, std::memory_order_seq_cst);
  engine_.for_each_listener([this](ListenerEntry& entry) {
    if (entry.thread != index_ || entry.max_handshakes == 0) return;
    if (!entry.held.load(std::memory_order_seq_cst)) io_.readmit(entry.socket);
  });
}

}  // namespace stmqtt
