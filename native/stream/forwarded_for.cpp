// Whom X-Forwarded-For names: each proxy appends the address it saw, so the list is to be believed
// from its right end as far as proxies of ours wrote it. See websocket_upgrade.hpp.
// Thread: any (pure).
#include "stream/http_text.hpp"
#include "stream/websocket_upgrade.hpp"

namespace stmqtt::stream {
namespace {

int read_port(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5) return -1;
  int port = 0;
  for (const char digit : text) {
    if (!is_digit(digit)) return -1;
    port = port * 10 + (digit - '0');
  }
  return port > 65535 ? -1 : port;
}

/// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711"
Forwarded read_element(std::string_view text) noexcept {
  Forwarded result;
  std::string_view port;
  bool has_port = false;
  if (!text.empty() && text[0] == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return result;
    const std::string_view behind = text.substr(close + 1);
    if (!behind.empty() && behind[0] != ':') return result;
    has_port = !behind.empty();
    if (has_port) port = behind.substr(1);
    text = text.substr(1, close - 1);
    if (text.find(':') == std::string_view::npos) return result;
  } else if (text.find('.') != std::string_view::npos) {
    const std::size_t colon = text.rfind(':');
    if (colon != std::string_view::npos && text.find(':') == colon) {
      has_port = true;
      port = text.substr(colon + 1);
      text = text.substr(0, colon);
    }
  }
  const int number = has_port ? read_port(port) : 0;
  if (number < 0) return result;
  result.address = parse_ip_address(text);
  result.port = result.address.known() ? static_cast<std::uint16_t>(number) : std::uint16_t{0};
  return result;
}

}  // namespace

Forwarded forwarded_for(const Upgrade& upgrade, std::span<const IpNetwork> trusted) noexcept {
  Forwarded best;
  for (std::size_t field = upgrade.forwarded_count; field-- > 0;) {
    std::string_view list = upgrade.forwarded[field];
    for (;;) {
      const std::size_t comma = list.rfind(',');
      const std::string_view element =
          trimmed(comma == std::string_view::npos ? list : list.substr(comma + 1));
      if (!element.empty()) {
        const Forwarded found = read_element(element);
        // What stands left of something unreadable ("unknown") nobody trusted vouches for.
        if (!found.address.known()) return best;
        best = found;
        if (!contains(trusted, found.address)) return best;
      }
      if (comma == std::string_view::npos) break;
      list = list.substr(0, comma);
    }
  }
  return best;
}

}  // namespace stmqtt::stream
