// What all shards of a broker share. Everything in it is safe from any thread. Lock order: no lock
// in here is taken while another one is held.
// Thread: any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/ids.hpp"
#include "route/retained_index.hpp"
#include "route/topic_trie.hpp"
#include "session/ban_table.hpp"
#include "session/delayed.hpp"
#include "session/directory.hpp"
#include "session/flap_table.hpp"
#include "session/log_totals.hpp"
#include "session/own_limits_table.hpp"
#include "session/tenant_table.hpp"

namespace stmqtt {

/// One bit of each session that publishers on other threads must see: its queue is full and its
/// policy is to refuse. Thread: the home thread writes, any reads.
class FullSessions {
 public:
  ~FullSessions() {
    for (auto& thread : chunks_) {
      for (auto& chunk : thread) delete[] chunk.load(std::memory_order_relaxed);
    }
  }
  void set(const SessionRef& session, std::uint8_t full) noexcept {
    std::atomic<std::uint8_t>* chunk = chunk_of(session).load(std::memory_order_relaxed);
    if (chunk == nullptr) {
      if (full == 0) return;
      chunk = new std::atomic<std::uint8_t>[kChunk]();
      chunk_of(session).store(chunk, std::memory_order_release);
    }
    chunk[session.slot % kChunk].store(full, std::memory_order_release);
    if (full != 0) any_.store(true, std::memory_order_release);
  }
  /// False as long as no session was ever full: one load for everybody who does not use it.
  [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_acquire); }
  [[nodiscard]] bool test(ThreadIndex thread, std::uint32_t slot) const noexcept {
    const std::uint32_t index = slot / kChunk;
    if (index >= kChunks) return false;
    const auto* chunk = chunks_[thread][index].load(std::memory_order_acquire);
    return chunk != nullptr && chunk[slot % kChunk].load(std::memory_order_acquire) != 0;
  }

 private:
  static constexpr std::uint32_t kChunk = 65'536;
  static constexpr std::uint32_t kChunks = 256;  ///< 16 million sessions a thread
  using Cell = std::atomic<std::atomic<std::uint8_t>*>;

  [[nodiscard]] Cell& chunk_of(const SessionRef& session) noexcept {
    return chunks_[session.thread][(session.slot / kChunk) % kChunks];
  }
  Cell chunks_[kMaxIoThreads][kChunks] = {};
  std::atomic<bool> any_{false};
};

/// How far the broker is over its memory budget.
enum class MemoryPressure : std::uint8_t {
  none,
  shed,   ///< QoS 0 is dropped
  pause,  ///< publishers are not read from
};

struct BrokerTables {
  explicit BrokerTables(TrieOptions options) : trie(options) {}

  TopicTrie trie;
  RetainedIndex retained;
  Directory directory;
  FullSessions full;
  BanTable bans;
  FlapTable flaps;
  TenantTable tenants;
  OwnLimitsTable limits;
  LogTotals logs;
  DelayTotals delayed;
  std::atomic<std::uint64_t> max_memory_bytes{0};  ///< 0 = no budget
  /// Who is told who published: in-process links, and threads whose hooks look at deliveries.
  std::atomic<std::uint32_t> told{0};
  std::atomic<std::int64_t> memory_bytes{0};  ///< messages and outbound queues, brought up to
                                              ///< date by each thread once per turn

  [[nodiscard]] MemoryPressure pressure() const noexcept {
    const std::uint64_t budget = max_memory_bytes.load(std::memory_order_relaxed);
    if (budget == 0) return MemoryPressure::none;
    const auto used = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, memory_bytes.load(std::memory_order_relaxed)));
    if (used <= budget) return MemoryPressure::none;
    return used - budget > budget / 8 ? MemoryPressure::pause : MemoryPressure::shed;
  }
};

}  // namespace stmqtt
