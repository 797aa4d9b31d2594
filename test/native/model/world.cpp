#include "model/world.hpp"

#include <cstdio>
#include <cstdlib>

namespace stmqtt::model {

using contract::CloseCause;
using contract::Counter;

World::World(const WorldOptions& options)
    : options_(options), net_(options.net, *this),
      tracing_(std::getenv("STMQTT_MODEL_TRACE") != nullptr) {}

void World::write_trace(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void World::fail(std::string text) {
  if (failure_.empty()) failure_ = std::move(text);
  trace("!! " + failure_);
}

/// Runs the action, then tells the reference in order what the shard did and consumed. If another
/// action ran within it, neither came first: what either did gets the span of the whole.
template <class Body>
void World::act(unsigned shard, Line* own, Body&& body) {
  if (failed()) return;
  tell_so_far();
  Frame frame;
  frame.shard = shard;
  frame.own = own;
  frame.refused_before = net_.counter(Counter::publish_refused_quota);
  frame.begin = ++tick_;
  frames_.push_back(&frame);
  body();
  frames_.pop_back();
  std::vector<Sent> consumed;
  if (own != nullptr) {
    while (!own->sent.empty() && own->sent.front().end <= own->conn->consumed) {
      consumed.push_back(std::move(own->sent.front()));
      own->sent.pop_front();
    }
  }
  const std::uint64_t end = ++tick_;
  if (frame.told) reference_.close_spans(open_end(frame), end);
  const auto apply = [&](const Op& op) {
    if (failed()) return;
    ++tick_;
    op(frame.nested ? Span{frame.begin, end} : Span{tick_, tick_});
  };
  const auto apply_all = [&](const std::vector<Op>& ops) {
    for (const Op& op : ops) apply(op);
  };
  // Callbacks belong to CONNECT where it came first, else to the last packet.
  std::size_t at = 0;
  const auto apply_packet = [&] {
    apply([&](Span span) { this->consumed(*own, consumed[at], frame, span); });
    ++at;
  };
  if (!consumed.empty() && consumed[0].type == PacketType::connect) {
    apply_packet();
    apply_all(frame.ops);
    while (at < consumed.size()) apply_packet();
  } else {
    while (at < consumed.size()) apply_packet();
    apply_all(frame.ops);
  }
  apply_all(frame.own_close);
  if (!frames_.empty()) {
    frames_.back()->nested = true;
  } else {
    after_outermost();
  }
}

/// In the middle of an action: what it has done to sessions so far is told before another shard
/// acts upon it. Its end is not known yet, so it overlaps with all that follows until then.
void World::tell_so_far() {
  for (Frame* frame : frames_) {
    if (frame->feeding && frame->own->sent.front().type != PacketType::connect) continue;
    std::vector<Op> ops;
    ops.swap(frame->ops);
    frame->told = frame->told || !ops.empty();
    for (const Op& op : ops) {
      if (!failed()) op({frame->begin, open_end(*frame)});
    }
  }
}

void World::after_outermost() {
  std::vector<Output> outputs;
  outputs.swap(outputs_);
  for (const Output& output : outputs) {
    if (!failed()) read_output(*output.line, output.bytes);
  }
  if (failed()) return;
  if (net_.counter(Counter::wills_published) != wills_) {
    fail("wills_published is " + std::to_string(net_.counter(Counter::wills_published)) + ", " +
         std::to_string(wills_) + " were due");
  }
  std::size_t living = 0;
  for (const SessionState& session : reference_.sessions) living += session.ended ? 0 : 1;
  if (net_.tables().directory.size() != living) {
    fail("the directory holds " + std::to_string(net_.tables().directory.size()) + " sessions, " +
         std::to_string(living) + " should be");
  }
}

Line& World::open(unsigned shard, int device, const ConnectText& connect) {
  Conn& conn = net_.open(shard, options_.limits);
  Line& line = lines_.emplace_back();
  line.conn = &conn;
  line.device = device;
  line.connect = connect;
  line.reader.set_version(connect.version);
  by_conn_[&conn] = &line;
  Sent sent;
  sent.type = PacketType::connect;
  send(line, std::move(sent), connect_packet(connect));
  return line;
}

void World::send(Line& line, Sent sent, std::string_view bytes) {
  line.sent_bytes += bytes.size();
  sent.end = line.sent_bytes;
  line.sent.push_back(std::move(sent));
  line.conn->to_broker += bytes;
}

void World::feed(Line& line, std::size_t bytes) {
  if (line.over) {
    line.conn->to_broker.clear();
    return;
  }
  const bool any = (bytes > 0 && !line.conn->to_broker.empty()) || !line.conn->unread.empty();
  if (any && line.conn->paused == 0 && line.conn->client != nullptr) {
    line.last_received_ms = net_.now_ms();
  }
  act(line.conn->shard, &line, [&] {
    frames_.back()->feeding = !line.sent.empty();
    net_.feed(*line.conn, bytes);
  });
  line.ever_paused = line.ever_paused || line.conn->paused != 0;
}

void World::end_of_stream(Line& line, CloseCause cause) {
  line.ended_by_peer = true;
  trace("end of line " + std::to_string(line.conn->number));
  act(line.conn->shard, &line, [&] { net_.end_of_stream(*line.conn, cause); });
}

void World::take_crossed(unsigned from, unsigned to, std::size_t count) {
  act(to, nullptr, [&] { net_.take_crossed(from, to, count); });
}

void World::take_arrival(unsigned shard) {
  Line& line = line_of(net_.next_arrival(shard));
  act(shard, &line, [&] { net_.take_arrival(shard); });
}

void World::verdict(Line& line, bool accepted) {
  line.verdict_wanted = false;
  contract::Verdict verdict{};
  verdict.reason_code =
      static_cast<std::uint8_t>(accepted ? ReasonCode::success : ReasonCode::not_authorized);
  act(line.conn->shard, &line, [&] { net_.verdict(*line.conn, verdict); });
}

void World::timers(unsigned shard) {
  act(shard, nullptr, [&] {
    frames_.back()->nested = true;  // which timer fired first is nobody's business
    net_.timers(shard);
    frames_.back()->ops.push_back([this, shard](Span at) {
      for (std::size_t index = 0; index < reference_.sessions.size(); ++index) {
        SessionState& state = reference_.sessions[index];
        if (state.home != shard || state.ended || state.line != nullptr ||
            state.arriving != nullptr) {
          continue;
        }
        const bool not_yet = state.will_overdue &&
                             net_.now_ms() < state.will_due_ms + TimerWheel::kTickMs &&
                             net_.counter(Counter::wills_published) == wills_;
        if (state.will_due_ms != 0 && state.will_due_ms <= net_.now_ms() && !not_yet) {
          publish_will(static_cast<int>(index), at);
        }
        if (state.expires_at_ms != 0 && state.expires_at_ms <= net_.now_ms()) {
          fail("the session of " + state.client_id + " did not expire on time");
        }
      }
    });
  });
}

void World::end_turn(unsigned shard) {
  act(shard, nullptr, [&] { net_.end_turn(shard); });
}

void World::uncongested(unsigned shard) {
  act(shard, nullptr, [&] { net_.uncongested(shard); });
}

void World::flush(Line& line, std::size_t bytes) {
  act(line.conn->shard, nullptr, [&] { net_.flush(*line.conn, bytes); });
}

std::string World::drops() const {
  std::string text;
  for (std::size_t at = 0; at < contract::kCounterCount; ++at) {
    const std::string name = contract::kCounterNames[at];
    const std::int64_t value = net_.counter(static_cast<Counter>(at));
    if (value != 0 && name.starts_with("dropped_")) text += "; " + name + " " + std::to_string(value);
  }
  return text;
}

void World::check_conservation() {
  if (failed()) return;
  const std::int64_t routed = routed_copies_ + net_.counter(Counter::retained_delivered);
  const std::int64_t found =
      completed_ + written0_ + net_.counter(Counter::messages_queued) +
      net_.counter(Counter::messages_in_flight) +
      net_.counter(Counter::dropped_outbound_watermark) +
      net_.counter(Counter::dropped_queue_full_newest) +
      net_.counter(Counter::dropped_queue_full_oldest) +
      net_.counter(Counter::dropped_queue_bytes) + net_.counter(Counter::dropped_expired) +
      net_.counter(Counter::dropped_packet_too_large) +
      net_.counter(Counter::dropped_offline_qos0) +
      net_.counter(Counter::dropped_stale_receiver);
  if (routed == found) return;
  fail("routed " + std::to_string(routed) + " copies; completed " + std::to_string(completed_) +
       ", QoS 0 " + std::to_string(written0_) + ", queued " +
       std::to_string(net_.counter(Counter::messages_queued)) + ", in flight " +
       std::to_string(net_.counter(Counter::messages_in_flight)) + " and dropped make " +
       std::to_string(found));
}

void World::check_gauges_are_zero() {
  const auto expect = [&](const char* what, std::int64_t value) {
    if (value != 0) fail(std::string(what) + " is " + std::to_string(value) + " at the end");
  };
  expect("messages_queued", net_.counter(Counter::messages_queued));
  expect("messages_in_flight", net_.counter(Counter::messages_in_flight));
  expect("sessions", net_.counter(Counter::sessions_created) -
                         net_.counter(Counter::sessions_ended));
  expect("subscriptions", net_.counter(Counter::subscriptions_added) -
                              net_.counter(Counter::subscriptions_removed));
  expect("subscriptions in the trie",
         static_cast<std::int64_t>(net_.tables().trie.counts().subscriptions));
  expect("clients", net_.counter(Counter::clients_connected_v31) +
                        net_.counter(Counter::clients_connected_v311) +
                        net_.counter(Counter::clients_connected_v5) -
                        net_.counter(Counter::clients_disconnected_v31) -
                        net_.counter(Counter::clients_disconnected_v311) -
                        net_.counter(Counter::clients_disconnected_v5));
}

}  // namespace stmqtt::model
