// How long a command record must be by its own words: checked before anything of it is read.
// Thread: any (pure).
#pragma once

#include <cstddef>
#include <cstdint>

#include "contract/records.hpp"

namespace stmqtt {

/// Bytes of the fixed part and of the strings; SIZE_MAX = no record of this kind can be so.
[[nodiscard]] std::size_t claimed_bytes(contract::CommandKind kind, const std::uint8_t* record,
                                        std::size_t room);

}  // namespace stmqtt
