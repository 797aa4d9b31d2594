// See random.hpp. Thread: any.
#include "base/random.hpp"

#if defined(__linux__)
#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#else
#include <random>
#endif

#include <cstring>

#include "base/fatal.hpp"

namespace stmqtt {
namespace {

std::uint64_t rotate_left(std::uint64_t value, int bits) noexcept {
  return value << bits | value >> (64 - bits);
}

}  // namespace

void random_bytes(void* out, std::size_t bytes) noexcept {
  auto* at = static_cast<std::uint8_t*>(out);
#if defined(__linux__)
  while (bytes > 0) {
    const ssize_t got = ::getrandom(at, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      // A sandbox may forbid the call and still have the device.
      std::FILE* device = std::fopen("/dev/urandom", "rb");
      if (device == nullptr || std::fread(at, 1, bytes, device) != bytes) {
        fatal("no source of random numbers: getrandom and /dev/urandom both fail");
      }
      std::fclose(device);
      return;
    }
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
#else
  std::random_device device;
  while (bytes > 0) {
    const unsigned value = device();
    const std::size_t n = bytes < sizeof value ? bytes : sizeof value;
    std::memcpy(at, &value, n);
    at += n;
    bytes -= n;
  }
#endif
}

Xoshiro::Xoshiro(std::uint64_t seed) noexcept {
  // splitmix64, as the authors of xoshiro recommend: no seed leads to the all-zero state.
  for (std::uint64_t& word : state_) {
    seed += 0x9E3779B97F4A7C15;
    std::uint64_t mixed = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB;
    word = mixed ^ mixed >> 31;
  }
}

std::uint64_t Xoshiro::next() noexcept {
  const std::uint64_t result = rotate_left(state_[0] + state_[3], 23) + state_[0];
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

std::uint32_t Xoshiro::below(std::uint32_t bound) noexcept {
  // Multiplying instead of dividing; a product that falls into the short last stretch is redrawn.
  std::uint64_t product = (next() >> 32) * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t threshold = static_cast<std::uint32_t>(-bound) % bound;
    while (static_cast<std::uint32_t>(product) < threshold) product = (next() >> 32) * bound;
  }
  return static_cast<std::uint32_t>(product >> 32);
}

namespace {

Xoshiro& thread_generator() noexcept {
  thread_local Xoshiro generator = [] {
    std::uint64_t seed = 0;
    random_bytes(&seed, sizeof seed);
    return Xoshiro(seed);
  }();
  return generator;
}

}  // namespace

std::uint64_t random_u64() noexcept { return thread_generator().next(); }
std::uint32_t random_below(std::uint32_t bound) noexcept { return thread_generator().below(bound); }

void make_uuid(char (&out)[36]) noexcept {
  std::uint8_t bytes[16];
  random_bytes(bytes, sizeof bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);  // version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);  // RFC 9562 variant
  constexpr char kHex[] = "0123456789abcdef";
  char* at = out;
  for (int index = 0; index < 16; index++) {
    if (index == 4 || index == 6 || index == 8 || index == 10) *at++ = '-';
    *at++ = kHex[bytes[index] >> 4];
    *at++ = kHex[bytes[index] & 15];
  }
}

}  // namespace stmqtt
