// Counters that one thread writes and any thread reads, without a lock: relaxed atomics with a
// single writer, which is a plain load, add and store. The enumerators of Name are the indices.
// Thread: add() by the owner, read() by any.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace stmqtt {

template <class Name, std::size_t kCount>
class CounterBlock {
 public:
  CounterBlock() noexcept = default;
  CounterBlock(const CounterBlock&) = delete;
  CounterBlock& operator=(const CounterBlock&) = delete;

  void add(Name name, std::int64_t amount = 1) noexcept {
    auto& value = values_[static_cast<std::size_t>(name)];
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  [[nodiscard]] std::int64_t read(Name name) const noexcept {
    return values_[static_cast<std::size_t>(name)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::int64_t read(std::size_t index) const noexcept {
    return values_[index].load(std::memory_order_relaxed);
  }
  static constexpr std::size_t size() noexcept { return kCount; }

 private:
  // On lines of its own: another thread's writes nearby would slow every add().
  alignas(64) std::atomic<std::int64_t> values_[kCount] = {};
};

}  // namespace stmqtt
