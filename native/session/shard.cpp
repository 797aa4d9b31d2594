// Shard: clients coming and going as objects, and the dispatch of Control Packets.
#include "session/room_waits.hpp"
#include "session/shard.hpp"

#include "base/pool.hpp"
#include "session/auth_state.hpp"
#include "session/delay_steps.hpp"
#include "session/packet_counters.hpp"
#include "session/rate_state.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::Counter;
using wire::PacketType;
using wire::ReasonCode;

namespace {

constexpr std::uint32_t kTimersPerTurn = 64;  ///< of thousands that are due at once
constexpr std::uint64_t kSweepMs = 1'000;
constexpr std::size_t kSweepEntries = 1'000;  ///< looked at in each sweep, in turn
/// The five longest strings that a CONNECT can have, and nearly 200 KiB of properties: more of who
/// nobody knows yet is not kept.
constexpr std::uint32_t kMaxBytesBeforeConnack = 512 << 10;

}  // namespace

Shard::Shard(BrokerTables& tables, Gate& gate, Host& host, contract::Counters& counters,
             ShardOptions options, std::uint64_t now_ms) noexcept
    : ShardState(tables, gate, host, counters, std::move(options), now_ms) {
  // One thread looks for expired retained messages; nobody would miss them, but for the memory.
  if (options_.thread == 0) wheel_.schedule(sweep_timer_, now_ms + kSweepMs);
}

Shard::~Shard() {
  while (!promises_.empty()) {
    if (promises_.front().codes != nullptr) {
      pool_free(promises_.front().codes, promises_.front().code_count);
    }
    promises_.pop_front();
  }
  for (std::uint32_t slot = 0; slot < clients_.slots(); ++slot) {
    if (Client* client = clients_.at(slot)) bury(*client);
  }
  for (Client* client : dead_) pool_delete(client);
  for (std::uint32_t slot = 0; slot < sessions_.slots(); ++slot) {
    Session* session = sessions_.at(slot);
    if (session == nullptr) continue;
    tables_.directory.erase(session->key());
    pool_delete(session);
  }
  drop_held();
  for (PoolVector<SessionKey*>* keys : {&resting_, &marked_}) {
    for (SessionKey* key : *keys) {
      tables_.directory.forget(*key);
      SessionKey::destroy(key);
    }
  }
}

Client& Shard::make_client(Outlet& outlet, void* transport, const Limits& limits,
                           std::uint32_t listener_id, ClientKind kind) noexcept {
  auto* client = pool_new<Client>();
  const auto name = clients_.insert(client);
  static_cast<TimerNode*>(client)->kind = kClientTimer;
  client->is_link = kind == ClientKind::link;
  client->ref = {name.slot, name.generation};
  client->outlet = &outlet;
  client->transport = transport;
  client->limits = &limits;
  client->listener_id = listener_id;
  client->last_received_ms = cx_.now_ms;
  return *client;
}

Client& Shard::open(Outlet& outlet, void* transport, const Limits& limits,
                    std::uint32_t listener_id, ClientKind kind) noexcept {
  Client& client = make_client(outlet, transport, limits, listener_id, kind);
  client.connection_id = connection_id(options_.thread, client.ref);
  wheel_.schedule(client, cx_.now_ms + limits.connect_timeout_ms);
  return client;
}

Client& Shard::arrive(Outlet& outlet, void* transport, const Limits& limits,
                      std::uint32_t listener_id, ClientKind kind, std::uint64_t connection_id,
                      ConnectState* connecting) noexcept {
  Client& client = make_client(outlet, transport, limits, listener_id, kind);
  client.connection_id = connection_id;
  client.version = connecting->view.version;
  client.connecting = connecting;
  client.state = ClientState::await_verdict;
  return client;
}

void Shard::pause(Client& client, PauseCause cause) noexcept {
  client.paused |= static_cast<std::uint8_t>(cause);
  host_.pause(client, cause);
}

void Shard::resume(Client& client, PauseCause cause) noexcept {
  if ((client.paused & static_cast<std::uint8_t>(cause)) == 0) return;
  client.paused &= static_cast<std::uint8_t>(~static_cast<std::uint8_t>(cause));
  // Keep Alive did not run: what was sent meanwhile is read in the next turn.
  client.last_received_ms = cx_.now_ms;
  host_.resume(client, cause);
}

