#include "session/latency.hpp"

#include <algorithm>
#include <iterator>

namespace stmqtt {

void LatencyHistogram::add(std::uint64_t ns, std::int64_t deliveries) noexcept {
  const std::uint64_t us = (ns + 999) / 1000;
  const auto* bucket = std::ranges::lower_bound(contract::kLatencyBoundsUs, us);
  bump(static_cast<std::size_t>(bucket - std::begin(contract::kLatencyBoundsUs)), deliveries);
  bump(contract::kLatencyBuckets, deliveries);
  bump(contract::kLatencyBuckets + 1, static_cast<std::int64_t>(us) * deliveries);
}

void LatencyHistogram::add_to(std::span<std::int64_t> into) const noexcept {
  const std::size_t count = std::min(into.size(), values_.size());
  for (std::size_t at = 0; at < count; ++at) {
    into[at] += values_[at].load(std::memory_order_relaxed);
  }
}

void TurnDeliveries::sent_late(TurnStamp published) noexcept {
  ++others_;
  if (published == 0) return;
  // What another thread handed over, or a queue held, mostly came in the same turns.
  if (late_.size() > 0 && late_.back().published == published) {
    ++late_.back().deliveries;
    return;
  }
  late_.push_back({published, 1});
}

void TurnDeliveries::measure(std::int64_t sent_in_all, std::uint64_t turn_ns,
                             std::uint64_t now_ns, LatencyHistogram& into) noexcept {
  const std::int64_t sent = sent_in_all - sent_before_;
  if (sent == 0) return;
  sent_before_ = sent_in_all;
  if (sent > others_) into.add(now_ns - turn_ns, sent - others_);
  others_ = 0;
  for (const Run& run : late_) into.add(since_stamp_ns(run.published, now_ns), run.deliveries);
  late_.clear_keep();
}

}  // namespace stmqtt
