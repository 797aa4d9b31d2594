// What an engine is built with, checked by TypeScript before it comes here.
// Thread: any (plain data).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "contract/records.hpp"
#include "engine/address_table.hpp"
#include "io/listener.hpp"
#include "io/proxy_channel.hpp"
#include "io/websocket_channel.hpp"
#include "route/log_options.hpp"
#include "route/shared_group.hpp"
#include "session/delayed.hpp"
#include "session/device_topics.hpp"
#include "session/flap_table.hpp"
#include "session/limits.hpp"
#include "session/log_rules.hpp"
#include "session/tenant_table.hpp"
#include "store/trial_store.hpp"

namespace stmqtt {

/// Which I/O thread a new connection goes to.
enum class Placement : std::uint8_t { round_robin, least_connections };

enum class StoreKind : std::uint8_t { memory, trial };

/// What can be changed while the engine runs.
struct LiveOptions {
  SharedStrategy shared_strategy = SharedStrategy::roundrobin;
  std::uint32_t max_connections = 0;  ///< in all; 0 = no bound
  std::uint64_t max_memory_bytes = 0; ///< 0 = no budget
  std::size_t match_cache_bytes = std::size_t{4} << 20;  ///< for each thread
  std::size_t outbound_high_watermark_bytes = std::size_t{1} << 20;
  std::size_t outbound_low_watermark_bytes = std::size_t{256} << 10;
  /// Bit N = EventKind N is wanted; and kMaskEndsWithConnection.
  std::uint32_t event_mask = ~contract::kMaskEndsWithConnection;
  LogRules log;
  std::uint32_t verdict_timeout_ms = 10'000;
  bool authenticate = false;  ///< each CONNECT waits for a verdict
  bool enhanced_auth = false; ///< so does one with an Authentication Method; else it is refused
  unsigned accepts_per_turn = 64;     ///< of each I/O thread and listener
  FlapRule flapping;
  TenantBounds tenants;
  DeviceOptions device;
  DelayOptions delayed;
  std::shared_ptr<const LogOptions> logs = std::make_shared<const LogOptions>();  ///< never null
};

struct EngineOptions : LiveOptions {
  unsigned io_threads = 1;
  Placement placement = Placement::round_robin;
  std::string client_id_prefix = "st-mqttd-";
  StoreKind store = StoreKind::memory;
  TrialStoreOptions trial_store;
};

/// What lies between a listener's sockets and MQTT, TLS apart.
struct ChannelSettings {
  std::optional<ProxySettings> proxy;  ///< a PROXY header is required
  std::optional<WebSocketSettings> websocket;

  friend bool operator==(const ChannelSettings&, const ChannelSettings&) = default;
};

struct EngineListenSpec {
  ListenSpec socket;
  std::string name;  ///< what rules call it
  Limits limits;
  std::uint32_t max_connections = 0;  ///< 0 = no bound of its own
  AcceptPacing pacing;
  std::uint32_t total_messages_per_s = 0;  ///< of all its clients together; 0 = no bound
  std::uint32_t total_bytes_per_s = 0;
  std::uint32_t tls = 0;  ///< of Engine::make_tls(); 0 = none
  bool tls_outside = false;  ///< JavaScript does it, see io/outside_tls.hpp; then tls is 0
  /// From accept until TLS (and what else lies before MQTT) is ready for the first packet.
  std::uint32_t handshake_timeout_ms = 10'000;
  ChannelSettings channels;
  AddressBounds addresses;
  std::uint32_t max_handshakes = 0;        ///< from accept to CONNACK; 0 = no bound
};

}  // namespace stmqtt
