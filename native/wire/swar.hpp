// Eight bytes at a time in a plain 64-bit number: the tests that UTF-8 and topics need of every
// byte. All masks have 0x80 in the lanes they mean. For wire/ only. Thread: any (pure).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace stmqtt::wire::swar {

inline constexpr std::uint64_t kOnes = 0x0101010101010101;
inline constexpr std::uint64_t kHigh = 0x8080808080808080;

[[nodiscard]] constexpr std::uint64_t all(char character) noexcept {
  return kOnes * static_cast<std::uint8_t>(character);
}
[[nodiscard]] inline std::uint64_t load8(const std::uint8_t* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}
/// One to seven bytes, some of them twice; no zero that was not there.
[[nodiscard]] inline std::uint64_t load_short(const std::uint8_t* at, std::size_t bytes) noexcept {
  if (bytes >= 4) {
    std::uint32_t low;
    std::uint32_t high;
    std::memcpy(&low, at, sizeof low);
    std::memcpy(&high, at + bytes - 4, sizeof high);
    return low | std::uint64_t{high} << 32;
  }
  const std::uint64_t first = at[0];
  const std::uint64_t middle = at[bytes / 2];
  const std::uint64_t last = at[bytes - 1];
  return (first | middle << 8 | last << 16 | first << 24) * 0x100000001;
}

/// Not 0 if a byte is 0 or above 0x7F. (x - 1 borrows only from a zero byte, which is then seen.)
[[nodiscard]] constexpr std::uint64_t zero_or_high(std::uint64_t word) noexcept {
  return ((word - kOnes) | word) & kHigh;
}
/// Not 0 if a byte is 0, above 0x7F, '+' or '#'.
[[nodiscard]] constexpr std::uint64_t not_plain_topic(std::uint64_t word) noexcept {
  return ((word - kOnes) | word | ((word ^ all('+')) - kOnes) | ((word ^ all('#')) - kOnes)) &
         kHigh;
}
/// 0x80 in exactly the lanes whose byte is `character`.
[[nodiscard]] constexpr std::uint64_t lanes_equal(std::uint64_t word, char character) noexcept {
  const std::uint64_t differ = word ^ all(character);
  return ~(((differ & ~kHigh) + ~kHigh) | differ) & kHigh;
}
[[nodiscard]] constexpr std::uint32_t count_lanes(std::uint64_t lanes) noexcept {
  return static_cast<std::uint32_t>(((lanes >> 7) * kOnes) >> 56);
}

/// Does `test` answer 0 for all bytes? `test` sees each byte at least once.
template <typename Test>
[[nodiscard]] inline bool none(const std::uint8_t* at, std::size_t bytes, Test test) noexcept {
  if (bytes < 8) return bytes == 0 || test(load_short(at, bytes)) == 0;
  const std::uint8_t* const last = at + bytes - 8;
  std::uint64_t found = test(load8(last));
  for (; at < last; at += 8) found |= test(load8(at));
  return found == 0;
}

}  // namespace stmqtt::wire::swar
