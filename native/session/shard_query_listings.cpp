// Shard: listings of subscriptions, of who gets a topic, and of retained messages. As all queries
// they are bounded, and each place is a name that stays what it is while others come and go.
// Thread: the shard's.
#include <algorithm>
#include <string>
#include <vector>

#include "session/shard.hpp"

namespace stmqtt {
namespace {

constexpr std::uint64_t kAllKeys = UINT64_MAX;
/// Retained messages looked up at once, and how often in one query.
constexpr std::size_t kRetainedChunk = 64;
constexpr unsigned kRetainedChunks = 12;

std::uint64_t packed(SubscriptionKey key) noexcept {
  return std::uint64_t{key.node} << 32 | key.group;
}
SubscriptionKey unpacked(std::uint64_t key) noexcept {
  return {static_cast<std::uint32_t>(key >> 32), static_cast<std::uint32_t>(key)};
}

void write_subscription(const SessionKey& who, const std::string& filter,
                        SubscriptionOptions options, std::uint32_t subscription_id,
                        JsonWriter& rows) noexcept {
  rows.begin_object();
  rows.field("client", who.client_id());
  if (who.instance() != 0) rows.field("instance", who.instance());
  rows.field("filter", as_bytes(filter));
  rows.field("options", options.bits);
  if (subscription_id != 0) rows.field("id", subscription_id);
  rows.end_object();
}

bool is_full(std::uint32_t count, const PageBounds& bounds, const JsonWriter& rows) noexcept {
  return count >= bounds.rows || rows.size() >= PageBounds::kBytes;
}

}  // namespace

std::uint64_t Shard::write_subscriptions(const Session& session, std::uint64_t key,
                                         const PageBounds& bounds, std::uint32_t& count,
                                         JsonWriter& rows) const noexcept {
  PoolVector<SubscriptionKey> all;
  session.subscriptions.keys(all);
  std::vector<std::uint64_t> keys;
  for (const SubscriptionKey each : all) {
    if (packed(each) >= key) keys.push_back(packed(each));
  }
  // Only the least of them are for this page: the others need no order.
  const std::size_t wanted = std::min<std::size_t>(keys.size(), bounds.rows - count);
  std::ranges::partial_sort(keys, keys.begin() + static_cast<std::ptrdiff_t>(wanted));
  SubscriptionText text;
  for (std::size_t at = 0; at < wanted; ++at) {
    if (is_full(count, bounds, rows)) return keys[at];
    key = keys[at] + 1;
    if (!tables_.trie.describe(unpacked(keys[at]), session.ref(), text)) continue;
    write_subscription(session.key(), text.filter, text.options, text.subscription_id, rows);
    ++count;
  }
  return wanted < keys.size() ? key : kAllKeys;
}

void Shard::list_subscriptions(SubscriptionPlace& place, const PageBounds& bounds,
                               JsonWriter& rows) noexcept {
  std::uint32_t count = 0;
  std::uint32_t looked_at = 0;
  for (; place.slot < sessions_.slots(); ++place.slot, place.key = 0) {
    if (is_full(count, bounds, rows) || looked_at++ == PageBounds::kSlots) return;
    const Session* session = sessions_.at(place.slot);
    if (session == nullptr || session->subscriptions.size() == 0) continue;
    place.key = write_subscriptions(*session, place.key, bounds, count, rows);
    if (place.key != kAllKeys) return;
  }
  place.slot = kListed;
}

bool Shard::list_subscriptions_of(const SessionRef& ref, SubscriptionPlace& place,
                                  const PageBounds& bounds, JsonWriter& rows) noexcept {
  const Session* session = find_session(ref);
  if (session == nullptr) return false;
  std::uint32_t count = 0;
  place.key = write_subscriptions(*session, place.key, bounds, count, rows);
  place.slot = place.key == kAllKeys ? kListed : ref.slot;
  return true;
}

void Shard::list_routes(Bytes topic, RoutePlace& place, const PageBounds& bounds,
                        JsonWriter& rows) noexcept {
  const MatchResult& match = cache_.find(tables_.trie, topic, TopicTrie::hash(topic));
  std::uint32_t count = 0;
  if (place.part == RoutePlace::Part::sessions) {
    for (const Partition& partition : match.partitions()) {
      if (partition.thread != options_.thread) continue;
      const auto receivers = match.receivers(partition);  // in the order of their slots
      auto at = std::ranges::lower_bound(receivers, place.first, {}, &Receiver::slot);
      for (; at != receivers.end(); ++at) {
        if (at->slot != place.first) place.then = 0;
        place.first = at->slot;
        const Session* session = find_session({at->slot, at->generation, options_.thread});
        if (session == nullptr) continue;
        const auto hits = match.hits(*at);
        for (; place.then < hits.size(); ++place.then) {
          if (is_full(count, bounds, rows)) return;
          const Hit& hit = hits[place.then];
          const std::string filter = tables_.trie.filter_of({hit.node, 0});
          if (filter.empty()) continue;  // it has just ended
          write_subscription(session->key(), filter, hit.options, hit.subscription_id, rows);
          ++count;
        }
      }
    }
    place = {RoutePlace::Part::groups, 0, 0};
  }
  std::vector<const SharedMembers*> groups(match.shared().begin(), match.shared().end());
  std::ranges::sort(groups, {}, [](const SharedMembers* g) { return packed(g->state().key()); });
  for (const SharedMembers* group : groups) {
    const std::uint64_t key = packed(group->state().key());
    if (key < place.first) continue;
    if (key != place.first) place.then = 0;
    place.first = key;
    const std::string filter = tables_.trie.filter_of(group->state().key());
    for (const SharedMember* member : group->members()) {  // in the order of their serials
      if (member->serial() < place.then || member->session().thread != options_.thread) continue;
      place.then = member->serial();
      if (is_full(count, bounds, rows)) return;
      const Session* session = find_session(member->session());
      if (session == nullptr || filter.empty()) continue;
      write_subscription(session->key(), filter, member->options(),
                         member->subscription_id(), rows);
      ++count;
    }
  }
  place.part = RoutePlace::Part::end;
}

Bytes Shard::name_of(const SessionRef& ref) const noexcept {
  const Session* session = ref.thread == options_.thread ? find_session(ref) : nullptr;
  return session == nullptr ? Bytes{} : session->client_id();
}

void Shard::write_retained(const Message& message, const PageBounds& bounds, JsonWriter& rows,
                           std::string& data) const noexcept {
  rows.begin_object();
  rows.field("topic", message.topic());
  rows.field("payload_bytes", static_cast<std::int64_t>(message.payload().size()));
  rows.field("qos", message.qos());
  if (message.expires_at_ms() != 0) {
    rows.field("expires",
               bounds.wall_offset_ms + static_cast<std::int64_t>(message.expires_at_ms()));
  }
  rows.field("sequence", static_cast<std::int64_t>(message.retain_sequence()));
  const SessionRef& publisher = message.publisher();
  if (publisher.valid() && publisher.thread == options_.thread) {
    rows.field("publisher", name_of(publisher));
  } else if (publisher.valid()) {  // that thread knows
    rows.field("publisher_thread", publisher.thread);
    rows.field("publisher_slot", publisher.slot);
    rows.field("publisher_generation", publisher.generation);
  }
  rows.end_object();
  data += as_text(message.payload());
}

void Shard::list_retained(Bytes filter, RetainedCursor& cursor, const PageBounds& bounds,
                          JsonWriter& rows, std::string& data) noexcept {
  std::uint32_t count = 0;
  std::vector<MessageRef> found;
  for (unsigned chunk = 0; chunk < kRetainedChunks && !cursor.done && count < bounds.rows; ++chunk) {
    found.clear();
    tables_.retained.scan(filter, UINT64_MAX, cx_.now_ms,
                          std::min<std::size_t>(kRetainedChunk, bounds.rows - count), cursor,
                          found);
    for (const MessageRef& message : found) {
      if (count > 0 && rows.size() + data.size() >= PageBounds::kBytes) {
        cursor.next_topic.assign(as_text(message->topic()));
        cursor.done = false;
        return;
      }
      write_retained(*message, bounds, rows, data);
      ++count;
    }
  }
}

bool Shard::describe_retained(Bytes topic, const PageBounds& bounds, JsonWriter& row,
                              std::string& data) noexcept {
  const MessageRef message = tables_.retained.get(topic);
  if (!message) return false;
  if (message->expires_at_ms() != 0 && message->expires_at_ms() <= cx_.now_ms) return false;
  write_retained(*message, bounds, row, data);
  return true;
}

}  // namespace stmqtt
