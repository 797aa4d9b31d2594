// Engine: connections counted in and out, handshakes in progress, bans.
#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace stmqtt {

bool Engine::admit_connection(ListenerEntry& entry) noexcept {
  const std::uint32_t all = connections_.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::uint32_t here = entry.connections.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::uint32_t most = max_connections_.load(std::memory_order_relaxed);
  const std::uint32_t most_here = entry.max_connections.load(std::memory_order_relaxed);
  if ((most == 0 || all <= most) && (most_here == 0 || here <= most_here)) {
    return true;
  }
  connection_closed(entry.socket.id(), {}, 0);
  return false;
}

void Engine::connection_closed(ListenerId id, const PeerAddress& peer,
                               std::uint8_t counted) noexcept {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  if (ListenerEntry* entry = listener(id)) {
    entry->connections.fetch_sub(1, std::memory_order_relaxed);
  }
  if ((counted & kCountedAddress) != 0) addresses_.leave(id, peer.ip(), now_ns());
  if ((counted & kCountedHandshake) != 0) handshake_over(id);
}

std::uint32_t Engine::room_for_handshakes(ListenerEntry& entry) noexcept {
#ifdef STMQTT_MUTANT_ANY_NUMBER_OF_HANDSHAKES
  return UINT32_MAX;
#endif
  if (entry.max_handshakes == 0) return UINT32_MAX;
  const auto room = [&] {
    const std::uint32_t now = entry.handshakes.load(std::memory_order_seq_cst);
    return now < entry.max_handshakes ? entry.max_handshakes - now : 0;
  };
  if (const std::uint32_t left = room()) return left;
  // Said first, then looked once more: whoever ends a handshake in between sees one or the other.
  entry.held.store(true, std::memory_order_seq_cst);
  const std::uint32_t left = room();
  if (left > 0) entry.held.store(false, std::memory_order_seq_cst);
  return left;
}

void Engine::handshake_over(ListenerId id) noexcept {
  ListenerEntry* entry = listener(id);
  if (entry == nullptr) return;
  const std::uint32_t left = entry->handshakes.fetch_sub(1, std::memory_order_seq_cst) - 1;
  // Not for each that ends: a quarter of them is free before it is worth the wake-up.
  const std::uint32_t low = entry->max_handshakes - 1 - (entry->max_handshakes - 1) / 4;
  if (left <= low && entry->held.load(std::memory_order_seq_cst) &&
      entry->held.exchange(false, std::memory_order_seq_cst)) {
    worker(entry->thread).readmit_soon();
  }
}

BanTable::Added Engine::ban(Ban ban) {
  const BanTable::Added added = tables_.bans.add(std::move(ban));
  if ((added == BanTable::Added::added || added == BanTable::Added::replaced) &&
      state_ != State::stopped) {
    for (auto& worker : workers_) worker->put(BansChanged{});
  }
  return added;
}

bool Engine::unban(BanKind kind, std::string_view value) { return tables_.bans.remove(kind, value); }

}  // namespace stmqtt
