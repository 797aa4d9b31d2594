// See proxy_header.hpp. Sections are those of HAProxy's "The PROXY protocol, versions 1 & 2".
// Thread: any (pure).
#include "stream/proxy_header.hpp"

#include <algorithm>
#include <cstring>

namespace stmqtt::stream {
namespace {

constexpr std::string_view kV1Start = "PROXY ";
constexpr std::string_view kV2Signature{"\r\n\r\n\0\r\nQUIT\n", 12};  // 2.2

enum class Command : std::uint8_t { local = 0, proxy = 1 };
enum class Family : std::uint8_t { unspecified = 0, inet = 1, inet6 = 2, unix_socket = 3 };

constexpr std::size_t kUnixPathBytes = 108;
constexpr std::size_t kTlvHeadBytes = 3;

ProxyHeader invalid(const char* fault) noexcept {
  ProxyHeader result;
  result.status = ProxyHeader::Status::invalid;
  result.fault = fault;
  return result;
}
ProxyHeader incomplete(std::size_t bytes) noexcept {
  ProxyHeader result;
  result.bytes = static_cast<std::uint32_t>(bytes);
  return result;
}

bool starts(Bytes bytes, std::string_view with) noexcept {
  return std::memcmp(bytes.data(), with.data(), std::min(bytes.size(), with.size())) == 0;
}

/// The next word and the one space behind it, taken off `line`. Empty: there is none.
std::string_view take_word(std::string_view& line) noexcept {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

/// 0 to 65535 without leading zeros; -1 = it is not.
int read_port(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return -1;
  int port = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return -1;
    port = port * 10 + (digit - '0');
  }
  return port > 65535 ? -1 : port;
}

/// The kind of address as written: "::ffff:10.0.0.1" stands in a TCP6 line.
bool read_address(std::string_view text, bool is_v6, IpAddress& to) noexcept {
  if ((text.find(':') != std::string_view::npos) != is_v6) return false;
  to = parse_ip_address(text);
  return to.known();
}

/// 2.1: "PROXY TCP4 192.0.2.1 198.51.100.7 56324 1883\r\n". `line` stands behind "PROXY ".
ProxyHeader parse_v1_line(std::string_view line, std::size_t bytes) noexcept {
  ProxyHeader result;
  result.status = ProxyHeader::Status::done;
  result.bytes = static_cast<std::uint32_t>(bytes);
  const std::string_view family = take_word(line);
  // "the receiver must ignore anything presented before the CRLF" behind UNKNOWN
  if (family == "UNKNOWN") return result;
  const bool is_v6 = family == "TCP6";
  if (!is_v6 && family != "TCP4") return invalid("PROXY v1: the family is not TCP4, TCP6, UNKNOWN");
  IpAddress destination;
  const std::string_view source_text = take_word(line);
  const std::string_view destination_text = take_word(line);
  if (!read_address(source_text, is_v6, result.address) ||
      !read_address(destination_text, is_v6, destination)) {
    return invalid("PROXY v1: an address that does not fit its family");
  }
  const int port = read_port(take_word(line));
  // The last word ends with the line: a space behind it is not allowed.
  if (port < 0 || read_port(line) < 0) return invalid("PROXY v1: a port that is none");
  result.source = ProxyHeader::Source::ip;
  result.port = static_cast<std::uint16_t>(port);
  return result;
}

ProxyHeader parse_v1(Bytes bytes) noexcept {
  const std::string_view text = as_text(bytes.first(std::min(bytes.size(), kMaxProxyV1Bytes)));
  // A byte that cannot be in the line ends it early: nobody has to wait for a line that is none.
  for (std::size_t at = kV1Start.size(); at < text.size(); ++at) {
    const char byte = text[at];
    if (byte == '\r') {
      if (at + 1 == text.size()) {
        if (text.size() == kMaxProxyV1Bytes) break;
        return incomplete(at + 2);
      }
      if (text[at + 1] != '\n') return invalid("PROXY v1: CR without LF");
      return parse_v1_line(text.substr(kV1Start.size(), at - kV1Start.size()), at + 2);
    }
    if (byte < ' ' || byte > '~') return invalid("PROXY v1: a byte that is not text");
  }
  if (text.size() == kMaxProxyV1Bytes) return invalid("PROXY v1: no end within 107 bytes");
  return incomplete(text.size() + 1);
}

/// 2.2: TLVs behind the addresses, which may be anything as long as their lengths add up.
bool good_tlvs(Bytes tlvs) noexcept {
  while (!tlvs.empty()) {
    if (tlvs.size() < kTlvHeadBytes) return false;
    const std::size_t total = kTlvHeadBytes + load_u16(tlvs.data() + 1);
    if (total > tlvs.size()) return false;
    tlvs = tlvs.subspan(total);
  }
  return true;
}

std::size_t address_bytes(Family family) noexcept {
  switch (family) {
    case Family::unspecified:
      return 0;
    case Family::inet:
      return 12;
    case Family::inet6:
      return 36;
    case Family::unix_socket:
      return 2 * kUnixPathBytes;
  }
  return 0;
}

ProxyHeader parse_v2(Bytes bytes) noexcept {
  const std::size_t size = bytes.size();
  // Each byte is judged when it is there, in order: more bytes never change the judgement.
  if (size > 12 && (bytes[12] >> 4) != 2) return invalid("PROXY v2: the version is not 2");
  if (size > 12 && (bytes[12] & 0xF) > 1) return invalid("PROXY v2: an unknown command");
  if (size < 14) return incomplete(kProxyV2PrefixBytes);
  const auto command = static_cast<Command>(bytes[12] & 0xF);
  // "a receiver must … accept LOCAL … and must discard the protocol block including the family"
  const bool judged = command == Command::proxy;
  if (judged && ((bytes[13] >> 4) > 3 || (bytes[13] & 0xF) > 2)) {
    return invalid("PROXY v2: an unknown family or protocol");
  }
  const auto family = static_cast<Family>(bytes[13] >> 4);
  if (judged && family != Family::unspecified && (bytes[13] & 0xF) == 2) {
    return invalid("PROXY v2: a datagram on a stream");
  }
  if (size < kProxyV2PrefixBytes) return incomplete(kProxyV2PrefixBytes);
  const std::size_t length = load_u16(bytes.data() + 14);
  const std::size_t total = kProxyV2PrefixBytes + length;
  if (total > kMaxProxyV2Bytes) return invalid("PROXY v2: longer than 4096 bytes");
  if (judged && length < address_bytes(family)) return invalid("PROXY v2: the address is cut off");
  if (size < total) return incomplete(total);

  ProxyHeader result;
  result.status = ProxyHeader::Status::done;
  result.bytes = static_cast<std::uint32_t>(total);
  if (!judged) return result;
  const Bytes block = bytes.subspan(kProxyV2PrefixBytes, length);
  // UNSPEC: "the receiver is not required to look at" what follows.
  if (family == Family::unspecified) return result;
  if (!good_tlvs(block.subspan(address_bytes(family)))) {
    return invalid("PROXY v2: a TLV longer than what is left");
  }
  switch (family) {
    case Family::unspecified:
      break;
    case Family::inet:
      result.source = ProxyHeader::Source::ip;
      result.address = IpAddress::v4(block.data());
      result.port = load_u16(block.data() + 8);
      break;
    case Family::inet6:
      result.source = ProxyHeader::Source::ip;
      result.address = IpAddress::v6(block.data());
      result.port = load_u16(block.data() + 32);
      break;
    case Family::unix_socket:
      result.source = ProxyHeader::Source::unix_socket;
      break;
  }
  return result;
}

}  // namespace

ProxyHeader parse_proxy_header(Bytes bytes, ProxyVersions versions) noexcept {
  if (bytes.empty()) return incomplete(1);
  const bool may_be_v1 = versions != ProxyVersions::v2 && starts(bytes, kV1Start);
  const bool may_be_v2 = versions != ProxyVersions::v1 && starts(bytes, kV2Signature);
  if (may_be_v1) {
    return bytes.size() < kV1Start.size() ? incomplete(kV1Start.size()) : parse_v1(bytes);
  }
  if (may_be_v2) {
    return bytes.size() < kV2Signature.size() ? incomplete(kProxyV2PrefixBytes) : parse_v2(bytes);
  }
  return invalid("no PROXY header, or one of a version that is not taken here");
}

}  // namespace stmqtt::stream
