// What a listener's clients may do and get: the `[mqtt]` table after the listener's overrides, with
// the configuration's names. Immutable. Thread: any (plain data).
#pragma once

#include <cstdint>
#include <string>

#include "contract/records.hpp"

namespace stmqtt {

/// What happens to a QoS 1/2 message for a session whose queue is full.
enum class QueueOverflow : std::uint8_t {
  drop_newest,  ///< the arriving message is dropped and counted
  drop_oldest,  ///< the oldest queued one is dropped and counted
  refuse,       ///< the publisher is told 0x97 (v5), or not read from until there is room (v3)
};

/// What happens to a PUBLISH beyond max_messages_per_s.
enum class RateExceeded : std::uint8_t {
  pause,       ///< it waits: the client is not read from
  refuse,      ///< MQTT 5.0, QoS 1 and 2: 0x97; others wait
  disconnect,  ///< 0x96
};

/// What becomes of a CONNECT with a Client Identifier that is connected.
enum class DuplicateClientId : std::uint8_t {
  takeover,  ///< the older connection ends [MQTT-3.1.4-3]
  reject,    ///< the newer one is refused with 0x85
  allow,     ///< the newer one gets a session of its own, which ends with it
};

struct SharedRates;

/// Who says whether a listener's clients may come in. Not one of the Limits: those are of a
/// connection's beginning, and this is of the moment of its CONNECT.
enum class Admission : std::uint8_t {
  judged,       ///< TypeScript, where it judges at all
  open,         ///< nobody: everybody may, and is the device that its Client Identifier names
  open_no_device,  ///< the same, but is no device by that
};

/// Bits of Limits::protocol_levels.
enum ProtocolLevelBit : std::uint8_t { kLevelV31 = 1, kLevelV311 = 2, kLevelV5 = 4 };

/// How topics of clients with a tenant stand to "/tenants/<tenant>/".
enum class TenantMode : std::uint8_t {
  off,
  enforced,     ///< they must begin with it
  transparent,  ///< it is put before them, and taken off what the client gets
};

struct Limits {
  std::uint32_t connect_timeout_ms = 60'000;  ///< from accept to a whole CONNECT
  std::uint32_t max_packet_size = 1 << 20;    ///< bytes of a whole Control Packet from a client
  std::uint16_t max_inflight = 100;           ///< send window towards a client
  std::uint16_t receive_maximum = 100;        ///< unacknowledged QoS 1/2 from a client
  std::uint32_t max_queued_messages = 10'000; ///< per session, beyond the window
  std::uint64_t max_queued_bytes = 8 << 20;   ///< logical bytes per session
  std::uint32_t max_session_expiry_s = 604'800;
  std::uint32_t max_message_expiry_s = 0;     ///< 0 = none
  std::uint32_t max_subscriptions = 10'000;   ///< per session
  /// Packets of one connection handled before others get their turn; 0 = all that one read brought.
  std::uint32_t fair_packets_per_turn = 0;
  std::uint32_t max_messages_per_s = 0;       ///< PUBLISH packets from a client; 0 = no bound
  std::uint32_t max_bytes_per_s = 0;          ///< of all packets from a client; 0 = no bound
  /// What all clients of the listener may send together; null = no bound. Borrowed, outlives this.
  SharedRates* together = nullptr;
  std::uint16_t topic_alias_maximum = 32;     ///< accepted from clients
  std::uint16_t max_topic_alias_out = 32;     ///< used towards clients, at most what they allow
  std::uint16_t max_keep_alive_s = 65'535;
  std::uint16_t default_keep_alive_s = 0;     ///< for a zero where zero is not allowed
  std::uint16_t max_client_id_bytes = 256;
  std::uint16_t max_topic_levels = 64;
  std::uint8_t max_qos = 2;
  std::uint8_t protocol_levels = kLevelV31 | kLevelV311 | kLevelV5;
  QueueOverflow queue_overflow = QueueOverflow::drop_newest;
  RateExceeded on_rate_exceeded = RateExceeded::pause;
  DuplicateClientId duplicates = DuplicateClientId::takeover;
  bool retain_available = true;
  bool wildcard_subscriptions = true;
  bool subscription_identifiers = true;
  bool shared_subscriptions = true;
  bool allow_zero_keep_alive = true;
  bool allow_empty_client_id = true;
  bool sys_read = false;   ///< may subscribe to $SYS/…
  bool sys_write = false;  ///< may publish there: links only
  bool dynamic_filters = false;  ///< topics that nobody has subscribed to get a log
  bool monitors = false;  ///< looks on: its subscriptions do not count as subscribers. Links only

  TenantMode tenant_mode = TenantMode::off;   ///< other than off: no client without a tenant
  contract::Role role = contract::Role::unset;  ///< of clients whose verdict says none
  std::string tenant;                           ///< likewise; empty = none

  /// A client there has a tenant only where its verdict says so.
  [[nodiscard]] bool tenant_by_verdict() const noexcept {
    return tenant_mode == TenantMode::off && tenant.empty();
  }
  bool operator==(const Limits&) const noexcept = default;
};

}  // namespace stmqtt
