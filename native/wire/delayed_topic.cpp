#include "wire/delayed_topic.hpp"

#include <string_view>

namespace stmqtt::wire {

namespace {

constexpr std::string_view kPrefix = "$delayed/";

}  // namespace

DelayPrefix take_delay_prefix(Bytes& topic, std::uint32_t most, std::uint32_t& seconds) noexcept {
  std::string_view text = as_text(topic);
  if (!text.starts_with(kPrefix)) return DelayPrefix::none;
  text.remove_prefix(kPrefix.size());
  std::uint64_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    value = value * 10 + static_cast<std::uint64_t>(text[digits] - '0');
    if (value > most) return DelayPrefix::invalid;
  }
  if (digits == 0 || digits == text.size() || text[digits] != '/') return DelayPrefix::invalid;
  text.remove_prefix(digits + 1);
  // Twice delayed means nothing.
  if (text.empty() || text.starts_with(kPrefix)) return DelayPrefix::invalid;
  seconds = static_cast<std::uint32_t>(value);
  topic = topic.last(text.size());
  return DelayPrefix::fits;
}

}  // namespace stmqtt::wire
