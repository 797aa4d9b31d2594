// World: what a client sent and its shard consumed.
#include <algorithm>

#include "model/world.hpp"

namespace stmqtt::model {

using contract::Counter;

void World::consumed(Line& line, const Sent& sent, Frame& frame, Span at) {
  if (tracing_) {
    trace("shard " + std::to_string(frame.shard) + " consumed " +
          wire::packet_name(sent.type) + " of " + line.connect.client_id + " id " +
          std::to_string(sent.packet_id) +
          (sent.text < 0 ? ""
                         : " '" + reference_.texts[static_cast<std::size_t>(sent.text)].payload +
                               "'"));
  }
  if (sent.type == PacketType::connect) return;
  if (line.session < 0) return fail("a packet was taken before CONNECT was accepted");
  switch (sent.type) {
    case PacketType::publish:
      return consumed_publish(line, sent, frame, at);
    case PacketType::puback:
    case PacketType::pubrec:
    case PacketType::pubrel:
    case PacketType::pubcomp:
      return consumed_ack(line, sent, frame);
    case PacketType::subscribe:
      return consumed_subscribe(line, sent, frame, at);
    case PacketType::unsubscribe:
      return consumed_unsubscribe(line, sent, frame, at);
    case PacketType::disconnect:
      return consumed_disconnect(line, sent);
    default:
      return;
  }
}

Ticket World::take_commit(Frame& frame, CommitKind kind, std::uint16_t packet_id) {
  for (CommitNote& note : frame.commits) {
    if (note.kind != kind || note.packet_id != packet_id || note.ticket == kGranted) continue;
    return std::exchange(note.ticket, kGranted);
  }
  return kGranted;
}

void World::route(int text, int publisher, Span at) {
  trace("routed '" + reference_.texts[static_cast<std::size_t>(text)].payload + "'");
  routed_copies_ += reference_.certain_receivers(text, publisher, at);
  reference_.route(text, publisher, at);
}

void World::consumed_publish(Line& line, const Sent& sent, Frame& frame, Span at) {
  SessionState& state = session(line.session);
  Owed owed;
  owed.packet_id = sent.packet_id;
  if (sent.qos == 2) {
    const auto known = state.inbound.find(sent.packet_id);
    if (known != state.inbound.end()) {
      // Answered once more; while the store has not decided, by the PUBREC that waits, which comes
      // to this connection now.
      if (!known->second.committing) {
        line.pubrecs.push_back(owed);
        return;
      }
      owed.ticket = known->second.ticket;
      const auto later = std::find_if(
          line.pubrecs.begin(), line.pubrecs.end(),
          [&](const Owed& other) { return other.ticket >= owed.ticket; });
      if (later == line.pubrecs.end() || later->ticket != owed.ticket) {
        line.pubrecs.insert(later, owed);
      }
      return;
    }
  }
  if (sent.qos > 0 && net_.counter(Counter::publish_refused_quota) > frame.refused_before) {
    owed.reason = ReasonCode::quota_exceeded;
    (sent.qos == 1 ? line.pubacks : line.pubrecs).push_back(owed);
    return;
  }
  owed.text = sent.text;
  owed.at = at;
  owed.ticket = sent.qos == 0 ? kGranted
                              : take_commit(frame,
                                            sent.qos == 1 ? CommitKind::publish
                                                          : CommitKind::inbound_id,
                                            sent.packet_id);
  if (gated() && sent.qos > 0 && owed.ticket == kGranted &&
      reference_.must_store(sent.text, line.session, at)) {
    return fail("a message that must be durable was not handed to the store");
  }
  if (sent.qos == 1) line.pubacks.push_back(owed);
  if (sent.qos == 2) {
    line.pubrecs.push_back(owed);
    state.inbound[sent.packet_id] = {sent.text, owed.ticket != kGranted, owed.ticket};
    if (owed.ticket != kGranted) {
      routes_[{frame.shard, owed.ticket}] = {sent.text, line.session, sent.packet_id};
      return;
    }
  }
  route(sent.text, line.session, at);
}

void World::consumed_ack(Line& line, const Sent& sent, Frame& frame) {
  SessionState& state = session(line.session);
  const auto chain = state.chains.find(sent.packet_id);
  const bool negative = wire::is_error(sent.reason);
  const auto complete = [&] {
    ++state.completed[chain->second.text];
    ++completed_;
    state.chains.erase(chain);
    line.in_flight.erase(sent.packet_id);
  };
  switch (sent.type) {
    case PacketType::puback:
      if (chain != state.chains.end() && chain->second.qos == 1) complete();
      return;
    case PacketType::pubrec:
      if (chain == state.chains.end() || chain->second.qos != 2) return;
      if (negative) return complete();
      if (gated() && state.persistent() && !chain->second.released &&
          take_commit(frame, CommitKind::outbound_pubrec, sent.packet_id) == kGranted) {
        return fail("PUBREC was not handed to the store");
      }
      chain->second.released = true;
      return;
    case PacketType::pubcomp:
      if (chain != state.chains.end() && chain->second.released) complete();
      return;
    case PacketType::pubrel: {
      const auto inbound = state.inbound.find(sent.packet_id);
      Owed owed;
      owed.packet_id = sent.packet_id;
      if (inbound == state.inbound.end()) {
        owed.reason = ReasonCode::packet_identifier_not_found;
      } else {
        if (inbound->second.committing) return;
        state.inbound.erase(inbound);
        owed.ticket = take_commit(frame, CommitKind::inbound_release, sent.packet_id);
        if (gated() && state.persistent() && owed.ticket == kGranted) {
          return fail("the release of a Packet Identifier was not handed to the store");
        }
      }
      line.pubcomps.push_back(owed);
      return;
    }
    default:
      return;
  }
}

void World::consumed_subscribe(Line& line, const Sent& sent, Frame& frame, Span at) {
  Owed owed;
  owed.packet_id = sent.packet_id;
  for (const FilterText& filter : sent.filters) {
    bool existed = false;
    owed.subs.push_back(
        reference_.subscribe(line.session, filter, sent.subscription_id, at, existed));
    owed.codes.push_back(static_cast<ReasonCode>(filter.qos));
    const Ticket ticket = take_commit(frame, CommitKind::subscribe, 0);
    if (gated() && session(line.session).persistent() && ticket == kGranted) {
      return fail("a subscription was not handed to the store");
    }
    owed.ticket = ticket;
  }
  if (owed.ticket != kGranted) waiting_subs_[{frame.shard, owed.ticket}] = owed.subs;
  line.subacks[sent.packet_id] = std::move(owed);
}

void World::consumed_unsubscribe(Line& line, const Sent& sent, Frame& frame, Span at) {
  Owed owed;
  owed.packet_id = sent.packet_id;
  for (const std::string& filter : sent.unsubscribes) {
    const int sub = reference_.unsubscribe(line.session, filter, at);
    owed.codes.push_back(sub >= 0 ? ReasonCode::success : ReasonCode::no_subscription_existed);
    if (sub < 0) continue;
    const Ticket ticket = take_commit(frame, CommitKind::unsubscribe, 0);
    if (gated() && session(line.session).persistent() && ticket == kGranted) {
      return fail("the end of a subscription was not handed to the store");
    }
    if (ticket != kGranted) owed.ticket = ticket;
  }
  line.subacks[sent.packet_id] = std::move(owed);
}

void World::consumed_disconnect(Line& line, const Sent& sent) {
  SessionState& state = session(line.session);
  line.said_disconnect = true;
  if (sent.reason == ReasonCode::success) {
    state.will = -1;
    state.will_due_ms = 0;
  }
  if (sent.expiry_s >= 0) {
    state.expiry_s = std::min(static_cast<std::uint32_t>(sent.expiry_s),
                              options_.limits.max_session_expiry_s);
  }
}

}  // namespace stmqtt::model
