#include "session/topic_aliases.hpp"

#include <cstring>

#include "base/pool.hpp"

namespace stmqtt {
namespace {

std::uint8_t* copy_topic(Bytes topic) noexcept {
  auto* copy = static_cast<std::uint8_t*>(pool_allocate(topic.size()));
  std::memcpy(copy, topic.data(), topic.size());
  return copy;
}

}  // namespace

IncomingAliases::~IncomingAliases() {
  for (Entry& entry : entries_) {
    if (entry.topic != nullptr) pool_free(entry.topic, entry.bytes);
  }
}

void IncomingAliases::set(std::uint16_t alias, Bytes topic) noexcept {
  // Grown to the highest alias used: a client that uses one pays for one.
  while (entries_.size() < alias && entries_.size() < maximum_) entries_.push_back(Entry{});
  Entry& entry = entries_[alias - 1U];
  if (entry.topic != nullptr) pool_free(entry.topic, entry.bytes);
  entry.topic = copy_topic(topic);
  entry.bytes = static_cast<std::uint32_t>(topic.size());
}

Bytes IncomingAliases::find(std::uint16_t alias) const noexcept {
  if (alias == 0 || alias > entries_.size()) return {};
  const Entry& entry = entries_[alias - 1U];
  return {entry.topic, entry.bytes};
}

OutgoingAliases::OutgoingAliases(std::uint16_t maximum) noexcept : maximum_(maximum) {}

OutgoingAliases::~OutgoingAliases() {
  for (Entry& entry : entries_) {
    if (entry.topic != nullptr) pool_free(entry.topic, entry.bytes);
  }
}

OutgoingAliases::Use OutgoingAliases::use(Bytes topic, std::uint64_t topic_hash) noexcept {
  ++clock_;
  for (std::uint32_t at = 0; at < entries_.size(); ++at) {
    Entry& entry = entries_[at];
    if (entry.hash == topic_hash && entry.bytes == topic.size() &&
        std::memcmp(entry.topic, topic.data(), topic.size()) == 0) {
      entry.last_use = clock_;
      return {static_cast<std::uint16_t>(at + 1), entry.sent};
    }
  }
  std::uint64_t& seen = seen_[topic_hash % kSeen];
  if (seen != topic_hash) {  // first use: an alias would only make the packet longer
    seen = topic_hash;
    return {};
  }
  std::uint32_t place = entries_.size();
  if (place < maximum_) {
    entries_.push_back(Entry{});
  } else {
    place = 0;
    for (std::uint32_t at = 1; at < entries_.size(); ++at) {
      if (clock_ - entries_[at].last_use > clock_ - entries_[place].last_use) place = at;
    }
    pool_free(entries_[place].topic, entries_[place].bytes);
  }
  entries_[place] = Entry{topic_hash, copy_topic(topic), static_cast<std::uint32_t>(topic.size()),
                          clock_, false};
  return {static_cast<std::uint16_t>(place + 1), false};
}

void OutgoingAliases::commit(const Use& use) noexcept {
  if (use.alias != 0) entries_[use.alias - 1U].sent = true;
}

}  // namespace stmqtt
