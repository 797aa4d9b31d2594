// See websocket_upgrade.hpp. The request line and the fields are read here in one pass, then the
// handshake is judged in the order of RFC 6455, 4.2.1. Thread: any (pure).
#include "stream/websocket_upgrade.hpp"

#include <algorithm>
#include <cstring>

#include "stream/http_text.hpp"
#include "stream/sha1.hpp"

namespace stmqtt::stream {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, 1.3
constexpr std::size_t kKeyChars = 24;

/// What the handshake looks at. A field that may come once and came again is `repeated`.
struct Request {
  std::string_view host;
  std::string_view key;
  std::string_view version;
  std::string_view origin;
  bool has_host = false;
  bool has_origin = false;
  bool upgrades = false;            ///< Upgrade has "websocket"
  bool connection_upgrades = false; ///< Connection has "Upgrade"
  bool offers_mqtt = false;
  bool offers_mqttv31 = false;
  bool has_body = false;
  const char* repeated = nullptr;
};

Upgrade& refuse(Upgrade& result, UpgradeRefusal refusal, std::uint16_t http_status,
                const char* fault) noexcept {
  result.status = Upgrade::Status::refused;
  result.refusal = refusal;
  result.http_status = http_status;
  result.fault = fault;
  return result;
}
Upgrade& malformed(Upgrade& result, const char* fault) noexcept {
  return refuse(result, UpgradeRefusal::malformed, 400, fault);
}

bool has_element(std::string_view list, std::string_view wanted) noexcept {
  while (!list.empty()) {
    if (same_ignoring_case(take_element(list), wanted)) return true;
  }
  return false;
}

void take_once(std::string_view value, std::string_view& to, bool& has, const char* name,
               Request& request) noexcept {
  if (has) request.repeated = name;
  has = true;
  to = value;
}

void take_field(std::string_view name, std::string_view value, Request& request,
                Upgrade& result) noexcept {
  const auto is = [name](std::string_view wanted) { return same_ignoring_case(name, wanted); };
  if (is("host")) {
    take_once(value, request.host, request.has_host, "Host is there twice", request);
  } else if (is("upgrade")) {
    request.upgrades = request.upgrades || has_element(value, "websocket");
  } else if (is("connection")) {
    request.connection_upgrades = request.connection_upgrades || has_element(value, "upgrade");
  } else if (is("sec-websocket-key")) {
    bool has = !request.key.empty();
    take_once(value, request.key, has, "Sec-WebSocket-Key is there twice", request);
  } else if (is("sec-websocket-version")) {
    bool has = !request.version.empty();
    take_once(value, request.version, has, "Sec-WebSocket-Version is there twice", request);
  } else if (is("sec-websocket-protocol")) {
    // Names of subprotocols are compared as they are (RFC 6455, 4.1 and 11.3.4).
    while (!value.empty()) {
      const std::string_view offered = take_element(value);
      request.offers_mqtt = request.offers_mqtt || offered == "mqtt";
      request.offers_mqttv31 = request.offers_mqttv31 || offered == "mqttv3.1";
    }
  } else if (is("origin")) {
    take_once(value, request.origin, request.has_origin, "Origin is there twice", request);
  } else if (is("x-forwarded-for")) {
    // Those behind the eighth stand nearer to us: they are the ones that count.
    if (result.forwarded_count == std::size(result.forwarded)) {
      std::move(result.forwarded + 1, std::end(result.forwarded), result.forwarded);
      result.forwarded_count--;
    }
    result.forwarded[result.forwarded_count++] = value;
  } else if (is("transfer-encoding") || (is("content-length") && value != "0")) {
    request.has_body = true;
  }
}

/// The fields, each with its CRLF. Null = well-formed, else what is wrong.
const char* read_fields(std::string_view lines, Request& request, Upgrade& result) noexcept {
  std::size_t count = 0;
  while (!lines.empty()) {
    const std::size_t end = lines.find("\r\n");
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 2);
    if (++count > kMaxUpgradeFields) return "too many header fields";
    const std::size_t colon = line.find(':');
    // A line that begins with a space would continue the one before, which is obsolete (RFC 9112, 5.2).
    if (colon == 0 || colon == std::string_view::npos) return "a header line without a name";
    const std::string_view name = line.substr(0, colon);
    if (!std::all_of(name.begin(), name.end(), is_token_char)) return "a header name that is none";
    const std::string_view value = trimmed(line.substr(colon + 1));
    take_field(name, value, request, result);
  }
  return nullptr;
}

