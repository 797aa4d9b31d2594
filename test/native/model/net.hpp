// The broker's threads as logical ones: N real shards in one thread of the system, and around each
// a host that keeps FIFOs, moves and outlets as plain lists. Whoever drives it decides what happens
// when: which shard acts, what it is given, when its turn ends, what the wires carry.
// Thread: one.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/outlet.hpp"
#include "model/gate.hpp"
#include "session/shard.hpp"

namespace stmqtt::model {

/// One network connection, both ends of it.
struct Conn {
  unsigned number = 0;
  unsigned shard = 0;
  const Limits* limits = nullptr;
  std::unique_ptr<Outlet> outlet;
  Client* client = nullptr;   ///< null while it moves, and once the shard has let go of it
  std::string to_broker;      ///< on the wire
  std::string unread;         ///< at the broker, not consumed
  std::string to_client;      ///< on the wire
  std::uint64_t consumed = 0; ///< bytes in all
  std::size_t tapped = 0;     ///< bytes in the outlet that listeners have seen
  std::uint32_t wanted = 0;
  std::uint64_t connection_id = 0;
  std::uint64_t waiting_ms = 0;  ///< so long bytes have waited in front of the broker
  std::uint8_t paused = 0;
  bool moving = false;
  bool rerun = false;         ///< resumed with unread bytes
  bool was_high = false;
  bool puts_off = false;      ///< its end is put off when it takes its leave
  bool left = false;          ///< and now it has
  bool closing = false;       ///< flush what is there, then close
  bool closed = false;        ///< by the broker
  bool peer_closed = false;   ///< the client's end is closed

  [[nodiscard]] bool gone() const { return closed || closing; }
};

/// What a test may want to see of a shard's surroundings. Strings are valid for the call.
class NetListener {
 public:
  virtual ~NetListener() = default;
  virtual void on_connected(Conn&, std::string_view, const contract::Connected&) {}
  virtual void on_disconnected(std::uint64_t, const contract::Disconnected&) {}
  virtual void on_refused(std::uint64_t, const contract::Refused&) {}
  virtual void on_session_ended(unsigned, std::string_view, contract::SessionEndCause) {}
  virtual void on_verdict_wanted(Conn&) {}
  virtual void on_alert(std::string_view, const contract::Alert&) {}
  /// `fields`: the record's strings in their order.
  virtual void on_publish_hook(const contract::PublishHook&, const std::string (&)[7]) {}
  virtual void on_deliver_hook(const contract::DeliverHook&, const std::string (&)[8]) {}
  virtual void on_subscribe_hook(const contract::SubscribeHook&) {}
  virtual void on_notice(const contract::Notice&, std::string_view, std::string_view) {}
  virtual void on_answer(std::uint64_t, wire::ReasonCode) {}
  virtual void on_written(const contract::Written&) {}
  virtual void on_closed(Conn&, CloseMode, contract::CloseCause) {}
  virtual void on_moved(Conn&) {}
  virtual void on_commit(unsigned, const CommitNote&) {}
  virtual void on_result(unsigned, const TicketResult&) {}
  /// Bytes that the shard gave to the connection's outlet, in order.
  virtual void on_output(Conn&, std::string_view) {}
};

struct NetOptions {
  unsigned shards = 1;
  TestGate::Mode gate = TestGate::Mode::at_once;
  SharedStrategy strategy = SharedStrategy::roundrobin;
  std::size_t high_bytes = 1 << 20;
  std::size_t low_bytes = 1 << 18;
  std::size_t cache_bytes = 1 << 16;
  bool authenticate = false;
  std::uint64_t seed = 1;
  std::uint64_t start_ms = 1'000'000;
};

class Net {
 public:
  Net(const NetOptions& options, NetListener& listener);
  ~Net();
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  // --- time
  [[nodiscard]] std::uint64_t now_ms() const { return now_ms_; }
  void advance(std::uint64_t ms) { now_ms_ += ms; }

