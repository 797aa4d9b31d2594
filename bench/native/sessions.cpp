// Rows about connections, sessions and subscriptions instead of messages.
// Thread: the generator's only one.
#include "sessions.hpp"

#include <ctime>

#include <algorithm>
#include <string>
#include <vector>

#include "topologies.hpp"

namespace stmqtt::bench {

namespace {

void settle() {
  const timespec pause{1, 500'000'000};
  nanosleep(&pause, nullptr);
}

// A connection that comes and goes makes the broker allocate what every first connection needs.
void touch(const Target& target) {
  Loop loop(target);
  std::vector<Connection> once(20);
  connect_all(loop, target, once, "bench-touch-", 0);
  disconnect_all(loop, once);
}

class ConnectRate {
 public:
  ConnectRate(const Target& target, const ConnectPlan& plan) : target_(target), plan_(plan), loop_(target) {}

  // Leaves the connections open.
  void open(std::uint32_t count, std::uint32_t source) {
    connections_ = std::vector<Connection>(count);
    started_ns_.assign(count, 0);
    started_ = 0;
    finished_ = 0;
    source_ = source;
    while (started_ < std::min(plan_.at_once, count)) dial_next();
    loop_.flush_all();
    while (finished_ < count) loop_.turn(1000, *this);
  }
  void close() { disconnect_all(loop_, connections_); }
  [[nodiscard]] Histogram& latency() { return latency_; }

  void on_read() {}
  void on_turn() {}
  void on_close(Connection&) { fail("measuring: the broker closed a connection before CONNACK"); }
  void on_frame(Connection& connection, const Frame& frame) {
    if (frame.type() != kConnack || connack_window(frame, target_.version) == 0) {
      fail("measuring: the broker refused a connection");
    }
    latency_.record(now_ns() - started_ns_[connection.index]);
    ++finished_;
    if (started_ < connections_.size()) dial_next();
  }

 private:
  void dial_next() {
    Connection& connection = connections_[started_];
    connection.index = started_;
    started_ns_[started_] = now_ns();
    loop_.dial(connection, source_);
    put_connect(connection.out, target_.version,
                "bench-rate-" + std::to_string(started_), plan_.session_expiry_s, target_.credentials);
    loop_.flush_later(connection);
    ++started_;
  }

