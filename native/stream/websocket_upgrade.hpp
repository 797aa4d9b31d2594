// The HTTP/1.1 request with which a WebSocket connection begins (RFC 6455, 4): judged whole, and
// answered with 101 or with a status and a text that say what is missing. Behind PROXY and TLS,
// before frames. Keeps no state: give it the bytes from the request's first one on, again and with
// more of them after `incomplete`. Thread: any (pure).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/ip_address.hpp"

namespace stmqtt::stream {

/// Request line and header together.
inline constexpr std::size_t kMaxUpgradeBytes = 8192;
inline constexpr std::size_t kMaxUpgradeFields = 64;

/// What a listener demands.
struct UpgradeRules {
  std::string path;                  ///< exactly this one, beginning with '/'; empty = any
  std::vector<std::string> origins;  ///< empty = any. An entry is an origin as browsers send it,
                                     ///< "https://example.com:8443", or with one '*' for some labels

  friend bool operator==(const UpgradeRules&, const UpgradeRules&) = default;
};

/// Why a request is refused; one counter each.
enum class UpgradeRefusal : std::uint8_t {
  none,
  malformed,     ///< not HTTP, or not as HTTP must be: 400, 405, 505
  too_large,     ///< 431
  not_upgrade,   ///< HTTP, but no WebSocket handshake: 426
  version,       ///< Sec-WebSocket-Version is not 13: 426
  subprotocol,   ///< neither "mqtt" nor "mqttv3.1" offered: 400
  path,          ///< 404
  origin,        ///< 403
};

enum class Subprotocol : std::uint8_t { mqtt, mqttv31 };

struct Upgrade {
  enum class Status : std::uint8_t { incomplete, accepted, refused };

  Status status = Status::incomplete;
  UpgradeRefusal refusal = UpgradeRefusal::none;
  Subprotocol subprotocol = Subprotocol::mqtt;
  std::uint16_t http_status = 0;  ///< of a refusal
  std::uint32_t bytes = 0;        ///< accepted: of the request; what follows are frames
  const char* fault = "";         ///< refused: for the operator and in the answer
  char accept[28] = {};           ///< accepted: Sec-WebSocket-Accept
  /// Accepted: the values of X-Forwarded-For in their order; views into the request.
  std::string_view forwarded[8];
  std::uint8_t forwarded_count = 0;
};

/// What is accepted or refused stays so whatever comes behind it.
[[nodiscard]] Upgrade parse_upgrade(Bytes bytes, const UpgradeRules& rules) noexcept;

/// Longest answer that write_answer() gives.
inline constexpr std::size_t kMaxAnswerBytes = 512;
/// The answer to a request that is not incomplete; how many bytes.
[[nodiscard]] std::size_t write_answer(const Upgrade& upgrade,
                                       std::uint8_t (&out)[kMaxAnswerBytes]) noexcept;

/// An address that X-Forwarded-For names, and its port where it names one.
struct Forwarded {
  IpAddress address;       ///< kind none: nothing there to be believed
  std::uint16_t port = 0;  ///< 0 = not told
};
/// The rightmost address that is not a trusted proxy's; where all are trusted, the leftmost. The
/// caller has seen that the peer itself is trusted.
[[nodiscard]] Forwarded forwarded_for(const Upgrade& upgrade,
                                      std::span<const IpNetwork> trusted) noexcept;

}  // namespace stmqtt::stream
