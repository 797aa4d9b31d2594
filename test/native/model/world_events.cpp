// World: what shards tell their hosts, and what it means for sessions.
#include "model/world.hpp"

namespace stmqtt::model {

using contract::CloseCause;
using contract::Counter;
using contract::SessionEndCause;

void World::on_connected(Conn& conn, std::string_view id, const contract::Connected& record) {
  Line& line = line_of(conn);
  const bool present = (record.flags & contract::kConnectSessionPresent) != 0;
  frames_.back()->ops.push_back(
      [this, &line, name = std::string(id), present](Span at) { connected(line, name, present, at); });
}

void World::on_session_ended(unsigned, std::string_view id, SessionEndCause cause) {
  frames_.back()->ops.push_back(
      [this, name = std::string(id), cause](Span at) { ended(name, cause, at); });
}

void World::on_verdict_wanted(Conn& conn) { line_of(conn).verdict_wanted = true; }

void World::on_closed(Conn& conn, CloseMode, CloseCause cause) {
  Line& line = line_of(conn);
  Frame& frame = *frames_.back();
  (frame.own == &line ? frame.own_close : frame.ops)
      .push_back([this, &line, cause](Span at) { closed(line, cause, at); });
}

void World::on_commit(unsigned shard, const CommitNote& note) {
  Frame& frame = *frames_.back();
  frame.commits.push_back(note);
  if (tracing_) {
    trace("shard " + std::to_string(shard) + " commits kind " +
          std::to_string(static_cast<int>(note.kind)) + " as ticket " +
          std::to_string(note.ticket) + " " + note.text);
  }
  const auto name = std::tuple{shard, note.session.slot, note.session.generation};
  switch (note.kind) {
    case CommitKind::session_begin:
      names_[name] = note.text;
      frame.ops.push_back([this, line = frame.own, id = note.text](Span at) {
        if (line == nullptr || line->connect.client_id != id) return fail("admitted " + id);
        admitted(*line, id, at);
      });
      return;
    case CommitKind::outbound_id:
    case CommitKind::outbound_pubrec: {
      const int index = reference_.live_session(names_[name]);
      if (index < 0) return;
      SessionState& state = session(index);
      if (note.kind == CommitKind::outbound_id) {
        state.outbound_tickets[note.packet_id] = note.ticket;
      } else if (const auto chain = state.chains.find(note.packet_id);
                 chain != state.chains.end()) {
        chain->second.pubrec_ticket = note.ticket;
      }
      return;
    }
    default:
      return;
  }
}

void World::on_result(unsigned shard, const TicketResult& result) {
  if (result.outcome == TicketResult::Outcome::failed) {
    failed_tickets_.insert({shard, result.ticket});
    if (const auto subs = waiting_subs_.find({shard, result.ticket});
        subs != waiting_subs_.end()) {
      frames_.back()->ops.push_back([this, failed = subs->second](Span at) {
        for (const int index : failed) {
          Sub& sub = reference_.subs[static_cast<std::size_t>(index)];
          sub.doubtful = true;  // one that it replaced goes on, with the new options
          if (sub.fresh && sub.end.from == kNever) sub.end = at;
        }
      });
    }
  }
  if (tracing_) {
    trace("shard " + std::to_string(shard) + " ticket " + std::to_string(result.ticket) +
          (result.outcome == TicketResult::Outcome::granted ? " granted" : " failed"));
  }
  const auto found = routes_.find({shard, result.ticket});
  if (found == routes_.end()) return;
  const Route route = found->second;
  routes_.erase(found);
  const bool granted = result.outcome == TicketResult::Outcome::granted;
  frames_.back()->ops.push_back([this, route, granted](Span at) {
    SessionState& state = session(route.session);
    const auto inbound = state.inbound.find(route.packet_id);
    if (!granted) {
      if (inbound != state.inbound.end()) state.inbound.erase(inbound);
      return;
    }
    if (inbound != state.inbound.end()) inbound->second.committing = false;
    this->route(route.text, route.session, at);
  });
}

int World::make_session(Line& line, const std::string& id, Span at) {
  SessionState state;
  state.client_id = id;
  state.device = line.device;
  state.home = line.conn->shard;
  state.begin = at;
  return reference_.add_session(std::move(state));
}

void World::apply_connect(Line& line, SessionState& state) {
  const ConnectText& connect = line.connect;
  const Limits& limits = options_.limits;
  state.expiry_s = connect.version == Version::v5
                       ? std::min(connect.session_expiry_s, limits.max_session_expiry_s)
                   : connect.clean_start ? 0
                                         : limits.max_session_expiry_s;
  state.expires_at_ms = 0;
}

/// The session exists from now on; CONNACK waits for the store.
void World::admitted(Line& line, const std::string& id, Span at) {
  int index = reference_.live_session(id);
  if (index >= 0 && line.connect.clean_start) return fail("Clean Start ended no session of " + id);
  if (index < 0) index = make_session(line, id, at);
  SessionState& state = session(index);
  if (state.line != nullptr || state.arriving != nullptr) return fail("two clients of " + id);
  state.arriving = &line;
  line.session = index;
  apply_connect(line, state);
}

void World::connected(Line& line, const std::string& id, bool present, Span at) {
  trace("connected " + id + " on line " + std::to_string(line.conn->number) + " shard " +
        std::to_string(line.conn->shard) + (present ? " present" : ""));
  if (id != line.connect.client_id) return fail("connected as " + id);
  int index = reference_.live_session(id);
  if (index >= 0 && line.connect.clean_start && session(index).arriving != &line) {
    return fail("Clean Start ended no session of " + id);
  }
  if (index < 0) index = make_session(line, id, at);
  SessionState& state = session(index);
  if (state.line != nullptr) return fail("two clients of " + id);
  if (state.home != line.conn->shard) return fail("connected away from its session: " + id);
  if (present != state.told) return fail("Session Present is wrong for " + id);
  if (gated() && line.session < 0 && line.connect.session_expiry_s != 0) {
    return fail("CONNACK without asking the store for " + id);
  }
  line.session = index;
  line.present = present;
  line.last_received_ms = net_.now_ms();
  apply_connect(line, state);
  state.line = &line;
  state.arriving = nullptr;
  state.told = true;
  state.will = line.connect.has_will
                   ? reference_.find_text(line.connect.will_topic, line.connect.will_payload)
                   : -1;
  state.will_delay_s = line.connect.will_delay_s;
  state.will_due_ms = 0;
}

void World::check_close_cause(const Line& line, CloseCause cause) {
  const std::string who = line.connect.client_id;
  switch (cause) {
    case CloseCause::client_disconnect:
      if (!line.said_disconnect) fail(who + " was closed as if it had sent DISCONNECT");
      return;
    case CloseCause::peer_closed:
    case CloseCause::socket_error:
      if (!line.ended_by_peer) fail(who + " was closed as if its connection had ended");
      return;
    case CloseCause::taken_over:
      for (const Line& other : lines_) {
        if (&other != &line && !other.over && other.connect.client_id == who) return;
      }
      return fail(who + " was taken over by nobody");
    case CloseCause::keep_alive_timeout:
      if (line.connect.keep_alive_s == 0 ||
          net_.now_ms() < line.last_received_ms + line.connect.keep_alive_s * 1500U) {
        fail(who + " was closed before its Keep Alive was over");
      }
      return;
    case CloseCause::refused:
      if (!options_.net.authenticate) fail(who + " was refused");
      return;
    case CloseCause::store_failed:
      if (!options_.store_fails) fail(who + ": the store did not fail");
      return;
    case CloseCause::connect_timeout:
      if (line.session >= 0) fail(who + ": it did send CONNECT");
      return;
    default:
      fail(who + " was closed with cause " + std::to_string(static_cast<int>(cause)));
  }
}

void World::closed(Line& line, CloseCause cause, Span at) {
  trace("closed line " + std::to_string(line.conn->number) + " of " + line.connect.client_id +
        " cause " + std::to_string(static_cast<int>(cause)));
  line.over = true;
  check_close_cause(line, cause);
  if (line.session < 0) return;
  SessionState& state = session(line.session);
  if (state.line == &line) {
    detach(line, at, true);
  } else if (state.arriving == &line) {
    detach(line, at, false);
    if (cause == CloseCause::store_failed && !state.told && !state.ended) {
      reference_.end_session(line.session, at);
    }
  }
}

void World::detach(Line& line, Span at, bool was_active) {
  SessionState& state = session(line.session);
  state.line = nullptr;
  state.arriving = nullptr;
  const bool ends = !state.persistent();
  // Overdue while a CONNECT waited that the store then failed: now, or at the timers' next tick.
  state.will_overdue = !was_active && state.will_due_ms != 0 && state.will_due_ms <= net_.now_ms();
  if (state.will_overdue) state.will_due_ms = net_.now_ms();
  if (was_active && state.will >= 0) {
    if (state.will_delay_s == 0 || ends) {
      publish_will(line.session, at);
    } else {
      state.will_due_ms = net_.now_ms() + state.will_delay_s * 1000ULL;
    }
  }
  if (ends) {
    if (state.will >= 0) publish_will(line.session, at);
    return reference_.end_session(line.session, at);
  }
  if (state.expiry_s != kNeverExpires) {
    state.expires_at_ms = net_.now_ms() + state.expiry_s * 1000ULL;
  }
}

void World::publish_will(int index, Span at) {
  SessionState& state = session(index);
  const int text = state.will;
  state.will = -1;
  state.will_due_ms = 0;
  ++wills_;
  route(text, index, at);
}

void World::ended(const std::string& id, SessionEndCause cause, Span at) {
  trace("session of " + id + " ended, cause " + std::to_string(static_cast<int>(cause)));
  const int index = reference_.live_session(id);
  if (index < 0) return fail("a session that was not there ended: " + id);
  SessionState& state = session(index);
  if (state.line != nullptr || state.arriving != nullptr) return fail(id + " ended while in use");
  if (cause == SessionEndCause::expired) {
    if (state.expires_at_ms == 0 || state.expires_at_ms > net_.now_ms()) {
      return fail("the session of " + id + " expired too early");
    }
  } else {
    bool asked = false;
    for (const Line& line : lines_) {
      asked = asked || (line.connect.client_id == id && line.connect.clean_start && !line.over &&
                        line.session < 0);
    }
    if (!asked) return fail("nobody asked for a clean start of " + id);
  }
  if (state.will >= 0) publish_will(index, at);
  reference_.end_session(index, at);
}

}  // namespace stmqtt::model
