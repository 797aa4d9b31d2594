// Shard: what operators ask about sessions. Rows are JSON; src/session/rows.ts reads them. Each call
// is bounded in rows, bytes and slots, so that a million sessions are listed between packets.
// Thread: the shard's.
#include <algorithm>
#include <string>

#include "session/shard.hpp"

namespace stmqtt {

namespace {

constexpr unsigned kWindowRows = 100;
constexpr unsigned kInstanceRows = 100;

const char* state_name(DeliveryState state) noexcept {
  switch (state) {
    case DeliveryState::queued:
      return "queued";
    case DeliveryState::committing:
      return "committing";
    case DeliveryState::uncommitted:
      return "uncommitted";
    case DeliveryState::unsent:
      return "unsent";
    case DeliveryState::sent:
      return "sent";
    case DeliveryState::pubrec_committing:
      return "pubrec_committing";
    case DeliveryState::pubrec_uncommitted:
      return "pubrec_uncommitted";
    case DeliveryState::released:
      return "released";
  }
  return "";
}

void write_connection(const Client& client, contract::Transport transport,
                      JsonWriter& row) noexcept {
  row.key("connection");
  row.begin_object();
  row.field("receive_maximum", client.send_maximum);
  row.field("maximum_packet_size", client.max_packet_out);
  row.field("topic_alias_maximum",
            client.aliases_out == nullptr ? 0 : client.aliases_out->maximum());
  row.field("outbound_bytes", static_cast<std::int64_t>(client.outlet->queue.bytes()));
  row.field("paused", client.paused);
  row.field("transport", static_cast<std::uint8_t>(transport));
  row.end_object();
}

/// `identity`: null where nothing but the device id is known. `device_id`: what `me` stands for; one
/// that is unfit for that is told all the same.
void write_identity(const Identity* identity, Bytes device_id, const PageBounds& bounds,
                    JsonWriter& row) noexcept {
  const bool known = identity != nullptr;
  if (known && device_id.empty()) device_id = identity->device_id();
  row.key("identity");
  row.begin_object();
  row.field("tenant", known ? identity->tenant() : Bytes{});
  row.field("device_id", device_id);
  row.field("role", static_cast<std::uint8_t>(known ? identity->role : contract::Role::unset));
  row.key("groups");
  row.begin_array();
  for (std::string_view rest = as_text(known ? identity->groups() : Bytes{}); !rest.empty();) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    row.text(as_bytes(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  row.end_array();
  row.field("certificate", known ? identity->certificate_name() : Bytes{});
  if (known && identity->expires_at_ms != 0) {
    row.field("expires",
              bounds.wall_offset_ms + static_cast<std::int64_t>(identity->expires_at_ms));
  }
  row.end_object();
}

void write_will(const Will& will, JsonWriter& row) noexcept {
  row.key("will");
  row.begin_object();
  row.field("topic", will.message->topic());
  row.field("qos", will.message->qos());
  row.field("retain", will.message->retain() ? 1 : 0);
  row.field("payload_bytes", static_cast<std::int64_t>(will.message->payload().size()));
  row.field("delay", will.delay_s);
  row.end_object();
}

void write_flight(std::uint16_t packet_id, const char* direction, std::uint8_t qos,
                  const char* state, const Message* message, JsonWriter& rows) noexcept {
  rows.begin_object();
  rows.field("id", packet_id);
  rows.field("direction", as_bytes(direction));
  rows.field("qos", qos);
  rows.field("state", as_bytes(state));
  if (message != nullptr) {
    rows.field("topic", message->topic());
    rows.field("payload_bytes", static_cast<std::int64_t>(message->payload().size()));
  }
  rows.end_object();
}

void write_instances(const PoolVector<Instance>& beside, JsonWriter& row) noexcept {
  row.key("instances");
  row.begin_array();
  unsigned count = 0;
  for (const Instance& each : beside) {
    if (count++ == kInstanceRows) break;
    row.number(each.number);
  }
  row.end_array();
}

void write_window(Session& session, JsonWriter& row) noexcept {
  row.key("window");
  row.begin_array();
  unsigned count = 0;
  session.each_in_window([&](const Delivery& d) {
    write_flight(d.packet_id, "out", d.qos, state_name(d.state), d.message, row);
    return ++count < kWindowRows;
  });
  session.inbound.for_each([&](const InboundId& id) {
    if (count++ >= kWindowRows) return;
    write_flight(id.packet_id, "in", 2, id.committing ? "committing" : "received", nullptr, row);
  });
  row.end_array();
}

}  // namespace

void Shard::write_row(const Session& session, const PageBounds& bounds,
                      JsonWriter& row) const noexcept {
  const auto wall = [&](std::uint32_t seconds) {
    return bounds.wall_offset_ms + std::int64_t{seconds} * 1000;
  };
  row.field("id", session.client_id());
  if (session.key().instance() != 0) row.field("instance", session.key().instance());
  if (session.username_bytes > 0) {
    row.field("user", Bytes{session.username, session.username_bytes});
  }
  if (const Client* client = session.client(); client != nullptr && client->active()) {
    char address[Host::kAddressBytes];
    // Text, because JavaScript's numbers do not hold 64 bits.
    row.field("connection_id", as_bytes(std::to_string(client->connection_id)));
    row.field("address", host_.address(*client, address));
    if (!client->is_link) row.field("listener", client->listener_id);
    row.field("version", static_cast<std::uint8_t>(client->version));
    row.field("clean_start", client->clean_start ? 1 : 0);
    row.field("keep_alive", client->keep_alive_s);
    row.field("received",
              bounds.wall_offset_ms + static_cast<std::int64_t>(client->last_received_ms));
  }
  row.field("expiry", session.expiry_s);
  row.field("created", wall(session.created_s));
  if (session.connected_s != 0) row.field("connected", wall(session.connected_s));
  if (session.disconnected_s != 0) row.field("disconnected", wall(session.disconnected_s));
  if (session.last_cause != 0) row.field("cause", session.last_cause);
  row.field("subscriptions", session.subscriptions.size());
  row.field("queued", session.queued());
  row.field("queued_bytes", static_cast<std::int64_t>(session.queued_bytes()));
  row.field("in_flight", session.in_flight());
  row.field("inbound", session.inbound.size());
  row.field("dropped", session.dropped());
  row.field("has_will", session.will == nullptr ? 0 : 1);
  row.field("thread", options_.thread);
}

std::uint32_t Shard::list_sessions(std::uint32_t slot, const PageBounds& bounds,
                                   JsonWriter& rows) noexcept {
  std::uint32_t count = 0;
  for (std::uint32_t looked_at = 0; slot < sessions_.slots(); ++slot, ++looked_at) {
    if (count == bounds.rows || looked_at == PageBounds::kSlots ||
        rows.size() >= PageBounds::kBytes) {
      return slot;
    }
    const Session* session = sessions_.at(slot);
    if (session == nullptr) continue;
    rows.begin_object();
    write_row(*session, bounds, rows);
    rows.end_object();
    ++count;
  }
  return kListed;
}

bool Shard::describe_session(const SessionRef& ref, const PageBounds& bounds,
                             JsonWriter& row) noexcept {
  Session* session = find_session(ref);
  if (session == nullptr) return false;
  row.begin_object();
  write_row(*session, bounds, row);
  if (session->can_send()) {
    write_connection(*session->client(), host_.transport(*session->client()), row);
  }
  const Bytes device_id = session->device_id();
  if (session->identity != nullptr || !device_id.empty()) {
    write_identity(session->identity, device_id, bounds, row);
  }
  if (session->will != nullptr) write_will(*session->will, row);
  PoolVector<Instance> beside;
  tables_.directory.find_beside(session->key(), beside);
  if (!beside.empty()) write_instances(beside, row);
  write_window(*session, row);
  row.end_object();
  return true;
}

}  // namespace stmqtt
