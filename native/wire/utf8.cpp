// Implements wire/utf8.hpp: whole words of ASCII are passed eight at a time, the rest is decoded
// byte by byte after the table of well-formed sequences (Unicode, table 3-7). Thread: any (pure).
#include "wire/utf8.hpp"

#include "wire/swar.hpp"

namespace stmqtt::wire {

namespace {

/// Bytes of the well-formed sequence at `at`, 1 to 4; 0 if none stands there.
std::size_t sequence(const std::uint8_t* at, std::size_t left) noexcept {
  const std::uint8_t first = at[0];
  if (first < 0x80) return first == 0 ? 0 : 1;  // [MQTT-1.5.4-2]
  std::size_t bytes = 0;
  std::uint8_t low = 0x80;   // bounds of the second byte; they shut out overlong forms,
  std::uint8_t high = 0xBF;  // surrogates [MQTT-1.5.4-1] and what is above U+10FFFF
  if (first >= 0xC2 && first <= 0xDF) {
    bytes = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    bytes = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    bytes = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (left < bytes || at[1] < low || at[1] > high) return 0;
  for (std::size_t i = 2; i < bytes; ++i) {
    if ((at[i] & 0xC0) != 0x80) return 0;
  }
  return bytes;
}

}  // namespace

bool valid_utf8(Bytes text) noexcept {
  if (swar::none(text.data(), text.size(), swar::zero_or_high)) return true;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text.size() - at >= 8 && swar::zero_or_high(swar::load8(text.data() + at)) == 0) {
      at += 8;
      continue;
    }
    const std::size_t bytes = sequence(text.data() + at, text.size() - at);
    if (bytes == 0) return false;
    at += bytes;
  }
  return true;
}

}  // namespace stmqtt::wire
