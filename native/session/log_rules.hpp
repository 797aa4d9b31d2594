// Which log records are wanted, as far as native code can tell: a level for all, others for parts of
// the broker and for single clients. TypeScript's filter says the rest.
// Thread: any (plain data); a shard and its host read one that its thread owns.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "contract/records.hpp"

namespace stmqtt {

struct LogRules {
  static constexpr std::size_t kMaxClients = 64;
  static constexpr std::uint8_t kAsLevel = 0xFF;

  std::uint8_t level = static_cast<std::uint8_t>(contract::LogLevel::warn);  ///< 0 = off
  /// By LogModule; kAsLevel = as `level`.
  std::array<std::uint8_t, contract::kLogModuleCount> modules = as_level();
  /// Adds to what the levels let through. The text is a Client Identifier.
  std::vector<std::pair<std::string, std::uint8_t>> clients;

  /// No record above this level is wanted by anybody.
  [[nodiscard]] std::uint8_t finest() const noexcept {
    std::uint8_t finest = level;
    for (const std::uint8_t each : modules) {
      if (each != kAsLevel) finest = std::max(finest, each);
    }
    for (const auto& client : clients) finest = std::max(finest, client.second);
    return finest;
  }
  [[nodiscard]] bool wants(contract::LogLevel of, contract::LogModule module,
                           Bytes client_id) const noexcept {
    const auto number = static_cast<std::uint8_t>(of);
    const std::uint8_t own = modules[static_cast<std::size_t>(module) % modules.size()];
    if (number <= (own == kAsLevel ? level : own)) return true;
    if (client_id.empty()) return false;
    return std::ranges::any_of(clients, [&](const auto& client) {
      return number <= client.second && client.first == as_text(client_id);
    });
  }

 private:
  static constexpr std::array<std::uint8_t, contract::kLogModuleCount> as_level() noexcept {
    std::array<std::uint8_t, contract::kLogModuleCount> levels{};
    levels.fill(kAsLevel);
    return levels;
  }
};

}  // namespace stmqtt
