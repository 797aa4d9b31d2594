// The runner's own promises: values are compared and printed as a reader expects.
#include "runner.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace {

enum class Colour : std::uint8_t { kRed = 7 };

STMQTT_TEST("runner: integers of different signedness compare by value") {
  CHECK_EQ(std::size_t{3}, 3);
  CHECK_NE(std::uint32_t{0xFFFFFFFF}, -1);
  CHECK_LT(-1, std::size_t{0});
  CHECK_GE(std::size_t{0}, -1);
}

STMQTT_TEST("runner: values print readably") {
  using stmqtt::test::to_text;
  CHECK_EQ(to_text(true), "true");
  CHECK_EQ(to_text(Colour::kRed), "7");
  CHECK_EQ(to_text(std::uint8_t{10}), "10");
  CHECK_EQ(to_text(std::string("a\n")), "\"a\\x0a\" (2 bytes)");
  CHECK_EQ(to_text(std::vector<int>{1, 2}), "[1, 2]");
  CHECK_EQ(to_text(std::optional<int>{}), "nullopt");
  CHECK_EQ(to_text(std::optional<int>{5}), "5");
}

}  // namespace
