// See sha1.hpp. Thread: any (pure).
#include "stream/sha1.hpp"

#include <bit>
#include <cstring>

#include "base/bytes.hpp"
#include "base/fatal.hpp"

namespace stmqtt::stream {
namespace {

constexpr std::size_t kBlockBytes = 64;

void add_block(std::uint32_t (&hash)[5], const std::uint8_t* block) noexcept {
  std::uint32_t words[80];
  for (int i = 0; i < 16; ++i) words[i] = load_u32(block + i * 4);
  for (int i = 16; i < 80; ++i) {
    words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  }
  std::uint32_t a = hash[0];
  std::uint32_t b = hash[1];
  std::uint32_t c = hash[2];
  std::uint32_t d = hash[3];
  std::uint32_t e = hash[4];
  for (int i = 0; i < 80; ++i) {
    std::uint32_t mix = 0;
    if (i < 20) {
      mix = ((b & c) | (~b & d)) + 0x5A827999;
    } else if (i < 40) {
      mix = (b ^ c ^ d) + 0x6ED9EBA1;
    } else if (i < 60) {
      mix = ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC;
    } else {
      mix = (b ^ c ^ d) + 0xCA62C1D6;
    }
    const std::uint32_t next = std::rotl(a, 5) + mix + e + words[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  hash[0] += a;
  hash[1] += b;
  hash[2] += c;
  hash[3] += d;
  hash[4] += e;
}

}  // namespace

std::array<std::uint8_t, 20> sha1(std::string_view text) noexcept {
  std::uint8_t padded[2 * kBlockBytes] = {};
  if (text.size() > sizeof padded - 9) fatal("sha1 of more than 119 bytes");
  std::memcpy(padded, text.data(), text.size());
  padded[text.size()] = 0x80;
  const std::size_t bytes = text.size() + 9 <= kBlockBytes ? kBlockBytes : sizeof padded;
  store_u32(padded + bytes - 4, static_cast<std::uint32_t>(text.size() * 8));
  std::uint32_t hash[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  for (std::size_t at = 0; at < bytes; at += kBlockBytes) add_block(hash, padded + at);
  std::array<std::uint8_t, 20> result;
  for (std::size_t i = 0; i < 5; ++i) store_u32(result.data() + i * 4, hash[i]);
  return result;
}

std::array<char, 28> base64(const std::array<std::uint8_t, 20>& bytes) noexcept {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<char, 28> text;
  for (std::size_t from = 0, to = 0; to < text.size(); from += 3, to += 4) {
    const std::uint32_t third = from + 2 < bytes.size() ? bytes[from + 2] : 0;
    const std::uint32_t group =
        static_cast<std::uint32_t>(bytes[from]) << 16 |
        static_cast<std::uint32_t>(bytes[from + 1]) << 8 | third;
    text[to] = kAlphabet[group >> 18];
    text[to + 1] = kAlphabet[(group >> 12) & 63];
    text[to + 2] = kAlphabet[(group >> 6) & 63];
    text[to + 3] = kAlphabet[group & 63];
  }
  text[27] = '=';  // 20 bytes leave two in the last group
  return text;
}

}  // namespace stmqtt::stream
