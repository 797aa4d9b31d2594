// Why a connection is not read from. Thread: any (values).
#pragma once

#include <cstdint>

namespace stmqtt {

/// Bits of one set; reading goes on when none is left.
enum class PauseCause : std::uint8_t {
  outbox = 1,         ///< other threads do not keep up
  verdict = 2,        ///< a CONNECT waits for TypeScript
  store = 4,          ///< promises wait for the store
  queue_full = 8,     ///< overflow policy "refuse", 3.x publisher
  memory_budget = 16, ///< the broker's memory budget is used up
  rate = 32,          ///< more than its rate allows: see session/rate_state.hpp
  hooks = 64,         ///< as much as may be held waits for hooks, or JavaScript is far behind
};

}  // namespace stmqtt
