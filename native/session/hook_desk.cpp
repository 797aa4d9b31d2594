#include "session/hook_desk.hpp"

#include <algorithm>

#include "base/pool.hpp"

namespace stmqtt {

void HookDesk::set(std::shared_ptr<const HookSet> hooks) noexcept {
  hooks_ = hooks != nullptr && hooks->size() > 0 ? std::move(hooks) : nullptr;
  kinds_ = hooks_ == nullptr ? std::uint8_t{0} : hooks_->kinds();
  classes_.clear();
  serial_ = mix64(++sets_);  // what the cache has is of another set
  look();
}

const HookNeeds& HookDesk::needs(Bytes topic, std::uint64_t topic_hash) noexcept {
  if (hooks_ == nullptr) {
    looked_up_ = {};
    return looked_up_;
  }
  const DecisionCache::Key key{serial_, topic_hash, topic, 0};
  if (const std::uint8_t* known = cache_.find(key)) {
    if (*known < classes_.size()) return classes_[*known];
  }
  looked_up_ = hooks_->needs(topic);
  const auto same = std::find(classes_.begin(), classes_.end(), looked_up_);
  if (same == classes_.end() && classes_.size() == kMaxClasses) return looked_up_;
  cache_.put(key, static_cast<std::uint8_t>(same - classes_.begin()));
  if (same != classes_.end()) return *same;
  classes_.push_back(looked_up_);
  return classes_.back();
}

HeldQueue* HookDesk::find(const SessionRef& session) const noexcept {
  const auto found = by_session_.find(name_of(session));
  return found == by_session_.end() ? nullptr : found->second;
}

HeldQueue* HookDesk::find(std::uint64_t id, std::uint32_t& index) const noexcept {
  const auto slot = static_cast<std::uint32_t>(id >> 32) & 0xFFFFFF;
  HeldQueue* queue = slot < queues_.slots() ? queues_.at(slot) : nullptr;
  if (queue == nullptr) return nullptr;
  index = static_cast<std::uint32_t>(id) - queue->first;
  return index < queue->items.size() ? queue : nullptr;
}

HeldQueue& HookDesk::open(const SessionRef& session) noexcept {
  auto* queue = pool_new<HeldQueue>();
  queue->session = session;
  queue->slot = queues_.insert(queue).slot;
  if (queue->slot >= numbers_.size()) numbers_.resize(queue->slot + 1, 1);
  // Goes on where the last one of this slot ended, so that no late verdict finds another's item.
  queue->first = numbers_[queue->slot];
  by_session_[name_of(session)] = queue;
  look();
  return *queue;
}

void HookDesk::close(HeldQueue& queue) noexcept {
  numbers_[queue.slot] = queue.first + queue.items.size();
  by_session_.erase(name_of(queue.session));
  queues_.erase(queue.slot);
  pool_delete(&queue);
  look();
}

void HookDesk::rename(HeldQueue& queue, const SessionRef& now) noexcept {
  by_session_.erase(name_of(queue.session));
  queue.session = now;
  by_session_[name_of(now)] = &queue;
}

HeldQueue* HookDesk::find_by_key(const SessionKey& key) const noexcept {
  for (std::uint32_t slot = 0; slot < queues_.slots(); ++slot) {
    HeldQueue* queue = queues_.at(slot);
    if (queue != nullptr && queue->key != nullptr &&
        as_text(queue->key->bytes()) == as_text(key.bytes())) {
      return queue;
    }
  }
  return nullptr;
}

}  // namespace stmqtt
