// Whose device topics a client may use, and what `me` stands for: the step between a client's topics
// and the internal ones that comes before the tenant's.
// In the path: CONNECT settles who it is; PUBLISH, SUBSCRIBE, UNSUBSCRIBE and Wills ask here.
// Thread: the shard's.
#pragma once

#include <cstdint>
#include <memory>

#include "base/vec.hpp"
#include "session/device_topics.hpp"
#include "session/session.hpp"

namespace stmqtt {

struct ConnectState;

class DeviceScope {
 public:
  DeviceScope() : options_(std::make_shared<const DeviceOptions>()) {}

  /// For clients that connect from now on; the patterns for everybody.
  void set_options(std::shared_ptr<const DeviceOptions> options) noexcept {
    options_ = std::move(options);
  }

  /// Who the client of this session is from now on, before the session takes its identity over.
  void settle(const Client& client, Session& session) const noexcept;

 private:
  /// DeviceFlag bits of a client that connects.
  [[nodiscard]] std::uint8_t flags_of(const Client& client) const noexcept;

  std::shared_ptr<const DeviceOptions> options_;  ///< never null
};

}  // namespace stmqtt
