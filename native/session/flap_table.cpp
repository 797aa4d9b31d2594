#include "session/flap_table.hpp"

namespace stmqtt {

void FlapTable::set(const FlapRule& rule) {
  window_ms_.store(rule.window_ms, std::memory_order_relaxed);
  ban_s_.store(rule.ban_s, std::memory_order_relaxed);
  if (rule.count != 0 && places_ == nullptr) {
    places_ = std::make_unique<std::array<Place, kPlaces>>();
  }
  count_.store(rule.count, std::memory_order_release);
}

bool FlapTable::flaps(std::uint64_t hash, std::uint64_t now_ms) noexcept {
  const std::uint32_t most = count_.load(std::memory_order_acquire);
  if (most == 0) return false;
  const std::uint32_t window_ms = window_ms_.load(std::memory_order_relaxed);
  const std::size_t set = hash % (kPlaces / kWays);
  const std::lock_guard lock(stripes_[set % kStripes].mutex);
  Place* const first = places_->data() + set * kWays;
  Place* place = first;
  for (Place* at = first; at != first + kWays; ++at) {
    if (at->began_ms != 0 && at->hash == hash) {
      place = at;
      break;
    }
    if (at->began_ms < place->began_ms) place = at;
  }
  // Another thread's turn may have begun a little later than this one's: no differences of times.
  if (place->began_ms == 0 || place->hash != hash || now_ms >= place->began_ms + window_ms) {
    *place = {hash, now_ms, 1};
    return false;
  }
  if (++place->connects <= most) return false;
  *place = {};
  return true;
}

}  // namespace stmqtt
