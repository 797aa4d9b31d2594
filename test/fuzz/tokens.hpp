// For fuzz targets: topics and filters out of levels that the input chooses, so that nearly every
// input says something; and the plain loops that clever code must agree with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace stmqtt::fuzz {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

class Tokens {
 public:
  Tokens(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  [[nodiscard]] bool empty() const { return size_ == 0; }
  std::uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::uint32_t below(std::uint32_t bound) { return byte() % bound; }
  /// Of its own length.
  std::string text(std::uint32_t most) {
    std::string text;
    for (std::uint32_t bytes = below(most + 1); text.size() < bytes && size_ > 0;) {
      text += static_cast<char>(byte());
    }
    return text;
  }
  /// At least one byte; `wildcards`: '+' and, as the last level, '#' too.
  template <std::size_t N>
  std::string levels(const std::string_view (&known)[N], bool wildcards) {
    std::string text;
    for (std::uint32_t count = 1 + below(8), at = 0; at < count; ++at) {
      if (at > 0) text += '/';
      const std::uint32_t choice = below(static_cast<std::uint32_t>(N + (wildcards ? 4 : 0)));
      if (choice < N) {
        text += known[choice];
      } else {
        text += choice == N && at + 1 == count ? "#" : "+";
      }
    }
    return text.empty() ? "/" : text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

inline std::vector<std::string> split(std::string_view topic) {
  std::vector<std::string> levels(1);
  for (const char c : topic) {
    if (c == '/') {
      levels.emplace_back();
    } else {
      levels.back() += c;
    }
  }
  return levels;
}

/// A Topic Filter and a Topic Name; of first levels with '$' it knows nothing.
inline bool matches(std::string_view filter, std::string_view topic) {
  const std::vector<std::string> wanted = split(filter);
  const std::vector<std::string> found = split(topic);
  for (std::size_t at = 0; at < wanted.size(); ++at) {
    if (wanted[at] == "#") return true;
    if (at == found.size() || (wanted[at] != "+" && wanted[at] != found[at])) return false;
    if (at + 1 == found.size() && at + 2 == wanted.size() && wanted[at + 1] == "#") return true;
  }
  return wanted.size() == found.size();
}

}  // namespace stmqtt::fuzz
