// Why and how a client is to be closed. Thread: any (values).
#pragma once

#include "base/bytes.hpp"
#include "contract/records.hpp"
#include "wire/reason_code.hpp"

namespace stmqtt {

/// Why and how a client is to be closed.
struct Closing {
  contract::CloseCause cause = contract::CloseCause::none;
  wire::ReasonCode reason = wire::ReasonCode::success;  ///< of our DISCONNECT; success = send none
  const char* detail = nullptr;                         ///< static English text, or null
  Bytes reason_text = {};                               ///< Reason String instead of the detail
};

}  // namespace stmqtt
