// What a shard does with "$delayed/…": its steps of a PUBLISH, and those of the time when it is due.
// Thread: the shard's.
#pragma once

#include <cstdint>

#include "session/delayed.hpp"

namespace stmqtt {

class Client;
class Session;
class Shard;

class DelaySteps {
 public:
  static void configure(Shard& shard, const DelayOptions& options) noexcept;
  /// Takes the prefix off the PUBLISH in hand, so that everything behind sees the topic that is
  /// meant. False: it is invalid, and what had to be said was said.
  [[nodiscard]] static bool enter(Shard& shard, Client& client) noexcept;
  /// The PUBLISH in hand, behind its hooks. False: it is to be published now.
  [[nodiscard]] static bool take(Shard& shard, Client& client, const MessageParts& parts) noexcept;
  /// One that was held. `session`, `client`: null where they have gone.
  [[nodiscard]] static bool keep(Shard& shard, Session* session, Client* client,
                                 const MessageParts& parts, std::uint32_t seconds,
                                 std::uint16_t packet_id) noexcept;
  static void publish_due(Shard& shard) noexcept;
};

}  // namespace stmqtt
