#include "model/net.hpp"

#include "base/hash.hpp"
#include "session/delay_steps.hpp"

namespace stmqtt::model {

using contract::CloseCause;
using contract::EventKind;

namespace {

Conn& conn_of(const Client& client) { return *static_cast<Conn*>(client.transport); }

template <class Record>
const Record& as(const contract::RecordHeader& header) {
  return reinterpret_cast<const Record&>(header);
}

}  // namespace

class Net::Logical final : public Host {
 public:
  Logical(Net& net, unsigned index) : net_(net), index_(index) {}

  void post(ThreadIndex to, CrossItem&& item) noexcept override {
    self().staged[to].push_back(std::move(item));
  }
  [[nodiscard]] bool crossing() const noexcept override {
    for (std::size_t to = 0; to < self().fifos.size(); ++to) {
      if (!self().fifos[to].empty() || !self().staged[to].empty()) return true;
    }
    return false;
  }
  void mark_crossing() noexcept override {
    self().mark.clear();
    for (std::size_t to = 0; to < self().fifos.size(); ++to) {
      self().mark.push_back(self().taken[to] + self().fifos[to].size() + self().staged[to].size());
    }
  }
  [[nodiscard]] bool passed_mark() const noexcept override {
    for (std::size_t to = 0; to < self().mark.size(); ++to) {
      if (self().taken[to] < self().mark[to]) return false;
    }
    return true;
  }
  [[nodiscard]] bool congested() const noexcept override {
    return net_.shards_[index_]->congested;
  }
  bool event(EventKind kind, contract::RecordHeader& fixed, std::size_t,
             std::initializer_list<Bytes> strings) noexcept override {
    const std::string_view first = as_text(*strings.begin());
    NetListener& listener = net_.listener_;
    switch (kind) {
      case EventKind::connect_request:
        listener.on_verdict_wanted(find(as<contract::ConnectRequest>(fixed).connection_id));
        return true;
      case EventKind::connected: {
        const auto& record = as<contract::Connected>(fixed);
        listener.on_connected(find(record.connection_id), first, record);
        return true;
      }
      case EventKind::disconnected:
        listener.on_disconnected(as<contract::Disconnected>(fixed).connection_id,
                                 as<contract::Disconnected>(fixed));
        return true;
      case EventKind::refused:
        listener.on_refused(as<contract::Refused>(fixed).connection_id,
                            as<contract::Refused>(fixed));
        return true;
      case EventKind::session_ended: {
        using contract::SessionEndCause;
        const auto cause = static_cast<SessionEndCause>(as<contract::SessionEnded>(fixed).cause);
        if (cause == SessionEndCause::with_connection) return true;  // what follows tells it
        listener.on_session_ended(index_, first, cause);
        return true;
      }
      case EventKind::alert:
        // Of a client, or of a filter.
        listener.on_alert(first.empty() && strings.size() > 1 ? as_text(strings.begin()[1]) : first,
                          as<contract::Alert>(fixed));
        return true;
      case EventKind::publish_hook: {
        if (self().crowded) return false;
        std::string fields[7];
        for (std::string* to = fields; const Bytes text : strings) *to++ = as_text(text);
        listener.on_publish_hook(as<contract::PublishHook>(fixed), fields);
        return true;
      }
      case EventKind::deliver_hook: {
        if (self().crowded) return false;
        std::string fields[8];
        for (std::string* to = fields; const Bytes text : strings) *to++ = as_text(text);
        listener.on_deliver_hook(as<contract::DeliverHook>(fixed), fields);
        return true;
      }
      case EventKind::subscribe_hook:
        if (self().crowded) return false;
        listener.on_subscribe_hook(as<contract::SubscribeHook>(fixed));
        return true;
      case EventKind::notice:
        if (self().crowded) return false;
        listener.on_notice(as<contract::Notice>(fixed), first, as_text(*(strings.begin() + 1)));
        return true;
      case EventKind::link_bytes:
      case EventKind::link_closed:
      case EventKind::log:
      case EventKind::trace:
      case EventKind::trace_end:
      case EventKind::drained:
      case EventKind::auth_request:
      case EventKind::reply:
      case EventKind::written:
        return true;
    }
    return true;
  }
  void answer(std::uint64_t query_id, wire::ReasonCode code) noexcept override {
    net_.listener_.on_answer(query_id, code);
  }
  void written(contract::Written& event) noexcept override { net_.listener_.on_written(event); }
  void move_client(Client& client, ThreadIndex to) noexcept override {
    Conn& conn = conn_of(client);
    conn.client = nullptr;
    conn.moving = true;
    conn.paused = 0;
    conn.shard = to;
    self().leaving.push_back({&conn, client.connecting});
    self().old_outlets.push_back(std::move(conn.outlet));
    net_.listener_.on_moved(conn);
  }
  void close_client(Client& client, CloseMode mode, CloseCause cause) noexcept override {
    Conn& conn = conn_of(client);
    net_.tap(conn);
    conn.client = nullptr;
    conn.paused = 0;
    conn.unread.clear();
    if (mode == CloseMode::now) {
      conn.outlet->queue.clear();
      conn.outlet->unmark();
      conn.tapped = 0;
      conn.closed = true;
    } else {
      conn.closing = true;
      conn.closed = conn.outlet->queue.empty();
    }
    net_.listener_.on_closed(conn, mode, cause);
  }
  bool put_off_end(Client& client) noexcept override {
    Conn& conn = conn_of(client);
    conn.left = conn.puts_off;
    return conn.left;
  }
  void pause(Client& client, PauseCause cause) noexcept override {
    conn_of(client).paused |= static_cast<std::uint8_t>(cause);
  }
  void resume(Client& client, PauseCause cause) noexcept override {
    Conn& conn = conn_of(client);
    conn.paused &= static_cast<std::uint8_t>(~static_cast<unsigned>(cause));
    if (conn.paused == 0) conn.rerun = true;
  }
  std::uint64_t take_wait_ms(Client& c) noexcept override { return conn_of(c).waiting_ms; }
  [[nodiscard]] Bytes address(const Client&, char*) const noexcept override {
    static constexpr std::string_view kHere = "model";
    return as_bytes(kHere);
  }
  [[nodiscard]] std::uint64_t random() noexcept override { return mix64(++self().random); }
  void make_uuid(char out[36]) noexcept override {
    std::string text = std::to_string(mix64(++self().random)) + "-" + std::to_string(index_);
    text.resize(36, '0');
    text.copy(out, 36);
  }

