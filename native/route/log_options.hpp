// What the configuration says of logs: how large each may get, which there are from the beginning,
// how many there may be, and who is to get them. Immutable once made.
// Thread: any (plain data).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace stmqtt {

/// A log is a row of segments. The active one is full once it has `bytes`, as rumqttd counts them:
/// then a new one begins, and of more than `count` the oldest goes.
struct SegmentBounds {
  std::uint64_t bytes = 104'857'600;
  std::uint32_t count = 10;  ///< the active one included; at least 1
};

enum class LogReplay : std::uint8_t {
  tail,     ///< a new subscriber gets what is published from now on
  backlog,  ///< the first one gets the log, then what is published from now on
};

struct LogOptions {
  struct Custom {
    std::string filter;
    SegmentBounds segments;
  };
  SegmentBounds segments;
  std::vector<Custom> custom;             ///< most specific first: see settle()
  std::vector<std::string> initialized;   ///< likewise; Topic Filters that have a log from the start
  std::uint32_t max_filters = 100'000;    ///< logs that publishes made, in all
  std::uint64_t max_bytes = 64ULL << 20;  ///< memory of all logs
  LogReplay replay = LogReplay::tail;

  /// Puts the lists into their order. Once, after they are filled.
  void settle();
  /// Of a log with this filter: those of the most specific custom filter that matches it.
  [[nodiscard]] const SegmentBounds& segments_of(Bytes filter) const noexcept;
  /// The most specific initialized filter that matches the Topic Name; null if there is none.
  [[nodiscard]] const std::string* initialized_for(Bytes topic) const noexcept;
};

/// Whether `a` says more about the topics that match both: at the first level where they differ in
/// kind, a text stands before '+', and that before '#'. A total order.
[[nodiscard]] bool is_more_specific(Bytes a, Bytes b) noexcept;

}  // namespace stmqtt