bool good_key(std::string_view key) noexcept {
  if (key.size() != kKeyChars || key.substr(22) != "==") return false;
  return std::all_of(key.begin(), key.begin() + 22,
                     [](char c) { return is_letter(c) || is_digit(c) || c == '+' || c == '/'; });
}

/// "/mqtt" of "/mqtt?token=…" and of "http://host/mqtt" (RFC 9112, 3.2.2). Empty: neither form.
std::string_view path_of(std::string_view target) noexcept {
  const std::size_t scheme = target.find("://");
  if (!target.empty() && target[0] != '/' && scheme != std::string_view::npos) {
    const std::size_t slash = target.find_first_of("/?", scheme + 3);
    if (slash == std::string_view::npos || target[slash] == '?') return "/";
    target.remove_prefix(slash);
  }
  if (target.empty() || target[0] != '/') return {};
  return target.substr(0, target.find('?'));
}

/// '*' stands for one or more characters of a host's labels.
bool fits_origin(std::string_view origin, std::string_view allowed) noexcept {
  if (allowed == "*") return true;
  const std::size_t star = allowed.find('*');
  if (star == std::string_view::npos) return same_ignoring_case(origin, allowed);
  const std::string_view before = allowed.substr(0, star);
  const std::string_view behind = allowed.substr(star + 1);
  if (origin.size() <= before.size() + behind.size() ||
      !same_ignoring_case(origin.substr(0, before.size()), before) ||
      !same_ignoring_case(origin.substr(origin.size() - behind.size()), behind)) {
    return false;
  }
  const std::string_view labels =
      origin.substr(before.size(), origin.size() - before.size() - behind.size());
  return std::all_of(labels.begin(), labels.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '.';
  });
}

/// RFC 6455, 10.2: the origin protects people from scripts of other sites, in browsers, which always
/// send it. Other programs may leave it out, and could write there what they like.
bool good_origin(const Request& request, const UpgradeRules& rules) noexcept {
  if (rules.origins.empty() || !request.has_origin) return true;
  return std::any_of(rules.origins.begin(), rules.origins.end(), [&](const std::string& allowed) {
    return fits_origin(request.origin, allowed);
  });
}

Upgrade& judge(Upgrade& result, std::string_view target, const Request& request,
               const UpgradeRules& rules) noexcept {
  if (request.repeated != nullptr) return malformed(result, request.repeated);
  if (!request.has_host) return malformed(result, "no Host");  // RFC 9112, 3.2
  // Bytes behind the header would be taken for frames.
  if (request.has_body) return malformed(result, "a WebSocket request has no body");
  const std::string_view path = path_of(target);
  if (path.empty()) return malformed(result, "the request target is no path");
  if (!rules.path.empty() && path != rules.path) {
    return refuse(result, UpgradeRefusal::path, 404, "no WebSocket listener at this path");
  }
  if (!request.upgrades || !request.connection_upgrades) {
    return refuse(result, UpgradeRefusal::not_upgrade, 426,
                  "this is an MQTT listener over WebSocket: Upgrade: websocket is missing");
  }
  // 4.2.2: 426 and the version that is understood
  if (request.version != "13") {
    return refuse(result, UpgradeRefusal::version, 426, "Sec-WebSocket-Version is not 13");
  }
  if (!good_key(request.key)) {
    return malformed(result, "Sec-WebSocket-Key is not 16 bytes in base64");
  }
  if (!good_origin(request, rules)) {
    return refuse(result, UpgradeRefusal::origin, 403, "this Origin is not allowed");
  }
  // The client MUST offer "mqtt" [MQTT-6.0.0-3], and "mqtt" is what the server selects
  // [MQTT-6.0.0-4]; "mqttv3.1" is what clients before that text offer. To one that offers neither,
  // no subprotocol may be named (RFC 6455, 4.2.2), so it cannot be obeyed: refused, as EMQX does.
  if (!request.offers_mqtt && !request.offers_mqttv31) {
    return refuse(result, UpgradeRefusal::subprotocol, 400,
                  "Sec-WebSocket-Protocol must offer mqtt [MQTT-6.0.0-3]");
  }
  result.subprotocol = request.offers_mqtt ? Subprotocol::mqtt : Subprotocol::mqttv31;
  char text[kKeyChars + kGuid.size()];
  std::memcpy(text, request.key.data(), kKeyChars);
  std::memcpy(text + kKeyChars, kGuid.data(), kGuid.size());
  const auto accept = base64(sha1({text, sizeof text}));
  std::memcpy(result.accept, accept.data(), accept.size());
  result.status = Upgrade::Status::accepted;
  return result;
}

