// What happened, as the model remembers it: spans of logical time, texts, subscriptions, sessions.
// Steps of shards that ran one within the other overlap; all others are ordered.
// Thread: one.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "model/net.hpp"
#include "model/packets.hpp"

namespace stmqtt::model {

inline constexpr std::uint64_t kNever = UINT64_MAX;

struct Span {
  std::uint64_t from = kNever;
  std::uint64_t to = kNever;
  [[nodiscard]] bool before(const Span& other) const { return to < other.from; }
  [[nodiscard]] bool overlaps(const Span& other) const {
    return !before(other) && !other.before(*this);
  }
};

/// An Application Message as a client wrote it. Clears of a topic share one text: they carry none.
struct Text {
  std::string topic;
  std::string payload;
  std::string user_value;
  std::uint32_t expiry_s = 0;
  std::uint8_t qos = 0;
  bool retain = false;
  bool will = false;
  bool shared = false;           ///< published to a topic of Shared Subscriptions
  std::vector<int> publications; ///< indices
  [[nodiscard]] bool clears() const { return payload.empty(); }
};

/// A text that was routed; twice, if its publisher had to send it again.
struct Published {
  int text = 0;
  int publisher = 0;  ///< session
  Span at;
};

struct Sub {
  int session = 0;
  std::string share;
  std::string filter;
  FilterText options;
  std::uint32_t id = 0;
  Span begin;
  Span end;
  bool fresh = true;     ///< it did not replace one
  bool scans = false;    ///< retained messages were wanted
  bool doubtful = false; ///< the store failed it
};

/// One copy on its way to one session under a Packet Identifier.
struct Chain {
  int text = 0;
  int publication = -1;
  std::uint8_t qos = 1;
  bool released = false;  ///< PUBREC was consumed
  unsigned line = 0;      ///< connection of the last attempt
  Ticket pubrec_ticket = kGranted;
};

struct Inbound {
  int text = 0;
  bool committing = false;
  Ticket ticket = kGranted;
};

/// Order is kept for each of these [MQTT-4.6.0-6].
using OrderKey = std::tuple<int, std::string, int, int>;  // publisher, topic, QoS published, sent

struct Line;

struct SessionState {
  std::string client_id;
  int device = 0;
  unsigned home = 0;
  std::uint32_t expiry_s = 0;
  Span begin;
  Span end;
  bool ended = false;
  bool told = false;  ///< a CONNACK told of it
  bool mixed_versions = false;
  Line* line = nullptr;
  Line* arriving = nullptr;
  int will = -1;
  std::uint32_t will_delay_s = 0;
  std::uint64_t will_due_ms = 0;
  bool will_overdue = false;  ///< a tick later will do
  std::uint64_t expires_at_ms = 0;
  std::map<std::uint16_t, Inbound> inbound;
  std::map<std::uint16_t, Chain> chains;
  std::map<std::uint16_t, Ticket> outbound_tickets;
  std::map<int, int> completed;  ///< by text: acknowledged to the end
  std::map<int, int> attempted;  ///< by text: chains begun
  std::map<int, int> received0;  ///< by text: sent at QoS 0
  std::map<int, int> delivered;  ///< by text: what the client took, QoS 1 repeated, QoS 2 not
  std::map<int, int> delivered2; ///< by text: at QoS 2
  std::map<OrderKey, int> newest;
  [[nodiscard]] bool persistent() const { return expiry_s != 0; }
};

/// A packet that a client put on the wire.
struct Sent {
  PacketType type = PacketType::connect;
  std::uint64_t end = 0;  ///< bytes of the connection up to and with it
  int text = -1;
  std::uint16_t packet_id = 0;
  std::uint8_t qos = 0;
  ReasonCode reason = ReasonCode::success;
  std::int64_t expiry_s = -1;
  std::uint32_t subscription_id = 0;
  std::vector<FilterText> filters;
  std::vector<std::string> unsubscribes;
};

/// An answer that the broker owes.
struct Owed {
  std::uint16_t packet_id = 0;
  Ticket ticket = kGranted;
  ReasonCode reason = ReasonCode::success;
  int text = -1;  ///< of a PUBLISH whose answer says whether anybody matched
  Span at;
  std::vector<ReasonCode> codes;
  std::vector<int> subs;
};

/// One connection as the model sees it.
struct Line {
  Conn* conn = nullptr;
  int device = 0;
  int session = -1;
  unsigned shard = 0;  ///< whose gate its tickets come from
  ConnectText connect;
  PacketReader reader;
  std::deque<Sent> sent;
  std::uint64_t sent_bytes = 0;
  std::uint64_t last_received_ms = 0;
  bool present = false;        ///< what CONNACK must say
  bool connack = false;        ///< it was written
  bool said_disconnect = false;
  bool ended_by_peer = false;  ///< the model told the broker so
  bool ever_paused = false;
  bool over = false;           ///< the broker closed it
  bool verdict_wanted = false;
  std::deque<Owed> pubacks;
  std::deque<Owed> pubrecs;
  std::deque<Owed> pubcomps;
  std::map<std::uint16_t, Owed> subacks;
  std::set<std::uint16_t> in_flight;
  std::map<OrderKey, int> cursor;
};

}  // namespace stmqtt::model
