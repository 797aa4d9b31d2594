// An Engine with JavaScript's side of it played by the test's own thread: it drains events when it
// is woken, checks what every event promises, judges CONNECTs, serves links, submits commands.
// Thread: the test's, as JavaScript's would be; only the wake comes from I/O threads.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "engine_peer.hpp"

namespace stmqtt::test {

using contract::CommandKind;
using contract::EventKind;

/// Command records, one behind the other.
class Commands {
 public:
  template <class Record>
  Commands& add(CommandKind kind, Record record, const std::string& strings = {}) {
    const std::size_t bytes = (sizeof record + strings.size() + 7) & ~std::size_t{7};
    record.header.record_bytes = static_cast<std::uint32_t>(bytes);
    record.header.kind = static_cast<std::uint16_t>(kind);
    const std::size_t at = bytes_.size();
    bytes_.resize(at + bytes);
    std::memcpy(bytes_.data() + at, &record, sizeof record);
    store_bytes(bytes_.data() + at + sizeof record, as_bytes(strings));
    return *this;
  }
  [[nodiscard]] const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// What becomes of a CONNECT that asks for a verdict.
struct Judgement {
  ReasonCode reason = ReasonCode::success;
  std::uint32_t after_ms = 0;
  std::string client_id = {};  ///< not empty = instead of the client's
  bool answer = true;     ///< false = never
};

/// One end of an in-process link, with a client's answers.
struct LinkEnd : Conversation {
  LinkEnd() : Conversation(Version::v5) {}
  std::string unread;
  bool closed = false;
  bool gives_credit = true;
  std::size_t received_bytes = 0;
};

/// What a query was answered.
struct ReplyText {
  std::uint16_t status = 0;
  std::uint16_t code = 0;
  std::string rows;
  std::string cursor;
  std::string data;
};

/// A log record, without what is not looked at.
struct LogText {
  contract::LogLevel level;
  contract::LogModule module;
  std::string client_id;
  std::string text;
};

/// A packet that a trace showed.
struct TracedPacket {
  std::uint32_t trace_id;
  int direction;
  std::uint32_t length;
  std::uint32_t suppressed;
  std::string client_id;
  std::string packet;
};

class Javascript {
 public:
  explicit Javascript(EngineOptions options)
      : engine(std::move(options), link_limits(), {&Javascript::on_wake, this}) {
    CHECK_EQ(engine.open().code, 0);
  }
  ~Javascript() { engine.stop(); }
  Javascript(const Javascript&) = delete;
  Javascript& operator=(const Javascript&) = delete;

  [[nodiscard]] std::uint16_t listen(const Limits& limits = {}, std::uint32_t max_connections = 0) {
    EngineListenSpec spec;
    spec.socket.host = "127.0.0.1";
    spec.limits = limits;
    spec.max_connections = max_connections;
    const ListenResult result = engine.listen(spec);
    CHECK_EQ(result.error.code, 0);
    last_listener = result.id;
    return result.port;
  }
  /// At a port that was chosen before.
  std::uint16_t listen_at(std::uint16_t port) {
    EngineListenSpec spec;
    spec.socket.host = "127.0.0.1";
    spec.socket.port = port;
    const ListenResult result = engine.listen(spec);
    CHECK_EQ(result.error.code, 0);
    last_listener = result.id;
    return result.port;
  }
  void start() { CHECK_EQ(engine.start().code, 0); }
  [[nodiscard]] bool submit(const Commands& commands) { return engine.submit(commands.bytes()); }

  /// Serves events and verdicts that are due until the condition holds; false: time is over.
  template <class Condition>
  bool until(Condition&& condition, std::uint64_t wait_ms = kPatienceMs) {
    const std::uint64_t limit = now_ms() + wait_ms;
    for (;;) {
      serve();
      if (condition()) return true;
      if (now_ms() >= limit) return false;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(2), [this] { return woken_; });
      woken_ = false;
    }
  }
  void run(std::uint64_t ms) {
    static_cast<void>(until([] { return false; }, ms));
  }
  /// One slice of what waits, at most so many bytes; true if there was something.
  bool serve_some(std::size_t room) {
    if (buffer_.size() < room) buffer_.resize(room);
    const std::int64_t moved = engine.drain_events(buffer_.data(), room);
    if (moved < 0) return serve_some(static_cast<std::size_t>(-moved));
    for (std::size_t at = 0; at < static_cast<std::size_t>(moved);) {
      contract::RecordHeader header;
      std::memcpy(&header, buffer_.data() + at, sizeof header);
      CHECK(header.record_bytes >= sizeof header && header.record_bytes % 8 == 0);
      CHECK(at + header.record_bytes <= static_cast<std::size_t>(moved));
      records++;
      on_event(static_cast<EventKind>(header.kind), buffer_.data() + at, header.record_bytes);
      at += header.record_bytes;
    }
    return moved > 0;
  }
  void serve() {
    while (serve_some(4096)) {
    }
    give_verdicts();
  }

