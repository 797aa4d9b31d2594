// The Topic Name of a message that is to be published later: "$delayed/<seconds>/<topic>".
// Thread: any (pure).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace stmqtt::wire {

enum class DelayPrefix : std::uint8_t {
  none,     ///< an ordinary Topic Name
  fits,
  invalid,  ///< the seconds are no number or too many, or no topic stands behind them
};

/// Takes the prefix off where it fits. `most`: seconds that are allowed.
[[nodiscard]] DelayPrefix take_delay_prefix(Bytes& topic, std::uint32_t most,
                                            std::uint32_t& seconds) noexcept;

}  // namespace stmqtt::wire