/// The client leaves the tables now; its object goes at the end of the turn, because whoever is
/// handling its bytes still looks at its state.
void Shard::bury(Client& client) noexcept {
  client.state = ClientState::closed;
  wheel_.cancel(client);
  clients_.erase(client.ref.slot);
  if (client.connecting != nullptr) ConnectState::destroy(client.connecting);
  client.connecting = nullptr;
  if (client.aliases_in != nullptr) pool_delete(client.aliases_in);
  client.aliases_in = nullptr;
  if (client.aliases_out != nullptr) pool_delete(client.aliases_out);
  client.aliases_out = nullptr;
  if (client.rate != nullptr) {
    wheel_.cancel(*client.rate);
    pool_delete(client.rate);
    client.rate = nullptr;
  }
  if (client.auth != nullptr) {
    wheel_.cancel(*client.auth);
    AuthState::destroy(client.auth);
    client.auth = nullptr;
  }
  if (hooks_.holds_subscribes()) hooks_.close_subscribe(client.ref);
  dead_.push_back(&client);
}

Received Shard::on_bytes(Client& client, Bytes bytes) noexcept {
  // Before CONNACK it tells since when we wait: see latest_arrival_ms().
  if (client.active()) [[likely]] client.last_received_ms = cx_.now_ms;
  Received received;
  // 0 counts down past every number there can be.
  std::uint32_t turns_left = client.limits->fair_packets_per_turn;
  while (client.state != ClientState::closed && client.paused == 0 && !client.left) {
    const Bytes rest = bytes.subspan(received.consumed);
    if (client.state == ClientState::await_connect && !rest.empty() && rest[0] != 0x10) {
      // Whatever it is, waiting for its end would only give it time [MQTT-3.1.0-1].
      close(client, {CloseCause::protocol_error, ReasonCode::success,
                     "first packet is not CONNECT"});
      break;
    }
    const wire::Scan scan = wire::scan(rest);
    if (scan.status == wire::Scan::Status::malformed ||
        (scan.overlong && client.is_v5())) [[unlikely]] {
      close(client, {CloseCause::malformed_packet, ReasonCode::malformed_packet,
                     "Remaining Length is not a valid Variable Byte Integer"});
      break;
    }
    if (scan.total > client.limits->max_packet_size) [[unlikely]] {
      // Known from the header: nothing of the packet is kept [MQTT-3.2.2-15].
      close(client, {CloseCause::packet_too_large, ReasonCode::packet_too_large,
                     "packet is larger than max_packet_size"});
      break;
    }
    if (scan.status == wire::Scan::Status::incomplete) {
      if (!client.active() && scan.total > kMaxBytesBeforeConnack) [[unlikely]] {
        close(client, {CloseCause::packet_too_large, ReasonCode::packet_too_large,
                       "packet is larger than 512 KiB, which is the most before CONNACK"});
        break;
      }
      received.wanted = scan.total;
      break;
    }
    if (client.rate != nullptr && !may_pass(client, scan)) [[unlikely]] break;
    if (tap_.active()) [[unlikely]] {
      host_.show_written(client);
      tap_.inbound(client, rest.first(scan.total), cx_.now_ms);
    }
    if (on_packet(client, scan, rest.first(scan.total)) == Handled::later) {
      if (tap_.active()) [[unlikely]] tap_.comes_again(client);
      if (client.rate != nullptr) [[unlikely]] passes_again(client);
      break;
    }
    received.consumed += scan.total;
    if (--turns_left == 0) [[unlikely]] {
      // Any byte that is left asks for another call, which comes in the next turn.
      received.wanted = 1;
      break;
    }
  }
  return received;
}

