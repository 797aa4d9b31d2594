// The test program: `unit_tests [--list] [-v] [--seed N] [FILTER...]`; a FILTER selects the tests
// whose title or file contains it. Ends with `N passed, N failed[, N skipped]`; exit code 1 if any
// failed or a filter matched nothing.
// Thread: main; fail() and skip() take a lock, because checks may run on other threads.
#include "runner.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include <unistd.h>

namespace stmqtt::test {
namespace {

struct Test {
  const char* title;
  const char* file;
  int line;
  TestBody body;
};

struct Running {
  std::mutex mutex;
  int failures = 0;
  bool skipped = false;
  std::string skip_reason;
};

// Function-local, because registrations run before this file's own statics may exist.
std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

Running& running() {
  static Running state;
  return state;
}

std::vector<std::string>& contexts() {
  thread_local std::vector<std::string> stack;
  return stack;
}

std::uint64_t chosen_seed = 20240607;
const char* volatile running_title = "(none)";

// Only async-signal-safe calls: names the test, then lets the signal take its default course.
void on_crash(int signal_number) {
  std::signal(signal_number, SIG_DFL);
  const char* parts[] = {"\ncrashed in test: ", running_title, "\n"};
  for (const char* part : parts) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, part, std::strlen(part));
  }
  std::raise(signal_number);
}

bool selected(const Test& test, const std::vector<std::string>& filters) {
  if (filters.empty()) return true;
  return std::any_of(filters.begin(), filters.end(), [&](const std::string& filter) {
    return std::strstr(test.title, filter.c_str()) != nullptr ||
           std::strstr(test.file, filter.c_str()) != nullptr;
  });
}

enum class Outcome { kPassed, kFailed, kSkipped };

Outcome run(const Test& test, int verbosity) {
  Running& state = running();
  state.failures = 0;
  state.skipped = false;
  running_title = test.title;
  if (verbosity > 0) {
    std::printf("run   %s\n", test.title);
    std::fflush(stdout);
  }
  const auto start = std::chrono::steady_clock::now();
  test.body();
  const auto elapsed_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                              std::chrono::steady_clock::now() - start)
                              .count();
  const std::lock_guard lock(state.mutex);
  if (state.failures > 0) {
    std::printf("FAIL  %s (%s:%d)\n", test.title, test.file, test.line);
    return Outcome::kFailed;
  }
  if (state.skipped) {
    std::printf("skip  %s: %s\n", test.title, state.skip_reason.c_str());
    return Outcome::kSkipped;
  }
  if (verbosity > 0 || elapsed_ms >= 2000) {
    std::printf("ok    %s (%lld ms)\n", test.title, static_cast<long long>(elapsed_ms));
  }
  return Outcome::kPassed;
}

}  // namespace

Registration::Registration(const char* title, const char* file, int line, TestBody body) {
  tests().push_back({title, file, line, body});
}

void fail(const char* file, int line, std::string_view what, std::string_view details) {
  Running& state = running();
  const std::lock_guard lock(state.mutex);
  state.failures++;
  // A loop that fails at every turn must not bury the first failure.
  if (state.failures > 20) return;
  std::printf("%s:%d: failed: %.*s\n%.*s", file, line, static_cast<int>(what.size()), what.data(),
              static_cast<int>(details.size()), details.data());
  for (const std::string& context : contexts()) std::printf("  where: %s\n", context.c_str());
  if (state.failures == 20) std::printf("  (further failures of this test are not printed)\n");
  std::fflush(stdout);
}

void skip(std::string_view reason) {
  Running& state = running();
  const std::lock_guard lock(state.mutex);
  state.skipped = true;
  state.skip_reason = reason;
}

std::uint64_t seed() { return chosen_seed; }

void Context::push(std::string text) { contexts().push_back(std::move(text)); }

Context::~Context() { contexts().pop_back(); }

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && c != '"' && c != '\\') {
      out += c;
    } else {
      char escape[5];
      std::snprintf(escape, sizeof escape, "\\x%02x", byte);
      out += escape;
    }
  }
  return out + "\" (" + std::to_string(text.size()) + " bytes)";
}

namespace {

int run_all(int argc, char** argv) {
  int verbosity = 0;
  bool list = false;
  std::vector<std::string> filters;
  for (int i = 1; i < argc; i++) {
    const std::string_view argument = argv[i];
    if (argument == "-v") {
      verbosity = 1;
    } else if (argument == "--list") {
      list = true;
    } else if (argument == "--seed" && i + 1 < argc) {
      chosen_seed = std::strtoull(argv[++i], nullptr, 0);
    } else {
      filters.emplace_back(argument);
    }
  }

  std::vector<Test>& all = tests();
  std::stable_sort(all.begin(), all.end(), [](const Test& a, const Test& b) {
    const int order = std::strcmp(a.file, b.file);
    return order != 0 ? order < 0 : a.line < b.line;
  });

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  for (const int signal_number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) {
    std::signal(signal_number, on_crash);
  }
#else
  static_cast<void>(on_crash);  // the sanitizer's own report is better
#endif

  // A mutant is noticed by the first test that fails (scripts/test-mutants.mjs).
  const bool stop_at_failure = std::getenv("STMQTT_STOP_AT_FAILURE") != nullptr;
  int counts[3] = {0, 0, 0};
  int matched = 0;
  for (const Test& test : all) {
    if (!selected(test, filters)) continue;
    matched++;
    if (list) {
      std::printf("%s:%d: %s\n", test.file, test.line, test.title);
      continue;
    }
    counts[static_cast<int>(run(test, verbosity))]++;
    if (stop_at_failure && counts[static_cast<int>(Outcome::kFailed)] > 0) break;
  }
  if (list) return 0;
  if (matched == 0) {
    std::fprintf(stderr, "no test matches the filter\n");
    return 1;
  }
  std::printf("%d passed, %d failed", counts[0], counts[1]);
  if (counts[2] > 0) std::printf(", %d skipped", counts[2]);
  std::printf("\n");
  return counts[1] == 0 ? 0 : 1;
}

}  // namespace
}  // namespace stmqtt::test

int main(int argc, char** argv) { return stmqtt::test::run_all(argc, argv); }
