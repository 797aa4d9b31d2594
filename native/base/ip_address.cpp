// See ip_address.hpp. Thread: any (pure).
#include "base/ip_address.hpp"

#include <cstring>

namespace stmqtt {
namespace {

constexpr std::uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

/// A decimal number of at most three digits and without leading zeros, at most `max`; -1 = it is not.
int decimal(std::string_view text, int max) noexcept {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return -1;
  int value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return -1;
    value = value * 10 + (digit - '0');
  }
  return value > max ? -1 : value;
}

int hex_digit(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

bool read_v4(std::string_view text, std::uint8_t* out) noexcept {
  for (int part = 0; part < 4; ++part) {
    const std::size_t dot = part < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos) return false;
    const int value = decimal(text.substr(0, dot), 255);
    if (value < 0) return false;
    out[part] = static_cast<std::uint8_t>(value);
    text.remove_prefix(part < 3 ? dot + 1 : dot);
  }
  return true;
}

/// Groups of a part without "::", up to `max` of them; how many bytes, or -1.
int read_groups(std::string_view text, std::uint8_t* out, int max) noexcept {
  if (text.empty()) return 0;
  int bytes = 0;
  for (;;) {
    const std::size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    if (colon == std::string_view::npos && group.find('.') != std::string_view::npos) {
      if (bytes + 4 > max * 2 || !read_v4(group, out + bytes)) return -1;
      return bytes + 4;
    }
    if (group.empty() || group.size() > 4 || bytes + 2 > max * 2) return -1;
    unsigned value = 0;
    for (const char digit : group) {
      const int nibble = hex_digit(digit);
      if (nibble < 0) return -1;
      value = value << 4 | static_cast<unsigned>(nibble);
    }
    out[bytes++] = static_cast<std::uint8_t>(value >> 8);
    out[bytes++] = static_cast<std::uint8_t>(value);
    if (colon == std::string_view::npos) return bytes;
    text.remove_prefix(colon + 1);
  }
}

bool read_v6(std::string_view text, std::uint8_t* out) noexcept {
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return read_groups(text, out, 8) == 16;
  if (text.find("::", gap + 1) != std::string_view::npos) return false;
  const std::string_view left = text.substr(0, gap);
  // An IPv4 part stands at the end only (RFC 4291, 2.2).
  if (left.find('.') != std::string_view::npos) return false;
  std::uint8_t behind[16] = {};
  const int first = read_groups(left, out, 7);
  const int last = read_groups(text.substr(gap + 2), behind, 7);
  if (first < 0 || last < 0 || first + last > 14) return false;
  std::memset(out + first, 0, static_cast<std::size_t>(16 - first - last));
  std::memcpy(out + 16 - last, behind, static_cast<std::size_t>(last));
  return true;
}

/// The bits from `bits` on become 0.
void clear_from(std::uint8_t* bytes, unsigned size, unsigned bits) noexcept {
  for (unsigned at = bits / 8; at < size; ++at) {
    const unsigned keep = at == bits / 8 ? bits % 8 : 0;
    bytes[at] = static_cast<std::uint8_t>(bytes[at] & ~(0xFFU >> keep));
  }
}

}  // namespace

IpAddress IpAddress::v4(const std::uint8_t* four) noexcept {
  IpAddress address;
  address.kind = Kind::v4;
  std::memcpy(address.bytes, four, 4);
  return address;
}

IpAddress IpAddress::v6(const std::uint8_t* sixteen) noexcept {
  if (std::memcmp(sixteen, kMappedPrefix, sizeof kMappedPrefix) == 0) return v4(sixteen + 12);
  IpAddress address;
  address.kind = Kind::v6;
  std::memcpy(address.bytes, sixteen, 16);
  return address;
}

IpAddress parse_ip_address(std::string_view text) noexcept {
  std::uint8_t bytes[16] = {};
  if (text.find(':') == std::string_view::npos) {
    return read_v4(text, bytes) ? IpAddress::v4(bytes) : IpAddress{};
  }
  return read_v6(text, bytes) ? IpAddress::v6(bytes) : IpAddress{};
}

bool IpNetwork::contains(const IpAddress& other) const noexcept {
  if (other.kind != address.kind || !address.known()) return false;
  const unsigned whole = prefix_bits / 8;
  if (std::memcmp(address.bytes, other.bytes, whole) != 0) return false;
  const unsigned rest = prefix_bits % 8;
  return rest == 0 || ((address.bytes[whole] ^ other.bytes[whole]) >> (8 - rest)) == 0;
}

IpNetwork parse_ip_network(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  IpNetwork network;
  network.address = parse_ip_address(text.substr(0, slash));
  const bool is_v4 = network.address.kind == IpAddress::Kind::v4;
  const unsigned size = is_v4 ? 4 : 16;
  network.prefix_bits = static_cast<std::uint8_t>(size * 8);
  if (slash == std::string_view::npos || !network.address.known()) return network;
  int bits = decimal(text.substr(slash + 1), 128);
  // "::ffff:10.0.0.0/104" is 10.0.0.0/8.
  if (is_v4 && bits >= 0 && text.substr(0, slash).find(':') != std::string_view::npos) bits -= 96;
  if (bits < 0 || bits > static_cast<int>(size * 8)) return {};
  clear_from(network.address.bytes, size, static_cast<unsigned>(bits));
  network.prefix_bits = static_cast<std::uint8_t>(bits);
  return network;
}

bool contains(std::span<const IpNetwork> networks, const IpAddress& address) noexcept {
  for (const IpNetwork& network : networks) {
    if (network.contains(address)) return true;
  }
  return false;
}

}  // namespace stmqtt
