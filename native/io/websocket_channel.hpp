// WebSocket between a connection's bytes and what is below: the upgrade request and its answer, then
// frames. Inbound payload is unmasked in the read buffer; outbound, one head goes in front of what is
// flushed, whose blocks are handed on as they are. Idle it holds one pool object.
// Thread: the I/O thread.
#pragma once

#include <vector>

#include "base/ip_address.hpp"
#include "io/channel.hpp"
#include "stream/websocket_upgrade.hpp"

namespace stmqtt {

/// Of a listener. Immutable; outlives its connections.
struct WebSocketSettings {
  stream::UpgradeRules rules;
  std::vector<IpNetwork> trusted;  ///< whose X-Forwarded-For is believed

  friend bool operator==(const WebSocketSettings&, const WebSocketSettings&) = default;
};

[[nodiscard]] Channel* make_websocket_channel(const WebSocketSettings& settings) noexcept;

}  // namespace stmqtt
