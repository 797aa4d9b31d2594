#include "route/match_builder.hpp"

#include <algorithm>
#include <tuple>

#include "base/pool.hpp"

namespace stmqtt {
namespace {

// Longer lists of one session's hits are cut; its QoS and flags still count them all.
constexpr std::size_t kMaxHits = 0xFFFF;

constexpr ThreadIndex thread_of(std::uint64_t place) noexcept {
  return static_cast<ThreadIndex>(place >> 32);
}

}  // namespace

void MatchResult::release() const noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  for (const SharedMembers* group : shared()) group->release();
  auto* self = const_cast<MatchResult*>(this);
  const std::size_t bytes = bytes_;
  self->~MatchResult();
  pool_free(self, bytes);
}

MatchBuilder::~MatchBuilder() {
  for (const SharedMembers* group : shared_) group->release();
}

bool MatchBuilder::before(const Found& a, const Found& b) noexcept {
  return std::tie(a.place, a.generation, a.hit.node) < std::tie(b.place, b.generation, b.hit.node);
}

void MatchBuilder::add(std::uint32_t node, const SubscriberSet& subscribers) noexcept {
  found_.reserve_more(subscribers.size());
  subscribers.each([&](const SubscriberSet::Record& record) {
    found_.push_back({std::uint64_t{record.thread} << 32 | record.slot, record.generation,
                      Hit{node, record.subscription_id, record.options}, record.persistent});
  });
}

MatchRef MatchBuilder::build() noexcept {
  std::sort(found_.begin(), found_.end(), before);
  std::uint32_t partitions = 0;
  std::uint32_t receivers = 0;
  std::uint32_t hits = 0;
  std::size_t session_hits = 0;
  for (std::size_t i = 0; i < found_.size(); ++i) {
    if (i == 0 || !same_session(found_[i - 1], found_[i])) {
      ++receivers;
      session_hits = 0;
    }
    if (i == 0 || thread_of(found_[i - 1].place) != thread_of(found_[i].place)) ++partitions;
    if (++session_hits <= kMaxHits) ++hits;
  }
  static_assert(alignof(MatchResult) >= alignof(SharedMembers*) && alignof(Partition) == 4 &&
                alignof(Receiver) == 4 && alignof(Hit) == 4);
  const std::size_t bytes = sizeof(MatchResult) + shared_.size() * sizeof(SharedMembers*) +
                            partitions * sizeof(Partition) + receivers * sizeof(Receiver) +
                            hits * sizeof(Hit);
  auto* result = ::new (pool_allocate(bytes)) MatchResult();
  result->bytes_ = bytes;
  result->shared_count_ = static_cast<std::uint32_t>(shared_.size());
  result->partition_count_ = partitions;
  result->receiver_count_ = receivers;
  fill(*result);
  return MatchRef::adopt(result);
}

void MatchBuilder::fill(MatchResult& result) noexcept {
  auto* shared = const_cast<SharedMembers**>(result.shared_at());
  while (!shared_.empty()) {
    *shared++ = shared_.back();
    shared_.pop_back();
  }
  auto* partition = const_cast<Partition*>(result.partitions_at()) - 1;
  auto* receiver = const_cast<Receiver*>(result.receivers_at()) - 1;
  auto* hit = const_cast<Hit*>(result.hits_at());
  std::uint32_t receivers = 0;
  std::uint32_t hits = 0;
  for (std::size_t i = 0; i < found_.size(); ++i) {
    const Found& found = found_[i];
    if (i == 0 || thread_of(found_[i - 1].place) != thread_of(found.place)) {
      *++partition = Partition{thread_of(found.place), false, 0, receivers, 0};
    }
    if (i == 0 || !same_session(found_[i - 1], found)) {
      *++receiver = Receiver{static_cast<std::uint32_t>(found.place), found.generation, hits, 0, 0,
                             kAllNoLocal};
      ++receivers;
      ++partition->receiver_count;
    }
    const SubscriptionOptions options = found.hit.options;
    receiver->max_qos = std::max(receiver->max_qos, options.qos());
    unsigned flags = receiver->flags;
    if (found.persistent) flags |= kNeedsStore;
    if (!options.monitor()) ++result.subscribers_;
    if (options.no_local()) {
      flags |= kAnyNoLocal;
    } else {
      flags &= ~unsigned{kAllNoLocal};
    }
    if (options.retain_as_published()) flags |= kAnyRetainAsPublished;
    if (found.hit.subscription_id != 0) flags |= kHasSubscriptionIds;
    receiver->flags = static_cast<std::uint8_t>(flags);
    partition->max_qos = std::max(partition->max_qos, options.qos());
    partition->any_persistent = partition->any_persistent || found.persistent;
    result.max_qos_ = std::max(result.max_qos_, options.qos());
    result.any_persistent_ = result.any_persistent_ || found.persistent;
    if (receiver->hit_count < kMaxHits) {
      *hit++ = found.hit;
      ++receiver->hit_count;
      ++hits;
    }
  }
}

}  // namespace stmqtt
