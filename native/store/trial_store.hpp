// Stores for tests: one that takes its time, one that fails. They show that no promise is given
// before its ticket. Not reachable from any configuration.
// Thread: a thread of its own hands out the results.
#pragma once

#include <cstdint>
#include <memory>

#include "store/store.hpp"

namespace stmqtt {

struct TrialStoreOptions {
  std::uint32_t delay_ms = 0;          ///< from a batch's end to its results
  std::uint64_t granted_tickets = UINT64_MAX;  ///< of each gate; all later ones fail
};

[[nodiscard]] std::unique_ptr<Store> make_trial_store(TrialStoreOptions options);

}  // namespace stmqtt
