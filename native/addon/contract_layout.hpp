// The contract as the compiler laid it out, for the test that compares it with TypeScript's mirror.
// Thread: any (pure).
#pragma once

#include <string>

namespace stmqtt {

/// JSON: records with kind, size and fields, enums, counters; see src/native/addon.ts.
[[nodiscard]] std::string contract_layout_json();

}  // namespace stmqtt
