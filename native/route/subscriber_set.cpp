#include "route/subscriber_set.hpp"

#include "base/hash.hpp"
#include "base/pool.hpp"

namespace stmqtt {
namespace {

SubscriberSet::Record record_of(const Subscriber& subscriber) noexcept {
  return {subscriber.session.slot,       subscriber.session.generation,
          subscriber.subscription_id,    subscriber.session.thread,
          subscriber.options,            subscriber.persistent,
          0};
}

constexpr std::uint32_t kCount = 2;  // index of the count among the words of a set of many

}  // namespace

std::uint32_t SubscriberSet::size() const noexcept {
  switch (kind_) {
    case Kind::nobody:
      return 0;
    case Kind::one:
      return 1;
    case Kind::many:
      return words_[kCount];
  }
  return 0;
}

std::size_t SubscriberSet::bytes() const noexcept {
  return kind_ == Kind::many ? capacity() * sizeof(Record) : 0;
}

std::uint32_t SubscriberSet::home(std::uint32_t slot, ThreadIndex thread) const noexcept {
  return static_cast<std::uint32_t>(mix64(std::uint64_t{thread} << 32 | slot)) & (capacity() - 1);
}

void SubscriberSet::place(const Record& record) noexcept {
  Record* all = records();
  const std::uint32_t mask = capacity() - 1;
  std::uint32_t at = hashed() ? home(record.slot, record.thread) : words_[kCount];
  while (all[at].generation != 0) at = (at + 1) & mask;
  all[at] = record;
  ++words_[kCount];
}

// In a set of many.
SubscriberSet::Record* SubscriberSet::find(const SessionRef& session) const noexcept {
  Record* all = records();
  if (!hashed()) {
    for (std::uint32_t at = 0; at < words_[kCount]; ++at) {
      if (all[at].is(session)) return &all[at];
    }
    return nullptr;
  }
  const std::uint32_t mask = capacity() - 1;
  for (std::uint32_t at = home(session.slot, session.thread); all[at].generation != 0;
       at = (at + 1) & mask) {
    if (all[at].is(session)) return &all[at];
  }
  return nullptr;
}

std::optional<SubscriberSet::Record> SubscriberSet::get(const SessionRef& session) const noexcept {
  switch (kind_) {
    case Kind::nobody:
      return std::nullopt;
    case Kind::one:
      return inline_record().is(session) ? std::optional(inline_record()) : std::nullopt;
    case Kind::many: {
      const Record* record = find(session);
      return record != nullptr ? std::optional(*record) : std::nullopt;
    }
  }
  return std::nullopt;
}

SubscriberSet::Put SubscriberSet::put(const Subscriber& subscriber) noexcept {
  const Record record = record_of(subscriber);
  const std::optional<Record> old = get(subscriber.session);
  if (!old) {
    add(record);
    return Put::added;
  }
  if (old->subscription_id == record.subscription_id && old->options == record.options &&
      old->persistent == record.persistent) {
    return Put::unchanged;
  }
  if (kind_ == Kind::one) {
    become_one(record);
  } else {
    *find(subscriber.session) = record;
  }
  return Put::replaced;
}

void SubscriberSet::become_one(const Record& record) noexcept {
  words_[0] = record.slot;
  words_[1] = record.generation;
  words_[2] = record.subscription_id;
  thread_or_log2_ = record.thread;
  options_ = record.options;
  persistent_ = record.persistent;
  kind_ = Kind::one;
}

void SubscriberSet::rebuild(std::uint32_t capacity_log2) noexcept {
  Record* old = records();
  const std::uint32_t old_capacity = capacity();
  const std::size_t bytes = sizeof(Record) << capacity_log2;
  auto* fresh = static_cast<Record*>(pool_allocate(bytes));
  std::memset(static_cast<void*>(fresh), 0, bytes);
  std::memcpy(words_, &fresh, sizeof fresh);
  words_[kCount] = 0;
  thread_or_log2_ = static_cast<std::uint8_t>(capacity_log2);
  for (std::uint32_t at = 0; at < old_capacity; ++at) {
    if (old[at].generation != 0) place(old[at]);
  }
  pool_free(old, old_capacity * sizeof(Record));
}

void SubscriberSet::add(const Record& record) noexcept {
  switch (kind_) {
    case Kind::nobody:
      become_one(record);
      return;
    case Kind::one: {
      const Record first = inline_record();
      auto* all = static_cast<Record*>(pool_allocate(2 * sizeof(Record)));
      all[0] = first;
      all[1] = record;
      std::memcpy(words_, &all, sizeof all);
      words_[kCount] = 2;
      thread_or_log2_ = 1;
      kind_ = Kind::many;
      return;
    }
    case Kind::many: {
      // An array may be full; a hash table is kept a quarter empty.
      const std::uint32_t limit = hashed() ? capacity() / 4 * 3 : capacity();
      if (words_[kCount] == limit) rebuild(thread_or_log2_ + 1u);
      place(record);
      return;
    }
  }
}

void SubscriberSet::close_gap(std::uint32_t hole) noexcept {
  Record* all = records();
  if (!hashed()) {
    const std::uint32_t last = words_[kCount] - 1;
    all[hole] = all[last];
    all[last] = Record{};
    return;
  }
  const std::uint32_t mask = capacity() - 1;
  for (std::uint32_t at = (hole + 1) & mask; all[at].generation != 0; at = (at + 1) & mask) {
    const std::uint32_t wanted = home(all[at].slot, all[at].thread);
    if (((at - wanted) & mask) < ((at - hole) & mask)) continue;  // its home lies behind the hole
    all[hole] = all[at];
    hole = at;
  }
  all[hole] = Record{};
}

bool SubscriberSet::remove(const SessionRef& session) noexcept {
  if (!get(session)) return false;
  if (kind_ == Kind::one) {
    kind_ = Kind::nobody;
    return true;
  }
  Record* all = records();
  const Record* record = find(session);
  close_gap(static_cast<std::uint32_t>(record - all));
  const std::uint32_t left = --words_[kCount];
  if (left == 1) {
    const std::uint32_t old_capacity = capacity();
    std::uint32_t at = 0;
    while (all[at].generation == 0) ++at;
    become_one(all[at]);
    pool_free(all, old_capacity * sizeof(Record));
  } else if (left <= capacity() / 4) {
    rebuild(thread_or_log2_ - 1u);
  }
  return true;
}

void SubscriberSet::clear() noexcept {
  if (kind_ == Kind::many) pool_free(records(), capacity() * sizeof(Record));
  kind_ = Kind::nobody;
}

}  // namespace stmqtt
