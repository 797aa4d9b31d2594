// Implements wire/topic.hpp. Thread: any (pure).
#include "wire/topic.hpp"

#include "wire/swar.hpp"
#include "wire/utf8.hpp"

namespace stmqtt::wire {

namespace {

constexpr std::uint64_t wildcard_lanes(std::uint64_t word) noexcept {
  return swar::lanes_equal(word, '+') | swar::lanes_equal(word, '#');
}
bool has_wildcard(Bytes text) noexcept {
  return !swar::none(text.data(), text.size(), wildcard_lanes);
}
bool within(Bytes topic, std::uint32_t max_levels) noexcept {
  return max_levels == kAnyLevels || topic_levels(topic) <= max_levels;
}

/// Do '+' and '#' stand where 4.7.1 lets them? `filter` is valid UTF-8.
bool wildcards_placed(Bytes filter) noexcept {
  for (std::size_t i = 0; i < filter.size(); ++i) {
    if (filter[i] != '+' && filter[i] != '#') continue;
    const bool starts = i == 0 || filter[i - 1] == '/';
    const bool last = i + 1 == filter.size();
    const bool ends = last || (filter[i] == '+' && filter[i + 1] == '/');
    if (!starts || !ends) return false;  // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
  }
  return true;
}

constexpr std::string_view kShare = "$share";

}  // namespace

std::uint32_t topic_levels(Bytes topic) noexcept {
  const std::uint8_t* at = topic.data();
  std::size_t left = topic.size();
  std::uint32_t levels = 1;
  for (; left >= 8; at += 8, left -= 8) {
    levels += swar::count_lanes(swar::lanes_equal(swar::load8(at), '/'));
  }
  for (; left != 0; ++at, --left) levels += *at == '/' ? 1 : 0;
  return levels;
}

bool topic_bytes_valid_slow(const std::uint8_t* text, std::size_t bytes) noexcept {
  // Not plain ASCII: either a character beyond it, or a byte that may not be here.
  return !has_wildcard({text, bytes}) && valid_utf8({text, bytes});
}

bool valid_topic_name(Bytes topic, std::uint32_t max_levels) noexcept {
  return !topic.empty() && topic.size() <= kMaxStringBytes &&
         topic_bytes_valid(topic.data(), topic.size()) && within(topic, max_levels);
}

bool valid_topic_filter(Bytes filter, std::uint32_t max_levels) noexcept {
  return !filter.empty() && filter.size() <= kMaxStringBytes && valid_utf8(filter) &&
         (!has_wildcard(filter) || wildcards_placed(filter)) && within(filter, max_levels);
}

ReasonCode parse_topic_filter(Bytes topic_filter, FilterView& out) noexcept {
  if (topic_filter.size() > kMaxStringBytes || !valid_utf8(topic_filter)) {
    return ReasonCode::malformed_packet;
  }
  out.share_name = {};
  out.filter = topic_filter;
  // "$share" alone is no Shared Subscription [MQTT-4.8.2-1], and as a plain filter it could match
  // nothing that a client may publish to: it is refused like "$share/".
  const std::string_view text = as_text(topic_filter);
  out.shared = text.starts_with(kShare) &&
               (text.size() == kShare.size() || text[kShare.size()] == '/');
  if (out.shared) {
    const std::size_t name_at = kShare.size() + 1;
    const std::size_t slash = text.find('/', name_at);
    if (slash == std::string_view::npos) return ReasonCode::topic_filter_invalid;
    out.share_name = topic_filter.subspan(name_at, slash - name_at);
    out.filter = topic_filter.subspan(slash + 1);
    // One character at least [MQTT-4.8.2-1], and neither '+' nor '#' [MQTT-4.8.2-2].
    if (out.share_name.empty() || has_wildcard(out.share_name)) {
      return ReasonCode::topic_filter_invalid;
    }
  }
  if (out.filter.empty()) return ReasonCode::topic_filter_invalid;  // [MQTT-4.7.3-1]
  out.wildcard = has_wildcard(out.filter);
  if (out.wildcard && !wildcards_placed(out.filter)) return ReasonCode::topic_filter_invalid;
  return ReasonCode::success;
}

bool topic_matches(Bytes filter, Bytes topic) noexcept {
  // Wildcards in the first level do not match Topic Names that begin with '$' [MQTT-4.7.2-1].
  if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#')) return false;
  std::size_t f = 0;
  std::size_t t = 0;
  for (;;) {
    if (f < filter.size() && filter[f] == '#') return true;
    if (f < filter.size() && filter[f] == '+') {
      ++f;
      while (t < topic.size() && topic[t] != '/') ++t;
    } else {
      while (f < filter.size() && filter[f] != '/') {
        if (t == topic.size() || topic[t] != filter[f]) return false;
        ++f;
        ++t;
      }
    }
    // Both stand at the end of a level now, or they differ.
    if (t < topic.size() && topic[t] != '/') return false;
    if (f == filter.size()) return t == topic.size();
    if (t == topic.size()) {
      // "sport/#" also matches the parent level, "sport" (4.7.1.2).
      return filter.size() - f == 2 && filter[f + 1] == '#';
    }
    ++f;
    ++t;
  }
}

}  // namespace stmqtt::wire
