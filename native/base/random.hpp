// Random numbers: xoshiro256++ per thread for choices that no one may steer but that guard no
// secret, and the system's source for identifiers. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stmqtt {

/// From the system's cryptographic source; aborts if there is none.
void random_bytes(void* out, std::size_t bytes) noexcept;

/// xoshiro256++, seeded per thread from random_bytes().
[[nodiscard]] std::uint64_t random_u64() noexcept;
/// Uniform in 0 to bound - 1; bound > 0.
[[nodiscard]] std::uint32_t random_below(std::uint32_t bound) noexcept;

/// A random UUID (version 4), lower case, no terminator.
void make_uuid(char (&out)[36]) noexcept;

/// The generator by itself, for tests and where a run must be repeatable.
class Xoshiro {
 public:
  explicit Xoshiro(std::uint64_t seed) noexcept;
  [[nodiscard]] std::uint64_t next() noexcept;
  [[nodiscard]] std::uint32_t below(std::uint32_t bound) noexcept;

 private:
  std::uint64_t state_[4];
};

}  // namespace stmqtt