 private:
  [[nodiscard]] LogicalThread& self() const { return *net_.shards_[index_]; }
  [[nodiscard]] Conn& find(std::uint64_t connection_id) {
    for (auto at = net_.conns_.rbegin(); at != net_.conns_.rend(); ++at) {
      if ((*at)->connection_id == connection_id) return **at;
    }
    std::abort();  // an event about a connection that never was
  }

  Net& net_;
  const unsigned index_;
};

Net::LogicalThread::LogicalThread(Net& net, unsigned index, const NetOptions& options)
    : list(options.high_bytes, options.low_bytes),
      gate(options.gate),
      host(std::make_unique<Logical>(net, index)),
      fifos(options.shards),
      staged(options.shards),
      taken(options.shards),
      random(options.seed * 1000 + index) {
  ShardOptions shard_options;
  shard_options.thread = static_cast<ThreadIndex>(index);
  shard_options.threads = options.shards;
  shard_options.match_cache_bytes = options.cache_bytes;
  shard_options.authenticate = options.authenticate;
  shard = std::make_unique<Shard>(net.tables_, gate, *host, counters, shard_options,
                                  options.start_ms);
  gate.on_commit = [&net, index](const CommitNote& note) { net.listener_.on_commit(index, note); };
  gate.on_result = [&net, index](const TicketResult& result) {
    net.listener_.on_result(index, result);
  };
}

Net::LogicalThread::~LogicalThread() = default;

Net::Net(const NetOptions& options, NetListener& listener)
    : listener_(listener), tables_(TrieOptions{options.strategy}), now_ms_(options.start_ms) {
  for (unsigned index = 0; index < options.shards; ++index) {
    shards_.push_back(std::make_unique<LogicalThread>(*this, index, options));
  }
}

Net::~Net() {
  for (const auto& thread : shards_) {
    for (const Arrival& arrival : thread->arrivals) ConnectState::destroy(arrival.connecting);
  }
  for (const auto& thread : shards_) thread->shard.reset();
  conns_.clear();  // their outlets stand on the threads' lists
}

template <class Body>
void Net::act(unsigned shard, Body&& body) {
  LogicalThread& thread = *shards_[shard];
  thread.acting = true;
  thread.shard->set_now(now_ms_);
  body(*thread.shard);
  for (const Arrival& arrival : thread.leaving) {
    shards_[arrival.conn->shard]->arrivals.push_back(arrival);
  }
  thread.leaving.clear();
  for (const auto& conn : conns_) {
    if (conn->shard == shard && conn->outlet != nullptr) tap(*conn);
  }
  thread.acting = false;
}

Conn& Net::open(unsigned shard, const Limits& limits) {
  Conn& conn = *conns_.emplace_back(std::make_unique<Conn>());
  conn.number = static_cast<unsigned>(conns_.size());
  conn.shard = shard;
  conn.limits = &limits;
  conn.outlet = std::make_unique<Outlet>(shards_[shard]->list, Outlet::Kind::socket);
  act(shard, [&](Shard& self) {
    conn.client = &self.open(*conn.outlet, &conn, limits, 1, ClientKind::socket);
    conn.connection_id = conn.client->connection_id;
  });
  return conn;
}

void Net::feed(Conn& conn, std::size_t bytes) {
  const std::size_t count = std::min(bytes, conn.to_broker.size());
  if (conn.client == nullptr && !conn.moving) {
    conn.to_broker.erase(0, count);  // nobody reads it any more
    return;
  }
  conn.unread.append(conn.to_broker, 0, count);
  conn.to_broker.erase(0, count);
  if (conn.client != nullptr) run_unread(conn);
}

void Net::run_unread(Conn& conn) {
  conn.rerun = false;
  if (conn.paused != 0 || conn.unread.empty()) return;
  act(conn.shard, [&](Shard& self) {
    // A block of its own size, so that a sanitizer sees who reads behind it.
    const std::vector<std::uint8_t> bytes(conn.unread.begin(), conn.unread.end());
    const Received received = self.on_bytes(*conn.client, bytes);
    conn.unread.erase(0, received.consumed);
    conn.consumed += received.consumed;
    conn.wanted = received.wanted;
    // As IoThread does: the shard stopped although it has what it wants.
    if (received.wanted != 0 && received.wanted <= conn.unread.size()) conn.rerun = true;
  });
}

void Net::end_of_stream(Conn& conn, CloseCause cause) {
  conn.to_broker.clear();
  conn.unread.clear();
  act(conn.shard, [&](Shard& self) { self.on_end(*conn.client, cause); });
}

void Net::take_crossed(unsigned from, unsigned to, std::size_t count) {
  act(to, [&](Shard& self) {
    std::deque<CrossItem>& fifo = shards_[from]->fifos[to];
    for (; count > 0 && !fifo.empty(); --count) {
      CrossItem item = std::move(fifo.front());
      fifo.pop_front();
      ++shards_[from]->taken[to];
      self.on_item(item);
    }
  });
}

void Net::take_arrival(unsigned shard) {
  LogicalThread& thread = *shards_[shard];
  const Arrival arrival = thread.arrivals.front();
  thread.arrivals.pop_front();
  Conn& conn = *arrival.conn;
  conn.outlet = std::make_unique<Outlet>(thread.list, Outlet::Kind::socket);
  conn.tapped = 0;
  conn.moving = false;
  act(shard, [&](Shard& self) {
    conn.client = &self.arrive(*conn.outlet, &conn, *conn.limits, 1, ClientKind::socket,
                               conn.connection_id, arrival.connecting);
    self.settle(*conn.client);
    if (conn.client != nullptr && !conn.unread.empty()) conn.rerun = true;
  });
}

void Net::verdict(Conn& conn, const contract::Verdict& verdict, const VerdictTexts& texts) {
  act(conn.shard, [&](Shard& self) { self.on_verdict(conn.client->ref, verdict, texts); });
}

void Net::set_rules(unsigned shard, std::shared_ptr<const RuleSet> rules) {
  act(shard, [&](Shard& self) { self.set_rules(std::move(rules)); });
}

void Net::set_hooks(unsigned shard, std::shared_ptr<const HookSet> hooks) {
  act(shard, [&](Shard& self) { self.set_hooks(std::move(hooks)); });
}

void Net::hook_verdict(const contract::HookVerdict& verdict, const HookVerdictTexts& texts) {
  act(verdict.hook_id >> 56 & 0xFF, [&](Shard& self) { self.on_hook_verdict(verdict, texts); });
}

void Net::end_holds(unsigned shard) { act(shard, [](Shard& self) { self.end_holds(); }); }

void Net::set_delayed(unsigned shard, const DelayOptions& options) {
  act(shard, [&](Shard& self) { DelaySteps::configure(self, options); });
}

void Net::end_asks(unsigned shard) { act(shard, [](Shard& self) { self.end_asks(); }); }

void Net::set_device(unsigned shard, std::shared_ptr<const DeviceOptions> options) {
  act(shard, [&](Shard& self) { self.set_device(std::move(options)); });
}

void Net::timers(unsigned shard) {
  if (shards_[shard]->shard->next_timer_ms() > now_ms_) return;
  act(shard, [](Shard& self) { self.on_timers(); });
}

void Net::uncongested(unsigned shard) {
  shards_[shard]->congested = false;
  act(shard, [](Shard& self) { self.on_uncongested(); });
}

void Net::end_turn(unsigned shard) {
  LogicalThread& thread = *shards_[shard];
  act(shard, [](Shard& self) { self.end_turn(); });
  for (unsigned to = 0; to < shards(); ++to) {
    for (CrossItem& item : thread.staged[to]) thread.fifos[to].push_back(std::move(item));
    thread.staged[to].clear();
  }
  thread.old_outlets.clear();
}

void Net::flush(Conn& conn, std::size_t bytes) {
  if (conn.outlet == nullptr || conn.closed) return;
  Outlet& outlet = *conn.outlet;
  if (outlet.above_high()) conn.was_high = true;
  std::size_t count = std::min(bytes, outlet.queue.bytes());
  while (count > 0) {
    Slice slice;
    static_cast<void>(outlet.queue.gather(&slice, 1));
    const std::size_t part = std::min(count, slice.bytes);
    conn.to_client.append(reinterpret_cast<const char*>(slice.data), part);
    outlet.queue.consume(part);
    conn.tapped -= part;
    count -= part;
  }
  if (outlet.queue.empty()) outlet.unmark();
  if (conn.closing) {
    conn.closed = outlet.queue.empty();
  } else if (conn.was_high && outlet.below_low() && conn.client != nullptr) {
    conn.was_high = false;
    act(conn.shard, [&](Shard& self) { self.on_writable(*conn.client); });
  }
}

void Net::settle(Tickets tickets) {
  for (bool busy = true; busy;) {
    busy = false;
    for (unsigned to = 0; to < shards(); ++to) {
      timers(to);
      while (arrivals(to) > 0) {
        take_arrival(to);
        busy = true;
      }
      for (unsigned from = 0; from < shards(); ++from) {
        if (crossed(from, to) == 0) continue;
        take_crossed(from, to);
        busy = true;
      }
    }
    for (std::size_t at = 0; at < conns_.size(); ++at) {
      Conn& conn = *conns_[at];
      if (conn.rerun || !conn.to_broker.empty()) {
        busy = true;
        conn.rerun = false;
        feed(conn);
      }
      if (conn.peer_closed && conn.client != nullptr && conn.paused == 0) {
        busy = true;
        end_of_stream(conn, CloseCause::peer_closed);
      }
    }
    for (unsigned shard = 0; shard < shards(); ++shard) {
      end_turn(shard);
      busy = busy || shards_[shard]->shard->has_dismissals();
      if (tickets == Tickets::keep || gate(shard).waiting() == 0) continue;
      gate(shard).grant();
      busy = true;
    }
    for (const auto& conn : conns_) {
      if (conn->outlet == nullptr || conn->outlet->queue.empty()) continue;
      flush(*conn);
      busy = true;
    }
    busy = busy || !nothing_crosses();
  }
}

std::int64_t Net::counter(contract::Counter name) const {
  std::int64_t sum = 0;
  for (const auto& thread : shards_) sum += thread->counters.read(name);
  return sum;
}

bool Net::nothing_crosses() const {
  for (const auto& thread : shards_) {
    for (const auto& fifo : thread->fifos) {
      if (!fifo.empty()) return false;
    }
    for (const auto& staged : thread->staged) {
      if (!staged.empty()) return false;
    }
    if (!thread->arrivals.empty()) return false;
  }
  return true;
}

}  // namespace stmqtt::model