  // --- what a shard may do in a turn
  Conn& open(unsigned shard, const Limits& limits);
  /// Gives it at most `bytes` of what is on the wire, and what it left unread before.
  void feed(Conn& conn, std::size_t bytes = SIZE_MAX);
  /// The end of the client's bytes; the rest of them is lost.
  void end_of_stream(Conn& conn, contract::CloseCause cause);
  void take_crossed(unsigned from, unsigned to, std::size_t count = SIZE_MAX);
  void take_arrival(unsigned shard);
  void verdict(Conn& conn, const contract::Verdict& verdict, const VerdictTexts& texts = {});
  void set_rules(unsigned shard, std::shared_ptr<const RuleSet> rules);
  void set_hooks(unsigned shard, std::shared_ptr<const HookSet> hooks);
  void hook_verdict(const contract::HookVerdict& verdict, const HookVerdictTexts& texts = {});
  void end_holds(unsigned shard);
  void end_asks(unsigned shard);
  /// No room for events of hooks.
  void set_crowded(unsigned shard, bool crowded) { shards_[shard]->crowded = crowded; }
  void set_delayed(unsigned shard, const DelayOptions& options);
  void set_device(unsigned shard, std::shared_ptr<const DeviceOptions> options);
  void timers(unsigned shard);
  void uncongested(unsigned shard);
  void end_turn(unsigned shard);
  /// Moves bytes from the outlet to the wire, at most `bytes`.
  void flush(Conn& conn, std::size_t bytes = SIZE_MAX);

  /// All of it, in a fixed order, until nothing is left to do; tickets only if `grant` says so.
  enum class Tickets : std::uint8_t { keep, grant };
  void settle(Tickets tickets = Tickets::grant);

  // --- what there is
  [[nodiscard]] unsigned shards() const { return static_cast<unsigned>(shards_.size()); }
  [[nodiscard]] Shard& shard(unsigned index) { return *shards_[index]->shard; }
  [[nodiscard]] TestGate& gate(unsigned index) { return shards_[index]->gate; }
  [[nodiscard]] BrokerTables& tables() { return tables_; }
  [[nodiscard]] std::int64_t counter(contract::Counter name) const;
  [[nodiscard]] const std::vector<std::unique_ptr<Conn>>& conns() const { return conns_; }
  [[nodiscard]] std::size_t crossed(unsigned from, unsigned to) const {
    return shards_[from]->fifos[to].size();
  }
  [[nodiscard]] std::size_t arrivals(unsigned shard) const {
    return shards_[shard]->arrivals.size();
  }
  [[nodiscard]] Conn& next_arrival(unsigned shard) {
    return *shards_[shard]->arrivals.front().conn;
  }
  [[nodiscard]] bool nothing_crosses() const;
  void set_congested(unsigned shard, bool congested) { shards_[shard]->congested = congested; }
  [[nodiscard]] bool congested(unsigned shard) const { return shards_[shard]->congested; }
  /// In a turn: an action of it is being run right now.
  [[nodiscard]] bool acting(unsigned shard) const { return shards_[shard]->acting; }
  /// Shows the listener what was written since.
  void tap(Conn& conn);

 private:
  struct Arrival {
    Conn* conn;
    ConnectState* connecting;
  };
  class Logical;
  struct LogicalThread {
    LogicalThread(Net& net, unsigned index, const NetOptions& options);
    ~LogicalThread();
    FlushList list;
    TestGate gate;
    contract::Counters counters;
    std::unique_ptr<Logical> host;
    std::unique_ptr<Shard> shard;
    std::vector<std::deque<CrossItem>> fifos;   ///< to each shard
    std::vector<std::deque<CrossItem>> staged;  ///< of this turn: shown at its end
    std::vector<std::size_t> taken;             ///< from fifos, in all
    std::vector<std::size_t> mark;
    std::deque<Arrival> arrivals;
    std::vector<Arrival> leaving;  ///< in the arrivals of their new shard once the action is over
    std::vector<std::unique_ptr<Outlet>> old_outlets;  ///< dead clients point there until the end
    std::uint64_t random;
    bool congested = false;
    bool crowded = false;
    bool acting = false;
  };
  /// Marks the shard as acting, sets its clock, shows the output at the end.
  template <class Body>
  void act(unsigned shard, Body&& body);
  void run_unread(Conn& conn);

  NetListener& listener_;
  BrokerTables tables_;
  std::uint64_t now_ms_;
  std::vector<std::unique_ptr<LogicalThread>> shards_;
  std::vector<std::unique_ptr<Conn>> conns_;
};

}  // namespace stmqtt::model
