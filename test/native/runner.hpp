// The C++ test runner: self-registering tests, no Node, no exceptions, no dependency.
//
//   STMQTT_TEST("trie: '#' matches the parent level") { CHECK(x); CHECK_EQ(a, b); REQUIRE(p); }
//
// CHECK* note a failure and go on; REQUIRE* also return from the enclosing function (void only).
// Thread: tests run one after the other on the main thread; CHECK* may be called from any thread.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <ranges>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace stmqtt::test {

using TestBody = void (*)();

// Registers a test at static initialisation; the strings must be literals.
struct Registration {
  Registration(const char* title, const char* file, int line, TestBody body);
};

// Notes a failure of the running test. `details` may be empty or hold several lines.
void fail(const char* file, int line, std::string_view what, std::string_view details);

// Marks the running test as skipped (counted and printed with its reason). Return after it.
void skip(std::string_view reason);

// Seed for randomized tests: `--seed N`, else a fixed default, so that every run is repeatable.
[[nodiscard]] std::uint64_t seed();

// Printed with every failure inside its scope: Context context("seed", seed);
class Context {
 public:
  template <typename T>
  Context(std::string_view name, const T& value);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

 private:
  void push(std::string text);
};

// ---- values as text ---------------------------------------------------------------------------

[[nodiscard]] std::string quoted(std::string_view text);

template <typename T>
[[nodiscard]] std::string to_text(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
    return "nullptr";
  } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    return quoted(std::string_view(value));
  } else if constexpr (std::is_same_v<T, char>) {
    return quoted(std::string_view(&value, 1));
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(+static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_integral_v<T>) {
    return std::to_string(value);
  } else if constexpr (requires { value.has_value(); *value; }) {
    return value.has_value() ? to_text(*value) : std::string("nullopt");
  } else if constexpr (std::ranges::input_range<const T>) {
    std::string text = "[";
    for (const auto& element : value) {
      if (text.size() > 1) text += ", ";
      text += to_text(element);
    }
    return text + "]";
  } else if constexpr (requires { value.first; value.second; }) {
    return "(" + to_text(value.first) + ", " + to_text(value.second) + ")";
  } else if constexpr (requires(std::ostringstream& out) { out << value; }) {
    std::ostringstream out;
    out << value;
    return out.str();
  } else {
    return "{" + std::to_string(sizeof(T)) + " bytes}";
  }
}

// ---- comparisons: integers of different signedness compare by value, not by conversion -----------

template <typename T>
concept PlainInteger = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                       !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                       !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

template <typename A, typename B>
[[nodiscard]] bool equal(const A& a, const B& b) {
  if constexpr (PlainInteger<A> && PlainInteger<B>) {
    return std::cmp_equal(a, b);
  } else {
    return a == b;
  }
}

template <typename A, typename B>
[[nodiscard]] bool less(const A& a, const B& b) {
  if constexpr (PlainInteger<A> && PlainInteger<B>) {
    return std::cmp_less(a, b);
  } else {
    return a < b;
  }
}

template <typename A, typename B>
void report(const char* file, int line, std::string_view what, const A& a, const B& b) {
  fail(file, line, what, "  left:  " + to_text(a) + "\n  right: " + to_text(b) + "\n");
}

template <typename A, typename B>
[[nodiscard]] bool check_eq(const char* file, int line, const char* what, const A& a, const B& b) {
  if (equal(a, b)) return true;
  report(file, line, what, a, b);
  return false;
}

template <typename A, typename B>
[[nodiscard]] bool check_ne(const char* file, int line, const char* what, const A& a, const B& b) {
  if (!equal(a, b)) return true;
  report(file, line, what, a, b);
  return false;
}

template <typename A, typename B>
[[nodiscard]] bool check_lt(const char* file, int line, const char* what, const A& a, const B& b) {
  if (less(a, b)) return true;
  report(file, line, what, a, b);
  return false;
}

template <typename A, typename B>
[[nodiscard]] bool check_le(const char* file, int line, const char* what, const A& a, const B& b) {
  if (!less(b, a)) return true;
  report(file, line, what, a, b);
  return false;
}

template <typename T>
Context::Context(std::string_view name, const T& value) {
  push(std::string(name) + " = " + to_text(value));
}

}  // namespace stmqtt::test

#define STMQTT_TEST_JOIN2(a, b) a##b
#define STMQTT_TEST_JOIN(a, b) STMQTT_TEST_JOIN2(a, b)
#define STMQTT_TEST_NAMED(title, id)                                                         \
  static void STMQTT_TEST_JOIN(stmqtt_test_body_, id)();                                     \
  static const ::stmqtt::test::Registration STMQTT_TEST_JOIN(stmqtt_test_registration_, id)( \
      title, __FILE__, __LINE__, &STMQTT_TEST_JOIN(stmqtt_test_body_, id));                  \
  static void STMQTT_TEST_JOIN(stmqtt_test_body_, id)()
#define STMQTT_TEST(title) STMQTT_TEST_NAMED(title, __COUNTER__)

#define FAIL(text) ::stmqtt::test::fail(__FILE__, __LINE__, (text), {})
#define CHECK(...)                                                                    \
  do {                                                                                \
    if (!(__VA_ARGS__)) ::stmqtt::test::fail(__FILE__, __LINE__, #__VA_ARGS__, {});   \
  } while (false)
#define REQUIRE(...)                                                    \
  do {                                                                  \
    if (!(__VA_ARGS__)) {                                               \
      ::stmqtt::test::fail(__FILE__, __LINE__, #__VA_ARGS__, {});       \
      return;                                                           \
    }                                                                   \
  } while (false)

#define STMQTT_TEST_CHECK2(function, sign, a, b) \
  static_cast<void>(::stmqtt::test::function(__FILE__, __LINE__, #a " " sign " " #b, (a), (b)))
#define STMQTT_TEST_REQUIRE2(function, sign, a, b)                                               \
  do {                                                                                           \
    if (!::stmqtt::test::function(__FILE__, __LINE__, #a " " sign " " #b, (a), (b))) return;     \
  } while (false)

#define CHECK_EQ(a, b) STMQTT_TEST_CHECK2(check_eq, "==", a, b)
#define CHECK_NE(a, b) STMQTT_TEST_CHECK2(check_ne, "!=", a, b)
#define CHECK_LT(a, b) STMQTT_TEST_CHECK2(check_lt, "<", a, b)
#define CHECK_LE(a, b) STMQTT_TEST_CHECK2(check_le, "<=", a, b)
#define CHECK_GT(a, b) CHECK_LT(b, a)
#define CHECK_GE(a, b) CHECK_LE(b, a)
#define REQUIRE_EQ(a, b) STMQTT_TEST_REQUIRE2(check_eq, "==", a, b)
#define REQUIRE_NE(a, b) STMQTT_TEST_REQUIRE2(check_ne, "!=", a, b)