  LinkEnd& open_link(std::uint32_t id, std::uint32_t credit_bytes = 1 << 20) {
    contract::LinkOpen open{};
    open.link_id = id;
    open.credit_bytes = credit_bytes;
    CHECK(submit(Commands().add(CommandKind::link_open, open)));
    return links[id];
  }
  void link_send(std::uint32_t id, const std::string& packets) {
    contract::LinkBytes record{};
    record.link_id = id;
    record.data_bytes = static_cast<std::uint32_t>(packets.size());
    CHECK(submit(Commands().add(CommandKind::link_bytes, record, packets)));
  }
  void link_close(std::uint32_t id) {
    contract::LinkClose close{};
    close.link_id = id;
    CHECK(submit(Commands().add(CommandKind::link_close, close)));
  }
  void disconnect(const std::string& client_id, ReasonCode reason, const std::string& text = {}) {
    contract::Disconnect record{};
    record.reason_code = static_cast<std::uint8_t>(reason);
    record.client_id_bytes = static_cast<std::uint32_t>(client_id.size());
    record.reason_text_bytes = static_cast<std::uint32_t>(text.size());
    CHECK(submit(Commands().add(CommandKind::disconnect, record, client_id + text)));
  }
  void drain(std::uint32_t deadline_ms) {
    contract::Drain record{};
    record.deadline_ms = deadline_ms;
    CHECK(submit(Commands().add(CommandKind::drain, record)));
  }
  /// Gives every thread a turn: gauges are brought up to date once in each.
  void poke() {
    Commands commands;
    for (std::uint64_t thread = 0; thread < engine.options().io_threads; thread++) {
      contract::Verdict for_nobody{};
      for_nobody.connection_id = thread << 56;
      commands.add(CommandKind::verdict, for_nobody);
    }
    CHECK(submit(commands));
  }
  [[nodiscard]] std::int64_t count(contract::Counter counter) const {
    std::int64_t all[contract::kCounterCount];
    engine.counters(all);
    return all[static_cast<std::size_t>(counter)];
  }

  Engine engine;
  ListenerId last_listener = 0;
  std::function<Judgement(std::string_view client_id)> judge = [](std::string_view) {
    return Judgement{};
  };
  // What the events told.
  std::set<std::uint64_t> open;      ///< connected and not disconnected
  std::set<std::uint64_t> ever;      ///< connected, at any time
  std::map<std::string, int> alive;  ///< connections by Client Identifier
  std::map<std::uint32_t, LinkEnd> links;
  std::map<contract::CloseCause, int> refused;
  std::map<contract::CloseCause, int> disconnected;
  std::vector<LogText> logs;
  std::vector<TracedPacket> traced;
  std::map<std::uint32_t, int> traces_ended;
  int trace_end_cause = 0;
  bool reuses_link_ids = false;
  int asked = 0;
  int sessions_ended = 0;
  std::map<std::uint64_t, ReplyText> replies;
  int drained = 0;
  std::uint32_t unflushed = 0;
  std::uint64_t records = 0;

 private:
  struct Due {
    std::uint64_t at_ms;
    std::uint64_t connection_id;
    Judgement judgement;
  };

  static Limits link_limits() {
    Limits limits;
    limits.max_packet_size = 1 << 24;
    return limits;
  }
  static void on_wake(void* self) {
    auto* javascript = static_cast<Javascript*>(self);
    const std::lock_guard lock(javascript->mutex_);
    javascript->woken_ = true;
    javascript->changed_.notify_one();
  }

  template <class Record>
  static Record read(const std::uint8_t* at, std::size_t bytes) {
    Record record{};
    CHECK(bytes >= sizeof record);
    std::memcpy(&record, at, sizeof record);
    return record;
  }
  static std::string text(const std::uint8_t* at, std::size_t skipped, std::size_t bytes) {
    return {reinterpret_cast<const char*>(at) + skipped, bytes};
  }

