// A client that the broker ends among many, while it waits for its turn. Thread: its shard's.
#pragma once

#include "base/message.hpp"
#include "contract/records.hpp"
#include "session/promise.hpp"
#include "wire/reason_code.hpp"

namespace stmqtt {

/// Of thousands that are to go at once.
inline constexpr std::uint32_t kDismissalsPerTurn = 64;

/// Owns its Reason String.
struct Dismissal {
  ClientRef client;
  contract::CloseCause cause = contract::CloseCause::none;
  wire::ReasonCode reason = wire::ReasonCode::success;
  const char* detail = nullptr;  ///< as Closing's
  MessageRef text = {};          ///< its payload is the Reason String; null = the detail
};

}  // namespace stmqtt