  Target target_;
  ConnectPlan plan_;
  Loop loop_;
  std::uint32_t source_ = 0;
  std::vector<Connection> connections_;
  std::vector<std::uint64_t> started_ns_;
  Histogram latency_;
  std::uint32_t started_ = 0;
  std::uint32_t finished_ = 0;
};

double bytes_each(std::uint64_t before_kib, std::uint64_t after_kib, std::uint32_t count) {
  return (static_cast<double>(after_kib) - static_cast<double>(before_kib)) * 1024 / count;
}

}  // namespace

void run_connect_rate(const Target& target, const Processes& broker, const ConnectPlan& plan,
                      Report& report) {
  ConnectRate rate(target, plan);
  if (plan.warmup > 0) {
    rate.open(plan.warmup, 1);
    rate.close();
    settle();
    rate.latency().clear();
  }
  std::uint64_t connect_cpu = 0;
  std::uint64_t close_cpu = 0;
  std::uint64_t elapsed_ns = 0;
  std::uint32_t source = 1;
  for (std::uint32_t done = 0; done < plan.count;) {
    const std::uint32_t batch = std::min(plan.batch, plan.count - done);
    const std::uint64_t cpu = broker.cpu_ns();
    const std::uint64_t begin = now_ns();
    // Each batch has a source address of its own: the ports of the one before are in TIME_WAIT.
    rate.open(batch, ++source);
    elapsed_ns += now_ns() - begin;
    const std::uint64_t opened_cpu = broker.cpu_ns();
    connect_cpu += opened_cpu - cpu;
    rate.close();
    settle();
    close_cpu += broker.cpu_ns() - opened_cpu;
    done += batch;
  }
  const double elapsed_s = static_cast<double>(elapsed_ns) / 1e9;
  report.count("connections", plan.count);
  report.number("seconds", elapsed_s);
  report.number("perSecond", plan.count / elapsed_s);
  report.number("brokerCpuUs", static_cast<double>(connect_cpu) / 1e3 / plan.count);
  report.number("closeCpuUs", static_cast<double>(close_cpu) / 1e3 / plan.count);
  report.number("p50us", rate.latency().percentile_us(50));
  report.number("p99us", rate.latency().percentile_us(99));
}

void run_idle(const Target& target, const Processes& broker, std::uint32_t count, Report& report) {
  touch(target);
  settle();
  const std::uint64_t fresh_kib = broker.status_kib("VmRSS");
  Loop loop(target);
  std::vector<Connection> connections(count);
  const std::uint64_t cpu = broker.cpu_ns();
  const std::uint64_t begin = now_ns();
  connect_all(loop, target, connections, "bench-idle-", 0);
  const double elapsed_s = static_cast<double>(now_ns() - begin) / 1e9;
  settle();
  const std::uint64_t held_kib = broker.status_kib("VmRSS");
  const std::uint64_t held_cpu = broker.cpu_ns();
  settle();
  const std::uint64_t idle_cpu = broker.cpu_ns() - held_cpu;
  disconnect_all(loop, connections);
  settle();
  report.count("connections", count);
  report.number("connectSeconds", elapsed_s);
  report.number("connectCpuUs", static_cast<double>(held_cpu - cpu) / 1e3 / count);
  report.count("freshRssKib", fresh_kib);
  report.count("heldRssKib", held_kib);
  report.count("afterRssKib", broker.status_kib("VmRSS"));
  report.number("bytesEach", bytes_each(fresh_kib, held_kib, count));
  report.number("idleCpuPercent", static_cast<double>(idle_cpu) / 1.5e9 * 100);
}

void run_filters(const Target& target, const Processes& broker, std::uint32_t count,
                 std::uint32_t per_session, Report& report) {
  const std::vector<std::vector<std::string>> chunks = mixed_filters(count, per_session);
  Loop loop(target);
  std::vector<Connection> sessions(chunks.size());
  connect_all(loop, target, sessions, "bench-filters-", 0);
  settle();
  const std::uint64_t fresh_kib = broker.status_kib("VmRSS");
  const std::uint64_t cpu = broker.cpu_ns();
  const std::uint64_t begin = now_ns();
  for (std::size_t i = 0; i < sessions.size(); ++i) subscribe(loop, target, sessions[i], chunks[i], 0);
  const double elapsed_s = static_cast<double>(now_ns() - begin) / 1e9;
  const std::uint64_t subscribe_cpu = broker.cpu_ns() - cpu;
  settle();
  const std::uint64_t held_kib = broker.status_kib("VmRSS");
  const std::uint64_t close_cpu = broker.cpu_ns();
  disconnect_all(loop, sessions);
  settle();
  report.count("filters", count);
  report.number("subscribeSeconds", elapsed_s);
  report.number("subscribeCpuUs", static_cast<double>(subscribe_cpu) / 1e3 / count);
  report.number("closeCpuUs", static_cast<double>(broker.cpu_ns() - close_cpu) / 1e3 / count);
  report.count("freshRssKib", fresh_kib);
  report.count("heldRssKib", held_kib);
  report.count("afterRssKib", broker.status_kib("VmRSS"));
  report.number("bytesEach", bytes_each(fresh_kib, held_kib, count));
}

void run_churn(const Target& target, const Processes& broker, std::uint32_t rounds, Report& report) {
  constexpr std::uint32_t kSessions = 500;
  constexpr std::uint32_t kQueued = 20;
  touch(target);
  settle();
  const std::uint64_t fresh_kib = broker.status_kib("VmRSS");
  const std::uint64_t cpu = broker.cpu_ns();
  std::uint64_t top_kib = 0;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    Loop loop(target);
    const std::string prefix = "bench-churn-";
    std::vector<Connection> parked(kSessions);
    connect_all(loop, target, parked, prefix, 3600);
    for (std::uint32_t i = 0; i < kSessions; ++i) {
      std::vector<std::string> filters = {"churn/" + std::to_string(i) + "/own"};
      for (std::uint32_t f = 0; f < 10 + (i * 7 + round) % 20; ++f) {
        filters.push_back("churn/" + std::to_string(i) + "/round" + std::to_string(round) + "/f" + std::to_string(f));
      }
      subscribe(loop, target, parked[i], filters, 1);
    }
    disconnect_all(loop, parked);
    // Messages for the parked sessions, sizes from 32 bytes to 8 KiB in an order that fragments.
    std::vector<Connection> publisher(1);
    connect_all(loop, target, publisher, prefix + "pub-", 0);
    for (std::uint32_t m = 0; m < kSessions * kQueued; ++m) {
      const std::uint32_t size = 32u << (m * 5 + round) % 9;
      const PublishTemplate form =
          publish_template(target.version, "churn/" + std::to_string(m % kSessions) + "/own", 1, size, 0);
      Connection& connection = publisher[0];
      const std::size_t at = connection.out.size();
      connection.out.insert(connection.out.end(), form.frame.begin(), form.frame.end());
      const std::uint32_t id = m % 60'000 + 1;
      connection.out[at + form.packet_id_at] = static_cast<std::uint8_t>(id >> 8);
      connection.out[at + form.packet_id_at + 1] = static_cast<std::uint8_t>(id);
      // Waiting for a SUBACK keeps at most 20 messages unacknowledged.
      if (m % 20 == 19) subscribe(loop, target, connection, {"churn/pace"}, 0);
    }
    top_kib = std::max(top_kib, broker.status_kib("VmRSS"));
    disconnect_all(loop, publisher);
    // A clean session under the same Client Identifier removes the parked one and its queue.
    std::vector<Connection> removed(kSessions);
    connect_all(loop, target, removed, prefix, 0);
    disconnect_all(loop, removed);
  }
  settle();
  settle();
  report.count("rounds", rounds);
  report.count("freshRssKib", fresh_kib);
  report.count("topRssKib", top_kib);
  report.count("afterRssKib", broker.status_kib("VmRSS"));
  report.number("cpuSeconds", static_cast<double>(broker.cpu_ns() - cpu) / 1e9);
}

}  // namespace stmqtt::bench