/// "GET /mqtt HTTP/1.1"
Upgrade& read_request(Upgrade& result, std::string_view head, const UpgradeRules& rules) noexcept {
  // RFC 9112, 2.2: no bare CR or LF, no NUL; 5.5: no other control characters.
  for (std::size_t at = 0; at < head.size(); ++at) {
    const auto byte = static_cast<unsigned char>(head[at]);
    if (byte == '\r' && at + 1 < head.size() && head[at + 1] == '\n') {
      ++at;
    } else if ((byte < ' ' && byte != '\t') || byte == 0x7F) {
      return malformed(result, "a control character in the header");
    }
  }
  const std::size_t end = head.find("\r\n");
  const std::string_view line = head.substr(0, end);
  const std::size_t space = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (space == std::string_view::npos || last == space) {
    return malformed(result, "the request line is not METHOD TARGET VERSION");
  }
  const std::string_view method = line.substr(0, space);
  const std::string_view target = line.substr(space + 1, last - space - 1);
  const std::string_view version = line.substr(last + 1);
  if (target.find(' ') != std::string_view::npos ||
      !std::all_of(method.begin(), method.end(), is_token_char)) {
    return malformed(result, "the request line is not METHOD TARGET VERSION");
  }
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return malformed(result, "the request line names no HTTP version");
  }
  Request request;
  const char* fault = read_fields(head.substr(end + 2), request, result);
  if (fault != nullptr) return malformed(result, fault);
  if (method != "GET") {
    return refuse(result, UpgradeRefusal::malformed, 405, "a WebSocket request is a GET");
  }
  if (version[5] != '1' || version[7] < '1') {  // RFC 6455, 4.2.1: 1.1 or higher
    return refuse(result, UpgradeRefusal::malformed, 505, "a WebSocket request is HTTP/1.1");
  }
  return judge(result, target, request, rules);
}

const char* phrase(std::uint16_t http_status) noexcept {
  switch (http_status) {
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Bad Request";
  }
}

}  // namespace

Upgrade parse_upgrade(Bytes bytes, const UpgradeRules& rules) noexcept {
  Upgrade result;
  if (bytes.empty()) return result;
  // Somebody who speaks MQTT or TLS here waits for an answer that never came otherwise.
  if (!is_letter(static_cast<char>(bytes[0]))) {
    const char* fault = bytes[0] == 0x10   ? "MQTT without WebSocket on a WebSocket listener"
                        : bytes[0] == 0x16 ? "TLS on a WebSocket listener without TLS"
                                           : "this is not HTTP";
    return malformed(result, fault);
  }
  const std::string_view text = as_text(bytes.first(std::min(bytes.size(), kMaxUpgradeBytes)));
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (text.size() < kMaxUpgradeBytes) return result;
    return refuse(result, UpgradeRefusal::too_large, 431, "the header is larger than 8192 bytes");
  }
  result.bytes = static_cast<std::uint32_t>(end + 4);
  return read_request(result, text.substr(0, end + 2), rules);
}

std::size_t write_answer(const Upgrade& upgrade, std::uint8_t (&out)[kMaxAnswerBytes]) noexcept {
  std::uint8_t* at = out;
  const auto add = [&at](std::string_view text) { at = store_bytes(at, as_bytes(text)); };
  if (upgrade.status == Upgrade::Status::accepted) {
    add("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: ");
    add({upgrade.accept, sizeof upgrade.accept});
    add("\r\nSec-WebSocket-Protocol: ");
    add(upgrade.subprotocol == Subprotocol::mqtt ? "mqtt" : "mqttv3.1");
    add("\r\n\r\n");
    return static_cast<std::size_t>(at - out);
  }
  const std::string_view fault = upgrade.fault;
  const auto digit = [](std::size_t value) { return static_cast<char>('0' + value % 10); };
  const std::size_t status = upgrade.http_status;
  const char status_text[3] = {digit(status / 100), digit(status / 10), digit(status)};
  const std::size_t body = fault.size() + 1;  // at most three digits
  const char body_text[3] = {digit(body / 100), digit(body / 10), digit(body)};
  add("HTTP/1.1 ");
  add({status_text, sizeof status_text});
  add(" ");
  add(phrase(upgrade.http_status));
  add(upgrade.http_status == 426
          ? "\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close"
          : "\r\nConnection: close");
  if (upgrade.http_status == 405) add("\r\nAllow: GET");
  add("\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
  add(std::string_view(body_text, sizeof body_text).substr(body < 10 ? 2 : body < 100 ? 1 : 0));
  add("\r\n\r\n");
  add(fault);
  add("\n");
  return static_cast<std::size_t>(at - out);
}

}  // namespace stmqtt::stream
