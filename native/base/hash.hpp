// Hashing for tables in memory: fast, seeded, not cryptographic, and not stable between versions.
// A seed that a client cannot know keeps chosen topics and identifiers from colliding on purpose.
// Thread: any (pure).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace stmqtt {

/// Multiplies to 128 bits and folds the halves, for machines without such a multiplication.
[[nodiscard]] constexpr std::uint64_t multiply_fold_portable(std::uint64_t a,
                                                             std::uint64_t b) noexcept {
  const std::uint64_t a_low = static_cast<std::uint32_t>(a);
  const std::uint64_t a_high = a >> 32;
  const std::uint64_t b_low = static_cast<std::uint32_t>(b);
  const std::uint64_t b_high = b >> 32;
  const std::uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
  const std::uint64_t carry = a_low * b_high + static_cast<std::uint32_t>(middle);
  const std::uint64_t high = a_high * b_high + (middle >> 32) + (carry >> 32);
  return (a * b) ^ high;
}
[[nodiscard]] inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) noexcept {
#if defined(__SIZEOF_INT128__)
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#else
  return multiply_fold_portable(a, b);
#endif
}

/// A bijection of 64 bits in which every input bit reaches every output bit.
[[nodiscard]] inline std::uint64_t mix64(std::uint64_t value) noexcept {
  value = (value ^ value >> 32) * 0xD6E8FEB86659FD93;
  value = (value ^ value >> 32) * 0xD6E8FEB86659FD93;
  return value ^ value >> 32;
}

[[nodiscard]] std::uint64_t hash_bytes(Bytes bytes, std::uint64_t seed) noexcept;

/// Random, the same for the whole life of the process.
[[nodiscard]] std::uint64_t process_seed() noexcept;

}  // namespace stmqtt
