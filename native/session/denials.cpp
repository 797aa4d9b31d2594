#include "session/denials.hpp"

#include <algorithm>
#include <utility>

namespace stmqtt {
namespace {

/// Not within a character.
void cut(std::string& text) noexcept {
  if (text.size() <= Denials::kTextBytes) return;
  std::size_t end = Denials::kTextBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  text.shrink_to_fit();
}

}  // namespace

void Denials::add(Denial&& denial) noexcept {
  if (denial.at_ms - second_ms_ >= 1000) {
    second_ms_ = denial.at_ms;
    in_second_ = 0;
  }
  ++in_second_;
  for (std::string* text : {&denial.client_id, &denial.username, &denial.topic, &denial.rule}) {
    cut(*text);
  }
  kept_[count_++ % kKept] = std::move(denial);
}

std::uint32_t Denials::list(std::uint32_t from, const PageBounds& bounds,
                            JsonWriter& rows) const noexcept {
  const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(count_, kKept));
  std::uint32_t listed = 0;
  for (std::uint32_t at = from; at < size; ++at) {
    if (listed++ >= bounds.rows || rows.size() >= PageBounds::kBytes) return at;
    const Denial& denial = kept_[(count_ - 1 - at) % kKept];
    rows.begin_object();
    rows.field("at", static_cast<std::int64_t>(denial.at_ms) + bounds.wall_offset_ms);
    rows.field("clientId", as_bytes(denial.client_id));
    rows.field("username", as_bytes(denial.username));
    rows.field("action", as_bytes(denial.action));
    rows.field("topic", as_bytes(denial.topic));
    rows.field("rule", as_bytes(denial.rule));
    rows.end_object();
  }
  return kListed;
}

}  // namespace stmqtt
