// Clocks, CPU time and memory of other processes, and the latency histogram.
// Thread: the generator's only one.
#pragma once

#include <ctime>
#include <sys/types.h>

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace stmqtt::bench {

inline std::uint64_t clock_ns(clockid_t id) {
  timespec at{};
  clock_gettime(id, &at);
  return static_cast<std::uint64_t>(at.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(at.tv_nsec);
}

inline std::uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }

// CPU time that all cores together spent busy since boot, to 10 ms: what neither the broker nor the
// generator used of it is somebody else's, and makes a result doubtful.
std::uint64_t machine_busy_ns();

// The processes of the broker under test. The process CPU clock sums all threads, those that
// ended too, and is exact to the nanosecond, unlike utime and stime in /proc/<pid>/stat.
class Processes {
 public:
  explicit Processes(std::vector<pid_t> pids) : pids_(std::move(pids)) {}
  [[nodiscard]] std::uint64_t cpu_ns() const;
  // Sum of `field` (VmRSS, VmHWM) of /proc/<pid>/status, in KiB.
  [[nodiscard]] std::uint64_t status_kib(const char* field) const;
  [[nodiscard]] bool empty() const { return pids_.empty(); }

 private:
  std::vector<pid_t> pids_;
};

// Log-linear: 256 steps per power of two, so a percentile is exact to 0.2%.
class Histogram {
 public:
  void record(std::uint64_t ns) {
    ++counts_[slot(ns)];
    ++total_;
    if (ns > max_) max_ = ns;
  }
  void clear() { *this = Histogram(); }
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] double max_us() const { return static_cast<double>(max_) / 1e3; }
  [[nodiscard]] double percentile_us(double percent) const;

 private:
  static constexpr std::uint32_t kBits = 8;
  static std::uint32_t slot(std::uint64_t ns) {
    if (ns < (1u << kBits)) return static_cast<std::uint32_t>(ns);
    const auto shift = static_cast<std::uint32_t>(std::bit_width(ns)) - 1 - kBits;
    return (shift + 1) * (1u << kBits) + (static_cast<std::uint32_t>(ns >> shift) & ((1u << kBits) - 1));
  }
  static double middle_ns(std::uint32_t slot);

  std::array<std::uint64_t, (64 - kBits + 1) * (1u << kBits)> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

// One flat JSON object on standard output, in the order of the calls.
class Report {
 public:
  void text(const char* name, const std::string& value);
  void number(const char* name, double value);
  void count(const char* name, std::uint64_t value);
  void print() const;

 private:
  void key(const char* name);
  std::string json_;
};

}  // namespace stmqtt::bench
