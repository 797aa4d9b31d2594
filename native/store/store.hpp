// Where promises become durable. One store for the broker, one gate of it for each I/O thread.
// Thread: gate() before the I/O threads start; each gate belongs to its thread.
#pragma once

#include <cstdint>
#include <memory>

#include "base/ids.hpp"
#include "session/gate.hpp"

namespace stmqtt {

/// Called from the store's thread when results wait for an I/O thread. Must not block.
struct StoreWake {
  void (*call)(void* context) = nullptr;
  void* context = nullptr;
};

class Store {
 public:
  virtual ~Store() = default;
  /// The store keeps the gate until its own end.
  [[nodiscard]] virtual Gate& open_gate(ThreadIndex thread, StoreWake wake) = 0;
  /// No wake is called any more once this returns; what waits stays undecided.
  virtual void stop() noexcept = 0;
};

/// Memory only: grants at once.
[[nodiscard]] std::unique_ptr<Store> make_memory_store();

}  // namespace stmqtt
