// Messages from publishers to subscribers through the broker: closed loop (a limit of undelivered
// messages per publisher) or open loop (a fixed rate). The generator owns both ends, so it knows
// what is undelivered, and checks every single delivery.
// Thread: the generator's only one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "connections.hpp"
#include "measure.hpp"

namespace stmqtt::bench {

struct FlowPlan {
  // Pooled: the limit holds for all publishers together, and they take turns, a message each.
  enum class Limit { per_publisher, pooled };
  struct Topic {
    std::string name;
    std::uint32_t copies = 1;  // receivers of each message published to it
  };
  std::vector<std::vector<std::string>> filters;  // by subscriber
  std::vector<std::vector<Topic>> topics;         // by publisher; one is drawn per message
  std::uint32_t undelivered = 500;  // messages; what a closed loop is closed by
  Limit limit = Limit::per_publisher;
  std::uint32_t window = 100;                     // QoS 1 and 2: unacknowledged messages per publisher
  std::uint32_t payload_bytes = 64;
  std::uint32_t rate = 0;  // messages per second, all publishers together; 0 = closed loop
  // Open loop: sleeps between messages instead of spinning, to share its core; a late wake-up is in the latency.
  bool sleeps = false;
  std::uint8_t qos = 0;
  std::uint32_t spare_connections = 0;  // opened between subscribers and publishers: shifts round-robin placement
  double warmup_s = 1;
  double seconds = 5;
};

// Runs the plan and adds its results to `report`.
void run_flow(const Target& target, const FlowPlan& plan, const Processes& broker, Report& report);

}  // namespace stmqtt::bench
