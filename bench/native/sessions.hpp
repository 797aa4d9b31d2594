// Rows about connections, sessions and subscriptions instead of messages: connect rate, memory of idle
// connections and of filters, memory after churn.
// Thread: the generator's only one.
#pragma once

#include <cstdint>

#include "connections.hpp"
#include "measure.hpp"

namespace stmqtt::bench {

struct ConnectPlan {
  std::uint32_t count = 20'000;
  std::uint32_t at_once = 20;
  std::uint32_t batch = 5000;   // so many stay open until they are closed, between the measurements
  std::uint32_t warmup = 1000;  // connects that are not measured
  std::uint32_t session_expiry_s = 0;
};

// `count` times connect, CONNECT, CONNACK, `at_once` of them at a time. All batches have the same
// Client Identifiers.
void run_connect_rate(const Target& target, const Processes& broker, const ConnectPlan& plan,
                      Report& report);

// Holds `count` connections with a session each and no subscription.
void run_idle(const Target& target, const Processes& broker, std::uint32_t count, Report& report);

// Subscribes `count` mixed filters in sessions of `per_session`.
void run_filters(const Target& target, const Processes& broker, std::uint32_t count,
                 std::uint32_t per_session, Report& report);

// `rounds` rounds in which sessions, filters and queued messages of many sizes come and go.
void run_churn(const Target& target, const Processes& broker, std::uint32_t rounds, Report& report);

}  // namespace stmqtt::bench
