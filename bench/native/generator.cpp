// The load generator: one row of the benchmark per run, one JSON object on standard output.
// Usage: generator ROW --port N [--pid N[,N]] [--version 3|4|5] [--qos N] [--size BYTES] ...
// Thread: its only one.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "sessions.hpp"
#include "topologies.hpp"

namespace {

using namespace stmqtt::bench;

class Options {
 public:
  Options(int argc, char** argv) {
    for (int i = 2; i + 1 < argc; i += 2) {
      const std::string_view name = argv[i];
      if (!name.starts_with("--")) fail("reading the options: expected --name, got " + std::string(name));
      values_[std::string(name.substr(2))] = argv[i + 1];
    }
    if (argc % 2 != 0) fail("reading the options: the last one has no value");
  }
  [[nodiscard]] std::string text(const char* name, const char* otherwise) {
    const auto at = values_.find(name);
    if (at == values_.end()) return otherwise;
    std::string value = at->second;
    values_.erase(at);
    return value;
  }
  [[nodiscard]] double number(const char* name, double otherwise) {
    const std::string value = text(name, "");
    if (value.empty()) return otherwise;
    char* end = nullptr;
    const double parsed = std::strtod(value.c_str(), &end);
    if (*end != '\0' || parsed < 0) fail("reading --" + std::string(name) + ": not a number: " + value);
    return parsed;
  }
  [[nodiscard]] std::uint32_t count(const char* name, std::uint32_t otherwise) {
    return static_cast<std::uint32_t>(number(name, otherwise));
  }
  // A misspelt option must not pass as its default.
  void all_used() const {
    if (!values_.empty()) fail("reading the options: unknown --" + values_.begin()->first);
  }

 private:
  std::map<std::string, std::string> values_;
};

std::vector<pid_t> read_pids(const std::string& list) {
  std::vector<pid_t> pids;
  const char* at = list.data();
  const char* const end = at + list.size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc{} || pid <= 0) fail("reading --pid: " + list);
    pids.push_back(pid);
    at = next + (next < end ? 1 : 0);
  }
  return pids;
}

bool plan_row(const std::string& row, Options& options, FlowPlan& plan) {
  const auto publishers = [&](std::uint32_t count) { return options.count("publishers", count); };
  const auto subscribers = [&](std::uint32_t count) { return options.count("subscribers", count); };
  if (row == "pipe") {
    plan.undelivered = 500;
    plan_pipe(plan, publishers(10));
  } else if (row == "fanout") {
    plan.undelivered = 50;
    plan_fan_out(plan, subscribers(1000));
  } else if (row == "fanin" || row == "shared") {
    const std::uint32_t count = publishers(1000);
    plan.undelivered = 5000;
    plan.limit = FlowPlan::Limit::pooled;
    if (row == "fanin") plan_fan_in(plan, count);
    if (row == "shared") plan_shared(plan, count, subscribers(5));
  } else if (row == "mixed") {
    plan_mixed(plan, publishers(10), options.count("filters", 100'000));
  } else if (row == "open") {
    plan.rate = 10'000;
    plan_pipe(plan, publishers(10));
  } else {
    return false;
  }
  plan.undelivered = options.count("limit", plan.undelivered);
  plan.rate = options.count("rate", plan.rate);
  plan.window = options.count("window", 100);
  plan.payload_bytes = options.count("size", 64);
  plan.qos = static_cast<std::uint8_t>(options.count("qos", 0));
  plan.sleeps = options.count("sleep", 0) != 0;
  plan.spare_connections = options.count("spare", 0);
  plan.warmup_s = options.number("warmup", 1);
  plan.seconds = options.number("seconds", 5);
  if (plan.undelivered == 0 || plan.window == 0 || plan.window > 65535 || plan.qos > 2) {
    fail("reading the options: --limit and --window start at 1, --qos ends at 2");
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) fail("usage: generator pipe|fanout|fanin|shared|mixed|open|connect|idle|filters|churn --port N ...");
  const std::string row = argv[1];
  Options options(argc, argv);
  Target target;
  target.host = options.text("host", "127.0.0.1");
  target.port = static_cast<std::uint16_t>(options.count("port", 1883));
  const std::uint32_t version = options.count("version", 4);
  if (version < 3 || version > 5) fail("reading --version: 3, 4 or 5");
  target.version = static_cast<Version>(version);
  const std::string transport = options.text("transport", "tcp");
  if (transport == "tls") target.transport = Transport::tls;
  else if (transport == "websocket") target.transport = Transport::websocket;
  else if (transport != "tcp") fail("reading --transport: tcp, tls or websocket");
  target.credentials = {options.text("username", ""), options.text("password", "")};
  const Processes broker(read_pids(options.text("pid", "")));

  Report report;
  report.text("row", row);
  report.count("version", version);
  FlowPlan plan;
  if (plan_row(row, options, plan)) {
    options.all_used();
    run_flow(target, plan, broker, report);
  } else if (row == "connect") {
    ConnectPlan plan_of_connects;
    plan_of_connects.count = options.count("count", plan_of_connects.count);
    plan_of_connects.at_once = options.count("at-once", plan_of_connects.at_once);
    plan_of_connects.batch = options.count("batch", plan_of_connects.batch);
    plan_of_connects.warmup = options.count("warmup-connects", plan_of_connects.warmup);
    plan_of_connects.session_expiry_s = options.count("expiry", 0);
    options.all_used();
    run_connect_rate(target, broker, plan_of_connects, report);
  } else if (row == "idle") {
    const std::uint32_t count = options.count("count", 10'000);
    options.all_used();
    run_idle(target, broker, count, report);
  } else if (row == "filters") {
    const std::uint32_t count = options.count("count", 1'000'000);
    const std::uint32_t per_session = options.count("per-session", 10'000);
    options.all_used();
    run_filters(target, broker, count, per_session, report);
  } else if (row == "churn") {
    const std::uint32_t rounds = options.count("rounds", 10);
    options.all_used();
    run_churn(target, broker, rounds, report);
  } else {
    fail("unknown row " + row);
  }
  report.print();
  return 0;
}
