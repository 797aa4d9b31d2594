// How often each Client Identifier has connected lately, to find those that flap. Four places for
// each set of hashes: of more clients than there is room for, those seen longest ago are forgotten.
// Pure; takes the time. Its memory comes when counting is switched on.
// Thread: any. Lock order: a stripe's lock is a leaf.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace stmqtt {

struct FlapRule {
  std::uint32_t count = 0;      ///< so many connects in a window are well; 0 = not counted
  std::uint32_t window_ms = 60'000;
  std::uint32_t ban_s = 300;

  bool operator==(const FlapRule&) const noexcept = default;
};

class FlapTable {
 public:
  static constexpr std::size_t kPlaces = 65'536;

  /// One load where nothing is counted.
  [[nodiscard]] bool on() const noexcept { return count_.load(std::memory_order_acquire) != 0; }
  void set(const FlapRule& rule);
  [[nodiscard]] std::uint64_t ban_ms() const noexcept {
    return ban_s_.load(std::memory_order_relaxed) * std::uint64_t{1000};
  }
  /// Counts a connect. True: it is one too many, and counting begins anew.
  [[nodiscard]] bool flaps(std::uint64_t hash, std::uint64_t now_ms) noexcept;

 private:
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kStripes = 64;
  struct Place {
    std::uint64_t hash = 0;
    std::uint64_t began_ms = 0;  ///< 0 = empty
    std::uint32_t connects = 0;
  };
  struct alignas(64) Stripe {
    std::mutex mutex;
  };

  std::atomic<std::uint32_t> count_{0};
  std::atomic<std::uint32_t> window_ms_{0};
  std::atomic<std::uint32_t> ban_s_{0};
  std::unique_ptr<std::array<Place, kPlaces>> places_;  ///< made once, before count_ says so
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace stmqtt
