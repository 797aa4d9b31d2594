// Worker: in-process links, from link_open to link_closed, and their way from thread to thread.
#include <cstring>

#include "engine/engine.hpp"
#include "engine/worker.hpp"

namespace stmqtt {

using contract::CloseCause;
using contract::CommandKind;
using contract::Counter;
using contract::EventKind;

void Worker::open_link(const contract::LinkOpen& command, Bytes device_id) noexcept {
  auto link = std::make_unique<Link>(io_.flush_list(), command.link_id);
  link->credit_bytes = link->credit_limit = command.credit_bytes;
  link->device_id = as_text(device_id);
  link->role = static_cast<contract::Role>(command.role);
  link->flags = command.flags;
  Link& kept = *link;
  links_.emplace(command.link_id, std::move(link));
  if (drain_deadline_ms_ != 0) return refuse_link(kept);
  kept.client = &shard_.open(kept, &kept, engine_.link_limits(kept.flags), 0, ClientKind::link);
}

LinkSelf Worker::link_self(const Client& client) const noexcept {
  const Link& link = *static_cast<const Link*>(client.transport);
  return {as_bytes(link.device_id), link.role};
}

void Worker::refuse_link(Link& link) noexcept {
  link.close_cause = CloseCause::shutting_down;
  link.closing = true;
  link.mark();
}

void Worker::take_link(Arrival& arrival) noexcept {
  // The outlet must be on this thread's flush list.
  auto link = std::make_unique<Link>(io_.flush_list(), arrival.link->id);
  link->credit_bytes = arrival.link->credit_bytes;
  link->credit_limit = arrival.link->credit_limit;
  link->hop = arrival.link->hop;
  link->flags = arrival.link->flags;
  link->unread = std::move(arrival.link->unread);
  link->queue = std::move(arrival.link->queue);
  Link& kept = *link;
  links_.emplace(kept.id, std::move(link));
  if (drain_deadline_ms_ != 0) {  // too late
    ConnectState::destroy(arrival.connecting);
    return refuse_link(kept);
  }
  Client& client = shard_.arrive(kept, &kept, *arrival.limits, 0, ClientKind::link,
                                 arrival.connection_id, arrival.connecting);
  kept.client = &client;
  const std::uint32_t id = kept.id;
  shard_.settle(client);  // may close it, or move it once more
  if (links_.contains(id)) feed_link(*links_[id]);
}

void Worker::take_link_command(const std::uint8_t* record, CommandKind kind,
                               std::uint32_t hop) noexcept {
  contract::LinkBytes command;  // all three kinds begin with the link's id, and have one more number
  std::memcpy(&command, record, sizeof command);
  const auto route = link_routes_.find(route_key(command.link_id, hop));
  if (route != link_routes_.end()) {
    return forward({record, command.header.record_bytes}, route->second, hop + 1);
  }
  const auto found = links_.find(command.link_id);
  if (found == links_.end()) {
    counters_.add(Counter::commands_stale);
    return;
  }
  Link& link = *found->second;
  if (kind == CommandKind::link_bytes) {
    const std::uint8_t* bytes = record + sizeof command;
    link.unread.insert(link.unread.end(), bytes, bytes + command.data_bytes);
    feed_link(link);
  } else if (kind == CommandKind::link_credit) {
    contract::LinkCredit credit;
    std::memcpy(&credit, record, sizeof credit);
    const std::uint64_t total = std::uint64_t{link.credit_bytes} + credit.consumed_bytes;
    link.credit_bytes = static_cast<std::uint32_t>(
        total < link.credit_limit ? total : std::uint64_t{link.credit_limit});
    if (!link.queue.empty()) link.mark();
  } else if (link.client != nullptr) {
    shard_.on_end(*link.client, CloseCause::link_closed);
  }
}

void Worker::forward(std::span<const std::uint8_t> record, ThreadIndex to,
                     std::uint32_t hop) noexcept {
  engine_.worker(to).put(CommandBytes{{record.begin(), record.end()}, hop});
}

void Worker::forward_bytes(std::uint32_t link_id, std::uint32_t hop, Bytes bytes) noexcept {
  const auto route = link_routes_.find(route_key(link_id, hop));
  if (route == link_routes_.end()) return;  // it has ended
  contract::LinkBytes command{};
  std::vector<std::uint8_t> record((sizeof command + bytes.size() + 7) & ~std::size_t{7});
  command.header.record_bytes = static_cast<std::uint32_t>(record.size());
  command.header.kind = static_cast<std::uint16_t>(CommandKind::link_bytes);
  command.link_id = link_id;
  command.data_bytes = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(record.data(), &command, sizeof command);
  store_bytes(record.data() + sizeof command, bytes);
  forward(record, route->second, hop + 1);
}

void Worker::forget_routes(const LinkGone& gone) noexcept {
  for (std::uint32_t hop = 0; hop < gone.hop; ++hop) {
    link_routes_.erase(route_key(gone.link_id, hop));
  }
}

void Worker::feed_link(Link& link) noexcept {
  if (link.client == nullptr || link.unread.empty()) return;
  const std::uint32_t id = link.id;
  const std::uint32_t hop = link.hop;
  // Taken out for the call: it may move or end the link.
  std::vector<std::uint8_t> bytes;
  bytes.swap(link.unread);
  const Received received = shard_.on_bytes(*link.client, {bytes.data(), bytes.size()});
  if (received.consumed == bytes.size()) return;
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(received.consumed));
  const auto found = links_.find(id);
  if (found != links_.end()) {
    found->second->unread = std::move(bytes);
  } else {
    forward_bytes(id, hop, {bytes.data(), bytes.size()});
  }
}

