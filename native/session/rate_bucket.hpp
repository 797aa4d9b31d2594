// How much may pass in a second, with a burst of one second's worth: a token bucket kept as one
// number, the time at which it would be full again. What is larger than the bucket passes when that
// is full, and overdraws it; who comes next waits for that. Pure; takes the time.
// In the path: before a client's packet is handled, where its rate is bounded.
// Thread: RateBucket its owner's; SharedRate any.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace stmqtt {

inline constexpr std::uint64_t kRateBurstNs = 1'000'000'000;
/// Nobody waits longer than this, whatever was overdrawn: a client must not take us for dead.
inline constexpr std::uint64_t kMaxRateWaitNs = 60'000'000'000;

/// What `count` take out of a bucket of `per_s` (not 0), in its time.
[[nodiscard]] constexpr std::uint64_t rate_cost_ns(std::uint32_t per_s,
                                                   std::uint64_t count) noexcept {
  return count * 1'000'000'000 / per_s;
}
/// How long to wait for so much where the bucket is full again at `full_at_ns`; 0 = it is there.
[[nodiscard]] constexpr std::uint64_t rate_wait_ns(std::uint64_t full_at_ns, std::uint64_t now_ns,
                                                   std::uint64_t cost_ns) noexcept {
  const std::uint64_t empty_at_ns = std::max(full_at_ns, now_ns) + std::min(cost_ns, kRateBurstNs);
  if (empty_at_ns <= now_ns + kRateBurstNs) return 0;
  return std::min(empty_at_ns - now_ns - kRateBurstNs, kMaxRateWaitNs);
}
/// When it is full again after this, at most kMaxRateWaitNs behind what a wait makes up for.
[[nodiscard]] constexpr std::uint64_t rate_after(std::uint64_t full_at_ns, std::uint64_t now_ns,
                                                 std::uint64_t cost_ns) noexcept {
  return std::min(std::max(full_at_ns, now_ns) + cost_ns, now_ns + kRateBurstNs + kMaxRateWaitNs);
}

class RateBucket {
 public:
  /// How long so much would have to wait; 0 = it may pass now.
  [[nodiscard]] std::uint64_t wait_ns(std::uint32_t per_s, std::uint64_t count,
                                      std::uint64_t now_ns) const noexcept {
    return rate_wait_ns(full_at_ns_, now_ns, rate_cost_ns(per_s, count));
  }
  /// Takes it out. Returns how long it has to wait before it may pass.
  [[nodiscard]] std::uint64_t take(std::uint32_t per_s, std::uint64_t count,
                                   std::uint64_t now_ns) noexcept {
    const std::uint64_t wait = wait_ns(per_s, count, now_ns);
    full_at_ns_ = rate_after(full_at_ns_, now_ns, rate_cost_ns(per_s, count));
    return wait;
  }

 private:
  std::uint64_t full_at_ns_ = 0;
};

/// One for many clients. Each that waits has its place: it was taken out when it came.
class SharedRate {
 public:
  void set(std::uint32_t per_s) noexcept { per_s_.store(per_s, std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t per_s() const noexcept {
    return per_s_.load(std::memory_order_relaxed);
  }
  /// As RateBucket::take(); 0 where there is no bound.
  [[nodiscard]] std::uint64_t take(std::uint64_t count, std::uint64_t now_ns) noexcept {
    const std::uint32_t per_s = this->per_s();
    if (per_s == 0) return 0;
    const std::uint64_t cost = rate_cost_ns(per_s, count);
    std::uint64_t before = full_at_ns_.load(std::memory_order_relaxed);
    while (!full_at_ns_.compare_exchange_weak(before, rate_after(before, now_ns, cost),
                                              std::memory_order_relaxed)) {
    }
    return rate_wait_ns(before, now_ns, cost);
  }

 private:
  std::atomic<std::uint32_t> per_s_{0};  ///< 0 = no bound
  std::atomic<std::uint64_t> full_at_ns_{0};
};

/// What all clients of a listener, or of a tenant, may send together.
struct SharedRates {
  SharedRate messages;
  SharedRate bytes;
};

}  // namespace stmqtt
