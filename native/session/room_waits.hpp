// Publishers that wait for room: in the memory budget, or in a receiver's queue. What would make that
// room, acknowledgements, may stand behind the very PUBLISH that waits, so nobody waits for ever.
// Thread: the shard's.
#pragma once

#include <cstdint>

#include "base/pause_cause.hpp"
#include "session/client.hpp"
#include "session/tables.hpp"

namespace stmqtt {

class Shard;

class RoomWaits {
 public:
  /// Whoever waits tries again so often, and for so long at most.
  static constexpr std::uint64_t kRetryMs = 10;
  static constexpr std::uint64_t kWaitMs = 10'000;
  /// Then a 3.x client is heard for so long, but for what it publishes.
  static constexpr std::uint64_t kSheddingMs = 2'000;

  enum class Step : std::uint8_t {
    go_on,
    done,   ///< the PUBLISH in hand was dropped or refused
    later,  ///< the client is paused before it
  };
  /// The PUBLISH in hand, where the budget is used up or the client is `shedding`.
  [[nodiscard]] static Step under_pressure(Shard& shard, Client& client,
                                           MemoryPressure pressure) noexcept;
  /// Pauses the client before the PUBLISH in hand. False: it has waited for long enough.
  [[nodiscard]] static bool wait(Shard& shard, Client& client, PauseCause cause) noexcept;
  /// Those who wait, for room or for events, try again.
  static void retry(Shard& shard) noexcept;
  static void retry_soon(Shard& shard) noexcept;

 private:
  /// Up to an eighth of a second more.
  [[nodiscard]] static bool has_waited(const Shard& shard, const Client& client,
                                       std::uint64_t ms) noexcept;
  [[nodiscard]] static bool keeps_waiting(Shard& shard, Client& client) noexcept;
};

}  // namespace stmqtt
