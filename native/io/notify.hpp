// One datagram to a supervisor's Unix socket: systemd's notify protocol (sd_notify(3)), which Node
// has no socket for.
// Thread: any; called from JavaScript's. Never waits.
#pragma once

#include <string_view>

#include "io/system_error.hpp"

namespace stmqtt {

/// `path`: of the file system, or with '@' in front a name of the abstract namespace.
[[nodiscard]] SystemError notify_supervisor(std::string_view path, std::string_view text) noexcept;

}  // namespace stmqtt
