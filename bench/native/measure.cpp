// Clocks, CPU time and memory of other processes, and the latency histogram.
// Thread: the generator's only one.
#include "measure.hpp"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>

namespace stmqtt::bench {

std::uint64_t machine_busy_ns() {
  std::FILE* file = std::fopen("/proc/stat", "re");
  if (file == nullptr) return 0;
  // user nice system idle iowait irq softirq steal
  unsigned long long ticks[8] = {};
  const int read = std::fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
                               &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]);
  std::fclose(file);
  if (read != 8) return 0;
  const auto per_second = static_cast<unsigned long long>(sysconf(_SC_CLK_TCK));
  return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) * (1'000'000'000 / per_second);
}

std::uint64_t Processes::cpu_ns() const {
  std::uint64_t sum = 0;
  for (const pid_t pid : pids_) {
    clockid_t clock{};
    if (clock_getcpuclockid(pid, &clock) == 0) sum += clock_ns(clock);
  }
  return sum;
}

std::uint64_t Processes::status_kib(const char* field) const {
  std::uint64_t sum = 0;
  for (const pid_t pid : pids_) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/status", static_cast<int>(pid));
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) continue;
    char line[256];
    const std::size_t name_bytes = std::strlen(field);
    while (std::fgets(line, sizeof line, file) != nullptr) {
      unsigned long long kib = 0;
      if (std::strncmp(line, field, name_bytes) == 0 && line[name_bytes] == ':' &&
          std::sscanf(line + name_bytes + 1, "%llu", &kib) == 1) {
        sum += kib;
      }
    }
    std::fclose(file);
  }
  return sum;
}

double Histogram::middle_ns(std::uint32_t slot) {
  if (slot < (1u << kBits)) return slot;
  const std::uint32_t shift = (slot >> kBits) - 1;
  const std::uint64_t mantissa = (1u << kBits) | (slot & ((1u << kBits) - 1));
  return (static_cast<double>(mantissa) + 0.5) * static_cast<double>(std::uint64_t{1} << shift);
}

double Histogram::percentile_us(double percent) const {
  if (total_ == 0) return std::nan("");
  const auto wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(total_) * percent / 100));
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted && counts_[i] > 0) return middle_ns(i) / 1e3;
  }
  return max_us();
}

void Report::key(const char* name) {
  json_ += json_.empty() ? "{\"" : ",\"";
  json_ += name;
  json_ += "\":";
}

void Report::text(const char* name, const std::string& value) {
  key(name);
  json_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') json_ += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) json_ += c;
  }
  json_ += '"';
}

void Report::number(const char* name, double value) {
  key(name);
  if (!std::isfinite(value)) {
    json_ += "null";
    return;
  }
  char digits[48];
  std::snprintf(digits, sizeof digits, "%.4f", value);
  json_ += digits;
}

void Report::count(const char* name, std::uint64_t value) {
  key(name);
  json_ += std::to_string(value);
}

void Report::print() const {
  std::printf("%s}\n", json_.c_str());
  std::fflush(stdout);
}

}  // namespace stmqtt::bench
