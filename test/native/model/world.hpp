// The net together with the model of it: every action of a shard is watched, what clients sent is
// told to the reference once the shard has consumed it, and every packet that the shard writes is
// held against the reference.
// Thread: one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/reference.hpp"

namespace stmqtt::model {

struct WorldOptions {
  NetOptions net;
  Limits limits;
  bool refuses = false;    ///< overflow policy "refuse": one packet at a time
  bool may_drop = false;   ///< bounds are small: QoS 1 and 2 may be lost, counted
  bool store_fails = false;
};

class World : private NetListener {
 public:
  explicit World(const WorldOptions& options);

  // --- what the director does to shards
  Line& open(unsigned shard, int device, const ConnectText& connect);
  void send(Line& line, Sent sent, std::string_view bytes);
  void feed(Line& line, std::size_t bytes);
  void end_of_stream(Line& line, contract::CloseCause cause);
  void take_crossed(unsigned from, unsigned to, std::size_t count);
  void take_arrival(unsigned shard);
  void verdict(Line& line, bool accepted);
  void timers(unsigned shard);
  void end_turn(unsigned shard);
  void uncongested(unsigned shard);
  void flush(Line& line, std::size_t bytes);

  /// The client took this PUBLISH, for the first time if it is of QoS 2.
  void delivered(Line& line, const Packet& packet);

  [[nodiscard]] bool failed() const { return !failure_.empty(); }
  [[nodiscard]] const std::string& failure() const { return failure_; }
  void fail(std::string text);
  void trace(const std::string& text) const {
    if (tracing_) write_trace(text);
  }

  /// What was dropped, by cause, for the text of a failure.
  [[nodiscard]] std::string drops() const;

  /// delivered + queued + in flight + dropped by cause = routed, while nothing crosses.
  void check_conservation();
  void check_gauges_are_zero();

  [[nodiscard]] Net& net() { return net_; }
  [[nodiscard]] Reference& reference() { return reference_; }
  [[nodiscard]] std::deque<Line>& lines() { return lines_; }
  [[nodiscard]] Line& line_of(const Conn& conn) { return *by_conn_.at(&conn); }
  [[nodiscard]] SessionState& session(int index) {
    return reference_.sessions[static_cast<std::size_t>(index)];
  }
  [[nodiscard]] const WorldOptions& options() const { return options_; }
  [[nodiscard]] bool given_away(const Chain& chain, const Line& line) const;
  [[nodiscard]] bool gated() const { return options_.net.gate == TestGate::Mode::on_demand; }

 private:
  using Op = std::function<void(Span)>;
  /// One action of a shard, perhaps in the middle of another shard's.
  struct Frame {
    unsigned shard = 0;
    Line* own = nullptr;
    std::uint64_t begin = 0;
    bool feeding = false;          ///< bytes of `own`, whose packets come before the callbacks
    bool nested = false;           ///< another action ran within it
    bool told = false;             ///< some of its ops were applied before it was over
    std::int64_t refused_before = 0;
    std::vector<Op> ops;           ///< by callbacks
    std::vector<Op> own_close;
    std::vector<CommitNote> commits;
  };
  struct Output {
    Line* line;
    std::string bytes;
  };
  struct Route {
    int text;
    int session;
    std::uint16_t packet_id;
  };

  template <class Body>
  void act(unsigned shard, Line* own, Body&& body);
  void tell_so_far();
  [[nodiscard]] static std::uint64_t open_end(const Frame& frame) {
    return kNever - frame.begin;
  }
  void after_outermost();

  // NetListener, world_events.cpp
  void on_connected(Conn& conn, std::string_view id, const contract::Connected&) override;
  void on_session_ended(unsigned, std::string_view id, contract::SessionEndCause cause) override;
  void on_verdict_wanted(Conn& conn) override;
  void on_closed(Conn& conn, CloseMode mode, contract::CloseCause cause) override;
  void on_commit(unsigned shard, const CommitNote& note) override;
  void on_result(unsigned shard, const TicketResult& result) override;
  void on_output(Conn& conn, std::string_view bytes) override;

  void connected(Line& line, const std::string& id, bool present, Span at);
  void admitted(Line& line, const std::string& id, Span at);
  void closed(Line& line, contract::CloseCause cause, Span at);
  void ended(const std::string& id, contract::SessionEndCause cause, Span at);
  void detach(Line& line, Span at, bool was_active);
  void publish_will(int session, Span at);
  void check_close_cause(const Line& line, contract::CloseCause cause);
  [[nodiscard]] int make_session(Line& line, const std::string& id, Span at);
  void apply_connect(Line& line, SessionState& state);

  // world_packets.cpp: what a client sent and the shard consumed
  void consumed(Line& line, const Sent& sent, Frame& frame, Span at);
  void consumed_publish(Line& line, const Sent& sent, Frame& frame, Span at);
  void consumed_ack(Line& line, const Sent& sent, Frame& frame);
  void consumed_subscribe(Line& line, const Sent& sent, Frame& frame, Span at);
  void consumed_unsubscribe(Line& line, const Sent& sent, Frame& frame, Span at);
  void consumed_disconnect(Line& line, const Sent& sent);
  [[nodiscard]] Ticket take_commit(Frame& frame, CommitKind kind, std::uint16_t packet_id);
  void route(int text, int session, Span at);

  // world_output.cpp: what the shard wrote
  void read_output(Line& line, std::string_view bytes);
  void wrote(Line& line, const Packet& packet);
  void wrote_publish(Line& line, const Packet& packet);
  void check_content(Line& line, const Packet& packet, const Text& text, const Bounds& bounds);
  void wrote_chain(Line& line, const Packet& packet, int text, const Bounds& bounds);
  void check_order(Line& line, const Packet& packet, int text, int publication);
  void wrote_ack(Line& line, const Packet& packet, std::deque<Owed>& owed);
  void wrote_pubrel(Line& line, const Packet& packet);
  void wrote_codes(Line& line, const Packet& packet);
  void wrote_disconnect(Line& line, const Packet& packet);
  [[nodiscard]] bool kept(const Line& line, Ticket ticket, ReasonCode reason, const char* what);
  static void write_trace(const std::string& text);

  WorldOptions options_;
  Reference reference_;
  Net net_;
  std::deque<Line> lines_;
  std::map<const Conn*, Line*> by_conn_;
  std::vector<Frame*> frames_;
  std::vector<Output> outputs_;
  std::map<std::pair<unsigned, Ticket>, Route> routes_;
  std::map<std::pair<unsigned, Ticket>, std::vector<int>> waiting_subs_;
  std::set<std::pair<unsigned, Ticket>> failed_tickets_;
  std::map<std::tuple<unsigned, std::uint32_t, std::uint32_t>, std::string> names_;
  std::string failure_;
  std::uint64_t tick_ = 0;
  std::int64_t wills_ = 0;
  std::int64_t routed_copies_ = 0;
  std::int64_t written0_ = 0;
  std::int64_t completed_ = 0;
  const bool tracing_;
};

}  // namespace stmqtt::model
