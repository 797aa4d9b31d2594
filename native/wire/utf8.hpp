// UTF-8 Encoded Strings as MQTT wants them (MQTT 5.0, 1.5.4; 3.1.1, 1.5.3). Thread: any (pure).
#pragma once

#include "base/bytes.hpp"

namespace stmqtt::wire {

/// Well-formed UTF-8 without surrogates (U+D800 to U+DFFF) [MQTT-1.5.4-1] and without U+0000
/// [MQTT-1.5.4-2]. A leading 0xEF 0xBB 0xBF is a character like others [MQTT-1.5.4-3]. Control
/// characters and non-characters, which a sender SHOULD NOT use, are accepted.
[[nodiscard]] bool valid_utf8(Bytes text) noexcept;

}  // namespace stmqtt::wire