  void on_event(EventKind kind, const std::uint8_t* at, std::size_t bytes) {
    switch (kind) {
      case EventKind::connect_request: {
        const auto event = read<contract::ConnectRequest>(at, bytes);
        asked++;
        const Judgement judgement = judge(text(at, sizeof event, event.client_id_bytes));
        if (judgement.answer) {
          due_.push_back({now_ms() + judgement.after_ms, event.connection_id, judgement});
        }
        break;
      }
      case EventKind::connected: {
        const auto event = read<contract::Connected>(at, bytes);
        CHECK(ever.insert(event.connection_id).second);  // never reused
        open.insert(event.connection_id);
        alive[text(at, sizeof event, event.client_id_bytes)]++;
        break;
      }
      case EventKind::disconnected: {
        const auto event = read<contract::Disconnected>(at, bytes);
        CHECK_EQ(open.erase(event.connection_id), 1U);  // exactly one for each connected
        alive[text(at, sizeof event, event.client_id_bytes)]--;
        disconnected[static_cast<contract::CloseCause>(event.cause)]++;
        break;
      }
      case EventKind::refused: {
        const auto event = read<contract::Refused>(at, bytes);
        CHECK(!ever.contains(event.connection_id));
        refused[static_cast<contract::CloseCause>(event.cause)]++;
        break;
      }
      case EventKind::session_ended:
        sessions_ended++;
        break;
      case EventKind::link_bytes:
        on_link_bytes(read<contract::LinkBytes>(at, bytes), at);
        break;
      case EventKind::link_closed: {
        LinkEnd& link = links[read<contract::LinkClosed>(at, bytes).link_id];
        CHECK(!link.closed);
        link.closed = true;
        if (reuses_link_ids) links.erase(read<contract::LinkClosed>(at, bytes).link_id);
        break;
      }
      case EventKind::auth_request:
      case EventKind::written:
      case EventKind::publish_hook:
      case EventKind::subscribe_hook:
      case EventKind::deliver_hook:
      case EventKind::notice:
        CHECK(false);  // nobody asked for these here
        break;
      case EventKind::drained: {
        drained++;
        unflushed = read<contract::Drained>(at, bytes).unflushed_connections;
        break;
      }
      case EventKind::reply: {
        const auto event = read<contract::Reply>(at, bytes);
        ReplyText& reply = replies[event.query_id];
        CHECK_EQ(reply.status, 0);  // one for each query
        reply.status = event.status;
        reply.code = event.code;
        reply.rows = text(at, sizeof event, event.rows_bytes);
        reply.cursor = text(at, sizeof event + event.rows_bytes, event.cursor_bytes);
        reply.data = text(at, sizeof event + event.rows_bytes + event.cursor_bytes,
                          event.data_bytes);
        break;
      }
      case EventKind::log: {
        const auto event = read<contract::Log>(at, bytes);
        logs.push_back({static_cast<contract::LogLevel>(event.level),
                        static_cast<contract::LogModule>(event.module),
                        text(at, sizeof event, event.client_id_bytes),
                        text(at, sizeof event + event.client_id_bytes + event.address_bytes,
                             event.text_bytes)});
        break;
      }
      case EventKind::trace: {
        const auto event = read<contract::Trace>(at, bytes);
        traced.push_back({event.trace_id, event.direction, event.packet_length, event.suppressed,
                          text(at, sizeof event, event.client_id_bytes),
                          text(at, sizeof event + event.client_id_bytes + event.address_bytes,
                               event.packet_bytes)});
        CHECK_GT(event.time_ms, 1'600'000'000'000U);
        break;
      }
      case EventKind::trace_end: {
        const auto event = read<contract::TraceEnd>(at, bytes);
        traces_ended[event.trace_id]++;
        trace_end_cause = event.cause;
        break;
      }
      case EventKind::alert:
        break;
    }
  }
  void on_link_bytes(const contract::LinkBytes& event, const std::uint8_t* at) {
    LinkEnd& link = links[event.link_id];
    CHECK(!link.closed);  // nothing follows its end
    link.unread += text(at, sizeof event, event.data_bytes);
    link.received_bytes += event.data_bytes;
    std::string out;
    link.take(link.unread, out);
    CHECK(link.unread.empty());  // whole packets only
    if (!out.empty()) link_send(event.link_id, out);
    if (!link.gives_credit) return;
    contract::LinkCredit credit{};
    credit.link_id = event.link_id;
    credit.consumed_bytes = event.data_bytes;
    CHECK(submit(Commands().add(CommandKind::link_credit, credit)));
  }
  void give_verdicts() {
    Commands commands;
    const std::uint64_t now = now_ms();
    std::erase_if(due_, [&](const Due& due) {
      if (due.at_ms > now) return false;
      contract::Verdict verdict{};
      verdict.connection_id = due.connection_id;
      verdict.reason_code = static_cast<std::uint8_t>(due.judgement.reason);
      verdict.client_id_bytes = static_cast<std::uint32_t>(due.judgement.client_id.size());
      commands.add(CommandKind::verdict, verdict, due.judgement.client_id);
      return true;
    });
    if (!commands.bytes().empty()) CHECK(submit(commands));
  }

  std::vector<std::uint8_t> buffer_;
  std::vector<Due> due_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;  ///< guarded by mutex_
};

/// Options with several threads, whose connections go to them in turn.
inline EngineOptions engine_options(unsigned io_threads) {
  EngineOptions options;
  options.io_threads = io_threads;
  return options;
}

}  // namespace stmqtt::test
