#include "route/log_options.hpp"

#include <algorithm>

#include "wire/topic.hpp"

namespace stmqtt {
namespace {

/// Takes the first level off. 0 = a text or the end, 1 = '+', 2 = '#'.
int take_kind(std::string_view& rest) noexcept {
  const std::size_t slash = rest.find('/');
  const std::string_view level = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  return level == "#" ? 2 : level == "+" ? 1 : 0;
}

}  // namespace

bool is_more_specific(Bytes a, Bytes b) noexcept {
  std::string_view rest_a = as_text(a);
  std::string_view rest_b = as_text(b);
  while (!rest_a.empty() || !rest_b.empty()) {
    const int kind_a = take_kind(rest_a);
    const int kind_b = take_kind(rest_b);
    if (kind_a != kind_b) return kind_a < kind_b;
  }
  return as_text(a) < as_text(b);
}

void LogOptions::settle() {
  std::ranges::sort(custom, [](const Custom& a, const Custom& b) {
    return is_more_specific(as_bytes(a.filter), as_bytes(b.filter));
  });
  std::ranges::sort(initialized, [](const std::string& a, const std::string& b) {
    return is_more_specific(as_bytes(a), as_bytes(b));
  });
}

const SegmentBounds& LogOptions::segments_of(Bytes filter) const noexcept {
  for (const Custom& each : custom) {
    if (wire::topic_matches(as_bytes(each.filter), filter)) return each.segments;
  }
  return segments;
}

const std::string* LogOptions::initialized_for(Bytes topic) const noexcept {
  for (const std::string& each : initialized) {
    if (wire::topic_matches(as_bytes(each), topic)) return &each;
  }
  return nullptr;
}

}  // namespace stmqtt
