// See hash.hpp. Sixteen bytes per multiplication; short inputs read their ends with overlap, so
// that no length needs a loop over single bytes.
// Thread: any.
#include "base/hash.hpp"

#include "base/random.hpp"

namespace stmqtt {
namespace {

// Odd numbers with as many ones as zeros, without pattern.
constexpr std::uint64_t kSecret[4] = {0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0xA24BAED4963EE407,
                                      0x8EBC6AF09C88C6E3};

std::uint64_t load64(const std::uint8_t* at) noexcept {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
std::uint64_t load32(const std::uint8_t* at) noexcept {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

}  // namespace

std::uint64_t hash_bytes(Bytes bytes, std::uint64_t seed) noexcept {
  const std::uint8_t* at = bytes.data();
  const std::size_t size = bytes.size();
  std::uint64_t state = seed ^ multiply_fold(seed ^ kSecret[0], kSecret[1]);
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (size > 16) {
    std::size_t left = size;
    for (; left > 32; left -= 32, at += 32) {
      const std::uint64_t first = multiply_fold(load64(at) ^ kSecret[1], load64(at + 8) ^ state);
      state = first + multiply_fold(load64(at + 16) ^ kSecret[2],
                                    load64(at + 24) ^ (state << 1 | state >> 63));
    }
    if (left > 16) {
      state = multiply_fold(load64(at) ^ kSecret[1], load64(at + 8) ^ state);
      at += 16;
      left -= 16;
    }
    a = load64(at + left - 16);
    b = load64(at + left - 8);
  } else if (size >= 8) {
    a = load64(at);
    b = load64(at + size - 8);
  } else if (size >= 4) {
    a = load32(at);
    b = load32(at + size - 4);
  } else if (size > 0) {
    a = static_cast<std::uint64_t>(at[0]) << 16 | static_cast<std::uint64_t>(at[size >> 1]) << 8 |
        at[size - 1];
  }
  const std::uint64_t folded = multiply_fold(a ^ kSecret[1], b ^ state);
  return multiply_fold(folded ^ kSecret[2] ^ size, state ^ kSecret[3]);
}

std::uint64_t process_seed() noexcept {
  static const std::uint64_t seed = [] {
    std::uint64_t value = 0;
    random_bytes(&value, sizeof value);
    return value;
  }();
  return seed;
}

}  // namespace stmqtt