void Worker::end_link(Link& link) noexcept {
  contract::LinkClosed event{};
  event.link_id = link.id;
  event.cause = static_cast<std::uint16_t>(link.close_cause);
  event_now(EventKind::link_closed, event.header, sizeof event, {});
  engine_.forget_link(link.id, link.hop);
  links_.erase(link.id);
  if (drain_deadline_ms_ != 0) io_.wake();  // on_turn_end must look whether all are gone
}

void Worker::flush_link(Outlet& outlet) noexcept {
  auto& link = static_cast<Link&>(outlet);
  OutboundQueue& queue = link.queue;
  if (shard_.taps() && link.client != nullptr && queue.bytes() > link.shown) [[unlikely]] {
    shard_.show_outbound(*link.client, queue, link.shown);
    link.shown = queue.bytes();
  }
  if (link.credit_bytes > 0 || link.closing) {
    const std::size_t bytes = queue.bytes();
    if (bytes > 0) {
      // Everything at once: the queue holds whole packets only. Credit may go below zero once.
      std::vector<std::uint8_t> data(bytes);
      std::uint8_t* at = data.data();
      while (!queue.empty()) {
        Slice slices[16];
        const std::size_t count = queue.gather(slices, 16);
        std::size_t taken = 0;
        for (std::size_t i = 0; i < count; ++i) {
          std::memcpy(at + taken, slices[i].data, slices[i].bytes);
          taken += slices[i].bytes;
        }
        at += taken;
        queue.consume(taken);
      }
      link.shown = 0;
      contract::LinkBytes event{};
      event.link_id = link.id;
      event.data_bytes = static_cast<std::uint32_t>(bytes);
      event_now(contract::EventKind::link_bytes, event.header, sizeof event,
                {Bytes{data.data(), bytes}});
      link.credit_bytes = bytes >= link.credit_bytes
                              ? 0
                              : link.credit_bytes - static_cast<std::uint32_t>(bytes);
      if (link.client != nullptr && bytes > io_.flush_list().low_bytes()) {
        shard_.on_writable(*link.client);
      }
    }
  }
  if (link.closing) end_link(link);
  if (events_.publish()) engine_.wake_javascript();
}

}  // namespace stmqtt