Shard::Handled Shard::on_packet(Client& client, const wire::Scan& scan, Bytes frame) noexcept {
  const Bytes body = frame.subspan(scan.header_bytes);
  const PacketType type = wire::packet_type(scan.first_byte);
  if (!client.active()) [[unlikely]] {
    const bool before_connack = client.state == ClientState::await_auth;
    if (client.state != ClientState::await_connect && !before_connack) return Handled::later;
    counters_.add(Counter::packets_received);
    counters_.add(received_counter(type));
    if (before_connack) {
      on_packet_before_connack(client, type, scan.first_byte, body);
    } else if (type == PacketType::connect) {
      on_connect(client, scan, body);
    } else {  // the first packet must be CONNECT [MQTT-3.1.0-1]
      close(client, {CloseCause::protocol_error, ReasonCode::success,
                     "first packet is not CONNECT"});
    }
    return Handled::done;
  }
  if (type == PacketType::publish) [[likely]] {
    return on_publish(client, scan.first_byte, body, frame);
  }
  counters_.add(Counter::packets_received);
  counters_.add(received_counter(type));
  switch (type) {
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp:
      on_ack(client, scan.first_byte, body);
      break;
    case PacketType::subscribe:
      if ((hooks_.wants(kHookSubscribe) || hooks_.holds_subscribes()) &&
          !pass_subscribe_hooks(client, scan.first_byte, body)) [[unlikely]] {
        counters_.add(Counter::packets_received, -1);
        counters_.add(received_counter(type), -1);
        return Handled::later;
      }
      on_subscribe(client, scan.first_byte, body);
      break;
    case PacketType::unsubscribe:
      on_unsubscribe(client, scan.first_byte, body);
      break;
    case PacketType::pingreq: {
      const ReasonCode reason = wire::decode_ping(scan.first_byte, body, client.version);
      if (reason != ReasonCode::success) {
        close(client, {CloseCause::malformed_packet, reason, "malformed PINGREQ"});
        break;
      }
      // [MQTT-3.12.4-1]
      wire::encode_pingresp(client.outlet->queue.reserve(wire::kPingBytes));
      client.outlet->queue.commit(wire::kPingBytes);
      client.outlet->mark();
      counters_.add(Counter::packets_sent);
      counters_.add(Counter::packets_sent_pingresp);
      break;
    }
    case PacketType::disconnect:
      on_disconnect(client, scan.first_byte, body);
      break;
    case PacketType::connect:  // a second one [MQTT-3.1.0-2]
      close(client, {CloseCause::protocol_error, ReasonCode::protocol_error, "second CONNECT"});
      break;
    case PacketType::publish:
      break;  // handled above
    case PacketType::auth:
      on_auth(client, scan.first_byte, body);
      break;
    case PacketType::connack:
    case PacketType::suback:
    case PacketType::unsuback:
    case PacketType::pingresp:
      close(client, {CloseCause::protocol_error, ReasonCode::protocol_error,
                     "packet that only a server may send"});
      break;
    default:  // type 0 is reserved [MQTT 5.0, 2.1.2]; not an enumerator
      close(client, {CloseCause::malformed_packet, ReasonCode::malformed_packet,
                     "reserved packet type"});
      break;
  }
  return Handled::done;
}

void Shard::on_end(Client& client, CloseCause cause, Bytes detail) noexcept {
  close(client, {cause, ReasonCode::success, nullptr, detail});
}

void Shard::on_writable(Client& client) noexcept {
  if (!client.active()) return;
  pump_scans(*client.session);
  client.session->pump(cx_);
  mark_full(*client.session);
}

