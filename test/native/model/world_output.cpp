// World: every packet that a shard wrote, held against the reference.
#include <algorithm>

#include "model/world.hpp"

namespace stmqtt::model {
namespace {

std::string who(const Line& line) {
  return line.connect.client_id + " on line " + std::to_string(line.conn->number);
}

}  // namespace

void World::on_output(Conn& conn, std::string_view bytes) {
  outputs_.push_back({&line_of(conn), std::string(bytes)});
}

void World::read_output(Line& line, std::string_view bytes) {
  line.reader.add(bytes);
  for (Packet packet; !failed() && line.reader.next(packet);) {
    trace("  -> " + who(line) + ": " + packet.text());
    wrote(line, packet);
  }
  if (!line.reader.fault().empty()) fail(who(line) + " got " + line.reader.fault());
}

void World::wrote(Line& line, const Packet& packet) {
  if (line.connect.maximum_packet != 0 && packet.bytes > line.connect.maximum_packet) {
    return fail(who(line) + ": a packet larger than its maximum");
  }
  if (packet.type == PacketType::connack) {
    if (line.connack) return fail(who(line) + ": two CONNACKs");
    line.connack = true;
    if (packet.reason != ReasonCode::success) return;
    if (line.session < 0) return fail(who(line) + ": CONNACK without a session");
    if (packet.session_present != (line.present && line.connect.version != Version::v31)) {
      return fail(who(line) + ": Session Present");
    }
    return;
  }
  if (!line.connack) return fail(who(line) + ": a packet before CONNACK");
  switch (packet.type) {
    case PacketType::publish:
      return wrote_publish(line, packet);
    case PacketType::puback:
      return wrote_ack(line, packet, line.pubacks);
    case PacketType::pubrec:
      return wrote_ack(line, packet, line.pubrecs);
    case PacketType::pubcomp:
      return wrote_ack(line, packet, line.pubcomps);
    case PacketType::pubrel:
      return wrote_pubrel(line, packet);
    case PacketType::suback:
    case PacketType::unsuback:
      return wrote_codes(line, packet);
    case PacketType::disconnect:
      return wrote_disconnect(line, packet);
    case PacketType::pingresp:
      return;
    default:
      return fail(who(line) + ": a packet of an unexpected type");
  }
}

/// The store granted it, or what was written says that it failed.
bool World::kept(const Line& line, Ticket ticket, ReasonCode reason, const char* what) {
  if (ticket == kGranted) return true;
  const unsigned shard = session(line.session).home;
  if (net_.gate(shard).granted(ticket)) return true;
  if (!failed_tickets_.contains({shard, ticket})) {
    fail(who(line) + ": " + what + " before its ticket was granted");
  } else if (!wire::is_error(reason)) {
    fail(who(line) + ": " + what + " although its ticket failed");
  }
  return false;
}

void World::wrote_ack(Line& line, const Packet& packet, std::deque<Owed>& queue) {
  const char* name = wire::packet_name(packet.type);
  // In the order of what they answer [MQTT-4.6.0-2] to [MQTT-4.6.0-4].
  if (queue.empty() || queue.front().packet_id != packet.packet_id) {
    return fail(who(line) + ": " + name + " " + std::to_string(packet.packet_id) +
                (queue.empty() ? " answers nothing" : " out of order"));
  }
  const Owed owed = queue.front();
  queue.pop_front();
  if (!kept(line, owed.ticket, packet.reason, name) || line.connect.version != Version::v5) return;
  if (owed.reason != ReasonCode::success) {
    if (packet.reason != owed.reason) fail(who(line) + ": " + name + " with a wrong reason");
    return;
  }
  const bool unmatched = packet.reason == ReasonCode::no_matching_subscribers;
  if (!unmatched && packet.reason != ReasonCode::success) {
    return fail(who(line) + ": " + name + " with " + wire::reason_name(packet.reason));
  }
  if (owed.text < 0) return;  // a resend: nobody looked again
  if (unmatched && reference_.must_match(owed.text, line.session, owed.at)) {
    return fail(who(line) + ": somebody did match");
  }
  if (!unmatched && !reference_.may_match(owed.text, owed.at)) {
    fail(who(line) + ": nobody could match");
  }
}

void World::wrote_pubrel(Line& line, const Packet& packet) {
  SessionState& state = session(line.session);
  const auto chain = state.chains.find(packet.packet_id);
  if (chain == state.chains.end() || !chain->second.released) {
    return fail(who(line) + ": PUBREL " + std::to_string(packet.packet_id) + " without a PUBREC");
  }
  if (packet.reason != ReasonCode::success) return fail(who(line) + ": PUBREL with a reason");
  static_cast<void>(kept(line, chain->second.pubrec_ticket, packet.reason, "PUBREL"));
}

void World::wrote_codes(Line& line, const Packet& packet) {
  const auto found = line.subacks.find(packet.packet_id);
  if (found == line.subacks.end()) return fail(who(line) + ": a SUBACK that answers nothing");
  const Owed owed = found->second;
  line.subacks.erase(found);
  const ReasonCode reason = packet.reasons.empty() ? ReasonCode::success : packet.reasons[0];
  if (!kept(line, owed.ticket, reason, wire::packet_name(packet.type))) return;
  if (packet.type == PacketType::unsuback && line.connect.version != Version::v5) return;
  if (packet.reasons != owed.codes) fail(who(line) + ": wrong codes");
}

void World::wrote_disconnect(Line& line, const Packet& packet) {
  if (!line.over) return fail(who(line) + ": DISCONNECT, and not closed");
  if (packet.reason != ReasonCode::session_taken_over &&
      packet.reason != ReasonCode::keep_alive_timeout &&
      !(options_.store_fails && packet.reason == ReasonCode::unspecified_error)) {
    fail(who(line) + ": DISCONNECT with " + wire::reason_name(packet.reason));
  }
}

void World::wrote_publish(Line& line, const Packet& packet) {
  const int index = reference_.find_text(packet.topic, packet.payload);
  if (index < 0) return fail(who(line) + ": a message that nobody published");
  const Text& text = reference_.texts[static_cast<std::size_t>(index)];
  const Bounds bounds = reference_.bounds(line.session, index);
  if (bounds.most == 0) {
    trace(reference_.story(line.session, index));
    return fail(who(line) + ": '" + packet.payload.substr(0, 20) + "' on " + packet.topic +
                " is nothing that it subscribed to at that time");
  }
  check_content(line, packet, text, bounds);
  if (failed()) return;
  if (packet.qos == 0) {
    ++written0_;
    SessionState& state = session(line.session);
    if (++state.received0[index] > bounds.most) fail(who(line) + ": QoS 0 twice");
    const Bounds& due = bounds;
    int next = -1;
    if (due.most > 0 && !text.retain && !text.shared && !text.clears()) {
      const OrderKey key{reference_.publications[static_cast<std::size_t>(
                                                     text.publications.front())].publisher,
                         text.topic, text.qos, 0};
      const auto newest = state.newest.find(key);
      for (const int publication : text.publications) {
        if (newest != state.newest.end() && publication <= newest->second) continue;
        next = publication;
        break;
      }
      if (next < 0) return fail(who(line) + ": QoS 0 out of order");
      state.newest[key] = next;
    }
    return;
  }
  wrote_chain(line, packet, index, bounds);
}

void World::check_content(Line& line, const Packet& packet, const Text& text,
                          const Bounds& bounds) {
  const bool v5 = line.connect.version == Version::v5;
  if (packet.topic != text.topic) return fail(who(line) + ": wrong topic");
  if (!text.clears() && packet.user_value != (v5 ? text.user_value : "")) {
    return fail(who(line) + ": wrong User Property");
  }
  if (packet.has_expiry != (v5 && text.expiry_s != 0) || packet.expiry_s > text.expiry_s) {
    return fail(who(line) + ": wrong Message Expiry Interval");
  }
  if (packet.qos < bounds.least_qos || packet.qos > bounds.most_qos) {
    return fail(who(line) + ": QoS " + std::to_string(packet.qos) + " of '" +
                packet.payload.substr(0, 20) + "', not " + std::to_string(bounds.least_qos) +
                " to " + std::to_string(bounds.most_qos));
  }
  if (!(packet.retain ? bounds.retained : bounds.plain)) {
    return fail(who(line) + ": wrong RETAIN flag of '" + packet.payload.substr(0, 20) + "'");
  }
  if (packet.alias > line.connect.alias_maximum) return fail(who(line) + ": alias too large");
  std::vector<std::uint32_t> ids = packet.subscription_ids;
  std::sort(ids.begin(), ids.end());
  if (v5 && bounds.exact_ids && ids != bounds.ids) {
    return fail(who(line) + ": wrong Subscription Identifiers of '" +
                packet.payload.substr(0, 20) + "'");
  }
  if (!std::includes(bounds.ids.begin(), bounds.ids.end(), ids.begin(), ids.end())) {
    fail(who(line) + ": a Subscription Identifier of another subscription");
  }
}

/// Another member of the group may have got it since the connection on which it was sent ended.
bool World::given_away(const Chain& chain, const Line& line) const {
  return chain.qos == 1 && chain.line != line.conn->number &&
         reference_.texts[static_cast<std::size_t>(chain.text)].shared;
}

/// QoS 1 and 2: under a new Packet Identifier without DUP, or once on each later connection under
/// the same one with it.
void World::wrote_chain(Line& line, const Packet& packet, int text, const Bounds& bounds) {
  SessionState& state = session(line.session);
  const std::string what = who(line) + ": '" + packet.payload.substr(0, 20) + "' id " +
                           std::to_string(packet.packet_id) + " ";
  auto known = state.chains.find(packet.packet_id);
  if (known != state.chains.end() && !packet.dup && given_away(known->second, line)) {
    state.chains.erase(known);
    known = state.chains.end();
  }
  int publication = -1;
  if (known == state.chains.end()) {
    if (packet.dup) return fail(what + "has DUP at its first sending");
    const bool shared = reference_.texts[static_cast<std::size_t>(text)].shared;
    if (++state.attempted[text] > bounds.most && !shared) return fail(what + "comes twice");
    if (gated() && packet.qos == 2 && state.persistent()) {
      const auto ticket = state.outbound_tickets.find(packet.packet_id);
      if (ticket == state.outbound_tickets.end()) return fail(what + "was not committed");
      if (!kept(line, ticket->second, ReasonCode::success, "PUBLISH of QoS 2")) return;
    }
    Chain chain;
    chain.text = text;
    chain.qos = packet.qos;
    chain.line = line.conn->number;
    state.chains[packet.packet_id] = chain;
  } else {
    Chain& chain = known->second;
    if (!packet.dup) return fail(what + "is in use, or was sent before: no DUP");
    if (chain.text != text || chain.qos != packet.qos) return fail(what + "was another message");
    if (chain.line == line.conn->number) return fail(what + "is resent on a live connection");
    if (chain.released) return fail(what + "is sent again after PUBREC");
    chain.line = line.conn->number;
    publication = chain.publication;
  }
  line.in_flight.insert(packet.packet_id);
  std::size_t window = options_.limits.max_inflight;
  if (line.connect.receive_maximum != 0) {
    window = std::min<std::size_t>(window, line.connect.receive_maximum);
  }
  if (line.in_flight.size() > window) return fail(what + "is beyond the Receive Maximum");
  check_order(line, packet, text, publication);
}

void World::check_order(Line& line, const Packet& packet, int index, int publication) {
  SessionState& state = session(line.session);
  const Text& text = reference_.texts[static_cast<std::size_t>(index)];
  // Retained copies come when they are asked for; groups know no order among members.
  if (text.retain || text.shared || text.clears()) return;
  const OrderKey key{
      reference_.publications[static_cast<std::size_t>(text.publications.front())].publisher,
      text.topic, text.qos, packet.qos};
  if (publication < 0) {
    const auto newest = state.newest.find(key);
    for (const int candidate : text.publications) {
      if (newest != state.newest.end() && candidate <= newest->second) continue;
      publication = candidate;
      break;
    }
    if (publication < 0) {
      return fail(who(line) + ": '" + packet.payload.substr(0, 20) + "' out of order");
    }
    state.newest[key] = publication;
    state.chains[packet.packet_id].publication = publication;
  }
  const auto [at, first] = line.cursor.try_emplace(key, publication);
  if (!first && publication <= at->second) {
    return fail(who(line) + ": '" + packet.payload.substr(0, 20) + "' resent out of order");
  }
  at->second = publication;
}

void World::delivered(Line& line, const Packet& packet) {
  const int index = reference_.find_text(packet.topic, packet.payload);
  if (index < 0 || line.session < 0) return;
  SessionState& state = session(line.session);
  ++state.delivered[index];
  if (packet.qos == 2 &&
      ++state.delivered2[index] > reference_.bounds(line.session, index).most) {
    fail(who(line) + " took QoS 2 '" + packet.payload.substr(0, 20) + "' twice");
  }
}

}  // namespace stmqtt::model
