// The store that keeps nothing but what the sessions hold in memory: every ticket is granted.
#include "store/store.hpp"

namespace stmqtt {
namespace {

class MemoryGate final : public Gate {
 public:
  MemoryGate() noexcept : Gate(true) {}
  [[nodiscard]] bool next_result(TicketResult&) noexcept override { return false; }
  void end_batch() noexcept override {}

 protected:
  [[nodiscard]] Ticket submit(const Commit&) noexcept override { return kGranted; }
};

class MemoryStore final : public Store {
 public:
  [[nodiscard]] Gate& open_gate(ThreadIndex, StoreWake) override { return gate_; }
  void stop() noexcept override {}

 private:
  MemoryGate gate_;  // has no state, so one serves all threads
};

}  // namespace

std::unique_ptr<Store> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace stmqtt