void Shard::on_timers() noexcept {
  static_cast<void>(wheel_.advance_some(cx_.now_ms, kTimersPerTurn, [this](TimerNode& node) {
    switch (static_cast<TimerKind>(node.kind)) {
      case kClientTimer:
        on_client_timer(static_cast<Client&>(node));
        break;
      case kSessionTimer:
        on_session_timer(static_cast<Session&>(node));
        break;
      case kSweepTimer:
        static_cast<void>(tables_.retained.expire(cx_.now_ms, kSweepEntries));
        counters_.add(Counter::bans_expired,
                      static_cast<std::int64_t>(tables_.bans.expire(cx_.now_ms)));
        wheel_.schedule(sweep_timer_, cx_.now_ms + kSweepMs);
        break;
      case kTraceTimer:
        tap_.expire(cx_.now_ms);
        schedule_trace_end();
        host_.tap_changed();
        break;
      case kRateTimer:
        resume(static_cast<RateState&>(node).client, PauseCause::rate);
        break;
      case kAuthTimer:
        on_auth_timer(static_cast<AuthState&>(node));
        break;
      case kBanTimer:
        step_ban_check();
        break;
      case kSubscribeHookTimer:
        on_subscribe_hook_timer(static_cast<SubscribeWait&>(node));
        break;
      case kHookTimer:
        on_hook_timer(static_cast<HeldQueue&>(node));
        break;
      case kDeliveryAskTimer:
        end_ask(static_cast<DeliveryAsk&>(node));
        call_hook_line();
        break;
      case kHookLineTimer:
        desk_.look_again();
        call_hook_line();
        break;
      case kLogTimer:
        logs_.tell_losses();
        break;
      case kSealTimer:
        handovers_.step();
        break;
      case kDelayTimer:
        DelaySteps::publish_due(*this);
        break;
      case kRetryTimer:
        RoomWaits::retry(*this);
        break;
    }
  }));
}

void Shard::on_item(CrossItem& item) noexcept {
  switch (item.kind) {
    case CrossItem::Kind::publish: {
      Publication publication(*item.message, scratch_);
      for (const Partition& partition : item.match->partitions()) {
        if (partition.thread == options_.thread) {
          deliver_partition(publication, *item.match, partition);
        }
      }
      break;
    }
    case CrossItem::Kind::shared: {
      Publication publication(*item.message, scratch_);
      if (!deliver_member(publication, *item.member)) {
        deliver_shared(publication, *item.members, TopicTrie::hash(item.message->topic()),
                       item.member->session(), static_cast<std::uint8_t>(item.tried + 1));
      }
      break;
    }
    case CrossItem::Kind::log:
      logs_.append(std::move(item.message), item.number());
      break;
    case CrossItem::Kind::log_room:
      logs_.make_room();
      break;
    case CrossItem::Kind::log_barrier:
      handovers_.on_barrier(item);
      break;
    case CrossItem::Kind::log_seal:
      handovers_.on_seal(item);
      break;
    case CrossItem::Kind::log_batch:
      on_log_batch(*item.batch);
      break;
    case CrossItem::Kind::log_return:
      handovers_.on_return(*item.batch);
      break;
    case CrossItem::Kind::disconnect: {
      Session* session = find_session(item.session);
      if (session != nullptr && session->client() != nullptr) {
        dismiss(*session->client(), {{}, CloseCause::administrative, item.reason, nullptr,
                                     std::move(item.message)});
      }
      break;
    }
  }
}

void Shard::on_uncongested() noexcept {
  std::vector<ClientRef> paused;
  paused.swap(outbox_paused_);
  for (const ClientRef ref : paused) {
    if (Client* client = find_client(ref)) resume(*client, PauseCause::outbox);
  }
}

void Shard::end_turn() noexcept {
  end_dismissed(kDismissalsPerTurn);
  dismissed_ = 0;
  for (const LogBatchRef& batch : handovers_.take_ready()) on_log_batch(*batch);
  if (!promises_.empty()) keep_promises();
  if (!gate_.grants_at_once()) gate_.end_batch();
  if (!losers_.empty()) emit_alerts();
  if (!resting_.empty() || !marked_.empty()) forget_resting();
  report_memory();
  if (logs_.any() && tables_.pressure() != MemoryPressure::none) [[unlikely]] shed_logs();
  counters_.add(Counter::tickets_issued,
                static_cast<std::int64_t>(gate_.last_issued() - reported_tickets_));
  reported_tickets_ = gate_.last_issued();
  counters_.add(Counter::match_cache_hits,
                static_cast<std::int64_t>(cache_.hits() - reported_hits_));
  reported_hits_ = cache_.hits();
  counters_.add(Counter::match_cache_misses,
                static_cast<std::int64_t>(cache_.misses() - reported_misses_));
  reported_misses_ = cache_.misses();
  if (!dead_.empty()) {
    for (Client* client : dead_) pool_delete(client);
    dead_.clear();
  }
}

}  // namespace stmqtt
